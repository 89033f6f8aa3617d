"""Fourier neural operator (Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart & Anandkumar, arXiv 2010.08895).

    v₀ = P(a, x),   v_{l+1} = σ(W_l v_l + b_l + K_l v_l),   u = Q(v_L),   (K v)(x) = Σ_κ (R_κ v̂_κ) exp(2πi κ·x)

(its eqs. 2, 4 and 5): P, W and b are affine maps of the channels, Q one with a hidden layer; R_κ are complex matrices
of channels for the kept modes, and zero beyond. There is no σ after the last layer.

Differs from the paper: no batch normalisation, as in its later code; gelu by tanh; padding, see `operators.frame`.
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, check_sizes
from .channels import Affine, nonlinearity
from .frame import Frame
from .spectral import Backend, modes_of_axes, to_modes, to_values


class SpectralConvolution(eqx.Module):
    """K: (*s, c) ↦ (*s, k), a matrix of channels for every kept mode; real and imaginary parts in one real array."""

    weight: Float[Array, "2 *k c k"]
    modes: tuple[int, ...] = eqx.field(static=True)
    backend: Backend = eqx.field(static=True)

    def __init__(
        self,
        num_in: int,
        num_out: int,
        modes: Sequence[int],
        *,
        backend: Backend = "dft",
        key: Key[Array, ""],
    ):
        self.modes, self.backend = tuple(modes), backend
        shape = (2, *(2 * m for m in self.modes[:-1]), self.modes[-1], num_in, num_out)
        self.weight = jax.random.uniform(key, shape) / (num_in * num_out)

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s k"]:
        return convolve(v, self.weight, self.modes, self.backend)


def convolve(
    v: Float[Array, "*s c"], weight: Float[Array, "2 *k c k"], modes: Sequence[int], backend: Backend = "dft"
) -> Float[Array, "*s k"]:
    """The modes of v times a complex matrix each, back on the grid. ValueError where it has too few modes."""
    (re, im), (real, imaginary) = to_modes(v, modes, backend), weight
    mix = lambda part, matrix: jnp.einsum("...c,...ck->...k", part, matrix)
    mixed = mix(re, real) - mix(im, imaginary), mix(re, imaginary) + mix(im, real)
    return to_values(mixed, v.shape[:-1], backend)


class FourierLayer(eqx.Module):
    """σ(v W + b + Σ paths(v)): an affine map of the channels beside the convolution K, and what else is given."""

    local: Affine
    paths: tuple[Callable[[Array], Array], ...]
    activation: str | Activation = eqx.field(static=True)

    def __init__(self, width: int, *paths: Callable[[Array], Array], activation: str | Activation, key: Key[Array, ""]):
        self.local, self.paths, self.activation = Affine(width, width, key=key), paths, activation

    def __call__(self, v: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
        total = sum((path(v) for path in self.paths), self.local(v))
        return nonlinearity(self.activation)(total)


class FNO(eqx.Module):
    """An `Operator` of values on periodic grids, or on any box with `padding`: (c_in, *s) ↦ (c_out, *s).

    Without `positions` it commutes with the translations of a periodic grid.
    """

    frame: Frame
    layers: tuple[FourierLayer, ...]
    modes: tuple[int, ...] = eqx.field(static=True)

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
            modes: m of every axis, see `operators.spectral`, or of all axes.
            num_hidden: channels in the hidden layer of Q.
            positions: the place in the unit box is given to P.
            padding: zeros behind the upper end of every axis, as a share of the domain.

        Raises:
            ValueError: for numbers below 1, a grid with too few modes, a padding outside [0, 1], and an unknown
                activation.
        """
        check_sizes(num_layers=num_layers)
        keys = iter(jax.random.split(key, 1 + 2 * num_layers))
        settings = {"num_hidden": num_hidden, "positions": positions, "padding": padding, "activation": activation}
        self.frame = Frame(inputs, outputs, width=width, **settings, key=next(keys))
        self.modes = modes_of_axes(modes, self.frame.padded(inputs[1:]))
        convolution = lambda key: SpectralConvolution(width, width, self.modes, backend=backend, key=key)
        self.layers = tuple(
            FourierLayer(width, convolution(next(keys)), activation=sigma, key=next(keys))
            for sigma in last_is_linear(activation, num_layers)
        )

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for another number of components or axes than it was made for, and a grid with too few modes."""
        return self.frame(v, self.layers)


def last_is_linear(activation: str | Activation, num_layers: int) -> list[str | Activation]:
    """The activation of every layer: none after the last."""
    return [activation] * (num_layers - 1) + ["identity"]
