"""Shared by the laws of spectral solvers: boxes, smooth random fields, and a solution at a few times."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.equations import at_points
from lagrangian_ml.solvers import ETDRK

TURN = 2 * math.pi


def periodic(*shape, length=TURN):
    """The grid of the box [0, length]ᵈ."""
    return Grid(shape, (0.0,) * len(shape), (length,) * len(shape))


def line(num_points, centred=False):
    """The grid of the interval [−1, 1]."""
    return Grid((num_points,), (-1.0,), (1.0,), centred)


def banded(grid, num_components=1, bound=3, key=0):
    """A smooth random field (c, *s) with modes up to `bound`, of mean 0 and rms about 1."""
    rng = np.random.default_rng(key)
    modes = rng.integers(-bound, bound + 1, (12, grid.dim))
    phase = np.tensordot(TURN * modes / np.array(grid.lengths), np.asarray(grid.points), 1)
    phase = phase + rng.uniform(0, TURN, (12, *(1,) * grid.dim))
    amplitudes = np.where(np.all(modes == 0, axis=1), 0, rng.normal(size=(num_components, 12)) / 3)
    return jnp.asarray(np.tensordot(amplitudes, np.cos(phase), 1))


def evolve(equation, grid, initial, horizon, num_steps, frames=1, **options):
    """Values (f, c, *s) at `frames` times up to the horizon; all is compiled as one."""

    @jax.jit
    def saved(dt):
        step = ETDRK(equation, grid, dt, **options)
        return rollout(step, step.init(initial), num_steps, save_every=num_steps // frames, save=step.values)

    return saved(horizon / num_steps)


def exact_on(grid, field, *times):
    """The exact solution (f, c, *s) at some times."""
    at = jax.vmap(lambda t: at_points(lambda x: field(t, x), grid.points))
    return jax.jit(at)(jnp.asarray(times, float))


def largest(difference):
    """max |·|"""
    return float(jnp.max(jnp.abs(difference)))
