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

from lagrangian_ml.core import Grid, partition, rollout
from lagrangian_ml.particles import (
    MPM,
    BallShape,
    FixedCorotated,
    Fluid,
    Friction,
    NeoHookean,
    Particles,
    Plant,
    Separating,
    Sines,
    Walls,
    block,
    fill,
    join,
)

GRID = Grid((20, 20), (0.0, 0.0), (1.0, 1.0))
SPACING, DT = 1 / 40, 1e-3


@cache
@jax.ensure_compile_time_eval()
def bodies():
    """A muscle that is 8 × 4 particles large, and 4 × 4 of water beside it, two cells above the floor."""
    left = block((0.3, 0.17), (0.5, 0.27), (8, 4))
    right = block((0.56, 0.17), (0.66, 0.27), (4, 4))
    muscle = np.where(left[:, 0] < 0.4, 0, -1)
    return join(
        [Particles.at(left, SPACING**2, actuator=muscle), Particles.at(right, SPACING**2, density=2.0, material=1)]
    )


def parameters():
    controller = Sines(Plant(1, 2, 1.0, DT), num_waves=2, scale=0.3, key=jax.random.key(0))
    return {
        "velocity": jnp.asarray([1.0, -0.8]),
        "young": jnp.asarray(100.0),
        "friction": jnp.asarray(0.3),
        "controller": controller,
    }


def simulation(parameters, backend=None):
    particles = bodies()
    floor = Walls.of(GRID, contact={"y_lower": Friction(parameters["friction"]), "other": Separating()})
    step = MPM(
        particles,
        GRID,
        DT,
        materials=(FixedCorotated(parameters["young"], 0.3), Fluid(50.0)),
        boundaries=(floor,),
        gravity=(0.0, -5.0),
        controller=parameters["controller"],
        fibres=[(1.0, 0.0)],
        backend=backend,
    )
    return step, dataclasses.replace(particles, v=jnp.broadcast_to(parameters["velocity"], particles.v.shape))


def loss(parameters, num_steps, backend=None, memory_budget=None):
    """mean x + mean y² at the end."""
    step, particles = simulation(parameters, backend)
    mean = lambda state: jnp.mean(state.x[0]) + jnp.mean(state.x[1] ** 2)
    return rollout(step, step.init(particles), num_steps, save_every=num_steps, save=mean, memory_budget=memory_budget)[0]


value = eqx.filter_jit(loss)
value_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss))


def central_difference(parameters, direction, eps, *args):
    moved = lambda sign: eqx.apply_updates(parameters, jax.tree.map(lambda d: sign * eps * d, direction))
    return (value(moved(1.0), *args) - value(moved(-1.0), *args)) / (2 * eps)

if __name__ == "__main__":
    import time, sys
    jax.config.update("jax_enable_x64", True)
    n = int(sys.argv[1])
    t=time.process_time(); p = parameters(); v, g = value_and_gradient(p, n); print(v, jax.tree.leaves(g), time.process_time()-t)
    s, q = simulation(p); r=eqx.filter_jit(lambda s, st: rollout(s, st, n, save_every=n))(s, s.init(q)); print("min y", r.x[1].min(), "alive", r.alive.sum(), "J", (r.F.det).min(), (r.F.det).max())
    leaves, tree = jax.tree.flatten(eqx.filter(p, eqx.is_array))
    rng = np.random.default_rng(0)
    t=time.process_time(); value(p, n); print("compile fwd", time.process_time()-t)
    for k, leaf in enumerate(leaves):
        d = [jnp.zeros_like(l) for l in leaves]; d[k] = jnp.asarray(rng.normal(size=leaf.shape)) * jnp.maximum(jnp.abs(leaf).max(), .1)
        ref = jnp.sum(d[k] * jax.tree.leaves(g)[k])
        D = jax.tree.unflatten(tree, d)
        print(k, leaf.shape, float(ref), [f"{float(central_difference(p, D, e, n)/ref-1):.1e}" for e in (1e-3, 1e-4,1e-5,1e-6,1e-7)])
