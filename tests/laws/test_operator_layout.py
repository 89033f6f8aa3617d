"""Laws of the primitives that keep batches in their place: the functions they stand for, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.operators.layout import space_first, spread
from lagrangian_ml.operators.spectral import Table, product_along


def plain_spread(a, v):
    return jnp.broadcast_to(jnp.expand_dims(a, range(v.ndim - a.ndim)), v.shape)


def plain_product(u):
    """`product_along` of the last of two axes of space, by its definition."""
    n, m = u.shape[1], 3
    angle = 2 * np.pi * np.outer(np.arange(m), np.arange(n)) / n
    table = np.stack([np.cos(angle), -np.sin(angle)]) / n
    return jnp.einsum("rmn,snc->srmc", table, u)


A, V, U = (np.random.default_rng(k).standard_normal(shape) for k, shape in enumerate([(4,), (3, 2, 4), (5, 8, 2)]))


def scaled(f):
    return lambda v: jnp.sin(v) * f(jnp.exp(jnp.asarray(A, v.dtype)), v)


def scaled_by_one(f):
    return lambda v: v**2 * f(jnp.asarray(A[None, :1], v.dtype), v)


FUNCTIONS = {
    "spread": (scaled(spread), scaled(plain_spread), V),
    "spread, axes of one": (scaled_by_one(spread), scaled_by_one(plain_spread), V),
    "product": (lambda u: product_along(u**2, 1, Table(8, 3, True)), lambda u: plain_product(u**2), U),
    "space first": (lambda v: space_first(v**2), lambda v: jnp.moveaxis(v**2, 0, -1), V),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_are_what_they_stand_for_under_every_transformation(name):
    ours, plain, x = FUNCTIONS[name]
    weights = np.random.default_rng(9).standard_normal(plain(jnp.asarray(x)).shape)
    batch = jnp.stack([x, 2 * x, x - 1])
    twice = jnp.stack([batch, batch + 1], axis=2)

    def transformed(f):
        total = lambda x: jnp.sum(weights * f(x))
        return {
            "value": f(jnp.asarray(x)),
            "jvp": jax.jvp(f, (x,), (x**2,))[1],
            "gradient": jax.grad(total)(jnp.asarray(x)),
            "curvature": jax.jvp(jax.grad(total), (x,), (x + 1,))[1],
            "batch": jax.vmap(f, in_axes=1, out_axes=2)(jnp.moveaxis(batch, 0, 1)),
            "gradient of a batch": jax.vmap(jax.grad(total))(batch),
            "batch in a gradient": jax.grad(lambda b: jnp.sum(jnp.sin(jax.vmap(total)(b))))(batch),
            "batches": jax.vmap(jax.vmap(jax.grad(total)), in_axes=2)(twice),
            "single": f(jnp.asarray(x, jnp.float32)),
        }

    found, expected = (jax.jit(lambda f=f: transformed(f))() for f in (ours, plain))
    assert found["single"].dtype == jnp.float32
    for key, value in expected.items():
        tolerance = 1e-5 if key == "single" else 1e-12
        np.testing.assert_allclose(found[key], value, rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2)])
def test_both_parts_of_a_spread_may_have_batches(axes):
    a, v = (
        np.moveaxis(np.stack([x, 2 * x]), 0, axis or 0) if axis is not None else x
        for x, axis in zip((A, V), axes, strict=True)
    )
    run = lambda f: jax.jit(jax.vmap(jax.grad(lambda a, v: jnp.sum(v**2 * f(a**2, v)), (0, 1)), in_axes=axes))(a, v)
    for ours, plain in zip(run(spread), run(plain_spread), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12)
