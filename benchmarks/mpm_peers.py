"""The same MLS-MPM steps in Taichi and in Warp, float32 on the CPU, and in NumPy in float64 to compare with.

Quadratic B-splines, APIC with the stress in the affine part (Hu et al. 2018, doi:10.1145/3197517.3201293), on the nodes
i dx, i = 0 … n − 1, dx = 1/n:

    (mv)_i = Σ_p w_ip [m v_p + (m C_p − dt V 4/dx² τ(F_p)) (x_i − x_p)],   v_i = (mv)_i / m_i + dt g,   walls,
    v_p = Σ_i w_ip v_i,   C_p = 4/dx² Σ_i w_ip v_i (x_i − x_p)ᵀ,   x_p += dt v_p,   F_p ← (I + dt C_p) F_p.

Water, the first half of the particles: τ = K (J − 1) J I, and F ← J^(1/d) I at the end of a step. The solid: fixed
corotated τ = 2μ (F − R) Fᵀ + λ (J − 1) J I in 2-D, neo-Hookean τ = μ (F Fᵀ − I) + λ log J I in 3-D. Walls let go of
what they touch: v ≥ 0 on nodes of index < 3 and v ≤ 0 on those > n − 3, axis by axis. `python mpm_peers.py` compares
small runs, in five to ten minutes, most of them compiling.

    run = taichi_forward(scene(2, 128, 16384), num_steps=500)  # or warp_forward
    run.prepare()                                               # compiles
    x = run()                                                   # from the beginning, as often as one likes
    loss, gradient = taichi_gradient(scene(2, 128, 8192), 256)()

A process should see one of Taichi and Warp, and one Taichi runner: a new one ends the old one's memory.
"""

import argparse
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import numpy as np


@dataclass(frozen=True)
class Scene:
    """A block of water beside a block of elastic solid on the floor; axis d − 1 is the height. Arrays are float32."""

    num_grid: int
    x: np.ndarray
    velocity: np.ndarray  # of all particles; C = 0 and F = I
    gravity: np.ndarray
    volume: float  # of a particle
    dt: float
    young: float = 1000.0
    poisson: float = 0.2
    bulk: float = 400.0  # K of water
    density: float = 1.0
    wall: int = 3  # cells

    dim = property(lambda self: self.x.shape[1])
    num_particles = property(lambda self: len(self.x))
    num_water = property(lambda self: len(self.x) // 2)
    dx = property(lambda self: 1 / self.num_grid)
    mass = property(lambda self: self.density * self.volume)
    mu = property(lambda self: self.young / (2 * (1 + self.poisson)))
    lam = property(lambda self: self.young * self.poisson / ((1 + self.poisson) * (1 - 2 * self.poisson)))

    @property
    def parameters(self) -> dict:
        """The numbers, for JSON."""
        named = {k: v for k, v in vars(self).items() if k != "x"} | {"num_particles": self.num_particles}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in named.items()}


def scene(dim: int, num_grid: int, num_particles: int, seed: int = 0) -> Scene:
    """Uniformly random positions in two blocks, sorted by cell within each; water comes first."""
    random, floor = np.random.default_rng(seed), 3 / num_grid
    lower, size = np.array([0.2, 0.35, floor])[[0, 2] if dim == 2 else [0, 1, 2]], np.array([0.3, 0.3, 0.4])
    size = size[[0, 2]] if dim == 2 else size
    blocks = []
    for corner in (0.2, 0.5):
        lower[0] = corner
        x = (lower + size * random.random((num_particles // 2, dim))).astype(np.float32)
        cell = (x * num_grid - 0.5).astype(int)  # the lowest node that a particle reaches
        blocks.append(x[np.lexsort(cell.T[::-1])])
    down = np.eye(dim)[-1]
    return Scene(
        num_grid, np.concatenate(blocks), (0.5 * np.eye(dim)[0] - down).astype(np.float32),
        (-9.8 * down).astype(np.float32), float(np.prod(size) / (num_particles // 2)), dt=0.0128 / num_grid,
    )  # fmt: skip


class Runner:
    """`prepare()` compiles; a call runs from the beginning and returns what `result` says."""

    def __init__(self, start: Callable[[], None], steps: Callable[[], None], result: Callable):
        self._start, self._steps, self._result, self._prepared = start, steps, result, False

    def prepare(self):
        if not self._prepared:
            self()
        return self

    def __call__(self):
        self._prepared = True
        self._start()
        self._steps()
        return self._result()


# ---- Taichi -----------------------------------------------------------------------------------------------------


def taichi_forward(scene: Scene, num_steps: int, **options) -> Runner:
    """Final positions (p, d)."""
    sim = _taichi(scene, 0, **options)

    def steps():
        for _ in range(num_steps):
            sim.scatter(0, 0)
            sim.move(0)
            sim.gather(0, 0, 0)
        sim.sync()

    return Runner(sim.start, steps, lambda: sim.positions(0))


def taichi_gradient(scene: Scene, num_steps: int, **options) -> Runner:
    """(loss, gradient (d,)) with all steps and their grids kept: each kernel is reversed, nothing is repeated."""
    sim = _taichi(scene, num_steps, **options)

    def steps():
        sim.clear()
        sim.spread()
        for s in range(num_steps):
            sim.scatter(s, s)
            sim.move(s)
            sim.gather(s, s + 1, s)
        sim.measure()
        sim.measure.grad()
        for s in reversed(range(num_steps)):
            sim.reversible_gather.grad(s, s + 1, s)
            sim.move.grad(s)
            sim.scatter.grad(s, s)
        sim.spread.grad()
        sim.sync()

    return Runner(sim.start, steps, lambda: (float(sim.loss[None]), sim.velocity.grad.to_numpy()[0]))


def _taichi(scene: Scene, kept: int, threads: int = 1, layout: str = "aos", serial_scatter: bool | None = None):
    """Kernels on fields of kept + 1 times. One thread needs no atomics, which `serial_scatter` spares."""
    import taichi as ti

    ti.init(arch=ti.cpu, default_fp=ti.f32, cpu_max_num_threads=threads, log_level=ti.WARN)
    serial = threads == 1 if serial_scatter is None else serial_scatter
    d, n, num, num_water, wall = scene.dim, scene.num_grid, scene.num_particles, scene.num_water, scene.wall
    dx, dt, volume, mass, mu, lam, bulk = (
        scene.dx, scene.dt, scene.volume, scene.mass, scene.mu, scene.lam, scene.bulk
    )  # fmt: skip
    inverse_dx, D, nodes, times, grids = float(n), 4 / dx**2, n**d, kept + 1, max(kept, 1)
    gravity, reverse = ti.Vector(scene.gravity.tolist()), kept > 0
    strides = ti.Vector([n ** (d - 1 - a) for a in range(d)])
    x, v, C, F = (make(ti.f32) for make in 2 * [_vectors(ti, d)] + 2 * [_matrices(ti, d)])
    momentum, weight, u = _vectors(ti, d)(ti.f32), ti.field(ti.f32), _vectors(ti, d)(ti.f32)
    velocity, loss = _vectors(ti, d)(ti.f32), ti.field(ti.f32)
    for index, extent, groups in (
        (ti.ij, (times, num), {"aos": [(x, v, C, F)], "fields": [(x,), (v,), (C,), (F,)]}),
        (ti.ij, (grids, nodes), {"aos": [(momentum, weight), (u,)], "fields": [(momentum,), (weight,), (u,)]}),
    ):
        for group in groups[layout]:
            ti.root.dense(index, extent).place(*group)
    ti.root.dense(ti.i, 1).place(velocity)
    ti.root.place(loss)
    if reverse:
        ti.root.lazy_grad()

    @ti.func
    def kirchhoff(F, p):
        J, one = F.determinant(), ti.Matrix.identity(ti.f32, d)
        tau = bulk * (J - 1) * J * one
        if p >= num_water:
            if ti.static(d == 2):
                c, s = F[0, 0] + F[1, 1], F[1, 0] - F[0, 1]
                r = ti.sqrt(c * c + s * s)
                R = ti.Matrix([[c / r, -s / r], [s / r, c / r]])
                tau = 2 * mu * (F - R) @ F.transpose() + lam * (J - 1) * J * one
            else:
                tau = mu * (F @ F.transpose() - one) + lam * ti.log(J) * one
        return tau

    @ti.func
    def stencil(x):
        """The flat index of the lowest node, the place relative to it in cells, and the weights by row."""
        base = ti.cast(x * inverse_dx - 0.5, ti.i32)
        f = x * inverse_dx - base
        return base.dot(strides), f, [0.5 * (1.5 - f) ** 2, 0.75 - (f - 1) ** 2, 0.5 * (f - 0.5) ** 2]

    @ti.func
    def scatter_one(p, s, g):
        first, f, w = stencil(x[s, p])
        mv = mass * v[s, p]
        A = mass * C[s, p] - (dt * volume * D) * kirchhoff(F[s, p], p)
        for offset in ti.static(ti.grouped(ti.ndrange(*((3,) * d)))):
            share = 1.0
            for a in ti.static(range(d)):
                share *= w[offset[a]][a]
            i = first + offset.dot(strides)
            momentum[g, i] += share * (mv + A @ ((offset - f) * dx))
            weight[g, i] += share * mass

    @ti.kernel
    def move(g: int):
        for i in range(nodes):
            if weight[g, i] > 0:
                moved = momentum[g, i] / weight[g, i] + dt * gravity
                for a in ti.static(range(d)):
                    k = i // n ** (d - 1 - a) % n
                    if k < wall:
                        moved[a] = ti.max(moved[a], 0)
                    if k > n - wall:
                        moved[a] = ti.min(moved[a], 0)
                u[g, i] = moved
            if ti.static(not reverse):
                momentum[g, i] = ti.Vector.zero(ti.f32, d)
                weight[g, i] = 0

    @ti.func
    def gather_one(p, s, t, g):
        old_x, old_F = x[s, p], F[s, p]
        first, f, w = stencil(old_x)
        new_v, new_C = ti.Vector.zero(ti.f32, d), ti.Matrix.zero(ti.f32, d, d)
        for offset in ti.static(ti.grouped(ti.ndrange(*((3,) * d)))):
            share = 1.0
            for a in ti.static(range(d)):
                share *= w[offset[a]][a]
            part = share * u[g, first + offset.dot(strides)]
            new_v += part
            new_C += (D * dx) * part.outer_product(offset - f)
        new_F = old_F + dt * new_C @ old_F
        if p < num_water:
            new_F = new_F.determinant() ** (1 / d) * ti.Matrix.identity(ti.f32, d)
        x[t, p], v[t, p], C[t, p], F[t, p] = old_x + dt * new_v, new_v, new_C, new_F

    @ti.kernel
    def scatter(s: int, g: int):
        ti.loop_config(serialize=serial)
        for p in range(num):
            scatter_one(p, s, g)

    @ti.kernel
    def gather(s: int, t: int, g: int):
        ti.loop_config(serialize=serial)
        for p in range(num):
            gather_one(p, s, t, g)

    @ti.kernel
    def reversible_gather(s: int, t: int, g: int):  # the derivative of a serialized gather is zero in Taichi 1.7.4
        for p in range(num):
            gather_one(p, s, t, g)

    @ti.kernel
    def spread():
        for p in range(num):
            v[0, p] = velocity[0]

    @ti.kernel
    def measure():
        for p in range(num):
            loss[None] += (x[kept, p][0] + x[kept, p][1] ** 2) / num

    def start():
        first = np.zeros((times, num, d), np.float32)
        first[0] = scene.x
        x.from_numpy(first)
        identity = np.zeros((times, num, d, d), np.float32)
        identity[0] = np.eye(d)
        F.from_numpy(identity)
        C.fill(0)
        velocity.from_numpy(scene.velocity[None])
        spread()
        momentum.fill(0)
        weight.fill(0)

    def clear():
        for field in (x, v, C, F, momentum, weight, u, velocity):
            field.grad.fill(0)
        loss[None], loss.grad[None] = 0, 1

    return SimpleNamespace(
        scatter=scatter, move=move, gather=gather, reversible_gather=reversible_gather, spread=spread, measure=measure,
        start=start, clear=clear, sync=ti.sync, positions=lambda s: x.to_numpy()[s], velocity=velocity, loss=loss,
    )  # fmt: skip


def _vectors(ti, d):
    return lambda dtype: ti.Vector.field(d, dtype)


def _matrices(ti, d):
    return lambda dtype: ti.Matrix.field(d, d, dtype)


# ---- Warp -------------------------------------------------------------------------------------------------------


def warp_forward(scene: Scene, num_steps: int, **options) -> Runner:
    """Final positions (p, d). A step is recorded once and replayed: no launch is put together again."""
    sim = _warp(scene, 0, **options)
    record = _recorded(sim, lambda: sim.step(0, 0, 0))

    def steps():
        graph = record()
        for _ in range(num_steps):
            sim.wp.capture_launch(graph)

    return Runner(sim.start, steps, lambda: sim.x.numpy()[0])


def warp_gradient(scene: Scene, num_steps: int, **options) -> Runner:
    """(loss, gradient (d,)) by one tape with all steps, their grids included, kept; the whole is recorded once."""
    sim = _warp(scene, num_steps, **options)

    def everything():
        tape = sim.wp.Tape()
        sim.clear()
        with tape:
            sim.spread()
            for s in range(num_steps):
                sim.step(s, s + 1, s)
            sim.measure()
        tape.backward(sim.loss)

    record = _recorded(sim, everything)
    return Runner(
        sim.start,
        lambda: sim.wp.capture_launch(record()),
        lambda: (float(sim.loss.numpy()[0]), sim.velocity.grad.numpy()[0]),
    )


def _recorded(sim, run: Callable) -> Callable:
    """What returns the graph of `run`; the first call makes it, and what that changes is put back by `sim.start`."""
    kept = []

    def record():
        if not kept:
            with sim.wp.ScopedCapture(device="cpu") as capture:
                run()
            kept.append(capture.graph)
            sim.start()
        return kept[0]

    return record


def _warp(scene: Scene, kept: int, fast_math: bool = True):
    """Kernels on arrays of kept + 1 times. Warp runs them on one thread; Taichi has fast math by default."""
    import warp as wp

    wp.config.log_level = wp.LOG_WARNING
    wp.init()
    d, n, num, num_water, wall = scene.dim, scene.num_grid, scene.num_particles, scene.num_water, scene.wall
    dx, dt, volume, mass, mu, lam, bulk = (
        scene.dx, scene.dt, scene.volume, scene.mass, scene.mu, scene.lam, scene.bulk
    )  # fmt: skip
    inverse_dx, D, nodes, reach, power, reverse = float(n), 4 / dx**2, n**d, 3**d, 1 / d, kept > 0
    vec, mat, rows = wp.types.vector(d, float), wp.types.matrix((d, d), float), wp.types.matrix((3, d), float)
    indices, moments = wp.types.vector(d, int), wp.types.vector(d + 1, float)
    gravity, identity = wp.constant(vec(*scene.gravity.tolist())), wp.constant(mat(*np.eye(d).ravel().tolist()))
    options = {"enable_backward": reverse, "max_unroll": 27}
    if fast_math:
        options["cpu_compiler_flags"] = f"{wp.config.cpu_compiler_flags} -ffast-math -Wno-nan-infinity-disabled"
    kernel = partial(wp.kernel, module="unique", module_options=options)

    @wp.func
    def solid_2d(F: mat):
        J = wp.determinant(F)
        c = F[0, 0] + F[1, 1]
        s = F[1, 0] - F[0, 1]
        r = wp.sqrt(c * c + s * s)
        R = wp.matrix_from_rows(wp.vec2(c / r, -s / r), wp.vec2(s / r, c / r))
        return 2.0 * mu * (F - R) @ wp.transpose(F) + lam * (J - 1.0) * J * identity

    @wp.func
    def solid_3d(F: mat):
        return mu * (F @ wp.transpose(F) - identity) + lam * wp.log(wp.determinant(F)) * identity

    solid = solid_2d if d == 2 else solid_3d

    @wp.func
    def kirchhoff(F: mat, p: int):
        if p < num_water:
            J = wp.determinant(F)
            return bulk * (J - 1.0) * J * identity
        return solid(F)

    @wp.func
    def lowest(x: vec):
        base = indices()
        for a in range(d):
            base[a] = int(x[a] * inverse_dx - 0.5)
        return base

    @wp.func
    def relative(x: vec, base: indices):
        f = vec()
        for a in range(d):
            f[a] = x[a] * inverse_dx - float(base[a])
        return f

    @wp.func
    def splines(f: vec):
        w = rows()
        for a in range(d):
            w[0, a] = 0.5 * (1.5 - f[a]) * (1.5 - f[a])
            w[1, a] = 0.75 - (f[a] - 1.0) * (f[a] - 1.0)
            w[2, a] = 0.5 * (f[a] - 0.5) * (f[a] - 0.5)
        return w

    # The o-th of the 3^d nodes: its flat index from base, its weight, its place relative to the particle.

    @wp.func
    def node_2d(base: indices, o: int):
        return (base[0] + o // 3) * n + base[1] + o % 3

    @wp.func
    def share_2d(w: rows, o: int):
        return w[o // 3, 0] * w[o % 3, 1]

    @wp.func
    def away_2d(f: vec, o: int):
        return wp.vec2(float(o // 3) - f[0], float(o % 3) - f[1])

    @wp.func
    def node_3d(base: indices, o: int):
        return ((base[0] + o // 9) * n + base[1] + o // 3 % 3) * n + base[2] + o % 3

    @wp.func
    def share_3d(w: rows, o: int):
        return w[o // 9, 0] * w[o // 3 % 3, 1] * w[o % 3, 2]

    @wp.func
    def away_3d(f: vec, o: int):
        return wp.vec3(float(o // 9) - f[0], float(o // 3 % 3) - f[1], float(o % 3) - f[2])

    node, share, away = (node_2d, share_2d, away_2d) if d == 2 else (node_3d, share_3d, away_3d)

    @kernel
    def scatter(
        x: wp.array2d(dtype=vec), v: wp.array2d(dtype=vec), C: wp.array2d(dtype=mat), F: wp.array2d(dtype=mat),
        momentum: wp.array2d(dtype=moments), s: int, g: int,
    ):  # fmt: skip
        p = wp.tid()
        here = x[s, p]
        base = lowest(here)
        f = relative(here, base)
        w = splines(f)
        mv = mass * v[s, p]
        A = (mass * dx) * C[s, p] - (dt * volume * D * dx) * kirchhoff(F[s, p], p)
        for o in range(reach):
            carried = mv + A @ away(f, o)
            part = moments()
            for a in range(d):
                part[a] = carried[a]
            part[d] = mass
            wp.atomic_add(momentum, g, node(base, o), share(w, o) * part)

    @kernel
    def move(momentum: wp.array2d(dtype=moments), u: wp.array2d(dtype=vec), g: int):
        i = wp.tid()
        got = momentum[g, i]
        if got[d] > 0.0:
            moved = vec()
            k = i
            for b in range(d):
                a = d - 1 - b
                component = got[a] / got[d] + dt * gravity[a]
                if k % n < wall:
                    component = wp.max(component, 0.0)
                if k % n > n - wall:
                    component = wp.min(component, 0.0)
                moved[a] = component  # once: Warp does not reverse overwritten components
                k = k // n
            u[g, i] = moved

    @kernel
    def gather(
        x: wp.array2d(dtype=vec), v: wp.array2d(dtype=vec), C: wp.array2d(dtype=mat), F: wp.array2d(dtype=mat),
        u: wp.array2d(dtype=vec), s: int, t: int, g: int,
    ):  # fmt: skip
        p = wp.tid()
        here = x[s, p]
        base = lowest(here)
        f = relative(here, base)
        w = splines(f)
        new_v = vec()
        B = mat()
        for o in range(reach):
            part = share(w, o) * u[g, node(base, o)]
            new_v += part
            B += wp.outer(part, away(f, o))
        new_C = (D * dx) * B
        new_F = F[s, p] + dt * new_C @ F[s, p]
        if p < num_water:
            new_F = wp.pow(wp.determinant(new_F), power) * identity
        x[t, p] = here + dt * new_v
        v[t, p] = new_v
        C[t, p] = new_C
        F[t, p] = new_F

    @kernel
    def spread_kernel(velocity: wp.array1d(dtype=vec), v: wp.array2d(dtype=vec)):
        v[0, wp.tid()] = velocity[0]

    @kernel
    def measure_kernel(x: wp.array2d(dtype=vec), loss: wp.array1d(dtype=float)):
        last = x[kept, wp.tid()]
        wp.atomic_add(loss, 0, (last[0] + last[1] * last[1]) / float(num))

    zeros = partial(wp.zeros, device="cpu", requires_grad=reverse)
    x, v, C, F = (zeros((kept + 1, num), dtype) for dtype in (vec, vec, mat, mat))
    momentum, u = (zeros((max(kept, 1), nodes), dtype) for dtype in (moments, vec))
    velocity, loss = zeros(1, vec), zeros(1, float)
    arrays = (x, v, C, F, momentum, u, velocity, loss)
    first = [wp.array(scene.x, dtype=vec, device="cpu"), wp.full(num, identity, dtype=mat, device="cpu")]
    velocity.assign(scene.velocity[None])

    def step(s, t, g):
        wp.launch(scatter, num, [x, v, C, F], [momentum, s, g])
        wp.launch(move, nodes, [momentum], [u, g])
        wp.launch(gather, num, [x, v, C, F, u, s, t, g])
        if not reverse:
            momentum.zero_()

    def spread():
        wp.launch(spread_kernel, num, [velocity], [v])

    def start():
        wp.copy(x, first[0], count=num)
        wp.copy(F, first[1], count=num)
        C.zero_()
        momentum.zero_()
        spread()

    def clear():
        momentum.zero_()
        loss.zero_()
        for array in arrays:
            array.grad.zero_()

    return SimpleNamespace(
        wp=wp, step=step, spread=spread, start=start, clear=clear, loss=loss, velocity=velocity, x=x,
        measure=lambda: wp.launch(measure_kernel, num, [x], [loss]),
    )  # fmt: skip


# ---- NumPy, and the comparison ------------------------------------------------------------------------------------


def numpy_forward(scene: Scene, num_steps: int, velocity: np.ndarray | None = None) -> np.ndarray:
    """Final positions in float64, slowly."""
    d, n, num, dx, dt, one = scene.dim, scene.num_grid, scene.num_particles, scene.dx, scene.dt, np.eye(scene.dim)
    water, D = (np.arange(num) < scene.num_water)[:, None, None], 4 / dx**2
    offsets = np.stack(np.meshgrid(*[range(3)] * d, indexing="ij"), -1).reshape(-1, d)
    k, axes = np.stack(np.meshgrid(*[range(n)] * d, indexing="ij"), -1).reshape(-1, d), np.arange(d)
    x = scene.x.astype(float)
    v = np.broadcast_to(scene.velocity if velocity is None else velocity, x.shape).astype(float)
    C, F = np.zeros((num, d, d)), np.broadcast_to(one, (num, d, d))
    for _ in range(num_steps):
        J, Ft = np.linalg.det(F)[:, None, None], F.swapaxes(1, 2)
        if d == 2:
            U, _, Vt = np.linalg.svd(F)
            solid = 2 * scene.mu * (F - U @ Vt) @ Ft + scene.lam * (J - 1) * J * one
        else:
            solid = scene.mu * (F @ Ft - one) + scene.lam * np.log(J) * one
        A = scene.mass * C - dt * scene.volume * D * np.where(water, scene.bulk * (J - 1) * J * one, solid)
        base = (x * n - 0.5).astype(int)
        f = x * n - base
        w = np.stack([0.5 * (1.5 - f) ** 2, 0.75 - (f - 1) ** 2, 0.5 * (f - 0.5) ** 2], 1)
        w = w[:, offsets, axes].prod(-1)  # (p, 3^d)
        away = (offsets - f[:, None]) * dx
        node = np.ravel_multi_index(tuple(np.moveaxis(base[:, None] + offsets, -1, 0)), (n,) * d)
        carried = w[..., None] * (scene.mass * v[:, None] + away @ A.swapaxes(1, 2))
        mass = np.bincount(node.ravel(), scene.mass * w.ravel(), n**d)[:, None]
        u = np.stack([np.bincount(node.ravel(), carried[..., a].ravel(), n**d) for a in range(d)], -1)
        u = np.where(mass > 0, u / np.where(mass > 0, mass, 1) + dt * scene.gravity, 0)
        u = np.where(k < scene.wall, np.maximum(u, 0), u)
        u = np.where(k > n - scene.wall, np.minimum(u, 0), u)
        v = np.sum(w[..., None] * u[node], 1)
        C = D * np.einsum("po,poa,pob->pab", w, u[node], away)
        x, F = x + dt * v, F + dt * C @ F
        F = np.where(water, np.linalg.det(F)[:, None, None] ** (1 / d) * one, F)
    return x


def numpy_gradient(scene: Scene, num_steps: int, eps: float = 1e-5) -> tuple[float, np.ndarray]:
    """Loss and gradient by central differences."""

    def loss(velocity):
        x = numpy_forward(scene, num_steps, velocity)
        return np.mean(x[:, 0] + x[:, 1] ** 2)

    v = scene.velocity.astype(float)
    slopes = [(loss(v + eps * e) - loss(v - eps * e)) / (2 * eps) for e in np.eye(scene.dim)]
    return float(loss(v)), np.array(slopes)


def _run(name: str, kind: str, arguments: tuple, num_steps: int, options: dict):
    """What a peer finds, in a process of its own."""
    return globals()[f"{name}_{kind}"](scene(*arguments), num_steps, **options)()


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter).parse_args()
    cases = {"2-D": ("forward", (2, 64, 2048), 50), "3-D": ("forward", (3, 16, 1024), 50)}
    cases |= {"gradient": ("gradient", (2, 64, 2048), 32)}
    peers = {"warp": {}, "taichi": {}, "taichi, 2 threads": {"threads": 2}}
    for case, (kind, arguments, num_steps) in cases.items():
        start = scene(*arguments)
        truth = (numpy_forward if kind == "forward" else numpy_gradient)(start, num_steps)
        for peer, options in peers.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(_run, (peer.partition(",")[0], kind, arguments, num_steps, options))
            if kind == "forward":
                error, tolerance, what = np.abs(found - truth).max(), 1e-4, "max |x − x of NumPy|"
            else:
                error, tolerance = np.abs(found[1] - truth[1]).max() / np.abs(truth[1]).max(), 1e-3
                what = (
                    f"gradient {found[1]}, loss {found[0]:.7f}; relative to differences in NumPy, loss {truth[0]:.7f}"
                )
            print(f"{case}, {peer}: {what}: {error:.1e}", flush=True)
            assert error < tolerance, f"{case}: {peer} differs by {error:.1e}; allowed are {tolerance}."
