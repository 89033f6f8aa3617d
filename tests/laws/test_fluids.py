"""Laws of flows and patterns on periodic grids: exact solutions, balances, agreement with others, gradients.

A flow joins by a line in FLOWS, an equation that others solve too by one in OTHERS.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Equation, Grid, rollout
from lagrangian_ml.jets import SpectralJet
from lagrangian_ml.solvers import ETDRK

TURN = 2 * math.pi
MEAN = (0.7, -0.4, 0.3)


def evolve(equation, grid, initial, horizon, num_steps, frames=1, **options):
    """Values (f, c, *s) at `frames` times up to the horizon."""
    step = ETDRK(equation, grid, horizon / num_steps, **options)
    frame = lambda s: rollout(step, s, num_steps, save_every=num_steps // frames, save=step.values)
    return jax.jit(frame)(step.init(initial))


def periodic(*shape, length=TURN):
    return Grid(shape, (0.0,) * len(shape), (length,) * len(shape))


def banded(grid, num_components=1, bound=3, key=0):
    """A smooth random field (c, *s) with modes up to `bound`, mean 0 and rms about 1."""
    rng = np.random.default_rng(key)
    modes = TURN * rng.integers(-bound, bound + 1, (12, grid.dim)) / np.array(grid.lengths)
    phase = np.tensordot(modes, np.asarray(grid.points), 1) + rng.uniform(0, TURN, (12, *(1,) * grid.dim))
    modes_are_zero = np.all(modes == 0, axis=1)
    amplitudes = np.where(modes_are_zero, 0, rng.normal(size=(num_components, 12)) / 3)
    return jnp.asarray(np.tensordot(amplitudes, np.cos(phase), 1))


def solenoidal(grid, bound=3, key=0):
    """A velocity (d, *s) free of divergence, with its mean."""
    jet = SpectralJet(banded(grid, 3 if grid.dim == 3 else 1, bound, key), grid)
    g = jet.gradient  # (c, d, *s)
    if grid.dim == 2:
        return jnp.stack([g[0, 1], -g[0, 0]]) + jnp.asarray(MEAN[:2]).reshape(2, 1, 1)
    turn = jnp.stack([g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]])
    return turn + jnp.asarray(MEAN).reshape(3, 1, 1, 1)


MOVING = eqs.TaylorGreen(0.05, (1.0, 2.0), MEAN[:2])
STILL = eqs.TaylorGreen(0.05, (1.0, 2.0))
ABC = eqs.Beltrami(0.05, 1.0, (1.0, 0.6, -0.8), MEAN)
FLOWS = {  # name: (equation, exact flow, grid)
    "vorticity": (eqs.VorticityNavierStokes(0.05, mean_flow=MEAN[:2]), MOVING.vorticity, periodic(12, 16)),
    "vorticity-still": (eqs.VorticityNavierStokes(0.05), STILL.vorticity, periodic(12, 16)),
    "velocity-2d": (eqs.VelocityNavierStokes(0.05, dim=2), MOVING.velocity, periodic(12, 16)),
    "beltrami": (eqs.VelocityNavierStokes(0.05), ABC.velocity, periodic(8, 8, 9)),
}


@pytest.mark.parametrize("name", FLOWS)
def test_exact_flows(name):
    equation, flow, grid = FLOWS[name]
    values = evolve(equation, grid, lambda x: flow(0.0, x), 1.0, 1 if name == "vorticity-still" else 500)[-1]
    exact = jax.jit(lambda x: eqs.at_points(lambda x: flow(1.0, x), x))(grid.points)
    print(name, float(jnp.max(jnp.abs(values - exact))))
    assert float(jnp.max(jnp.abs(values - exact))) <= 1e-11


def test_kolmogorov_forcing_has_its_factor_on_a_box_of_any_length():
    """From rest, f grows a parallel flow, whose transport vanishes: one step is exact. Here 2π/L is 6.28 and 2.09."""
    nu, drag, amplitude = 0.02, 0.3, 0.7
    grid, force = Grid((10, 16), (0.0, 0.0), (1.0, 3.0)), eqs.Kolmogorov(2, amplitude, 3.0)
    k, y = 2 * TURN / 3, grid.points[1]
    grown = amplitude * -math.expm1(-(nu * k**2 + drag) * 1.5) / (nu * k**2 + drag)
    omega = evolve(eqs.VorticityNavierStokes(nu, drag, force=force), grid, lambda x: 0 * x[:1], 1.5, 1)[-1]
    np.testing.assert_allclose(omega[0], -grown * k * jnp.cos(k * y), atol=1e-12)
    u = evolve(eqs.VelocityNavierStokes(nu, drag, force, 2), grid, jnp.zeros_like, 1.5, 1)[-1]
    np.testing.assert_allclose(u, jnp.stack([grown * jnp.sin(k * y), 0 * y]), atol=1e-12)


def test_velocity_and_vorticity_forms_give_one_flow():
    grid, force = Grid((24, 30), (0.0, 0.0), (TURN, 1.5 * TURN)), eqs.DiagonalForce(0.5, TURN)
    grid = periodic(24, 30)
    curl = lambda u: (lambda g: g[1, :1] - g[0, 1:])(SpectralJet(u, grid).gradient)
    start = solenoidal(grid)
    u = evolve(eqs.VelocityNavierStokes(0.01, 0.1, force, 2), grid, start, 0.4, 40)[-1]
    mean = lambda t: tuple(m * math.exp(-0.1 * t) for m in MEAN[:2])
    print("mean", jnp.mean(u, axis=(1, 2)), mean(0.4))


BALANCES = {  # name: (equation, initial values): no force, no drag
    "vorticity": (eqs.VorticityNavierStokes(0.02, mean_flow=MEAN[:2]), banded(periodic(24, 24)), periodic(24, 24)),
    "velocity": (eqs.VelocityNavierStokes(0.02), solenoidal(periodic(12, 12, 12), 1), periodic(12, 12, 12)),
}


@pytest.mark.parametrize("name", BALANCES)
def test_energy_is_lost_to_friction_only(name):
    """E(0) − E(t) = ∫ 2νZ dt by Boole's rule, with E = ½⟨|u|²⟩ and the enstrophy Z = ½⟨|∇×u|²⟩ = ½⟨|∇u|²⟩."""
    equation, initial, grid = BALANCES[name]
    frames = evolve(equation, grid, initial, 0.4, 80, 80)

    @jax.jit
    @jax.vmap
    def energy_and_enstrophy(values):
        velocity = equation.velocity(SpectralJet(values, grid))
        jet = SpectralJet(velocity, grid)
        mean = lambda a: 0.5 * jnp.sum(a**2) / math.prod(grid.shape)
        return mean(velocity), mean(jet.gradient)

    energy, enstrophy = energy_and_enstrophy(jnp.concatenate([initial[None], frames]))
    weights = np.zeros(81)
    for i in range(0, 80, 4):
        weights[i : i + 5] += np.array([7, 32, 12, 32, 7]) * 2 / 45 * 0.005
    lost = 2 * equation.viscosity * weights @ np.asarray(enstrophy)
    print(name, float(energy[0] - energy[-1]), float(energy[0] - energy[-1]) - lost, energy[0])
    assert lost > 0.01
    assert abs(float(energy[0] - energy[-1]) - lost) <= 1e-8 * float(energy[0])
