"""Laws of incompressible flows on periodic grids: exact ones, the sign of advection, forcing, two forms of one flow.

A flow joins by a line in FLOWS.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
from spectral_parts import TURN, banded, evolve, exact_on, largest, periodic

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Grid
from lagrangian_ml.jets import SpectralJet

MEAN = (0.7, -0.4, 0.3)
MOVING = eqs.TaylorGreen(0.05, (1.0, 2.0), MEAN[:2])
STILL = eqs.TaylorGreen(0.05, (1.0, 2.0))
ABC = eqs.Beltrami(0.05, 1.0, (1.0, 0.6, -0.8), MEAN)


def column(t, x):
    """The moving vortices of the plane as a flow in space, with a mean flow along the third axis."""
    return jnp.append(MOVING.velocity(t, x[:2]), MEAN[2])


FLOWS = {  # name: (equation, exact flow, grid, steps)
    "vorticity": (eqs.VorticityNavierStokes(0.05, mean_flow=MEAN[:2]), MOVING.vorticity, periodic(12, 16), 500),
    "vorticity-still": (eqs.VorticityNavierStokes(0.05), STILL.vorticity, periodic(12, 16), 1),
    "velocity-2d": (eqs.VelocityNavierStokes(0.05, dim=2), MOVING.velocity, periodic(12, 16), 500),
    "velocity-3d": (eqs.VelocityNavierStokes(0.05), column, periodic(8, 16, 4), 500),
    "beltrami": (eqs.VelocityNavierStokes(0.05), ABC.velocity, periodic(8, 8, 9), 500),
}


def backwards(equation):
    """The same equation with the wrong sign of its advection."""

    class Backwards(type(equation)):
        def combine(self, products):
            return -super().combine(products)

    return Backwards(**{field.name: getattr(equation, field.name) for field in dataclasses.fields(equation)})


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "velocity-3d")) for n in FLOWS])
def test_exact_flows_and_the_sign_of_their_advection(name):
    """Vortices at rest do not see the sign; carried by a mean flow, all do."""
    equation, flow, grid, steps = FLOWS[name]
    exact = exact_on(grid, flow, 1.0)
    right, wrong = (evolve(law, grid, lambda x: flow(0.0, x), 1.0, steps) for law in (equation, backwards(equation)))
    assert largest(right - exact) <= 1e-11
    assert largest(wrong - exact) <= 1e-11 if name == "vorticity-still" else largest(wrong - exact) > 0.5


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


def curl(velocity, grid):
    """∂x v − ∂y u, (1, *s)"""
    slope = SpectralJet(velocity, grid).gradient
    return slope[1, :1] - slope[0, 1:]


def test_velocity_and_vorticity_forms_give_one_flow():
    grid, force = Grid((24, 30), (0.0, 0.0), (TURN, 1.5 * TURN)), eqs.Kolmogorov(2, 0.5, 1.5 * TURN)
    slope = SpectralJet(banded(grid), grid).gradient[0]
    start = jnp.stack([MEAN[0] + slope[1], MEAN[1] - slope[0]])
    u = evolve(eqs.VelocityNavierStokes(0.02, 0.0, force, 2), grid, start, 0.4, 200)[-1]
    omega = evolve(eqs.VorticityNavierStokes(0.02, 0.0, MEAN[:2], force), grid, curl(start, grid), 0.4, 200)[-1]
    assert largest(omega - curl(start, grid)) > 1
    np.testing.assert_allclose(omega, curl(u, grid), atol=1e-10)
