"""Particles against exact solutions: an elastic bar, a manufactured twist, a dam break, sliding blocks, two discs.

Every case is a function of its resolution and of the transfer, which `benchmarks/mpm_accuracy.py` calls too, with finer
grids. Here they are as coarse as their bounds allow.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import curve_fit

from lagrangian_ml import rollout
from lagrangian_ml.core import Grid
from lagrangian_ml.equations import DamBreak, ShallowWater
from lagrangian_ml.linalg.components import Vector
from lagrangian_ml.particles import (
    MPM,
    Fluid,
    Friction,
    NeoHookean,
    Particles,
    Slip,
    Walls,
    block,
    conserved,
    fill,
    join,
)
from lagrangian_ml.particles.shapes import BallShape

simulate = eqx.filter_jit(rollout)
PAD = 4  # cells around a scene
FAR = 100.0


def grid_around(h, lower, upper):
    """Nodes h apart, one of them at `lower`, with PAD cells on all sides of the box."""
    cells = [round((b - a) / h) for a, b in zip(lower, upper)]
    return Grid(
        [n + 2 * PAD for n in cells],
        [a - PAD * h for a in lower],
        [a + (n + PAD) * h for a, n in zip(lower, cells)],
    )


def with_(particles, **changes):
    for name, value in changes.items():
        particles = eqx.tree_at(lambda p, name=name: getattr(p, name), particles, jnp.asarray(value))
    return particles


# -- a bar that vibrates along its axis -------------------------------------------------------------------------------


def bar(n, *, per_cell=2, thickness=4, extra=0, amplitude=1e-4, periods=3, courant=0.3, poisson=0.3, **transfer):
    """(ω/ω₀ − 1, decay/ω₀) of the first mode of a bar of n cells, held at x = 0 and free elsewhere, in plane strain.

    Exact for a thin bar: ω₀ = π/(2 L) √(E/(1 − ν²)/ρ). `extra` cells of the bar lie behind the wall, at rest.
    """
    h, material, k = 1.0 / n, NeoHookean(1.0, poisson), np.pi / 2
    exact = k / np.sqrt(1 - poisson**2)
    x = block((-extra * h, 0.0), (1.0, thickness * h), ((n + extra) * per_cell, thickness * per_cell))
    mode = np.where(x[:, 0] > 0, np.sin(k * x[:, 0]), 0.0)
    v = np.stack([amplitude * exact * mode, 0 * mode], axis=1)
    particles = Particles.at(x, (h / per_cell) ** 2, v=v)
    dt = courant * h / np.sqrt(material.p_wave_modulus)
    walls = Walls((0.0, -FAR), (FAR, FAR), [(Slip(), None), (None, None)])
    grid = grid_around(h, (-extra * h, 0.0), (1.0, thickness * h))
    step = MPM(particles, grid, dt, materials=(material,), boundaries=(walls,), **transfer)
    num = int(periods * 2 * np.pi / exact / dt)
    moved = simulate(step, step.init(particles), num, save=lambda state: step.positions(state)[:, 0] @ mode)
    signal = (np.asarray(moved) - x[:, 0] @ mode) / (amplitude * mode @ mode)
    wave = lambda t, a, b, decay, omega, rest: (
        np.exp(-decay * t) * (a * np.sin(omega * t) + b * np.cos(omega * t)) + rest
    )
    found = curve_fit(wave, dt * np.arange(1, num + 1), signal, p0=(1.0, 0.0, 0.01, exact, 0.0))[0]
    return float(found[3] / exact - 1), float(found[2] / exact)


def test_a_bar_vibrates_at_its_frequency():
    error, decay = bar(32, periods=2)
    assert -0.008 < error < 0  # first order: the body ends between nodes
    assert 0 <= decay < 1e-3


# -- a disc twisted to and fro, a manufactured solution ---------------------------------------------------------------


class Twist(eqx.Module):
    """The motion x = Q(α) X, α = A (1 − R²/R₀²)⁴₊ sin(2π t), and the body force that keeps it up in a neo-Hookean body.

    With γ = R ∂α/∂R and J = 1, σ = μ ((0, γ), (γ, γ²)) in polar components, so that b = a − div σ/ρ is explicit. After
    the generalized vortex of Kamojjala, Brannon, Sadeghirad & Guilkey (2015), doi 10.1007/s00366-013-0342-x.
    """

    shear: float
    dt: float
    amplitude: float = 0.3
    radius: float = 0.5

    def angle(self, s, t):
        """α at s = R²"""
        inside = jnp.maximum(1 - s / self.radius**2, 0.0)
        return self.amplitude * inside**4 * jnp.sin(2 * jnp.pi * t)

    def position(self, X, t):
        alpha = self.angle(X @ X, t)
        cos, sin = jnp.cos(alpha), jnp.sin(alpha)
        return jnp.stack([cos * X[0] - sin * X[1], sin * X[0] + cos * X[1]])

    def velocity(self, X, t):
        return jax.jvp(lambda t: self.position(X, t), (t,), (jnp.ones_like(t),))[1]

    def gradient(self, X, t):
        """∇v in space"""
        F = jax.jacfwd(self.position)(X, t)
        return jax.jacfwd(self.velocity)(X, t) @ jnp.linalg.inv(F)

    def __call__(self, v, x, t):
        s = jnp.asarray(x[0] ** 2 + x[1] ** 2)
        along_s = lambda fn: lambda s: jax.jvp(fn, (s,), (jnp.ones_like(s),))[1]
        along_t = lambda fn: lambda t: jax.jvp(fn, (t,), (jnp.ones_like(t),))[1]
        slope = along_s(lambda s: self.angle(s, t))
        spin = along_t(lambda t: self.angle(s, t))
        inward = spin(t) ** 2 - self.shear * 4 * s * slope(s) ** 2  # −b_r / r
        around = along_t(spin)(t) - self.shear * (8 * slope(s) + 4 * s * along_s(slope)(s))  # b_θ / r
        return v + Vector(-inward * x[0] - around * x[1], around * x[0] - inward * x[1]) * self.dt


def twist(n, *, per_cell=2, amplitude=0.3, end=0.35, courant=0.3, **transfer):
    """Relative root mean square errors (of places, of F) at a time `end`, on n × n cells with dt ∝ dx."""
    h, material = 1.0 / n, NeoHookean(1.0, 0.3)
    num = round(end * np.sqrt(material.p_wave_modulus) / (courant * h))
    motion = Twist(1 / 2.6, end / num, amplitude)
    x = block((-0.5, -0.5), (0.5, 0.5), (n * per_cell,) * 2)
    of = lambda fn, t: np.asarray(jax.jit(jax.vmap(lambda X: fn(X, jnp.asarray(t))))(jnp.asarray(x)))
    early = -motion.dt / 2  # velocities are half a step behind places
    particles = Particles.at(x, (h / per_cell) ** 2, v=of(motion.velocity, early))
    particles = with_(particles, C=of(motion.gradient, early))
    grid = grid_around(h, (-0.5, -0.5), (0.5, 0.5))
    step = MPM(particles, grid, motion.dt, materials=(material,), boundaries=(motion,), **transfer)
    found = simulate(step, step.init(particles), num, save_every=num, save=step.particles)
    size = lambda a: np.sqrt(np.mean(a**2))
    exact, F = of(motion.position, end), of(jax.jacfwd(motion.position), end)
    return (
        float(size(found.x[0] - exact) / size(exact - x)),
        float(size(found.F[0] - F) / size(F - np.eye(2))),
    )


def test_a_twisted_disc_converges_with_second_order():
    coarse, fine = (twist(n)[0] for n in (32, 64))
    assert np.log2(coarse / fine) > 1.8
    assert fine < 8e-3


def test_the_cubic_kernel_without_damping_has_second_order_in_places_and_gradients():
    errors = np.array([twist(n, kernel="cubic", flip=1.0, backend="rows") for n in (16, 32)])
    assert np.all(np.log2(errors[0] / errors[1]) > 1.95)
    assert errors[1, 0] < 0.05


# -- a dam that breaks ------------------------------------------------------------------------------------------------

DEPTHS = (0.05, 0.1, 0.2)


def dam_break(depth, *, end=10.0, frames=5, per_cell=2, mach=20.0, courant=0.4, **transfer):
    """A column of unit depth, `depth` cells, with g = 1, after its dam has gone, against Ritter's solution.

    A list with an entry a frame: t; `front`, for each of DEPTHS the relative error of the way of the most advanced
    place with that depth; `tip`, that of the first particle; `profile`, the relative L2 error of the depth.
    """
    h, modulus = 1.0 / depth, mach**2
    behind, ahead = float(np.ceil(1.1 * end)), float(np.ceil(2 * end + 1))
    x = block((-behind, 0.0), (0.0, 1.0), (int(behind * depth) * per_cell, depth * per_cell))
    J = 1 / (1 + (1 - x[:, 1]) / modulus)  # at rest under its weight, for γ = 1
    volume = (h / per_cell) ** 2
    particles = Particles.at(x, volume / J, J)
    particles = with_(particles, F=np.sqrt(J)[:, None, None] * np.eye(2))
    every = int(np.ceil(end / frames / (courant * h / mach)))
    walls = Walls((-behind, 0.0), (FAR, FAR), [(Slip(), None), (Slip(), None)])
    grid = grid_around(h, (-behind, 0.0), (ahead, 1.25))
    water, dt = Fluid(modulus, gamma=1.0, tension=False), end / frames / every
    step = MPM(particles, grid, dt, materials=(water,), boundaries=(walls,), gravity=(0.0, -1.0), **transfer)
    save = lambda state: (step.positions(state)[:, 0], state.escaped)
    places, escaped = simulate(step, step.init(particles), frames * every, save_every=every, save=save)
    assert int(escaped[-1]) == 0
    exact = jax.jit(jax.vmap(DamBreak(ShallowWater(gravity=1.0), 1.0), (None, 0)))
    results = []
    for k, place in enumerate(np.asarray(places)):
        t = end / frames * (k + 1)
        nodes, found = depth_of(place, volume, 2 * h, -behind, ahead)
        ritter = np.asarray(exact(t, jnp.asarray(nodes[:, None])))[:, 0]
        inner = nodes > -behind + 2 * h
        results.append({
            "t": t,
            "front": [front(nodes, found, d) / (t * (2 - 3 * np.sqrt(d))) - 1 for d in DEPTHS],
            "tip": float(place.max() / (2 * t) - 1),
            "profile": float(np.linalg.norm((found - ritter)[inner]) / np.linalg.norm(ritter[inner])),
            "nodes": nodes, "depth": found, "ritter": ritter,
        })  # fmt: skip
    return results


def depth_of(x, volume, width, lower, upper):
    """(nodes, depth): volumes shared out to nodes `width` apart by hat functions."""
    nodes = np.arange(lower, upper + 2 * width, width)
    place = (x - lower) / width
    base = place.astype(int)
    depth = np.bincount(base, 1 - place + base, len(nodes)) + np.bincount(base + 1, place - base, len(nodes))
    return nodes, depth * volume / width


def front(nodes, depth, level):
    """The most advanced place with this depth, linear between nodes."""
    i = np.nonzero(depth >= level)[0].max()
    return float(nodes[i] + (nodes[1] - nodes[0]) * (depth[i] - level) / (depth[i] - depth[i + 1]))


@pytest.mark.slow
def test_a_dam_breaks_as_ritter_says():
    frames = dam_break(16, frames=10)
    for frame in frames[5:]:  # earlier, the water has not run far beside its depth, and is no shallow one
        assert abs(frame["front"][1]) < 0.05
        assert frame["profile"] < 0.05
    assert abs(frames[-1]["front"][2]) < 0.05


# -- a block on an incline --------------------------------------------------------------------------------------------

GRAVITY, INCLINE = 10.0, np.deg2rad(30.0)
ALONG, ACROSS = GRAVITY * np.sin(INCLINE), GRAVITY * np.cos(INCLINE)


def sliding(n=4, *, young=2e3, courant=0.5, per_cell=2, end=1.0, **transfer):
    """A function (μ, first speed) -> ((way, rise), d way/dμ) of the centre of a block of 2 n × n cells after `end`.

    Gravity is tilted instead of the floor. The block, of height ½ and ν = 0, begins in equilibrium across the floor:
    with τ = μ_s (F² − 1) = −g_n (H − Y), μ_s its shear modulus.
    """
    height, h, shear = 0.5, 0.5 / n, young / 2
    X = block((0.0, 0.0), (2 * height, height), (2 * n * per_cell, n * per_cell))
    k = ACROSS / shear
    squared = 1 - k * (height - X[:, 1])
    x = np.stack([X[:, 0], 2 / (3 * k) * (squared**1.5 - (1 - k * height) ** 1.5)], axis=1)
    F = np.stack([np.ones(len(X)), np.sqrt(squared)], axis=1)[:, :, None] * np.eye(2)
    particles = with_(Particles.at(x, (h / per_cell) ** 2), F=F)
    material = NeoHookean(young, 0.0)
    num = int(np.ceil(end * np.sqrt(material.p_wave_modulus) / (courant * h)))
    grid = grid_around(h, (0.0, 0.0), (2 * height + 4.0, height))

    def final(mu, speed):
        walls = Walls((-FAR, 0.0), (FAR, FAR), [(None, None), (Friction(mu), None)])
        step = MPM(
            particles, grid, end / num, materials=(material,), boundaries=(walls,), gravity=(ALONG, -ACROSS), **transfer
        )
        start = with_(particles, v=particles.v.at[:, 0].add(speed))
        moved = rollout(step, step.init(start), num, save_every=num, save=step.positions, memory_budget=2**27)[0] - x
        return jnp.mean(moved[:, 0]), jnp.mean(moved[:, 1])

    program = eqx.filter_jit(jax.value_and_grad(final, has_aux=True))
    return lambda mu, speed: jax.tree.map(float, program(jnp.asarray(mu), jnp.asarray(speed)))


def test_friction_slows_holds_and_is_differentiated():
    slide = sliding()
    for mu in (0.1, 0.3, 0.5):  # sliding from the start
        (way, _), slope = slide(mu, 0.5)
        assert way - 0.5 == pytest.approx((ALONG - mu * ACROSS) / 2, rel=5e-3)
        assert slope == pytest.approx(-ACROSS / 2, rel=5e-3)
    (way, _), slope = slide(0.3, 0.0)  # from rest: its foot sticks at first, while a wave of shear runs up
    assert way == pytest.approx((ALONG - 0.3 * ACROSS) / 2, rel=0.02)
    assert slope == pytest.approx(-ACROSS / 2, rel=0.03)
    (way, _), slope = slide(1.0, 0.0)
    assert 0 < way < 2e-3 * ALONG / 2
    assert abs(slope) < 0.01


# -- two elastic discs ------------------------------------------------------------------------------------------------


def discs(cells, *, speed=0.05, drift=0.6, per_cell=2, courant=0.3, end=5.0, frames=20, **transfer):
    """Two discs of radius 0.2, `cells` cells, that meet head on at 2 `speed`, while their common centre drifts at
    `drift` times `speed`.

    `restitution` is the speed of separation of their centres over that of approach; `momentum` and `angular_momentum`
    the largest changes over those of one disc. Energies are those about the common centre of mass, over the first:
    `energy` at the end, `rise` the most above 1.
    """
    radius, h, drift = 0.2, 0.2 / cells, drift * speed
    material, volume = NeoHookean(1.0, 0.3), (h / per_cell) ** 2

    def disc(x, v):
        box = ((x - radius, -radius), (x + radius, radius))
        return Particles.at(fill(BallShape((x, 0.0), radius), h, per_cell=per_cell, bounds=box), volume, v=(v, 0.0))

    left, right = disc(-0.25, drift + speed), disc(0.25, drift - speed)
    particles, half, mass = join([left, right]), left.num, float(left.mass.sum())
    every = int(np.ceil(end / frames / (courant * h / np.sqrt(material.p_wave_modulus))))
    grid = grid_around(h, (-0.6, -0.4), (0.8, 0.4))
    step = MPM(particles, grid, end / frames / every, materials=(material,), **transfer)

    def save(state):
        v = step.particles(state).v[:, 0]
        return conserved(step, state), jnp.mean(v[half:]) - jnp.mean(v[:half])

    first = conserved(step, step.init(particles))
    found, apart = simulate(step, step.init(particles), frames * every, save_every=every, save=save)
    change = {
        key: float(np.abs(np.asarray(found[key]) - np.asarray(first[key])).max())
        for key in ("momentum", "angular_momentum")
    }
    energy = np.asarray(found["kinetic"] + found["elastic"]) - mass * drift**2
    energy = energy / (float(first["kinetic"]) - mass * drift**2)
    return {
        "restitution": float(apart[-1] / (2 * speed)),
        "momentum": change["momentum"] / (mass * speed),
        "angular_momentum": change["angular_momentum"] / (mass * speed * radius),
        "energy": float(energy[-1]),
        "rise": float(energy.max() - 1),
    }


def test_discs_that_collide_keep_their_momentum():
    found = discs(8)
    assert found["momentum"] < 1e-12
    assert found["angular_momentum"] < 1e-12
    assert 0.7 < found["restitution"] < 1  # contact that moves through the grid; 0.96 at rest
    assert found["rise"] < 1e-12  # APIC only loses energy
