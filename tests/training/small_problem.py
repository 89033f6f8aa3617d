"""A small problem for the tests of training: a network fits sin πx and a data term, with noise in the samples."""

import equinox as eqx
import jax
import jax.numpy as jnp

from lagrangian_ml.core import Term
from lagrangian_ml.training import Task


class Uniform(eqx.Module):
    """n points on (-1, 1) for the term "fit" and m for "slope", drawn anew every `every` steps."""

    n: int = 32
    m: int = 16
    every: int = 1

    def init(self, key):
        return {"key": key, "count": jnp.zeros((), jnp.int32), "batch": self._draw(key)}

    def _draw(self, key):
        first, second = jax.random.split(key)
        return {
            "fit": jax.random.uniform(first, (self.n, 1), minval=-1.0, maxval=1.0),
            "slope": jax.random.uniform(second, (self.m, 1), minval=-1.0, maxval=1.0),
        }

    def next(self, state, model, objective):
        count = state["count"] + 1
        key = jnp.where(count % self.every == 0, jax.random.fold_in(state["key"], count), state["key"])
        batch = jax.lax.cond(count % self.every == 0, self._draw, lambda _: state["batch"], key)
        return batch, {"key": key, "count": count, "batch": batch}


def fit_residual(net, x):
    return net(x) - jnp.sin(jnp.pi * x)


def slope_residual(net, x):
    return jax.jvp(net, (x,), (jnp.ones_like(x),))[1] - jnp.pi * jnp.cos(jnp.pi * x)


OBJECTIVE = {"fit": Term(fit_residual), "slope": Term(slope_residual, weight=0.1)}


class Cubic(eqx.Module):
    """a + b x + c x³: the smallest model, where a test is not about the model."""

    a: jax.Array
    bc: jax.Array

    def __init__(self):
        self.a, self.bc = jnp.ones(1), jnp.zeros(2)

    def __call__(self, x):
        return self.a + self.bc[0] * x + self.bc[1] * x**3


def network(seed=0, width=16):
    return eqx.nn.MLP(1, 1, width, 2, activation=jnp.tanh, key=jax.random.key(seed))


def errors(net):
    x = jnp.linspace(-1.0, 1.0, 101)[:, None]
    return {"max": jnp.abs(jax.vmap(net)(x) - jnp.sin(jnp.pi * x)).max()}


def small_task(seed=0, **options):
    return Task(network(seed), OBJECTIVE, Uniform(**options), field=lambda net: net, errors=errors)
