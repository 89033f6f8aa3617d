"""Local-global mixing, the layers of DyMixOp (Lai, Chen & Xu, arXiv 2508.13490).

    F_l(v) = σ( D_l v + A_l (G_l v ⊙ L_l v) ),   v_{l+1} = v_l + sigmoid(λ) F_l(v_l),   v = v₀ + Σ_l w_l F_l(v_l) + b

The product of a spectral convolution G and an affine map L of the channels is made after convection, u · ∇u, and makes
frequencies that G has cut off. D, the linear part of the dynamics, is an affine map of v and of its differences. The
steps follow each other like those of an evolution, and all their F are summed in the end.

Differs from the paper and its code: differences are the central ones of first and second order on every axis, with the
span of its three-point kernels in 1-D but of no mixed ones, and measured in spacings of the training grid, so that
other grids see the same function; affine maps that follow each other without activation are one; the projection has a
hidden layer; λ starts at 2, where its sigmoid still has a slope, and there is no other time scale.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .channels import Affine, nonlinearity
from .fno import SpectralConvolution
from .frame import Frame
from .spectral import Backend, modes_of_axes


class LGMLayer(eqx.Module):
    """F: (*s, c) ↦ (*s, c)."""

    linear: Affine
    local: Affine
    convolution: SpectralConvolution
    mix: Affine
    spacing: tuple[int, ...] = eqx.field(static=True)
    activation: str | Activation = eqx.field(static=True)

    def __init__(
        self,
        width: int,
        modes: tuple[int, ...],
        spacing: tuple[int, ...],
        *,
        activation: str | Activation = "gelu",
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        keys = jax.random.split(key, 4)
        self.linear = Affine((1 + 2 * len(modes)) * width, width, key=keys[0])
        self.local, self.mix = Affine(width, width, key=keys[1]), Affine(width, width, key=keys[2])
        self.convolution = SpectralConvolution(width, width, modes, backend=backend, key=keys[3])
        self.spacing, self.activation = spacing, activation

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        linear = self.linear(v, *differences(v, self.spacing))
        return nonlinearity(self.activation)(linear + self.mix(self.convolution(v) * self.local(v)))


class LGM(eqx.Module):
    """An `Operator` of values on periodic grids, or on any box with `padding`: (c_in, *s) ↦ (c_out, *s).

    Without `positions` it commutes with the translations of a periodic grid.
    """

    frame: Frame
    layers: tuple[LGMLayer, ...]
    gate: Float[Array, ""]
    sum: Affine

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        modes: int | Sequence[int],
        width: int = 64,
        num_layers: int = 4,
        num_hidden: int = 128,
        positions: bool = True,
        padding: float = 0.0,
        activation: str | Activation = "gelu",
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *s) on the grid of the training.
            modes: m of every axis for G, see `operators.spectral`, or of all axes.
            num_hidden, positions, padding: see `operators.frame`.

        Raises:
            ValueError: for numbers below 1, a grid with too few modes, a padding outside [0, 1], and an unknown
                activation.
        """
        check_sizes(num_layers=num_layers)
        keys = jax.random.split(key, 2 + num_layers)
        settings = {"num_hidden": num_hidden, "positions": positions, "padding": padding, "activation": activation}
        self.frame = Frame(inputs, outputs, width=width, **settings, key=keys[0])
        shape = self.frame.padded(inputs[1:])
        parts = {"activation": activation, "backend": backend}
        layer = lambda key: LGMLayer(width, modes_of_axes(modes, shape), shape, **parts, key=key)
        self.layers = tuple(layer(key) for key in keys[2:])
        self.gate = 2 * jnp.ones(())  # a bare 2.0 would be weakly typed, and the first steps compiled twice
        self.sum = Affine(num_layers, 1, key=keys[1])

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for another number of components or axes than it was made for, and a grid with too few modes."""
        return self.frame(v, [self._evolve])

    def _evolve(self, v):
        start, total = v, self.sum.bias[0]
        for layer, weight in zip(self.layers, self.sum.weight, strict=True):
            change = layer(v)
            v, total = v + jax.nn.sigmoid(self.gate) * change, total + weight[0] * change
        return start + total


def differences(v: Float[Array, "*s c"], spacing: Sequence[int]) -> list[Float[Array, "*s c"]]:
    """(v₊ − v₋)/2h and (v₊ − 2v + v₋)/h² on every periodic axis, h measured in those of a grid of `spacing` points."""
    found = []
    for axis, n in enumerate(spacing):
        after, before, per = jnp.roll(v, -1, axis), jnp.roll(v, 1, axis), v.shape[axis] / n
        found += [0.5 * per * (after - before), per**2 * (after - 2 * v + before)]
    return found
