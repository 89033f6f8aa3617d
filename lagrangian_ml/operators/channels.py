"""Maps of the channels of every point: the lift, the projection, and the local part of every layer of an operator."""

import math
from itertools import accumulate

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, activation_by_name
from .layout import spread


@jax.custom_jvp
def gelu(v: Float[Array, "..."]) -> Float[Array, "..."]:
    """v / (1 + exp(−2√(2/π) (v + 0.044715 v³))), which is gelu by tanh.

    XLA on CPUs computes a chain of cheap operations again in each of its consumers, the affine map and the transform of
    the next layer; one that ends in a division it computes once.
    """
    return v / (1 + jnp.exp(-2 * math.sqrt(2 / math.pi) * (v + 0.044715 * v * v * v)))


@gelu.defjvp
def _slope_of_gelu(primals, tangents):
    return gelu(*primals), jax.jvp(jax.nn.gelu, primals, tangents)[1]


def nonlinearity(activation: str | Activation) -> Activation:
    """As `fields.mlp.activation_by_name`, with the form of gelu that suits layers. ValueError for an unknown name."""
    return gelu if activation == "gelu" else activation_by_name(activation)


class Affine(eqx.Module):
    """v ↦ v W + b on the last axis, (*s, c) ↦ (*s, k). W and b are drawn from U(−1, 1)/√c."""

    weight: Float[Array, "c k"]
    bias: Float[Array, " k"]

    def __init__(self, num_in: int, num_out: int, *, key: Key[Array, ""]):
        bound, keys = 1 / math.sqrt(num_in), jax.random.split(key)
        self.weight = jax.random.uniform(keys[0], (num_in, num_out), minval=-bound, maxval=bound)
        self.bias = jax.random.uniform(keys[1], (num_out,), minval=-bound, maxval=bound)

    def __call__(self, *parts: Float[Array, "*s _"]) -> Float[Array, "*s k"]:
        """Of the channels of all parts, one after the other, which need not be joined for it."""
        ends = list(accumulate(part.shape[-1] for part in parts))
        first, *others = (part @ rows for part, rows in zip(parts, jnp.split(self.weight, ends[:-1]), strict=True))
        v = sum(others, first)
        return v + spread(self.bias, v)


class ChannelMLP(eqx.Module):
    """Two affine maps with an activation between them."""

    first: Affine
    second: Affine
    activation: str | Activation = eqx.field(static=True)

    def __init__(
        self,
        num_in: int,
        num_hidden: int,
        num_out: int,
        *,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        keys = jax.random.split(key)
        self.first, self.second = Affine(num_in, num_hidden, key=keys[0]), Affine(num_hidden, num_out, key=keys[1])
        self.activation = activation

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s k"]:
        return self.second(nonlinearity(self.activation)(self.first(v)))


class Norm(eqx.Module):
    """Mean 0 and variance 1 over the channels of every point, then a scale and a shift of every channel."""

    scale: Float[Array, " c"]
    shift: Float[Array, " c"]

    def __init__(self, width: int):
        self.scale, self.shift = jnp.ones(width), jnp.zeros(width)

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        v = v - jnp.mean(v, -1, keepdims=True)
        v = v * jax.lax.rsqrt(jnp.mean(v**2, -1, keepdims=True) + 1e-6)
        return v * spread(self.scale, v) + spread(self.shift, v)
