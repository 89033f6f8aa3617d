"""U-FNO (Wen, Li, Azizzadenesheli, Anandkumar & Benson, arXiv 2109.03697).

    v_{l+1} = σ(W_l v_l + b_l + K_l v_l),   l < h,       v_{l+1} = σ(W_l v_l + b_l + K_l v_l + U_l v_l),   l ≥ h

Fourier layers, then U-Fourier layers with a small U-Net U beside the convolution K, which sees what K cuts off.

Differs from the paper: U is made of the blocks of `operators.unet` on half the grid and below, with the same channels
on every level; no batch normalisation and no dropout; gelu; no activation after the last layer, as in `operators.fno`.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .fno import FourierLayer, SpectralConvolution, last_is_linear
from .frame import Frame
from .spectral import Backend, modes_of_axes
from .unet import Coarse, check_halvings


class UFNO(eqx.Module):
    """An `Operator` of values on grids whose points are divisible by 2^num_levels: (c_in, *s) ↦ (c_out, *s).

    It serves other such grids, but the kernels of U are as wide in points, not in space. Without `positions` it
    commutes with translations of a periodic grid by multiples of 2^num_levels points.
    """

    frame: Frame
    layers: tuple[FourierLayer, ...]
    num_levels: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        modes: int | Sequence[int],
        width: int = 64,
        num_layers: int = 2,
        num_u_layers: int = 2,
        num_levels: int = 2,
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
            modes: m of every axis, see `operators.spectral`, or of all axes.
            num_layers, num_u_layers: Fourier layers, and U-Fourier layers after them.
            num_levels: grids of every U, each of half the points of the one before.
            num_hidden, positions, padding: see `operators.frame`; with a padding, U pads with zeros too.

        Raises:
            ValueError: for numbers below 1, a grid with too few modes or, with its padding, not divisible by
                2^num_levels, a padding outside [0, 1], and an unknown activation.
        """
        check_sizes(num_layers=num_layers, num_u_layers=num_u_layers, num_levels=num_levels)
        first, *keys = jax.random.split(key, 1 + num_layers + num_u_layers)
        settings = {"num_hidden": num_hidden, "positions": positions, "padding": padding, "activation": activation}
        self.frame, self.num_levels = Frame(inputs, outputs, width=width, **settings, key=first), num_levels
        shape = self.frame.padded(inputs[1:])
        modes = modes_of_axes(modes, shape)
        check_halvings(shape, num_levels)
        block = {"growth": 1, "kernel": 3, "boundary": "zeros" if padding else "periodic", "activation": activation}

        def layer(number, key, sigma):
            keys = jax.random.split(key, 3)
            convolution = SpectralConvolution(width, width, modes, backend=backend, key=keys[0])
            beside = [Coarse(width, len(modes), num_levels, **block, key=keys[1])] if number >= num_layers else []
            return FourierLayer(width, convolution, *beside, activation=sigma, key=keys[2])

        sigmas = last_is_linear(activation, len(keys))
        self.layers = tuple(layer(*each) for each in zip(range(len(keys)), keys, sigmas, strict=True))

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for other components or axes than it was made for, and a grid without its modes and levels."""
        check_halvings(self.frame.padded(v.shape[1:]), self.num_levels)
        return self.frame(v, self.layers)
