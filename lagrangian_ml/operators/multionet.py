"""MultiONet (Zang & Koutsourelakis 2025, arXiv 2502.06250): a DeepONet that listens to all layers.

    u_j(y) = 1/L Σ_l w_jl Σ_k b⁽ˡ⁾_jk(v) t⁽ˡ⁾_k(y) + β_j

The hidden layers l = 1, …, L of the branch b and of the trunk t, which are as wide as each other, are multiplied layer
by layer; a DeepONet multiplies only the last ones.

Differs from the paper, whose outputs are scalar: several outputs share the trunk, and the branch is wider by their
number. The weights w_jl, which begin at 1, are those of the authors' code; β is one number an output. Branch and trunk
have the same activation.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields import MLP
from ..fields.mlp import Activation, activation_by_name, check_sizes
from .layout import check_sensors, evaluate


class MultiONet(eqx.Module):
    """An `Operator` from values at fixed sensors to values anywhere, as `DeepONet`."""

    branch: MLP
    trunk: MLP
    weight: Float[Array, "k l"]
    bias: Float[Array, " k"]
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        width: int = 64,
        num_layers: int = 4,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *r) on the grids of the training.
            width: of the layers of the trunk; those of the branch have c_out times as many units.
            num_layers: L, behind a first layer that takes the input, and is not multiplied.

        Raises:
            ValueError: for numbers below 1 and an unknown activation.
        """
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        check_sizes(inputs=min(self.inputs), outputs=min(self.outputs), width=width, num_layers=num_layers)
        keys, wide = jax.random.split(key), self.outputs[0] * width
        network = lambda num_in, width, key: MLP(
            num_in, width, width=width, depth=num_layers, activation=activation, key=key
        )
        self.branch = network(math.prod(self.inputs), wide, keys[0])
        self.trunk = network(len(self.outputs) - 1, width, keys[1])
        self.weight, self.bias = jnp.ones((self.outputs[0], num_layers)), jnp.zeros(self.outputs[0])

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"] | None = None) -> Float[Array, "..."]:
        """ValueError for an input at other sensors, and points of another dimension, than it was made for."""
        check_sensors(v, points, self.inputs, len(self.outputs) - 1)
        num_out, num_layers = self.weight.shape
        coefficients = hidden_layers(self.branch, v.reshape(-1)).reshape(num_layers, num_out, -1)
        coefficients = coefficients * self.weight.T[..., None] / num_layers
        basis = jax.vmap(lambda y: hidden_layers(self.trunk, y))
        u = lambda x: jnp.einsum("mlk,lck->mc", basis(x), coefficients) + self.bias[None]
        return evaluate(u, points, self.outputs, v.dtype)


def hidden_layers(network: MLP, z: Float[Array, " m"]) -> Float[Array, "l k"]:
    """What every layer but the first gives, with the activation, the last included."""
    activation, found = activation_by_name(network.activation), []
    for layer in network.layers:
        z = activation(layer(z))
        found.append(z)
    return jnp.stack(found[1:])
