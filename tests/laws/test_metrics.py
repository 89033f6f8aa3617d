"""Laws of the metrics: scale, rotation and Parseval; a field judged at samples; what has no truth or a bad one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml import metrics
from lagrangian_ml.core import Equation, Point, Problem, Samples
from lagrangian_ml.metrics import band_rmse, correlation_time

RELATIVE = (metrics.relative_l2, metrics.nrmse, metrics.r2, metrics.vrmse)
ALL = (*RELATIVE, metrics.max_error, metrics.rmse)


class Heat(Equation):
    def linear(self, jet):
        return jet.laplacian


class Laplace(Heat):
    steady = True


class Interval:
    dim = 1

    def grid(self, shape):
        return jnp.linspace(-1.0, 1.0, shape[0])[:, None]


class Disc:
    dim = 2
    best_law = "sobol"

    def sample(self, n, *, key, law="uniform"):
        assert law == "sobol"
        return jax.random.normal(key, (n, 2))


class Mode(eqx.Module):
    scale: jax.Array

    def __call__(self, t, x):
        return self.scale * jnp.exp(-t) * jnp.stack([jnp.sin(3 * x[0])])


def test_norms_have_their_closed_forms():
    truth, prediction = jnp.array([3.0, 4.0, 0.0]), jnp.array([3.0, 4.0, 5.0])
    assert metrics.relative_l2(prediction, truth) == pytest.approx(1.0)
    assert metrics.max_error(prediction, truth) == 5
    assert metrics.rmse(prediction, truth) == pytest.approx(5 / np.sqrt(3))
    assert metrics.nrmse(prediction, truth) == pytest.approx(1.0)
    assert metrics.r2(prediction, truth) == pytest.approx(1 - 25 / (25 - 49 / 3), rel=1e-5)
    rows = jnp.array([[1.0, 1.0], [10.0, 10.0]])
    assert metrics.nrmse(rows + 1, rows, axes=(1,)) == pytest.approx((1 + 0.1) / 2)
    two = jnp.array([[99.0, 0.0], [101.0, 2.0]])  # deviations ±1 of each component
    assert metrics.vrmse(two + 0.5, two) == pytest.approx(0.5)


@pytest.mark.parametrize("metric", RELATIVE)
def test_relative_norms_do_not_see_the_scale(metric):
    truth = jnp.linspace(-1.0, 2.0, 50)
    prediction = truth + 0.1 * jnp.cos(truth)
    assert metric(1e3 * prediction, 1e3 * truth) == pytest.approx(float(metric(prediction, truth)), rel=1e-4)
    assert metrics.relative_l2(1e30 * prediction, 1e30 * truth) < 1  # squares would overflow in single precision


@pytest.mark.parametrize("metric", ALL)
def test_norms_run_under_jit_and_refuse_a_bad_truth(metric):
    truth = jnp.linspace(-1.0, 2.0, 5)
    assert jax.jit(metric)(truth + 1, truth) == pytest.approx(float(metric(truth + 1, truth)), rel=1e-5)
    with pytest.raises(ValueError, match="not finite"):
        metric(truth, truth.at[2].set(jnp.nan))
    with pytest.raises(ValueError, match="same shape"):
        metric(truth[:, None], truth)


@pytest.mark.parametrize("metric", RELATIVE)
def test_relative_norms_refuse_a_zero_truth(metric):
    with pytest.raises(ValueError, match=r"zero|constant"):
        metric(jnp.ones(3), jnp.zeros(3))


@pytest.mark.parametrize("shape", [(15,), (8, 6, 5)])
def test_spectrum_sums_to_the_energy(shape):
    u = jax.random.normal(jax.random.key(0), (2, *shape))
    _, energy = metrics.energy_spectrum(u)
    assert jnp.sum(energy) == pytest.approx(float(0.5 * jnp.mean(jnp.sum(u**2, 0))), rel=1e-5)


def test_spectrum_finds_a_mode_of_an_oblong_box():
    x = jnp.arange(32.0) / 32 * 4.0
    u = jnp.broadcast_to(jnp.sin(2 * jnp.pi * 3 * x / 4.0)[:, None], (32, 8))[None]
    k, energy = metrics.energy_spectrum(u, (4.0, 1.0))
    assert k[3] == pytest.approx(3 * 2 * np.pi / 4) and energy[3] == pytest.approx(0.25, rel=1e-5)
    with pytest.raises(ValueError, match="lengths"):
        metrics.energy_spectrum(u, (4.0,))


def test_drift_is_relative_to_the_absolute_density():
    start = jnp.sin(2 * jnp.pi * jnp.arange(64.0) / 64)[None]
    drift = metrics.conservation_drift(jnp.stack([start, start, start + 0.1]))
    assert drift == pytest.approx(0.1 / float(jnp.mean(jnp.abs(start))), rel=1e-4)
    energy = lambda u: jnp.sum(u**2, 0, keepdims=True)
    assert metrics.conservation_drift(jnp.stack([start, -start]), energy) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="zero or not finite"):
        metrics.conservation_drift(0 * start[None])


def test_a_field_is_judged_against_an_exact_reference():
    exact, field = Mode(jnp.asarray(1.0)), Mode(jnp.asarray(1.01))
    initial = lambda x: exact(jnp.zeros(()), x)
    problem = Problem(Heat(), Interval(), initial, horizon=2.0, reference=exact)
    samples = metrics.reference_samples(problem)
    assert samples.grid == (101, 257) and samples.u.shape == (101 * 257, 1)
    assert samples.point.t[-1] == 2.0 and samples.point.t[256] == 0.0
    found = metrics.errors(field, samples, batch_size=1000)
    near = pytest.approx(0.01, rel=1e-3)  # sin 3x has no mean
    assert found == {"relative_l2": near, "vrmse": near, "max": near}
    assert all(type(value) is float for value in found.values())
    assert metrics.reference_samples(problem, (3, 5)).grid == (3, 5)
    with pytest.raises(ValueError, match=r"\(t, x\)"):
        metrics.reference_samples(problem, (3, 5, 7))


def test_a_reference_may_be_stored_missing_or_bad():
    stored = Samples(Point(jnp.zeros((4, 2))), jnp.ones((4, 1)))
    holder = type("Stored", (), {"samples": lambda self: stored})()
    make = lambda reference: Problem(Laplace(), Disc(), reference=reference)
    assert metrics.reference_samples(make(holder)).u.shape == (4, 1)
    assert metrics.reference_samples(make(None)) is None
    assert metrics.blank_samples(make(None)).grid is None
    assert metrics.reference_samples(make(lambda x: x[:1]), (50,)).point.x.shape == (50, 2)
    with pytest.raises(ValueError, match="not finite at 50"):
        metrics.reference_samples(make(lambda x: jnp.nan * x[:1]), (50,))
    with pytest.raises(ValueError, match=r"gives \(4, 2\)"):
        metrics.errors(lambda x: x, stored)


def test_bands_of_an_error_add_up_and_see_their_waves():
    x = 2 * np.pi * np.arange(64) / 64
    truth = np.stack([np.sin(x), np.cos(2 * x)])
    error = np.stack([0.3 * np.sin(2 * x) + 0.4 * np.cos(7 * x), 0.5 * np.sin(20 * x)])
    bands = np.asarray(band_rmse(jnp.asarray(truth + error), jnp.asarray(truth)))
    np.testing.assert_allclose(bands, np.sqrt([0.3**2 / 4, 0.4**2 / 4, 0.5**2 / 4]), rtol=1e-12)
    assert np.sum(bands**2) == pytest.approx(np.mean(error**2))
    coarse = band_rmse(jnp.ones((1, 4)), jnp.zeros((1, 4)))
    np.testing.assert_allclose(coarse, [1, 0, 0], atol=1e-12)
    with pytest.raises(ValueError, match="must agree, and edges"):
        band_rmse(jnp.ones((1, 4)), jnp.zeros((1, 4)), (5, 5))


def test_a_trajectory_is_trusted_until_it_is_not_correlated():
    x = 2 * np.pi * np.arange(32) / 32
    truth = np.broadcast_to(np.sin(x), (2, 5, 1, 32))
    shift = np.array([[0.0, 0.1, 0.5, 1.5, 0.0], [0.0, 2.0, 0.0, 0.0, 0.0]])[..., None, None]  # cos 0.5 = 0.88
    assert float(correlation_time(jnp.asarray(3 * np.sin(x + shift) + 1), jnp.asarray(truth))) == (3 + 1) / 2
    assert float(correlation_time(jnp.full((1, 2, 1, 4), jnp.nan), jnp.ones((1, 2, 1, 4)))) == 0
