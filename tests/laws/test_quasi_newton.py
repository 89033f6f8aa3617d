"""Laws of quasi-Newton methods: the published update, what H keeps, and iterations that make one step."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Term, loss
from lagrangian_ml.optimizers import QuasiNewton
from lagrangian_ml.optimizers.quasi_newton import Update

UPDATES = get_args(Update)
VALLEY = {"valley": Term(lambda m, s: jnp.concatenate([1 - m[:-1], s * (m[1:] - m[:-1] ** 2)]))}
START = jnp.asarray([-1.2, 1.0, -1.2, 1.0, 0.3])


def run(optimizer, model, batches):
    step = jax.jit(lambda model, state, s: optimizer.step(model, state, VALLEY, {"valley": s}))
    state, found = optimizer.init(model), []
    for s in batches:
        before = state.inverse_hessian
        new, state, info = step(model, state, jnp.asarray([s]))
        found.append((model, new, before, state.inverse_hessian, info))
        model = new
    return found


def published(rule, H, g, s, y, alpha, first):
    """Eqs. 10 to 23 of arXiv 2405.04230, as they stand there, with τ of the first update."""
    sy, Hy, P = s @ y, H @ y, len(s)
    b, h = -alpha * (s @ g) / sy, y @ Hy / sy
    theta, a = 0.0, b * h - 1
    tau = 1.0 if rule == "bfgs" else min(1.0, 1 / b)
    if rule == "self_scaled_broyden":
        root = np.sqrt(abs(a) / (1 + a))
        minus = min(1.0, h * (1 - root))
        theta = max((minus - 1) / a, min(1 / minus, (1 - b) / b))
        sigma = 1 + theta * a
        tau = min(tau * sigma ** (1 / (1 - P)), sigma) if theta <= 0 else tau * min(sigma ** (1 / (1 - P)), 1 / theta)
    tau = h / (1 + a * theta) if first else tau
    v = s / sy - Hy / (y @ Hy)
    phi = (1 - theta) / (1 + a * theta)
    return (H - np.outer(Hy, Hy) / (y @ Hy) + phi * (y @ Hy) * np.outer(v, v)) / tau + np.outer(s, s) / sy


@pytest.mark.parametrize("rule", UPDATES)
def test_updates_are_those_of_the_paper(rule):
    slope = jax.grad(lambda model: loss(VALLEY, model, {"valley": jnp.full(1, 10.0)}))
    for k, (old, new, H, after, info) in enumerate(run(QuasiNewton(rule, iterations=1), START, [10.0] * 30)):
        s, g = np.asarray(new - old), np.asarray(slope(old))
        expected = published(rule, np.asarray(H), g, s, np.asarray(slope(new)) - g, float(info["step_size"]), k == 0)
        np.testing.assert_allclose(after, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
        y = slope(new) - slope(old)
        np.testing.assert_allclose(after @ y, s, rtol=1e-6, atol=1e-12)
        assert np.linalg.eigvalsh(np.asarray(after + after.T) / 2)[0] > 0


@pytest.mark.parametrize("rule", UPDATES)
def test_iterations_of_one_step_are_those_of_many(rule):
    (*_, together), apart = (
        run(QuasiNewton(rule, iterations=6), START, [10.0]),
        run(QuasiNewton(rule, iterations=1), START, [10.0] * 6),
    )
    np.testing.assert_allclose(together[1], apart[-1][1], rtol=1e-8)
    np.testing.assert_allclose(together[3], apart[-1][3], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("rule", UPDATES)
def test_a_valley_is_walked_to_its_end(rule):
    *_, (_, model, _, _, info) = run(QuasiNewton(rule), START, [10.0] * 20)
    np.testing.assert_allclose(model, np.ones(5), atol=1e-8)


def test_curvature_survives_other_samples():
    """Quadratics with one Hessian and minima that jump from step to step: H becomes the inverse all the same."""
    A = jnp.diag(jnp.asarray([1.0, 10.0, 100.0, 1000.0]))
    objective = {"square": Term(lambda model, s: jnp.sqrt(A) @ (model - s))}
    optimizer, model = QuasiNewton("bfgs", iterations=2), jnp.zeros(4)
    step = jax.jit(lambda model, state, s: optimizer.step(model, state, objective, {"square": s}))
    state = optimizer.init(model)
    for key in jax.random.split(jax.random.key(0), 12):
        model, state, info = step(model, state, jax.random.normal(key, (1, 4)))
    np.testing.assert_allclose(jnp.sqrt(A) @ state.inverse_hessian @ jnp.sqrt(A), np.eye(4), atol=1e-3)


def test_at_a_minimum_nothing_moves():
    optimizer, model = QuasiNewton(iterations=3), jnp.ones(5)
    after, state, info = optimizer.step(model, optimizer.init(model), VALLEY, {"valley": jnp.ones(1)})
    assert (after == model).all() and info["loss"] == 0 and jnp.isfinite(state.inverse_hessian).all()


def test_curvature_outlives_a_stay_at_a_minimum():
    """Where rounding hides every decrease, H stays, so that other samples find it."""
    fit = {"fit": Term(lambda m, s: jnp.sin(s @ m)[None] - s[0])}
    batch = {"fit": jax.random.normal(jax.random.key(0), (12, 4))}
    optimizer, model = QuasiNewton(), jnp.full(4, 0.1)
    state, step = optimizer.init(model), jax.jit(lambda *now: optimizer.step(*now, fit, batch))
    for _ in range(20):
        model, state, info = step(model, state)
    assert not state.fresh and info["failed"] > 0
    curvature = jnp.linalg.inv(jax.hessian(lambda m: loss(fit, m, batch))(model))
    np.testing.assert_allclose(state.inverse_hessian, curvature, atol=0.2 * jnp.abs(curvature).max())


def test_too_many_parameters_for_an_inverse_hessian_are_refused():
    with pytest.raises(ValueError, match="20,001 parameters: an inverse Hessian would need 3 GB.*lbfgs"):
        QuasiNewton().init(jnp.zeros(20_001))
