"""Factorised Fourier neural operator, F-FNO (Tran, Mathews, Xie & Ong, arXiv 2111.13802).

    v_{l+1} = v_l + W₂ σ(W₁ (K v_l) + b₁) + b₂,     K v = Σ_a F_a⁻¹ R_a F_a v

(its eq. 7): every axis has a transform and matrices R_a of its own, d·m instead of mᵈ of them. The residual
stands around the whole layer, so that many layers can be trained.

Differs from the paper, as its code does: no σ after the second map. The matrices are not shared among layers; Q sees
the last state, not the last change; its normalised weights, noise on inputs and schedule are matters of training.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .channels import ChannelMLP
from .fno import SpectralConvolution
from .frame import Frame
from .spectral import Backend, modes_of_axes


class FactorisedLayer(eqx.Module):
    """(*s, c) ↦ (*s, c): v plus two affine maps of the sum of convolutions along every axis."""

    convolutions: tuple[SpectralConvolution, ...]
    feed: ChannelMLP

    def __init__(
        self,
        width: int,
        modes: Sequence[int],
        *,
        expansion: int = 2,
        activation: str | Activation = "gelu",
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        first, *keys = jax.random.split(key, 1 + len(modes))
        self.feed = ChannelMLP(width, expansion * width, width, activation=activation, key=first)
        self.convolutions = tuple(
            SpectralConvolution(width, width, (m,), backend=backend, key=key)
            for m, key in zip(modes, keys, strict=True)
        )

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        found = [along(convolution, axis, v) for axis, convolution in enumerate(self.convolutions)]
        return v + self.feed(sum(found[1:], found[0]))


class FactorisedFNO(eqx.Module):
    """An `Operator` of values on periodic grids, or on any box with `padding`: (c_in, *s) ↦ (c_out, *s).

    Without `positions` it commutes with the translations of a periodic grid.
    """

    frame: Frame
    layers: tuple[FactorisedLayer, ...]

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        modes: int | Sequence[int],
        width: int = 64,
        num_layers: int = 4,
        expansion: int = 2,
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
            modes: m of every axis, or of all axes.
            expansion: channels between the two maps of a layer, as a multiple of `width`.
            num_hidden, positions, padding: see `operators.frame`.

        Raises:
            ValueError: for numbers below 1, a grid with too few modes, a padding outside [0, 1], and an unknown
                activation.
        """
        check_sizes(num_layers=num_layers, expansion=expansion)
        keys = jax.random.split(key, 1 + num_layers)
        settings = {"num_hidden": num_hidden, "positions": positions, "padding": padding, "activation": activation}
        self.frame = Frame(inputs, outputs, width=width, **settings, key=keys[0])
        modes = modes_of_axes(modes, self.frame.padded(inputs[1:]))
        parts = {"expansion": expansion, "activation": activation, "backend": backend}
        self.layers = tuple(FactorisedLayer(width, modes, **parts, key=key) for key in keys[1:])

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for another number of components or axes than it was made for, and a grid with too few modes."""
        return self.frame(v, self.layers)


def along(convolution: SpectralConvolution, axis: int, v: Float[Array, "*s c"]) -> Float[Array, "*s k"]:
    """A convolution of one axis, (n, c) ↦ (n, k), at every place of the others."""
    for other in range(v.ndim - 1):
        if other != axis:
            place = 0 if other < axis else 1
            convolution = jax.vmap(convolution, in_axes=place, out_axes=place)
    return convolution(v)
