"""What layers of one width on one grid have around them: u = Q(layers(P(v, x))), with positions and padding.

P is an affine map of the channels, Q one with a hidden layer (arXiv 2010.08895, figure 2). Padding is a share of the
domain, so that one network serves all resolutions.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, activation_by_name, check_sizes
from .channels import Affine, ChannelMLP
from .layout import check_input, components_first, nodes, same_grid, space_first, spread


class Frame(eqx.Module):
    """Lift, padding and projection of an operator; the layers between are given with every call."""

    lift: Affine
    project: ChannelMLP
    dim: int = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    padding: float = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        width: int,
        num_hidden: int = 128,
        positions: bool = True,
        padding: float = 0.0,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *s) on the grid of the training.
            width: channels between P and Q.
            num_hidden: channels in the hidden layer of Q.
            positions: the place in the unit box is given to P.
            padding: zeros behind the upper end of every axis, as a share of the domain.

        Raises:
            ValueError: for numbers below 1, different grids, a padding outside [0, 1], and an unknown activation.
        """
        check_sizes(width=width, num_hidden=num_hidden)
        num_in, num_out, shape = same_grid(inputs, outputs)
        if not 0 <= padding <= 1:
            raise ValueError(f"padding={padding} is a share of the domain, in [0, 1].")
        activation_by_name(activation)
        keys = jax.random.split(key)
        self.dim, self.positions, self.padding = len(shape), positions, float(padding)
        self.lift = Affine(num_in + self.dim * positions, width, key=keys[0])
        self.project = ChannelMLP(width, num_hidden, num_out, activation=activation, key=keys[1])

    def __call__(self, v: Float[Array, "c *s"], layers: Sequence[Callable[[Array], Array]]) -> Float[Array, "k *s"]:
        """The layers, (*s, width) ↦ (*s, width), one after the other between P and Q.

        Raises:
            ValueError: for another number of components or axes than it was made for.
        """
        check_input(v, self.lift.weight.shape[0] - self.dim * self.positions, self.dim)
        return components_first(self._on_grid(space_first(v), layers))

    def padded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The grid that the layers see."""
        return tuple(n + math.ceil(self.padding * n - 1e-9) for n in shape)

    def _on_grid(self, v, layers):
        shape = v.shape[:-1]
        v = self._lifted(v)
        v = jnp.pad(v, [*((0, m - n) for n, m in zip(shape, self.padded(shape), strict=True)), (0, 0)])
        for layer in layers:
            v = layer(v)
        return self.project(v[tuple(slice(n) for n in shape)])

    def _lifted(self, v):
        """P(v, x); what all samples have in common is computed once."""
        if not self.positions:
            return self.lift(v)
        of_values, of_place = jnp.split(self.lift.weight, [v.shape[-1]])
        shared = nodes(v.shape[:-1], v.dtype).reshape(*v.shape[:-1], -1) @ of_place
        v = v @ of_values
        return v + spread(shared + spread(self.lift.bias, shared), v)
