"""Tensorised Fourier neural operator, TFNO (Kossaifi, Kovachki, Azizzadenesheli & Anandkumar, arXiv 2310.00120).

    R_{κ₁…κ_d, i, j} = Σ_{p, q, r} C_{p₁…p_d, q, r} U¹_{κ₁p₁} ⋯ U^d_{κ_d p_d} V_{iq} W_{jr}

The matrices of all modes of a layer are one tensor in Tucker's form, a small complex core and a factor for every axis.

Differs from the paper: the factors are real; every layer has its own tensor; the rank of every axis is the same share
of its size; no normalisation and no further path of the channels. The tensor is put together for every call, which
costs little beside a batch.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .fno import FourierLayer, convolve, last_is_linear
from .frame import Frame
from .spectral import Backend, modes_of_axes


class TuckerConvolution(eqx.Module):
    """K: (*s, c) ↦ (*s, k), with the matrices of all modes in Tucker's form."""

    core: Float[Array, "2 *p q r"]
    factors: tuple[Float[Array, "n p"], ...]
    modes: tuple[int, ...] = eqx.field(static=True)
    backend: Backend = eqx.field(static=True)

    def __init__(
        self,
        num_in: int,
        num_out: int,
        modes: Sequence[int],
        *,
        rank: float = 0.5,
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        """
        Args:
            rank: of every axis of the tensor, as a share of its size.

        Raises:
            ValueError: for a rank outside (0, 1].
        """
        if not 0 < rank <= 1:
            raise ValueError(f"rank={rank} is a share of the size of every axis, in (0, 1].")
        self.modes, self.backend = tuple(modes), backend
        shape = (*(2 * m for m in self.modes[:-1]), self.modes[-1], num_in, num_out)
        ranks = [math.ceil(rank * n - 1e-9) for n in shape]
        first, *keys = jax.random.split(key, 1 + len(shape))
        self.core = jax.random.normal(first, (2, *ranks)) / (math.sqrt(num_in) * num_out)
        draw = lambda n, r, key: jax.random.normal(key, (n, r)) / math.sqrt(r)
        self.factors = tuple(draw(n, r, key) for n, r, key in zip(shape, ranks, keys, strict=True))

    @property
    def weight(self) -> Float[Array, "2 *k c k"]:
        """The whole tensor."""
        weight = self.core
        for factor in self.factors:
            weight = jnp.tensordot(weight, factor, (1, 1))
        return weight

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s k"]:
        return convolve(v, self.weight, self.modes, self.backend)


class TuckerFNO(eqx.Module):
    """An FNO with weights in Tucker's form, see `operators.fno`: (c_in, *s) ↦ (c_out, *s)."""

    frame: Frame
    layers: tuple[FourierLayer, ...]

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        modes: int | Sequence[int],
        rank: float = 0.5,
        width: int = 64,
        num_layers: int = 4,
        num_hidden: int = 128,
        positions: bool = True,
        padding: float = 0.0,
        activation: str | Activation = "gelu",
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        """As `FNO`, and the rank of every axis of the weights as a share of its size, in (0, 1]."""
        check_sizes(num_layers=num_layers)
        keys = iter(jax.random.split(key, 1 + 2 * num_layers))
        settings = {"num_hidden": num_hidden, "positions": positions, "padding": padding, "activation": activation}
        self.frame = Frame(inputs, outputs, width=width, **settings, key=next(keys))
        modes = modes_of_axes(modes, self.frame.padded(inputs[1:]))
        convolution = lambda key: TuckerConvolution(width, width, modes, rank=rank, backend=backend, key=key)
        self.layers = tuple(
            FourierLayer(width, convolution(next(keys)), activation=sigma, key=next(keys))
            for sigma in last_is_linear(activation, num_layers)
        )

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for another number of components or axes than it was made for, and a grid with too few modes."""
        return self.frame(v, self.layers)
