"""Densities and velocities learned from observations: the truth, the terms, the fits, and what is refused."""

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, fit, load_problem
from lagrangian_ml.core import Point, Problem, Samples, evaluate_terms
from lagrangian_ml.domains import ArraySource, Box
from lagrangian_ml.equations import Continuity
from lagrangian_ml.fields import MLP
from lagrangian_ml.flows import (
    ActNorm,
    Chain,
    Coupling,
    Displacement,
    ToBox,
    TransportedDensity,
    check_invertible,
    factored_flow,
)
from lagrangian_ml.methods import divergence_free, lflow
from lagrangian_ml.problems.fresh_observations import fresh_observations
from lagrangian_ml.problems.moving_gaussians import Part, place, quadrant_observations, quadrant_scores

SMALL = partial(factored_flow, num_layers=1, width=8, depth=1)
LINEAR = partial(factored_flow, num_layers=0)
KEY = jax.random.key(0)


class Drifting(eqx.Module):
    """A Gaussian of width 0.5 on its way along (1, …, 1)/4, and its velocity."""

    def __call__(self, t, x):
        distance = x - 0.25 * t
        rho = jnp.exp(-2.0 * jnp.sum(distance**2)) * (2.0 / jnp.pi) ** (0.5 * x.size)
        return jnp.concatenate([rho[None], jnp.full_like(x, 0.25)])


def one_coupling(lower, upper, *, key):
    coupling = Coupling(len(lower), (0,), width=8, key=key)
    return Chain((coupling, ActNorm(len(lower), key=key), ToBox(lower, upper)))


def drifting(dim):
    return Problem(Continuity(dim), Box([-2.0] * dim, [2.0] * dim), horizon=1.0, reference=Drifting())


def observed(problem, n=512):
    source = fresh_observations(problem, num_points=n, log_density_noise=0.0, velocity_noise=0.0)
    return jax.jit(lambda key: source.draw(key))(KEY)


def replaced(samples, row, **values):
    """The samples with one row replaced."""
    arrays = {"x": samples.point.x, "t": samples.point.t, "u": samples.u}
    arrays |= {name: arrays[name].at[row].set(value) for name, value in values.items()}
    return Samples(Point(arrays["x"], arrays["t"]), arrays["u"])


@pytest.mark.parametrize("dim", [2, 3])
def test_the_gaussians_keep_their_mass(dim):
    problem, n = load_problem("moving_gaussians", dim=dim), 48
    units = (jnp.stack(jnp.meshgrid(*[jnp.arange(n)] * dim, indexing="ij"), -1).reshape(-1, dim) + 0.5) / n
    x = jax.vmap(problem.domain.from_unit)(units)
    density = jax.jit(jax.vmap(problem.reference.density, (None, 0)))
    mass = [float(jnp.mean(density(jnp.asarray(t), x)) * problem.domain.measure) for t in (0.0, 0.7, 1.2)]
    np.testing.assert_allclose(mass, [1.0, 1.0, 1.0] if dim == 2 else [0.6 * np.sqrt(2 * np.pi)] * 3, rtol=1e-8)


def test_a_center_moves_as_the_paper_says():
    problem, t = load_problem("moving_gaussians"), 0.25
    y = 4 * np.arctanh(np.array([2 / 3, 0.0]) / 4) + np.sin(np.pi * t) * np.array([0.6, -0.6])
    x = 4 * np.tanh(1.125 * 1.025 * np.array([-y[1], y[0]]) / 4)  # a quarter turn, anticlockwise
    found, _ = problem.reference.flow.forward(jnp.asarray(t), jnp.array([2 / 3, 0.0]))
    np.testing.assert_allclose(found, x, rtol=1e-13)


def test_observations_are_seen_in_two_quadrants_with_the_noise_that_is_stated():
    problem = load_problem("moving_gaussians")
    source = quadrant_observations(problem, num_points=4096)
    samples = jax.jit(lambda key: source.draw(key))(KEY)
    x, t = samples.point
    exact = jax.jit(jax.vmap(problem.reference))(t, x)
    dense = exact[:, 0] > 1e-200
    noise = jnp.log(samples.u[dense, 0] / exact[dense, 0])
    assert abs(float(jnp.std(noise)) / 0.023 - 1) < 0.05
    assert abs(float(jnp.std(samples.u[:, 1:] - exact[:, 1:])) / 0.014 - 1) < 0.05
    assert float(jnp.min(x[:, 0] * x[:, 1])) > 0 and float(jnp.mean(x[:, 0] > 0)) == 0.5
    np.testing.assert_allclose(np.unique(t), np.linspace(0, 1, 21), atol=1e-12)
    bounds: dict[Part, tuple[float, float]] = {"validation": (0.0, 0.8), "test": (0.8, 4.0)}
    for part, (low, high) in bounds.items():
        x = jax.jit(jax.vmap(lambda unit, part=part: place(unit, part)))(jax.random.uniform(KEY, (256, 3)))
        assert float(jnp.max(x[:, 0] * x[:, 1])) < 0
        assert low <= float(jnp.min(jnp.abs(x[:, 0]))) and float(jnp.max(jnp.abs(x[:, 0]))) <= high


@pytest.mark.slow
def test_the_truth_has_perfect_scores():
    problem = load_problem("moving_gaussians")
    scores = quadrant_scores(problem)(problem.reference)
    assert scores["r2"] == scores["r2_until_1"] == scores["r2_validation"] == 1.0
    assert scores["velocity_relative_l2"] == 0.0


@pytest.mark.parametrize(
    ("row", "values", "told"),
    [
        (3, {"x": 2.5}, r"row 3: x = .* outside the domain"),
        (4, {"u": -1e-3}, r"row 4: u = .* density ρ < 0"),
        (5, {"t": 1.5}, r"row 5: t = 1.5 lies outside the time of the problem, \[0, 1\]"),
        (6, {"t": jnp.nan}, r"row 6: t = nan is not finite"),
        (7, {"x": jnp.inf}, r"row 7: x = .* is not finite"),
        (8, {"u": jnp.nan}, r"row 8: u = .* is not finite"),
    ],
)
def test_bad_observations_are_refused_by_their_first_row(row, values, told):
    problem = drifting(2)
    samples = replaced(replaced(observed(problem, 16), row, **values), 12, **values)
    again = told + r".* \(2 such rows\)"
    for method, model in ((lflow, SMALL), (divergence_free, MLP)):
        with pytest.raises(ValueError, match=again):
            method(problem, model, observations=samples, key=KEY)
    stored = [ArraySource({"data": samples})] + ([] if "u" in values else [ArraySource({"samples": samples.point})])
    for source in stored:
        with pytest.raises(ValueError, match=again):
            lflow(problem, SMALL, lambda problem, source=source: source, key=KEY)


def test_what_there_is_to_fit_and_what_not():
    problem = drifting(2)
    with pytest.raises(ValueError, match="nothing to fit: the source draws equation"):
        lflow(problem, SMALL, key=KEY)
    with pytest.raises(ValueError, match=r"weights.samples=1.0: weights are ≥ 0, for the terms data, transport, mass"):
        lflow(problem, SMALL, fresh_observations, weights={"samples": 1.0}, key=KEY)
    with pytest.raises(ValueError, match="velocity_scale=0 must be > 0"):
        lflow(problem, SMALL, fresh_observations, velocity_scale=0, key=KEY)
    task = lflow(problem, SMALL, fresh_observations, weights={"transport": 0.1, "mass": 0.0}, key=KEY)
    assert {name: term.weight for name, term in task.objective.items()} == {"data": 1.0, "transport": 0.1}


def test_a_folded_map_is_found():
    point = Point(jnp.array([[0.1, 0.2], [0.0, 0.0]]), jnp.array([0.0, 0.9]))
    fold = Displacement(lambda t, X: jnp.stack([-2.0 * X[0], jnp.zeros_like(X[1])]))
    with pytest.raises(ValueError, match=r"row 1: \(t, x\) = \[0.9, 0.0, 0.0\] is where the map is folded.*det = -0.8"):
        check_invertible(fold, point)
    waves = Displacement(lambda t, X: -1.5 * jnp.sin(X))  # from 0.25 three labels lead back, two of them unfolded
    with pytest.raises(ValueError, match=r"row 0: \(t, X\) = \[1.0, 0.3\] is a label where the map is folded"):
        check_invertible(waves, Point(jnp.array([[0.3]]), jnp.array([1.0])))
    with pytest.raises(ValueError, match=r"give Point\(x, t\)"):
        check_invertible(fold, Point(jnp.zeros((1, 2))))
    check_invertible(SMALL([-2.0] * 2, [2.0] * 2, key=KEY), point)


def test_the_truth_leaves_no_residual_and_the_cost_of_motion_is_that_of_the_labels():
    problem = drifting(2)
    still = Displacement(lambda t, X: jnp.full_like(X, 0.25))
    source = partial(fresh_observations, num_points=64, velocity_noise=0.0)
    task = lflow(problem, lambda *_, key: still, source, weights={"transport": 1.0}, key=KEY)

    @jax.jit
    def residuals_of(key):
        batch, _ = task.source.next(task.source.init(key), task.model, task.objective)
        return evaluate_terms(task.objective, task.model, batch)

    residuals = residuals_of(KEY)
    np.testing.assert_allclose(jnp.mean(jnp.sum(residuals["transport"] ** 2, axis=1)), 2 * 0.25**2, rtol=1e-12)
    np.testing.assert_allclose(residuals["data"][:, 1:], 0.0, atol=1e-12)
    np.testing.assert_allclose(residuals["mass"][0, 0] ** 2, 2 * np.log(2.0), rtol=1e-12)


@pytest.mark.slow
def test_levenberg_marquardt_finds_a_flow_of_its_own_kind_from_stored_observations():
    teacher = TransportedDensity(LINEAR([-2.0] * 2, [2.0] * 2, key=jax.random.key(7)), log_mass=0.3)
    problem = dataclasses.replace(drifting(2), reference=teacher)
    task = lflow(problem, LINEAR, observations=observed(problem), key=KEY)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=30, key=KEY)
    errors = task.errors(result.model)
    assert errors["r2"] > 1 - 1e-4 and errors["velocity_relative_l2"] < 1e-2
    np.testing.assert_allclose(errors["mass"], np.exp(0.3), rtol=1e-3)


@pytest.mark.parametrize("dim", [pytest.param(1, marks=pytest.mark.slow), 10])
def test_likelihood_and_velocity_in_one_and_ten_dimensions(dim):
    problem = drifting(dim)
    x_key, t_key = jax.random.split(KEY)
    t = jax.random.uniform(t_key, (256,))
    x = jnp.clip(0.25 * t[:, None] + 0.5 * jax.random.normal(x_key, (256, dim)), -1.9, 1.9)
    samples = {"samples": Point(x, t), "data": observed(problem, 256)}
    task = lflow(problem, one_coupling, lambda problem: ArraySource(samples), key=KEY)
    result = fit(task.model, task.objective, task.source, optax.adam(3e-2), num_steps=150, log_every=1, key=KEY)
    first, last = (result.history[i]["loss"] for i in (0, -1))
    entropy = 0.5 * dim * np.log(2 * np.pi * np.e * 0.25)
    assert entropy - 0.1 * dim < last < entropy + 0.1 * dim < entropy + 0.3 * dim < first
    with pytest.raises(ValueError, match="kind"):
        fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=1, key=KEY)


@pytest.mark.parametrize("dim", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_divergence_free_field_obeys_the_continuity_equation(dim):
    problem = drifting(dim)
    field = divergence_free(problem, partial(MLP, width=8, depth=2), fresh_observations, key=KEY).model
    z = jnp.concatenate([jnp.full((32, 1), 0.5), problem.domain.sample(32, key=KEY)], axis=1)
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda z: field.flux(z[0], z[1:]))))(z)  # (n, 1 + d, 1 + d)
    residual = jnp.trace(slopes, axis1=1, axis2=2)
    assert float(jnp.max(jnp.abs(residual))) <= 1e-12 * float(jnp.max(jnp.abs(slopes[:, 0, 0])))
    flux, u = field.flux(z[0, 0], z[0, 1:]), field(z[0, 0], z[0, 1:])
    np.testing.assert_allclose(u[0] * u[1:], flux[1:], rtol=1e-12)
