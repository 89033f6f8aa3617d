"""Transolver (Wu, Luo, Wang, Wang & Long 2024, arXiv 2402.02366): attention between learned slices of the domain.

    w_im = softmax_m(A x_i),   s_m = Σ_i w_im B x_i / Σ_i w_im,   s'_m = Σ_l softmax_l(q_m·k_l / √h) t_l,
    x_i ← x_i + C Σ_m w_im s'_m,   x_i ← x_i + MLP(x_i)

Every point i belongs to the slices m to shares w_im; a slice is a token s_m of what its points carry, tokens attend to
each other (q, k, t are linear in s), and give back to their points. Cost is linear in the number of points.
Each head, with h of the channels, has slices of its own. Both maps see normalised channels.

Differs from the authors' code: one affine map from channels to the shares, without a temperature; grids are taken as
clouds of points, without convolutions.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ..fields.mlp import Activation, activation_by_name, check_sizes
from .channels import Affine, ChannelMLP, Norm
from .cloud import Cloud, as_cloud, at_its_points, same_points


class PhysicsAttention(eqx.Module):
    """Slices, attention between them, and back: (n, c) ↦ (n, c); points outside the mask are in no slice."""

    shares: Affine
    contents: Affine
    attend: Affine
    back: Affine
    num_heads: int = eqx.field(static=True)

    def __init__(self, width: int, num_heads: int, num_slices: int, *, key: Key[Array, ""]):
        keys, self.num_heads = jax.random.split(key, 4), num_heads
        self.shares = Affine(width, num_heads * num_slices, key=keys[0])
        self.contents, self.back = Affine(width, width, key=keys[1]), Affine(width, width, key=keys[2])
        self.attend = Affine(width // num_heads, 3 * (width // num_heads), key=keys[3])

    def __call__(self, x: Float[Array, "n c"], mask: Bool[Array, " n"]) -> Float[Array, "n c"]:
        heads = lambda v: v.reshape(v.shape[0], self.num_heads, -1)
        w_nhm = jax.nn.softmax(heads(self.shares(x)), -1) * mask[:, None, None]
        s_hmk = jnp.einsum("nhm,nhk->hmk", w_nhm, heads(self.contents(x))) / (jnp.sum(w_nhm, 0)[..., None] + 1e-5)
        query, key, value = jnp.split(self.attend(s_hmk), 3, -1)
        attention = jax.nn.softmax(jnp.einsum("hmk,hlk->hml", query, key) / math.sqrt(query.shape[-1]), -1)
        return self.back(jnp.einsum("nhm,hmk->nhk", w_nhm, attention @ value).reshape(x.shape))


class Layer(eqx.Module):
    """Attention and a map of the channels, each of normalised channels and added to what came in."""

    norms: tuple[Norm, Norm]
    attention: PhysicsAttention
    mlp: ChannelMLP

    def __call__(self, x: Float[Array, "n c"], mask: Bool[Array, " n"]) -> Float[Array, "n c"]:
        x = x + self.attention(self.norms[0](x), mask)
        return x + self.mlp(self.norms[1](x))


class Transolver(eqx.Module):
    """An `Operator` of values on grids, (c_in, *s) ↦ (c_out, *s), or of clouds, `Cloud` ↦ (n, c_out) at its points.

    It serves any grid and any number of points.
    """

    lift: ChannelMLP
    layers: tuple[Layer, ...]
    norm: Norm
    project: Affine
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: Cloud | Sequence[int],
        outputs: Sequence[int],
        *,
        width: int = 64,
        num_layers: int = 4,
        num_heads: int = 4,
        num_slices: int = 32,
        num_hidden: int = 128,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes on the points of the training, (c_in, *s) and (c_out, *s), or see `Cloud`.
            num_slices: of every head.
            num_hidden: channels in the hidden layers of the lift and of the maps of channels.

        Raises:
            ValueError: for numbers below 1, a width that is no multiple of `num_heads`, shapes on different points, and
                an unknown activation.
        """
        check_sizes(
            width=width, num_layers=num_layers, num_heads=num_heads, num_slices=num_slices, num_hidden=num_hidden
        )
        if width % num_heads:
            raise ValueError(f"width={width} is not a multiple of num_heads={num_heads}.")
        activation_by_name(activation)
        num_in, num_out, self.dim = same_points(inputs, outputs)
        keys = iter(jax.random.split(key, 2 + 2 * num_layers))
        mlp = lambda num_in: ChannelMLP(num_in, num_hidden, width, activation=activation, key=next(keys))
        attention = lambda: PhysicsAttention(width, num_heads, num_slices, key=next(keys))
        self.lift, self.project = mlp(num_in + self.dim), Affine(width, num_out, key=next(keys))
        self.layers = tuple(Layer((Norm(width), Norm(width)), attention(), mlp(width)) for _ in range(num_layers))
        self.norm = Norm(width)

    def __call__(self, v: Cloud | Float[Array, "c *s"]) -> Float[Array, "..."]:
        """ValueError for other numbers of components or dimensions than it was made for."""
        values, points, mask = as_cloud(v, self.lift.first.weight.shape[0] - self.dim, self.dim)
        x = self.lift(jnp.concatenate([values, points], -1))
        for layer in self.layers:
            x = layer(x, mask)
        return at_its_points(self.project(self.norm(x)), v)
