"""Laws of the damped least-squares kernel: every way to solve gives the minimiser of the same function."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.linalg import ConjugateGradients, GramSystem, damped_least_squares, symmetric_product


def iterative(jacobian, rank):
    push, pull = lambda v: jacobian @ v, lambda v: jacobian.T @ v
    options = {"rank": rank, "max_steps": 60, "tolerance": 1e-13, "key": jax.random.key(1)}
    return ConjugateGradients(push, pull, jacobian[0], **options)


WAYS = {
    "cholesky": damped_least_squares,
    "cholesky, parameters": partial(damped_least_squares, space="parameters"),
    "cholesky, batch": partial(damped_least_squares, space="batch"),
    "qr": partial(damped_least_squares, solver="qr"),
    "qr, parameters": partial(damped_least_squares, solver="qr", space="parameters"),
    "qr, batch": partial(damped_least_squares, solver="qr", space="batch"),
    "svd": partial(damped_least_squares, solver="svd"),
    "cg": partial(iterative, rank=0),
    "cg, preconditioned": partial(iterative, rank=4),
    "summed up": lambda jacobian: GramSystem(jacobian.T @ jacobian, lambda v: jacobian.T @ v),
}


@pytest.mark.parametrize("shape", [(20, 8), (8, 20), (6, 6)])
@pytest.mark.parametrize("way", WAYS)
def test_the_minimiser_is_that_of_the_augmented_system(way, shape):
    jacobian = jax.random.normal(jax.random.key(0), shape)
    r, system = jax.random.normal(jax.random.key(1), shape[:1]), WAYS[way](jacobian)
    for mu in (0.3, 1e-3):
        augmented = np.concatenate([jacobian, np.sqrt(mu) * np.eye(shape[1])])
        expected = np.linalg.lstsq(augmented, -np.concatenate([r, np.zeros(shape[1])]))[0]
        found = system.solve(system.factor(jnp.asarray(mu)), r)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
        g = jax.random.normal(jax.random.key(2), shape[1:])
        expected = -np.linalg.solve(jacobian.T @ jacobian + mu * np.eye(shape[1]), g)
        np.testing.assert_allclose(system.descend(system.factor(jnp.asarray(mu)), g), expected, rtol=1e-8, atol=1e-9)
    largest = np.linalg.norm(jacobian, 2) ** 2
    assert largest / 30 < system.largest < 30 * largest


def ill_conditioned(smallest):
    u, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((30, 6)))
    v, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))
    return jnp.asarray(u * np.geomspace(1, smallest, 6) @ v.T)


@pytest.mark.parametrize("way", ["qr, parameters", "svd"])
def test_orthogonal_factors_see_what_a_gram_matrix_does_not(way):
    """With a condition number of 1e9 and next to no damping: 1e-18 is lost in JᵀJ."""
    jacobian, exact = ill_conditioned(1e-9), jnp.arange(1.0, 7.0)
    solve = lambda system: system.solve(system.factor(jnp.asarray(1e-26)), -jacobian @ exact)
    np.testing.assert_allclose(solve(WAYS[way](jacobian)), exact, rtol=1e-5)
    assert not np.allclose(solve(WAYS["cholesky"](jacobian)), exact, rtol=1e-2)


def test_a_truncated_svd_gives_the_shortest_solution():
    jacobian, r = jnp.asarray([[1.0, 1.0], [1.0, 1.0]]), jnp.asarray([-2.0, -2.0])
    system = damped_least_squares(jacobian, "svd", rcond=1e-10)
    np.testing.assert_allclose(system.solve(system.factor(jnp.zeros(())), r), [1.0, 1.0], rtol=1e-12)


def test_the_preconditioner_saves_steps():
    """Twenty large singular values over a flat floor: ℓ = 20 products leave little for the steps."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((60, 60)))
    jacobian = jnp.asarray(np.r_[np.geomspace(1e4, 1e1, 20), np.ones(40)][:, None] * q.T)
    exact, errors = jnp.ones(60), []
    for rank in (0, 20):
        system = ConjugateGradients(
            lambda v: jacobian @ v, lambda v: jacobian.T @ v, exact, rank=rank, max_steps=8, key=jax.random.key(0)
        )
        errors.append(jnp.linalg.norm(system.solve(system.factor(jnp.asarray(1e-8)), -jacobian @ exact) - exact))
    assert errors[1] < 1e-3 * errors[0]


@pytest.mark.parametrize("shape", [(40, 7), (30, 600), (5, 5)])
def test_symmetric_product(shape):
    a = jax.random.normal(jax.random.key(0), shape)
    np.testing.assert_allclose(symmetric_product(a), a.T @ a, atol=1e-12 * shape[0])


@pytest.mark.parametrize(("solver", "space"), [("lu", "auto"), ("svd", "batch"), ("qr", "both")])
def test_unknown_ways_are_refused(solver, space):
    with pytest.raises((ValueError, TypeError), match=solver if space == "auto" else space):
        damped_least_squares(jnp.ones((3, 2)), solver, space)
