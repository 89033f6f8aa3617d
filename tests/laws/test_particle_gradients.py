"""Gradients through simulations of particles against central differences, exact motions and one another.

One scene holds what gradients must get through: an elastic body with a muscle and a fluid beside it, which fall on a
floor with friction, between walls that let go. One compiled gradient gives the derivatives by all parameters at once.
"""

import dataclasses
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.particles import (
    MPM,
    BallShape,
    FixedCorotated,
    Fluid,
    Friction,
    Particles,
    Plant,
    Separating,
    Sines,
    Walls,
    block,
    fill,
    join,
)

GRID, SPACING, DT = Grid((20, 20), (0.0, 0.0), (1.0, 1.0)), 1 / 40, 1e-3


@jax.ensure_compile_time_eval()
def bodies():
    """8 × 4 particles of a solid, half of it a muscle, and 4 × 4 of water beside it, just above the floor."""
    solid = block((0.3, 0.17), (0.5, 0.27), (8, 4))
    muscle = np.where(solid[:, 0] < 0.4, 0, -1)
    water = block((0.56, 0.17), (0.66, 0.27), (4, 4))
    return join([Particles.at(solid, SPACING**2, actuator=muscle), Particles.at(water, SPACING**2, 2.0, material=1)])


def parameters():
    return {
        "velocity": jnp.asarray([1.0, -0.8]),
        "young": jnp.asarray(100.0),
        "friction": jnp.asarray(0.3),
        "controller": Sines(Plant(1, 2, 1.0, DT), scale=0.3, strength=10.0, key=jax.random.key(0)),
    }


def loss(parameters, num_steps, backend, memory_budget=None):
    """mean x + mean y² at the end."""
    particles = bodies()
    contact = {"y_lower": Friction(parameters["friction"]), "other": Separating()}
    step = MPM(
        particles,
        GRID,
        DT,
        materials=(FixedCorotated(parameters["young"], 0.3), Fluid(50.0)),
        boundaries=(Walls.of(GRID, contact=contact),),
        gravity=(0.0, -5.0),
        controller=parameters["controller"],
        fibres=[(1.0, 0.0)],
        backend=backend,
    )
    start = dataclasses.replace(particles, v=jnp.broadcast_to(parameters["velocity"], particles.v.shape))
    mean = lambda state: jnp.mean(state.x[0]) + jnp.mean(state.x[1] ** 2)
    return rollout(step, step.init(start), num_steps, save_every=num_steps, save=mean, memory_budget=memory_budget)[0]


value = eqx.filter_jit(loss)
gradient = eqx.filter_jit(eqx.filter_grad(loss))


@cache
def found(*args):
    return gradient(parameters(), *args)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))])


def errors(function, point, slopes, which):
    """|central difference − slope| along a random direction in one entry, of the gradient's size, by step size."""
    rng = np.random.default_rng(0)
    arrays, rest = eqx.partition(point, eqx.is_inexact_array)
    zero = jax.tree.map(jnp.zeros_like, arrays)
    drawn = lambda a: jnp.asarray(rng.normal(size=a.shape)) * jnp.max(jnp.abs(a))
    direction = zero | {which: jax.tree.map(lambda a: drawn(a) if a.any() else jnp.ones_like(a), arrays[which])}
    slope = np.sum(flat(direction) * flat(slopes))
    size = np.linalg.norm(flat(direction)) * np.linalg.norm(flat(slopes[which]))

    def difference(eps):
        at = lambda eps: function(eqx.combine(jax.tree.map(lambda a, d: a + eps * d, arrays, direction), rest))
        return (at(eps) - at(-eps)) / (2 * eps)

    return [abs(float(difference(eps) - slope)) / size for eps in (1e-3, 1e-4, 1e-5, 1e-6)]


NAMES = ("velocity", "young", "friction", "controller")
LONG = [pytest.param(n, "scalars", tolerance, marks=pytest.mark.slow) for n, tolerance in ((200, 1e-8), (1000, 1e-6))]


@pytest.mark.parametrize("which", NAMES)
@pytest.mark.parametrize(("num_steps", "backend", "tolerance"), [(200, "dense", 1e-8), *LONG])
def test_gradients_are_those_of_differences(which, num_steps, backend, tolerance):
    """The smallest error of several step sizes: large ones meet the kinks of contact, small ones rounding."""
    measured = errors(lambda p: value(p, num_steps, backend), parameters(), found(num_steps, backend), which)
    assert min(measured) < tolerance, measured


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_steps", "backend", "memory_budget"),
    [(200, "dense", 150_000), (200, "scalars", 90_000), (1000, "scalars", 200_000)],
)
def test_recomputed_states_give_the_same_gradients(num_steps, backend, memory_budget):
    """Loops nested two or three levels deep."""
    kept = flat(found(num_steps, backend))
    np.testing.assert_allclose(flat(found(num_steps, backend, memory_budget)), kept, rtol=1e-12)


@pytest.mark.slow
def test_back_ends_give_the_same_gradients():
    for backend in ("rows", "dense"):
        np.testing.assert_allclose(flat(found(200, backend)), flat(found(200, "scalars")), rtol=1e-11)


@pytest.mark.slow
def test_single_precision():
    exact, start = found(200, "scalars"), jax.tree.map(np.float32, parameters())
    with jax.enable_x64(False):
        single = gradient(jax.tree.map(jnp.asarray, start), 200, "scalars")
    for name in exact:
        a, b = flat(single[name]), flat(exact[name])
        assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(b), (name, a, b)


def thrown(point, num_steps):
    """A ball is thrown at another one at rest; the mean places of both at the end."""
    grid, h = Grid((16,) * 3, (0.0,) * 3, (1.0,) * 3), 1 / 32
    with jax.ensure_compile_time_eval():
        balls = [
            Particles.at(fill(BallShape(c, 0.11), h, bounds=(np.asarray(c) - 0.125, np.asarray(c) + 0.125)), h**3)
            for c in ((0.25, 0.5, 0.5), (0.75, 0.52, 0.49))
        ]
        both = join(balls)
    n = balls[0].num
    step = MPM(both, grid, 1e-3, materials=(FixedCorotated(100.0, 0.3),), backend="rows")
    v = jnp.concatenate([jnp.broadcast_to(point["velocity"], (n, 3)), jnp.zeros((both.num - n, 3))])
    start = step.init(dataclasses.replace(both, v=v))
    x = rollout(step, start, num_steps, save_every=num_steps, save=step.positions)[0]
    return jnp.stack([x[:n].mean(axis=0), x[n:].mean(axis=0)])


@pytest.mark.slow
def test_a_ball_thrown_at_another():
    """ChainQueen's test in 3-D: before they meet ∂x/∂v is n Δt I, after that the gradient is that of differences."""
    point, num_steps = {"velocity": jnp.asarray([1.5, 0.1, 0.0])}, 200
    places = eqx.filter_jit(thrown)
    flying = eqx.filter_jit(jax.jacrev(lambda point: thrown(point, 20)))(point)["velocity"]
    np.testing.assert_allclose(flying[0], 20e-3 * np.eye(3), atol=1e-15)
    np.testing.assert_allclose(flying[1], 0, atol=1e-15)
    before, after = places(point, 1), places(point, num_steps)
    assert after[1, 0] > before[1, 0] + 0.01  # it was hit
    aim = lambda point: jnp.sum(thrown(point, num_steps)[1] * jnp.asarray([1.0, 0.5, -0.5]))
    slope = eqx.filter_jit(jax.grad(aim))(point)
    measured = errors(eqx.filter_jit(aim), point, slope, "velocity")
    assert min(measured) < 1e-8, measured
