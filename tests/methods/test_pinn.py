"""The PINN: its terms are those of the problem, the ansatz leaves what it satisfies out, and it solves small cases."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, fit, load_problem, pinn
from lagrangian_ml.core import Samples, evaluate_terms, partition
from lagrangian_ml.domains import ResidualAdaptive, ResidualAttention, RetainResampleRelease, collocation
from lagrangian_ml.equations import Diffusion
from lagrangian_ml.fields import MLP, hard_constraints, soft_constraints
from lagrangian_ml.methods.pinn import PINN, strong_form
from lagrangian_ml.problems import problem_names
from lagrangian_ml.problems.observations import observations

SMALL = partial(MLP, width=10, depth=2)


def POINTS(problem):
    return collocation(problem, num_points=256, num_initial=32, num_boundary=32, law=problem.domain.best_law)


EXACT = [name for name in problem_names() if callable(load_problem(name).reference)]


@pytest.mark.parametrize("name", EXACT)
def test_the_truth_has_no_residual(name):
    problem = load_problem(name)
    objective = strong_form(problem)
    law = problem.domain.best_law
    source = collocation(problem, num_points=64, num_initial=16, num_boundary=16, law=law, resample_every=0)
    model = PINN(problem.reference, problem.equation)
    batch, _ = source.next(source.init(jax.random.key(0)), model, objective)
    residuals = jax.jit(lambda batch: evaluate_terms(objective, model, batch))(batch)  # eagerly: half a minute
    for term, residual in residuals.items():
        assert float(jnp.max(jnp.abs(residual))) < 1e-10, term


@pytest.mark.parametrize("name", [name for name in problem_names() if load_problem(name).equation.num_components == 1])
def test_the_objective_has_just_the_terms_that_the_ansatz_leaves(name):
    problem = load_problem(name)
    every = set(strong_form(problem))
    for ansatz in (hard_constraints, soft_constraints):
        task = pinn(problem, SMALL, POINTS, ansatz=ansatz, key=jax.random.key(0))
        satisfied = getattr(task.model.field, "satisfies", frozenset())
        assert set(task.objective) == every - satisfied
        objective, source = strong_form(problem), POINTS(problem)
        batch, _ = source.next(source.init(jax.random.key(1)), task.model, objective)
        kept = {name: objective[name] for name in satisfied}
        for term, residual in jax.jit(partial(evaluate_terms, kept, task.model))(batch).items():
            assert float(jnp.max(jnp.abs(residual))) < 1e-12, term


@pytest.mark.parametrize(("name", "bound"), [("heat", 2e-4), ("poisson", 2e-4)])
def test_levenberg_marquardt_solves_a_linear_problem(name, bound):
    task = pinn(load_problem(name), SMALL, POINTS, key=jax.random.key(0))
    key = jax.random.key(1)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=60, key=key)
    assert task.errors(result.model)["relative_l2"] < bound


def test_adam_trains_soft_terms():
    task = pinn(load_problem("heat"), SMALL, POINTS, ansatz=soft_constraints, key=jax.random.key(0))
    key = jax.random.key(1)
    result = fit(task.model, task.objective, task.source, optax.adam(1e-2), num_steps=300, key=key)
    assert task.errors(result.model)["relative_l2"] < 0.3 * task.errors(task.model)["relative_l2"]


def test_a_coefficient_is_learned_from_data():
    problem = load_problem("heat")
    data = partial(observations, num_samples=200, noise=0.0)
    task = pinn(problem, SMALL, POINTS, observations=data, trainable={"diffusivity": 1.0}, key=jax.random.key(0))
    key = jax.random.key(1)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=40, key=key)
    errors = task.errors(result.model)
    assert errors["diffusivity_relative"] < 1e-3
    np.testing.assert_allclose(errors["diffusivity"], 0.25, rtol=1e-3)


def test_only_the_named_coefficients_are_trained():
    stated = load_problem("heat", equation=Diffusion(jnp.asarray(0.25)))
    fixed = pinn(stated, SMALL, POINTS, key=jax.random.key(0))
    learned = pinn(stated, SMALL, POINTS, trainable={"diffusivity": 1.0}, key=jax.random.key(0))
    for task, extra in ((fixed, 0), (learned, 1)):
        of_field, of_model = (len(jax.tree.leaves(partition(part)[0])) for part in (task.model.field, task.model))
        assert of_model == of_field + extra
    assert float(learned.model.equation.diffusivity) == 1.0


def test_observations_are_seeded_and_as_noisy_as_asked():
    problem = load_problem("burgers")
    clean, noisy, again, other = (
        observations(problem, num_samples=500, noise=noise, seed=seed)
        for noise, seed in [(0, 1), (0.1, 1), (0.1, 1), (0.1, 2)]
    )
    assert (noisy.u == again.u).all() and not (noisy.u == other.u).any()
    np.testing.assert_allclose(jnp.std(noisy.u - clean.u) / jnp.std(clean.u), 0.1, rtol=0.15)
    np.testing.assert_allclose(clean.u, jax.vmap(problem.reference)(clean.point.t, clean.point.x))


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"weights": {"initail": 2.0}}, "initail"),
        ({"weights": {"equation": -1.0}}, "≥ 0"),
        ({"trainable": {"viscosty": 0.1}}, "viscosty"),
        ({"trainable": {"rate": 0.1}}, "rate=0.1"),
    ],
)
def test_wrong_settings_are_refused(settings, culprit):
    with pytest.raises(ValueError, match=culprit):
        pinn(load_problem("burgers"), SMALL, POINTS, **settings, key=jax.random.key(0))


def test_data_need_an_exact_solution_or_a_file():
    problem = load_problem("burgers")
    with pytest.raises(ValueError, match="num_samples=0"):
        observations(problem, num_samples=0)
    assert isinstance(observations(problem, num_samples=3), Samples)


@pytest.mark.parametrize("way", ["adaptive", "retained", "attention"])
def test_a_redraw_does_not_make_the_error_jump(way):
    """Every third step has other points; the error after it is about that before, and falls over all."""
    ways = {
        "adaptive": {"adaptive": ResidualAdaptive(keep=0.5)},
        "retained": {"adaptive": RetainResampleRelease()},
        "attention": {"adaptive": ResidualAdaptive(keep=0.5), "attention": ResidualAttention()},
    }
    points = partial(collocation, num_points=256, resample_every=3, **ways[way])
    task = pinn(load_problem("heat"), partial(MLP, width=8, depth=2), points, key=jax.random.key(0))
    errors = []

    class Error:
        every = 1

        def __call__(self, state, record):
            errors.append(float(task.errors(state.model)["relative_l2"]))

    fit(
        *(task.model, task.objective, task.source, LevenbergMarquardt()),
        **{"num_steps": 30, "key": jax.random.key(1), "callbacks": [Error()], "log_every": 1},
    )
    assert errors[-1] < 1e-3 * errors[0]
    ratios = [errors[k] / errors[k - 1] for k in range(3, 30, 3)]  # of the steps that see other points
    assert max(ratios) < 5 and np.median(ratios) < 1.5
