"""The modified MLP of Wang, Teng and Perdikaris (2021), arXiv 2001.04536, section 2.6.

Two encoders U and V of the input gate every hidden layer: H ← (1 − Z) ⊙ U + Z ⊙ V with Z = σ(W H + b), H = z at
first. As in later codes the first hidden layer is gated like the others.
"""

import equinox as eqx
import jax
from jaxtyping import Array, Inexact, Key

from .mlp import Activation, Linear, activation_by_name, check_sizes


class ModifiedMLP(eqx.Module):
    """`depth` gated hidden layers of `width` units."""

    encoders: tuple[Linear, Linear]
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
        u_key, v_key, *keys = jax.random.split(key, depth + 3)
        self.encoders = Linear(in_size, width, key=u_key), Linear(in_size, width, key=v_key)
        self.layers = tuple(Linear(m, c, key=k) for m, c, k in zip(sizes[:-1], sizes[1:], keys, strict=True))
        self.activation = activation

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        activation = activation_by_name(self.activation)
        u, v = (activation(encoder(z)) for encoder in self.encoders)
        for layer in self.layers[:-1]:
            z = gate(activation(layer(z)), u, v)
        return self.layers[-1](z)


def gate(z: Inexact[Array, " c"], u: Inexact[Array, " c"], v: Inexact[Array, " c"]) -> Inexact[Array, " c"]:
    """(1 − z) ⊙ u + z ⊙ v"""
    return u + z * (v - u)
