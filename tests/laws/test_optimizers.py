"""Laws of optimizers: one table, joined by a line. Resume and sharding are tested with the training loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml.core import Term, loss
from lagrangian_ml.domains import ArraySource
from lagrangian_ml.fields import MLP
from lagrangian_ml.linalg import DampedLeastSquares, symmetric_product
from lagrangian_ml.optimizers import Causal, LevenbergMarquardt, QuasiNewton, from_optax
from lagrangian_ml.training import DivergedError, fit

OPTIMIZERS = {
    "adam": lambda: from_optax(optax.adam(1e-2)),
    "lbfgs": lambda: from_optax(optax.lbfgs()),
    "levenberg_marquardt": LevenbergMarquardt,
    "levenberg_marquardt_batch": lambda: LevenbergMarquardt(space="batch"),
    "causal": lambda: Causal(LevenbergMarquardt(), horizon=1.0),
    "bfgs": lambda: QuasiNewton(update="bfgs", iterations=2),
    "self_scaled_bfgs": lambda: QuasiNewton(update="self_scaled_bfgs", iterations=2),
    "self_scaled_broyden": QuasiNewton,
}
LEAST_SQUARES = [name for name in OPTIMIZERS if name.startswith("levenberg")]


def curve_fit():
    """A network through a sine, with a second term of another size and weight."""
    model = MLP(1, 1, width=6, depth=1, key=jax.random.key(0))
    objective = {
        "data": Term(lambda net, s: net(s["x"]) - s["y"]),
        "slope": Term(lambda net, s: jax.jacfwd(net)(s["x"])[:, 0] - s["y"], weight=0.1),
    }
    x = jnp.linspace(-1, 1, 24)[:, None]
    batch = {"data": {"x": x, "y": jnp.sin(3 * x)}, "slope": {"x": x[::3], "y": 3 * jnp.cos(3 * x[::3])}}
    return model, objective, batch


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_descends_and_compiles_once(name):
    optimizer, (model, objective, batch) = OPTIMIZERS[name](), curve_fit()
    traces = []

    @eqx.filter_jit
    def step(model, state):
        traces.append(1)
        return optimizer.step(model, state, objective, batch)

    strong = lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype)  # as the fit loop does: no weak types
    before, state = loss(objective, model, batch), jax.tree.map(strong, optimizer.init(model))
    for _ in range(20):
        model, state, info = step(model, state)
    assert len(traces) == 1
    assert loss(objective, model, batch) < 0.5 * before
    assert all(jnp.ndim(value) == 0 for value in info.values()) and "loss" in info


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_one_step_solves_a_linear_problem(name):
    matrix, y = jax.random.normal(jax.random.key(1), (30, 5)), jax.random.normal(jax.random.key(2), (30,))
    objective = {"fit": Term(lambda model, s: (s[0] @ model - s[1])[None], weight=3.0)}
    optimizer = eqx.tree_at(lambda o: o.damping, OPTIMIZERS[name](), 1e-8)
    model = jnp.zeros(5)
    model, _, _ = optimizer.step(model, optimizer.init(model), objective, {"fit": (matrix, y)})
    expected = np.linalg.lstsq(matrix, y)[0]
    assert np.linalg.norm(model - expected) < 1e-6 * np.linalg.norm(expected)


def test_batch_and_parameter_space_take_the_same_step():
    model, objective, batch = curve_fit()
    steps = []
    for space in ("parameters", "batch"):
        optimizer = LevenbergMarquardt(space=space)
        steps.append(optimizer.step(model, optimizer.init(model), objective, batch)[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11), *map(_arrays, steps))


def _arrays(tree):
    return eqx.filter(tree, eqx.is_array)


@pytest.mark.parametrize("shape", [(40, 7), (30, 600), (5, 5)])
def test_symmetric_product(shape):
    a = jax.random.normal(jax.random.key(0), shape)
    np.testing.assert_allclose(symmetric_product(a), a.T @ a, atol=1e-12 * shape[0])


def test_damped_step_solves_the_augmented_least_squares_problem():
    jacobian, r, mu = jax.random.normal(jax.random.key(0), (20, 8)), jax.random.normal(jax.random.key(1), (20,)), 0.3
    augmented = np.concatenate([jacobian, np.sqrt(mu) * np.eye(8)])
    expected = np.linalg.lstsq(augmented, -np.concatenate([r, np.zeros(8)]))[0]
    for space in ("parameters", "batch"):
        system = DampedLeastSquares(jacobian, space)
        np.testing.assert_allclose(system.solve(system.factor(jnp.asarray(mu)), r), expected, rtol=1e-10)


def test_acceleration_follows_a_curved_valley():
    """Rosenbrock's valley with steep walls: the corrected steps need far fewer of them."""
    objective = {"valley": Term(lambda m, s: jnp.stack([1 - m[0], 100 * (m[1] - m[0] ** 2)]))}
    steps = []
    for acceleration in (0.0, 0.75):
        optimizer, model = LevenbergMarquardt(acceleration=acceleration), jnp.asarray([-1.0, 1.0])
        step = jax.jit(lambda model, state, o=optimizer: o.step(model, state, objective, {"valley": jnp.zeros(1)}))
        state, taken, value = optimizer.init(model), 0, 1.0
        while value > 1e-20 and taken < 200:
            model, state, info = step(model, state)
            taken, value = taken + 1, info["loss"]
        steps.append(taken)
    assert steps[1] < 0.7 * steps[0] < 200


def test_a_step_that_cannot_improve_leaves_the_model():
    objective = {"fit": Term(lambda model, s: model - s)}
    optimizer, model = LevenbergMarquardt(), jnp.ones(3)
    after, state, info = optimizer.step(model, optimizer.init(model), objective, {"fit": jnp.ones((2, 3))})
    assert (after == model).all() and info["tries"] == 8 and jnp.isfinite(state.damping)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_jacobian_that_is_not_finite_stops_the_fit(name):
    objective = {"root": Term(lambda model, s: (model["a"] + jnp.sqrt(model["b"]) + s)[None])}
    source = ArraySource({"root": jnp.ones(2)})
    model = {"a": jnp.asarray(1.0), "b": jnp.asarray(0.0)}
    with pytest.raises(DivergedError, match="step 1 gave values that are not finite"):
        fit(model, objective, source, OPTIMIZERS[name](), num_steps=3, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: LevenbergMarquardt(damping=0.0), "damping=0.0"),
        (lambda: LevenbergMarquardt(max_tries=0), "max_tries=0"),
        (lambda: LevenbergMarquardt(acceleration=-1.0), "acceleration=-1.0"),
        (lambda: LevenbergMarquardt(space="both"), "'both'"),
        (lambda: QuasiNewton(update="dfp"), "'dfp'"),
        (lambda: QuasiNewton(iterations=0), "iterations=0"),
    ],
)
def test_wrong_settings_are_refused(make, culprit):
    with pytest.raises((ValueError, TypeError), match=culprit):  # a wrong literal is stopped by the type check here
        make()


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_least_squares_refuses_losses(name):
    model, objective, batch = curve_fit()
    optimizer = OPTIMIZERS[name]()
    likelihood = {"data": Term(objective["data"].fn, kind="loss")}
    with pytest.raises(ValueError, match="'data' is of kind 'loss'"):
        optimizer.step(model, optimizer.init(model), likelihood, batch)


@pytest.mark.parametrize("name", [*LEAST_SQUARES, "bfgs", "self_scaled_bfgs", "self_scaled_broyden"])
def test_second_order_refuses_float32(name):
    model, optimizer = curve_fit()[0], OPTIMIZERS[name]()
    with pytest.raises(ValueError, match="float64"):
        optimizer.init(jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_array(a) else a, model))
