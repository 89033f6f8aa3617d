"""The multilayer perceptron, and what every network is made of: dense layers and activations by name.

A network is a function of one input vector, `net(z: (m,)) -> (c,)`; `fields.SpaceTimeField` turns it into a field.
Layers are plain `W @ z + b` and elementwise activations, which the forward Laplacian propagates as a whole.
Weights have Glorot's normal distribution (Glorot and Bengio 2010), biases are zero.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Key

Activation = Callable[[Array], Array]
_ELSEWHERE: dict[str, Activation] = {"sin": jnp.sin, "cos": jnp.cos, "exp": jnp.exp, "identity": lambda z: z}
ACTIVATIONS = ("tanh", "sin", "cos", "gelu", "silu", "softplus", "sigmoid", "elu", "relu", "exp", "identity")


def activation_by_name(activation: str | Activation) -> Activation:
    """The function of that name; a callable is returned as it is. Raises ValueError listing the allowed names."""
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation={activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}, or pass a function."
        )
    return _ELSEWHERE.get(activation) or getattr(jax.nn, activation)


def check_sizes(**sizes: int) -> None:
    """Raises ValueError for a size below 1, by name."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}={size} is not allowed: it is a number of units or layers, at least 1.")


class Linear(eqx.Module):
    """z ↦ W z + b with Glorot's weights and zero bias."""

    weight: Float[Array, "c m"]
    bias: Float[Array, " c"]

    def __init__(self, in_size: int, out_size: int, *, key: Key[Array, ""]):
        self.weight = math.sqrt(2.0 / (in_size + out_size)) * jax.random.normal(key, (out_size, in_size))
        self.bias = jnp.zeros(out_size)

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        return self.weight @ z + self.bias


class MLP(eqx.Module):
    """`depth` hidden layers of `width` units; `MLP(2, 1, width=20, depth=3, key=key)` has 921 parameters."""

    layers: tuple[Linear, ...]
    activation: str | Activation = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        width: int = 20,
        depth: int = 3,
        activation: str | Activation = "tanh",
        key: Key[Array, ""],
    ):
        check_sizes(in_size=in_size, out_size=out_size, width=width, depth=depth)
        activation_by_name(activation)
        sizes = [in_size] + [width] * depth + [out_size]
        keys = jax.random.split(key, depth + 1)
        self.layers = tuple(Linear(m, c, key=k) for m, c, k in zip(sizes[:-1], sizes[1:], keys, strict=True))
        self.activation = activation

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        activation = activation_by_name(self.activation)
        for layer in self.layers[:-1]:
            z = activation(layer(z))
        return self.layers[-1](z)
