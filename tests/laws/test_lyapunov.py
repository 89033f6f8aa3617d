"""Finite-time Lyapunov exponents: exact rates, differences by another solver, inverses, derivatives and ridges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lagrangian_ml.core import FlowMap, Grid
from lagrangian_ml.equations import ABC, DoubleGyre, Rotation, Saddle
from lagrangian_ml.flows import (
    Displacement,
    Inverted,
    LyapunovField,
    OdeFlow,
    largest_stretch,
    lyapunov_exponents,
    ridges,
)

POINTS = jnp.asarray([[0.31, 0.42], [1.13, 0.71], [1.62, 0.12], [0.97, 0.05]])


class Strain(FlowMap):
    """x = X exp(±rate t): the exact flow of a saddle."""

    rate: jax.Array

    def forward(self, t, X):
        return X * jnp.exp(t * self.rate * jnp.array([1.0, -1.0])), jnp.zeros(())

    def inverse(self, t, x):
        return self.forward(-t, x)


class Turn(FlowMap):
    """A rigid rotation by 2t."""

    def forward(self, t, X):
        c, s = jnp.cos(2 * t), jnp.sin(2 * t)
        return jnp.array([c * X[0] - s * X[1], s * X[0] + c * X[1]]), jnp.zeros(())

    def inverse(self, t, x):
        return self.forward(-t, x)


class Wave(FlowMap):
    """x = (exp(t/3) X₀, X₁ + t sin 3X₀)."""

    def forward(self, t, X):
        return jnp.array([jnp.exp(t / 3) * X[0], X[1] + t * jnp.sin(3 * X[0])]), t / 3

    def inverse(self, t, x):
        X = jnp.exp(-t / 3) * x[0]
        return jnp.array([X, x[1] - t * jnp.sin(3 * X)]), -t / 3


@pytest.mark.parametrize("duration", [1.7, -2.3])
def test_a_saddle_has_its_rate_and_a_rotation_none(duration):
    for flow, rate in ((Strain(jnp.asarray(0.7)), 0.7), (Turn(), 0.0)):
        assert np.allclose(lyapunov_exponents(flow, duration, POINTS, 0.4), rate, rtol=0, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize(("field", "rate"), [(Saddle(0.7), 0.7), (Rotation(2.0), 0.0)], ids=["saddle", "rotation"])
def test_the_same_through_the_flows_of_their_velocities(field, rate):
    assert np.allclose(lyapunov_exponents(OdeFlow(field), 1.5, POINTS, 0.4), rate, rtol=0, atol=1e-9)


def by_scipy(field, duration, x, start, spacing):
    """Exponents from fourth-order differences of the flow map; all neighbours are integrated together."""
    n, d = x.shape
    weights = {1: 8 / 12, -1: -8 / 12, 2: -1 / 12, -2: 1 / 12}
    steps = spacing * np.stack([k * np.eye(d) for k in weights])
    begin = np.moveaxis(np.asarray(x)[:, None, None] + steps, -1, 0)  # (d, n, 4, d)
    rate = jax.jit(lambda t, z: field(t, z.reshape(d, -1)).ravel())
    options = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-14}
    span = (start, start + duration)
    end = solve_ivp(lambda t, z: np.asarray(rate(t, z)), span, begin.ravel(), **options).y[:, -1]
    gradient = np.einsum("k,inkj->nij", list(weights.values()), end.reshape(begin.shape)) / spacing
    return np.log(np.linalg.svd(gradient, compute_uv=False)[:, 0]) / abs(duration)


@pytest.mark.parametrize(
    ("field", "duration", "start"),
    [(DoubleGyre(), 15.0, 5.0), pytest.param(ABC(unsteadiness=0.5), -3.0, 4.0, marks=pytest.mark.slow)],
    ids=["double gyre", "abc"],
)
def test_exponents_equal_fine_differences_by_another_solver(field, duration, start):
    x = POINTS if isinstance(field, DoubleGyre) else jnp.concatenate([POINTS, POINTS[:, :1] + 1], axis=1)
    exponents = lyapunov_exponents(OdeFlow(field, num_steps=300), duration, x, start)
    oracle = by_scipy(field, duration, x, start, 1e-4)
    assert np.min(oracle) > 0.02 and np.allclose(exponents, oracle, rtol=0, atol=1e-6)


def test_the_inverse_stretches_where_the_map_squeezes():
    t, flow = 0.8, Wave()
    both = lambda X: (flow.forward(jnp.asarray(t), X)[0], flow.deformation_gradient(jnp.asarray(t), X))
    x, F = jax.jit(jax.vmap(both))(POINTS)
    squeezed = -np.log(np.linalg.svd(F, compute_uv=False)[:, -1]) / t
    assert np.ptp(squeezed) > 0.05
    assert np.allclose(lyapunov_exponents(Inverted(flow), t, x), squeezed, rtol=0, atol=1e-13)
    assert np.allclose(lyapunov_exponents(flow, -t, x, t), squeezed, rtol=0, atol=1e-13)  # back from t to 0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_largest_stretch_is_that_of_the_svd_with_safe_derivatives(d):
    F = np.random.default_rng(d).normal(size=(8, d, d))
    degenerate = np.stack([np.eye(d), np.zeros((d, d)), np.eye(d)[::-1]])
    h = 1e-6
    given = np.concatenate([F, [F[0] + h * F[1], F[0] - h * F[1]], degenerate])
    values, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(largest_stretch)))(given))
    assert np.allclose(values, np.linalg.norm(given, 2, axis=(1, 2)), rtol=1e-13, atol=0)
    assert abs(np.sum(slopes[0] * F[1]) - (values[8] - values[9]) / (2 * h)) < 1e-8
    assert np.isfinite(slopes).all() and np.max(np.linalg.norm(slopes[10:], 2, axis=(1, 2))) <= 1 + 1e-14


def test_an_exponent_is_differentiated_in_the_parameters_of_the_flow():
    exponent = lambda rate: LyapunovField(Strain(rate), -1.3)(jnp.asarray(0.2), POINTS[0])[0]
    assert np.isclose(jax.jit(jax.grad(exponent))(jnp.asarray(0.7)), 1.0, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_an_exponent_is_differentiated_through_the_steps():
    through = lambda rate: LyapunovField(OdeFlow(Saddle(rate), num_steps=20), 1.3)(jnp.asarray(0.2), POINTS[0])[0]
    assert np.isclose(jax.jit(jax.grad(through))(jnp.asarray(0.7)), 1.0, rtol=0, atol=1e-6)


def test_ridges_are_found_between_the_points_of_the_grid():
    """exp(−(y − crest(x))²/2w²): its ridge is the crest."""
    grid = Grid((60, 64), (0, 0), (3, 1), centred=True)
    x, y = np.asarray(grid.points)
    crest = lambda x: 0.5 + 0.05 * np.sin(x)
    find = lambda values, **thresholds: ridges(jnp.asarray(values), grid, **thresholds)
    found = find(np.exp(-0.5 * ((y - crest(x)) / 0.06) ** 2), curvature=10.0, level=0.5)
    assert np.max(np.abs(found.points[:, 1] - crest(found.points[:, 0]))) < 0.1 * grid.spacings[1]
    assert np.all(np.sum(found.mask[1:-1], axis=1) >= 1) and float(found.mask.mean()) < 0.03
    assert not find(-((y - 0.5) ** 2), curvature=2.1).mask.any()  # its Hessian has −2
    assert find(-((y - 0.497) ** 2), curvature=1.9).mask.any()
    assert not find((y - 0.497) ** 2).mask.any()  # a valley


def test_what_cannot_be_is_told():
    flow = Displacement(lambda t, X: -X)  # x = (1 − t) X: all particles meet at t = 1
    with pytest.raises(ValueError, match=r"t = 0.0 to 1.0 is not invertible .* at 4 of 4 points, first in row 0, x = "):
        lyapunov_exponents(flow, 1.0, POINTS)
    with pytest.raises(ValueError, match="duration=0: give a time other than 0"):
        LyapunovField(flow, 0)
    grid = Grid((4, 8), (0, 0), (1, 1))
    with pytest.raises(ValueError, match="too small for ridges: give at least 5"):
        ridges(jnp.zeros((4, 8)), grid)
    with pytest.raises(ValueError, match="do not fit the grid"):
        ridges(jnp.zeros((8, 8)), grid)
    with pytest.raises(ValueError, match="curvature=-1.0"):
        ridges(jnp.zeros((8, 8)), Grid((8, 8), (0, 0), (1, 1)), curvature=-1.0)
