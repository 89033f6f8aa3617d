"""Lagrangian POD: the jet on particles, the midpoint rule, and a basis that is small only in its frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.equations import Advection, Burgers, Diffusion
from lagrangian_ml.methods.lagrangian_pod import (
    EulerianModel,
    LagrangianModel,
    ParticleJet,
    ReducedStepper,
    pod,
    snapshots,
)

LINE = Grid((128,), (0.0,), (1.0,))
WIDTH = 0.02


def pulse(x):
    """A Gaussian pulse of the width 0.02 on a circle of the length 1."""
    return jnp.exp(-0.5 * ((x - 0.5 - jnp.round(x - 0.5)) / WIDTH) ** 2)


def relative(a, b):
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


def reduced(model, states, rank, dt, num_steps, **options):
    step = ReducedStepper(model.rate, pod(states, rank)[0], dt, **options)
    return jax.jit(lambda a: rollout(step, a, num_steps, save=step.values))(step.init(states[0]))


def test_two_modes_hold_a_pulse_that_travels_where_a_fixed_grid_needs_forty():
    times = jnp.linspace(0.0, 1.0, 51)
    model = LagrangianModel(Advection(1.0), LINE)
    start = model.init(pulse)
    travelled = start[None] + times[:, None] * jnp.where(jnp.arange(256) < 128, 1.0, 0.0)[None]
    assert relative(reduced(model, travelled, 2, 0.02, 50, num_iterations=1), travelled[1:]) < 1e-8
    fixed = jnp.stack([pulse(LINE.points[0] - t) for t in np.linspace(0, 1, 201)])
    singular_values = pod(fixed, 1)[1]
    left_out = jnp.sqrt(jnp.sum(singular_values[40:] ** 2) / jnp.sum(singular_values**2))
    assert float(left_out) > 1e-2  # the best that 40 modes can do, whatever moves them


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["least squares", "galerkin"])
def test_all_modes_are_the_midpoint_rule_of_the_full_model(projection):
    grid, dt = Grid((12,), (0.0,), (6.0,)), 0.05
    model = LagrangianModel(Burgers(0.2), grid)
    z = jax.jit(model.init)(1 + 0.5 * jnp.sin(jnp.pi * grid.points / 3))
    step = ReducedStepper(model.rate, jnp.eye(z.size), dt, projection, 6)
    middle = lambda z, after: model.rate(jnp.asarray(0.5 * dt), 0.5 * (z + after))
    both = lambda z: (after := step.values(step(step.init(z))), middle(z, after))
    after, rate = jax.jit(both)(z)
    assert float(jnp.max(jnp.abs(after - z - dt * rate))) < 1e-13 and float(jnp.max(jnp.abs(after - z))) > 1e-2


def test_the_jet_on_particles_is_of_fourth_order():
    """u = sin(x₀ + 2x₁) on the plane, taken at places that a smooth periodic map displaces."""
    wave = lambda x: jnp.sin(x[:1] + 2 * x[1:2])

    def errors(n):
        labels = Grid((n, n), (0.0, 0.0), (2 * jnp.pi, 2 * jnp.pi))
        X = labels.points
        x = X + 0.2 * jnp.stack([jnp.sin(X[0]) * jnp.cos(X[1]), jnp.sin(X[0] + X[1])])
        jet, slope = ParticleJet(wave(x), x, labels), jnp.cos(x[:1] + 2 * x[1:2])
        pairs = (jet.gradient, jnp.stack([slope, 2 * slope], axis=1)), (jet.laplacian, -5 * wave(x))
        mixed = jet.d(0, 1), -2 * wave(x)
        return [jnp.max(jnp.abs(found - true)) for found, true in (*pairs, mixed)]

    coarse, fine = (np.asarray(jax.jit(errors, static_argnums=0)(n)) for n in (24, 48))
    assert np.all(fine < 2e-2) and np.all(np.log2(coarse / fine) > 3.6)


@pytest.mark.slow
def test_a_moving_front_needs_few_lagrangian_modes():
    grid, times = Grid((128,), (0.0,), (2 * jnp.pi,)), jnp.linspace(0.0, 1.0, 41)
    found = {}
    for kind in (LagrangianModel, EulerianModel):
        model = kind(Burgers(0.05), grid)
        states = snapshots(model, lambda x: jnp.sin(x) + 10, times)
        values = lambda z, model=model: jax.vmap(model.split)(z)[1] - 10
        found[kind] = relative(values(reduced(model, states, 8, 0.025, 40)), values(states[1:]))
    assert found[LagrangianModel] < 1e-3 and found[EulerianModel] > 20 * found[LagrangianModel]


def test_what_cannot_be_is_told():
    model = LagrangianModel(Advection(1.0), LINE)
    states = np.tile(np.concatenate([LINE.points[0], np.ones(128)]), (4, 1))
    spoiled, crossed = states.copy(), states.copy()
    spoiled[2, 7] = np.nan
    crossed[1, 10] += 0.02
    states, spoiled, crossed = map(jnp.asarray, (states, spoiled, crossed))
    with pytest.raises(ValueError, match=r"rank=5: snapshots of the shape \(t, m\) = \(4, 256\) give 1 to 4 modes"):
        pod(states, 5)
    with pytest.raises(ValueError, match="1 snapshots are not finite, first in row 2"):
        pod(spoiled, 2)
    with pytest.raises(ValueError, match="give at least two increasing times from 0 on"):
        snapshots(model, pulse, jnp.asarray([-0.1, 1.0]))
    with pytest.raises(ValueError, match="Diffusion states no velocity"):
        LagrangianModel(Diffusion(1.0), LINE)
    with pytest.raises(ValueError, match="dt=-0.1 must be > 0 and num_iterations=4 at least 1"):
        ReducedStepper(model.rate, jnp.eye(2), -0.1)
    with pytest.raises(ValueError, match="particles have crossed in state 1, worst at particle"):
        model.check_order(crossed)
    assert np.allclose(model.check_order(states), 1.0, rtol=0, atol=1e-12)
