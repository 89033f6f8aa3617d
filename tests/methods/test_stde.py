"""STDE: the PINN of another jet; keys in samples, new in every step; it solves problems in many dimensions."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import fit, load_problem, pinn
from lagrangian_ml.core import Problem, evaluate_terms
from lagrangian_ml.domains import Ball, Neumann, ResidualAdaptive, collocation
from lagrangian_ml.equations import Diffusion, Helmholtz, Poisson, SteadyAllenCahn
from lagrangian_ml.fields import MLP, soft_constraints
from lagrangian_ml.jets import Directions
from lagrangian_ml.methods import stde
from lagrangian_ml.methods.stde import Keyed

KEY = jax.random.key(0)
SMALL = partial(MLP, width=16, depth=2)
POINTS = partial(collocation, num_points=64, num_boundary=8, law="uniform", resample_every=1)


def batches(source, task, num):
    state, found = source.init(jax.random.key(1)), []
    for _ in range(num):
        batch, state = source.next(state, task.model, task.objective)
        found.append(batch)
    return found


@pytest.mark.parametrize("name", ["heat", "poisson"])
def test_along_all_axes_it_is_a_pinn(name):
    problem = load_problem(name)
    dim = problem.domain.dim
    points = partial(collocation, num_points=32)
    random, exact = (
        method(problem, SMALL, points, **settings, key=KEY)
        for method, settings in [(stde, {"directions": Directions(dim)}), (pinn, {})]
    )
    (batch,) = batches(random.source, random, 1)
    terms = lambda task: jax.jit(partial(evaluate_terms, task.objective, task.model))(batch)
    found, expected = (terms(task)["equation"] for task in (random, exact))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_every_point_has_its_own_directions_in_every_step():
    task = stde(load_problem("two_body", dim=20), SMALL, partial(POINTS, resample_every=0), key=KEY)
    first, second = batches(task.source, task, 2)
    assert (first["equation"].x == second["equation"].x).all()
    keys = jnp.concatenate([jax.random.key_data(batch["equation"].key) for batch in (first, second)])
    assert len(np.unique(np.asarray(keys), axis=0)) == 2 * 64


@pytest.mark.parametrize("law", ["coordinates", "rademacher"])
@pytest.mark.usefixtures("float32")
def test_it_solves_a_problem_in_thirty_dimensions(law):
    problem = load_problem("two_body", equation=SteadyAllenCahn(), dim=30)
    task = stde(problem, SMALL, POINTS, directions=Directions(8, law), key=KEY)
    optimizer = optax.adam(optax.linear_schedule(1e-2, 0.0, 400))
    result = fit(task.model, task.objective, task.source, optimizer, num_steps=400, key=jax.random.key(1))
    assert task.errors(result.model)["relative_l2"] < 0.1 * task.errors(task.model)["relative_l2"]


def test_adaptive_points_are_judged_along_random_directions():
    points = partial(POINTS, adaptive=ResidualAdaptive(pool=2))
    task = stde(load_problem("two_body", dim=20), SMALL, points, key=KEY)
    result = fit(task.model, task.objective, task.source, optax.adam(1e-3), num_steps=3, key=KEY)
    assert np.isfinite(result.history[-1]["loss"])


def test_conditions_read_values_and_slopes():
    ball = Ball([0.0] * 20, uniform="radius")
    problem = Problem(Poisson(), ball, boundary=Neumann(ball.boundary))
    task = stde(problem, SMALL, POINTS, ansatz=soft_constraints, key=KEY)
    assert isinstance(task.source, Keyed)
    (batch,) = batches(task.source, task, 1)
    assert evaluate_terms(task.objective, task.model, batch)["boundary"].shape == (8, 1)


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: stde(load_problem("two_body", dim=10), SMALL, POINTS, key=KEY), "num=16 .* 10 dimensions"),
        (lambda: load_problem("two_body", dim=1), "dim=1"),
        (lambda: load_problem("two_body", equation=Diffusion()), "Poisson, SteadyAllenCahn or SineGordon"),
        (lambda: load_problem("two_body", equation=Poisson(lambda x: x)), "free `source`"),
    ],
)
def test_wrong_settings_are_refused(make, culprit):
    with pytest.raises(ValueError, match=culprit):
        make()


def test_other_coefficients_of_an_equation_are_kept():
    assert load_problem("two_body", equation=Helmholtz(3.0), dim=4).equation.wavenumber == 3.0
