"""PirateNet, the physics-informed residual adaptive network of Wang, Li, Chen and Perdikaris (2024), arXiv 2402.00326.

On Fourier features Φ(z) stand residual blocks of three dense layers, the first two gated by encoders U and V of Φ:
x ← α h(x) + (1 − α) x with a trained α per block that starts at 0 (equations 4.1–4.8). The network is therefore
linear in Φ at first and deepens as it learns. Weights are not factorised, and the last layer starts at random.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Key

from .inputs import FourierFeatures
from .mlp import Activation, Linear, activation_by_name, check_sizes
from .modified_mlp import gate


class PirateNet(eqx.Module):
    """`depth` residual blocks of three layers of `width` units; `width` is even, half of it sines, half cosines."""

    features: FourierFeatures
    encoders: tuple[Linear, Linear]
    blocks: tuple[tuple[Linear, Linear, Linear], ...]
    alphas: Float[Array, " depth"]
    last: Linear
    activation: str | Activation = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        width: int = 32,
        depth: int = 2,
        scale: float | int = 1.0,
        activation: str | Activation = "tanh",
        key: Key[Array, ""],
    ):
        check_sizes(in_size=in_size, out_size=out_size, width=width, depth=depth)
        activation_by_name(activation)
        if width % 2:
            raise ValueError(f"width={width} must be even: the features are as many sines as cosines.")
        features_key, *keys = jax.random.split(key, 3 * depth + 4)
        dense = lambda: Linear(width, width, key=keys.pop())
        self.features = FourierFeatures(in_size, width // 2, scale=scale, key=features_key)
        self.encoders = dense(), dense()
        self.blocks = tuple((dense(), dense(), dense()) for _ in range(depth))
        self.alphas = jnp.zeros(depth)
        self.last = Linear(width, out_size, key=keys.pop())
        self.activation = activation

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        activation = activation_by_name(self.activation)
        x = self.features(z)
        u, v = (activation(encoder(x)) for encoder in self.encoders)
        for i, (first, second, third) in enumerate(self.blocks):
            h = gate(activation(first(x)), u, v)
            h = gate(activation(second(h)), u, v)
            x = x + self.alphas[i] * (activation(third(h)) - x)
        return self.last(x)
