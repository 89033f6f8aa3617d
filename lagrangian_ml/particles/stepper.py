"""The moving-least-squares material point method (MLS-MPM), differentiable, as one stepper.

Hu, Fang, Ge, Qu, Zhu, Pradhana & Jiang 2018 (doi 10.1145/3197517.3201293), in the manner of ChainQueen (Hu et al. 2019,
arXiv 1810.01054). One step takes (x, v, C, F) from t to t + Δt:

    (m v)_i = Σ_p w_ip [m v_p + (m C_p − Δt V τ_p D⁻¹)(x_i − x_p)],   m_i = Σ_p w_ip m_p,   D = inertia · dx² I
    v_i     = boundaries((m v)_i / m_i + Δt g)
    v_p     = Σ_i w_ip v_i,   C_p = Σ_i w_ip v_i (x_i − x_p)ᵀ D⁻¹,   x_p += Δt v_p,   F_p ← (I + Δt C_p) F_p

τ = P Fᵀ is the Kirchhoff stress after the material's return mapping, plus α (F m)(F m)ᵀ of a muscle with direction m.
Other schemes: "tpic" takes ∇v = Σ_i v_i ∇w_ip for C and −V τ ∇w_ip for the force (Nakamura et al. 2023, doi
10.1016/j.cma.2022.115720); "pic" carries no C; `flip` > 0 adds flip (v_p − Σ_i w_ip v_i⁰), v⁰ before forces, to
v_p: FLIP from "pic", AFLIP (Fei et al. 2021, doi 10.1145/3450626.3459678) from "apic".

What it cannot do: a wall at a node is one of first order, since no body lies behind it; FLIP, TPIC and PIC do not keep
angular momentum; contact between bodies dissipates more when it travels through the grid; "tpic" with the quadratic
kernel may diverge at large strains on fine grids.

Differs from ChainQueen: several materials in one scene; particles that leave are frozen and counted; reverse mode keeps
the state and the grid of a step and recomputes the rest, with the adjoint of the transfers written by hand.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Bool, Float, Int

from ..core import Grid
from ..linalg.components import Matrix, Vector, identity, sum_of
from .checks import check_same, check_scene, check_shapes
from .kernels import KERNELS
from .state import Particles
from .transfer import Local, default_backend, gather, scatter

_GRID = "mpm_grid"  # what reverse mode keeps of a step beside its state


class State(eqx.Module):
    """What a step changes, as component arrays in the stepper's order of particles; t = count · Δt."""

    count: Int[Array, ""]
    x: Vector
    v: Vector
    C: Matrix | None
    F: Matrix
    plastic: Float[Array, " p"]
    alive: Bool[Array, " p"]

    @property
    def escaped(self) -> Int[Array, ""]:
        """How many particles had left the grid, or were not finite, when the last step began.

        They stay where they are, without mass.
        """
        return jnp.sum(~self.alive)


class Observation(eqx.Module):
    """What a controller may see: mean places and velocities of the particles of each actuator and, last, of all.

    Those that have left do not count.
    """

    weights: Float[Array, "g p"]
    x: Vector
    v: Vector

    @property
    def centers(self) -> Float[Array, "g d"]:
        return jnp.stack([self.weights @ part for part in self.x], axis=1)

    @property
    def velocities(self) -> Float[Array, "g d"]:
        return jnp.stack([self.weights @ part for part in self.v], axis=1)


class MPM(eqx.Module):
    """The step for given particles on a grid: a `Stepper`, whose state is made by `init` and read by `particles`.

    Everything but the numbers of steps and nodes may be an array to differentiate by: parameters of materials,
    boundaries and controller, gravity, volume and mass.
    """

    materials: tuple[Any, ...]
    boundaries: tuple[Callable[..., Vector], ...]
    controller: Callable[..., Array] | None
    gravity: Float[Array, " d"]
    volume: Float[Array, " p"]
    mass: Float[Array, " p"]
    fibre: Vector | None
    actuator: Int[Array, " p"]
    groups: Float[Array, "g p"]
    order: Int[Array, " p"]
    back: Int[Array, " p"]
    grid: Grid = eqx.field(static=True)
    dt: float = eqx.field(static=True)
    kernel: str = eqx.field(static=True)
    scheme: str = eqx.field(static=True)
    flip: float = eqx.field(static=True)
    backend: str = eqx.field(static=True)
    slices: tuple[tuple[int, int, int], ...] = eqx.field(static=True)

    def __init__(
        self,
        particles: Particles,
        grid: Grid,
        dt: float,
        *,
        materials: Sequence[Any],
        boundaries: Sequence[Callable[..., Vector]] = (),
        gravity: Sequence[float] | Float[Array, " d"] | None = None,
        controller: Callable[..., Array] | None = None,
        fibres: Any = None,
        kernel: Literal["quadratic", "cubic"] = "quadratic",
        scheme: Literal["apic", "tpic", "pic"] = "apic",
        flip: float = 0.0,
        backend: Literal["scalars", "rows", "dense"] | None = None,
    ):
        """
        Args:
            particles: their number, materials, actuators, volumes and masses are fixed here; values must be concrete.
            grid: nodes with one spacing dx on all axes; particles may be where the kernel reaches nodes only.
            dt: Δt, at most the elastic CFL limit dx/c of the stiffest material.
            materials: by the index of `particles.material`.
            boundaries: applied in order to the velocities on the grid.
            gravity: acceleration (d,), none unless given.
            controller: `(t, observation) -> (a,)`, the tension α of each actuator, in units of stress.
            fibres: (a, d), the direction m of each actuator's muscle in the reference state; else the last axis.
            kernel: "cubic" is smoother and reaches 4 nodes an axis instead of 3.
            scheme, flip: the transfer, see above.
            backend: see `particles.transfer`; that of the default device unless given.

        Raises:
            ValueError: for a time step above the CFL limit, particles outside the grid, volumes or masses that are
                not positive, unknown materials, kernels, schemes or back ends, and shapes that do not fit.
        """
        check_scene(particles, grid, dt, materials, kernel, scheme, flip, backend)
        self.grid, self.dt = grid, float(dt)
        self.materials, self.boundaries, self.controller = tuple(materials), tuple(boundaries), controller
        self.kernel, self.scheme, self.flip, self.backend = kernel, scheme, float(flip), backend or default_backend()
        dtype, d = particles.x.dtype, grid.dim
        self.gravity = jnp.zeros(d, dtype) if gravity is None else jnp.asarray(gravity, dtype)
        if self.gravity.shape != (d,):
            raise ValueError(
                f"gravity has the shape {self.gravity.shape}; expected ({d},), as many as the grid has axes."
            )
        order, self.slices = _sort(particles, grid)
        self.order, self.back = jnp.asarray(order, jnp.int32), jnp.asarray(np.argsort(order), jnp.int32)
        self.volume, self.mass = particles.volume[self.order], particles.mass[self.order]
        actuator = np.asarray(particles.actuator)[order]
        num = int(actuator.max(initial=-1)) + 1
        self.actuator = jnp.asarray(np.where(actuator < 0, num, actuator), jnp.int32)
        self.fibre = _fibre(fibres, self.actuator, num, d, dtype)
        member = np.vstack([actuator[None] == np.arange(num)[:, None], np.ones((1, len(order)), bool)])
        if not member.any(axis=1).all():
            raise ValueError(f"actuator {int(member.any(axis=1).argmin())} has no particles; number them 0, 1, ….")
        self.groups = jnp.asarray(member / member.sum(axis=1, keepdims=True), dtype)

    @property
    def num_actuators(self) -> int:
        return self.groups.shape[0] - 1

    @property
    def material(self) -> Int[np.ndarray, " p"]:
        """Of each particle, in the stepper's order."""
        return np.concatenate([np.full(stop - start, which) for which, start, stop in self.slices])

    def init(self, particles: Particles) -> State:
        """The state of particles with the masses, volumes, materials and actuators that the step was made for.

        As in all schemes that step v before x, v belongs to t − Δt/2: a start with v(0) costs an error of first order.
        """
        check_shapes(particles, (self.order.shape[0], self.grid.dim))
        check_same(particles, self)
        p = jax.tree.map(lambda leaf: leaf[self.order], particles)
        C = None if self.scheme == "pic" else Matrix.split(p.C, (1, 2))
        places = Vector.split(p.x, 1), Vector.split(p.v, 1), C, Matrix.split(p.F, (1, 2))
        return State(jnp.zeros((), jnp.int32), *places, p.plastic, p.alive)

    def particles(self, state: State) -> Particles:
        """The particles of a state, in the order in which they were given."""
        d = self.grid.dim
        C = jnp.zeros((*state.plastic.shape, d, d)) if state.C is None else state.C.stack((-2, -1))
        rows = state.x.stack(-1), state.v.stack(-1), C.astype(state.x[0].dtype), state.F.stack((-2, -1))
        actuator = jnp.where(self.actuator == self.num_actuators, -1, self.actuator)
        fixed = self.volume, self.mass, jnp.asarray(self.material, jnp.int32), actuator
        return jax.tree.map(lambda leaf: leaf[self.back], Particles(*rows, *fixed, state.alive, state.plastic))

    def positions(self, state: State) -> Float[Array, "p d"]:
        """x in the order in which the particles were given: `save=step.positions` in a rollout."""
        return state.x.stack(-1)[self.back]

    def tension(self, state: State) -> Float[Array, " a"]:
        """What the controller asks of the actuators in this state."""
        if self.controller is None:
            return jnp.zeros(self.num_actuators, state.x[0].dtype)
        t = state.count * jnp.asarray(self.dt, state.x[0].dtype)
        seen = lambda vector: vector.map(lambda part: jnp.where(state.alive, part, 0.0))
        weights = self.groups * state.alive[None]
        weights = weights / jnp.maximum(jnp.sum(weights, axis=1, keepdims=True), jnp.finfo(t.dtype).tiny)
        signal = self.controller(t, Observation(weights, seen(state.x), seen(state.v)))
        if signal.shape != (self.num_actuators,):
            raise ValueError(f"the controller gives {signal.shape}; the particles have {self.num_actuators} actuators.")
        return signal.astype(t.dtype)

    def __call__(self, state: State) -> State:
        policy = jax.checkpoint_policies.save_only_these_names(_GRID)
        return jax.checkpoint(lambda state: _advance(self, state), policy=policy)(state)


def _advance(step: MPM, state: State) -> State:
    kernel, grid, dt, dx = KERNELS[step.kernel], step.grid, step.dt, step.grid.spacings[0]
    X = (state.x - Vector(*grid.lower)) / dx
    ok = state.alive
    for part, n in zip(X, grid.shape, strict=True):
        base = jnp.floor(part - kernel.shift)  # compared as a float: NaN is outside, and no integer overflows
        ok = ok & (base >= 0) & (base <= n - kernel.width)
    ok = ok & jnp.isfinite(sum_of(jax.tree.leaves((state.v, state.C, state.F))))
    only: Any = lambda value, other=0.0: jnp.where(ok, value, other)
    X = X.map(lambda part, n: only(part, 0.5 * n), Vector(*grid.shape))
    F = state.F.map(only, identity(grid.dim, state.x[0]))
    tau, F, plastic = _stress(step, state, F)
    grids = _to_grid(step, kernel, X, state, tau, only)
    u, before = _move_grid(step, state, grids)
    v, center, L = _to_particles(step, kernel, X, state, u, before, only)
    return State(
        state.count + 1,
        state.x + dt * center,
        v,
        None if state.C is None else L,
        (F + dt * (L @ F)).map(only, state.F),
        only(plastic, state.plastic),
        ok,
    )


def _stress(step, state, F):
    """Kirchhoff stress with muscles, F and the plastic variable after the return mapping; material by material."""

    def stress(which, cut):
        return _in_order(step.materials[which], step, cut)(F.map(cut), cut(state.plastic))

    if len(step.slices) == 1:
        tau, F, plastic = stress(step.slices[0][0], lambda a: a)
    else:
        zero = jnp.minimum(step.order[0], 0)  # unknown to XLA, whose adjoint of a slice at a known place is a slow pad
        parts = []
        for which, start, stop in step.slices:
            cut = lambda a, start=start, stop=stop: jax.lax.dynamic_slice_in_dim(a, zero + start, stop - start, -1)
            parts.append(stress(which, cut))
        tau, F, plastic = jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
    if step.fibre is not None and step.controller is not None:
        tension = step.tension(state)
        alpha = jnp.concatenate([tension, jnp.zeros(1, tension.dtype)])[step.actuator]
        stretched = F @ step.fibre
        tau = tau + alpha * stretched.outer(stretched)
    return tau, F, plastic


def _in_order(material, step, cut):
    """The material, with its own parameters of shape (p,) cut to its particles; its parts (a network) stay."""
    by_particle = lambda value: eqx.is_array(value) and value.shape == step.order.shape
    names = [name for name, value in vars(material).items() if by_particle(value)]
    if not names:
        return material
    fields = lambda material: [getattr(material, name) for name in names]
    return eqx.tree_at(fields, material, [cut(value[step.order]) for value in fields(material)])


def _to_grid(step, kernel, X, state, tau, only):
    """Momentum and mass on the nodes; with FLIP, momentum without forces, impulse of the forces, and mass."""
    d, dx = step.grid.dim, step.grid.spacings[0]
    mass, impulse = only(step.mass), only(step.volume) * -step.dt
    mls = step.scheme != "tpic"
    force = tau * (impulse / (kernel.inertia * dx if mls else dx))
    affine = None if state.C is None else state.C.map(only) * (mass * dx)
    row: Any = lambda matrix, j: None if matrix is None else Vector(*matrix.rows[j])
    momentum = [mass * only(part) for part in state.v]
    if step.flip:
        moving = [Local(momentum[j], row(affine, j)) for j in range(d)]
        nothing = jnp.zeros_like(mass)
        moving += [Local(nothing, *((row(force, j), None) if mls else (None, row(force, j)))) for j in range(d)]
    elif mls:
        slope = force if affine is None else force + affine
        moving = [Local(momentum[j], row(slope, j)) for j in range(d)]
    else:
        moving = [Local(momentum[j], row(affine, j), row(force, j)) for j in range(d)]
    return checkpoint_name(scatter(step.backend, kernel, step.grid.shape, X, (*moving, Local(mass))), _GRID)


def _move_grid(step, state, grids):
    """(velocity on the nodes after forces and boundaries, before forces if FLIP needs it); 0 where no mass is."""
    d, dt = step.grid.dim, step.dt
    *moving, mass = grids
    # A node at the very edge of a kernel has a mass whose square underflows: its velocity moves nobody, its derivative
    # would be NaN.
    filled = mass > jnp.finfo(mass.dtype).tiny ** 0.25 * jax.lax.stop_gradient(jnp.mean(step.mass))
    inverse = jnp.where(filled, 1 / jnp.where(filled, mass, 1.0), 0.0)
    before, impulse = Vector(*moving[:d]) * inverse, Vector(*moving[d:]) * inverse
    u = before + impulse if step.flip else before
    u = (u + Vector(*step.gravity) * dt).map(lambda part: part.reshape(step.grid.shape))
    nodes = Vector(*(np.asarray(axis, part.dtype) for axis, part in zip(np.asarray(_nodes(step.grid)), u, strict=True)))
    t = state.count * jnp.asarray(dt, u[0].dtype)
    for boundary in step.boundaries:
        u = boundary(u, nodes, t)
    return u.map(lambda part: part.reshape(-1)), before if step.flip else None


def _nodes(grid):
    return np.stack(np.meshgrid(*(grid.axis(j) for j in range(grid.dim)), indexing="ij"))


def _to_particles(step, kernel, X, state, u, before, only):
    """(new velocity, velocity that moves the particles, velocity gradient)."""
    d, dx = step.grid.dim, step.grid.spacings[0]
    mls = step.scheme != "tpic"
    grids = (*u, *(before or ()))
    found = gather(step.backend, kernel, step.grid.shape, X, grids, slope=mls, flux=not mls)
    center = Vector(*(only(part.value) for part in found[:d]))
    v = center
    if before is not None:
        v = v + step.flip * Vector(*(only(old - part.value) for old, part in zip(state.v, found[d:], strict=True)))
    rows: list[Any] = [part.slope if mls else part.flux for part in found[:d]]
    L = Matrix(*rows) * (1 / (kernel.inertia * dx) if mls else 1 / dx)
    return v, center, L.map(only)


def _sort(particles, grid):
    """(an order by material, then by cell; (material, first, one past the last) of each material in it)."""
    cells = (np.asarray(particles.x) - np.asarray(grid.lower)) / np.asarray(grid.spacings)
    material = np.asarray(particles.material)
    order = np.lexsort((*cells.astype(int).T[::-1], material))
    kinds, starts = np.unique(material[order], return_index=True)
    stops = [*starts[1:], len(order)]
    return order, tuple((int(k), int(a), int(b)) for k, a, b in zip(kinds, starts, stops, strict=True))


def _fibre(fibres, actuator, num, d, dtype):
    if num == 0:
        return None
    table = np.eye(d)[-1:].repeat(num, axis=0) if fibres is None else np.asarray(fibres, float)
    if table.shape != (num, d) or not np.all(np.linalg.norm(table, axis=1) > 0):
        raise ValueError(f"fibres has the shape {table.shape}; expected ({num}, {d}) directions that are not zero.")
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    return Vector.split(jnp.asarray(np.vstack([table, np.zeros((1, d))]), dtype)[actuator], 1)
