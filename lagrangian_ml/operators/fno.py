"""Fourier neural operator (Li, Kovachki, Azizzadenesheli, Liu, Bhattacharya, Stuart & Anandkumar, arXiv 2010.08895).

    v₀ = P(a, x),   v_{l+1} = σ(W_l v_l + b_l + K_l v_l),   u = Q(v_L),   (K v)(x) = Σ_κ (R_κ v̂_κ) exp(2πi κ·x)

(its eqs. 2, 4 and 5): P, W and b are affine maps of the channels, Q one with a hidden layer; R_κ are complex matrices
of channels for the kept modes, and zero beyond. There is no σ after the last layer.

Differs from the paper: no batch normalisation, as in its later code; gelu by tanh;
padding is a share of the domain, so that one network serves all resolutions.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import Activation, activation_by_name, check_sizes
from .channels import Affine, ChannelMLP
from .layout import check_input, components_first, same_grid, space_first, with_positions
from .spectral import Backend, check_modes, to_modes, to_values


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
        (re, im), (real, imaginary) = to_modes(v, self.modes, self.backend), self.weight
        mix = lambda part, weight: jnp.einsum("...c,...ck->...k", part, weight)
        mixed = mix(re, real) - mix(im, imaginary), mix(re, imaginary) + mix(im, real)
        return to_values(mixed, v.shape[:-1], self.backend)


class FNO(eqx.Module):
    """An `Operator` of values on periodic grids, or on any box with `padding`: (c_in, *s) ↦ (c_out, *s).

    Without `positions` it commutes with the translations of a periodic grid.
    """

    lift: Affine
    convolutions: tuple[SpectralConvolution, ...]
    local: tuple[Affine, ...]
    project: ChannelMLP
    activation: str | Activation = eqx.field(static=True)
    positions: bool = eqx.field(static=True)
    padding: float = eqx.field(static=True)

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
        check_sizes(width=width, num_layers=num_layers, num_hidden=num_hidden)
        num_in, num_out, shape = same_grid(inputs, outputs)
        modes = (modes,) * len(shape) if isinstance(modes, int) else tuple(modes)
        if not 0 <= padding <= 1:
            raise ValueError(f"padding={padding} is a share of the domain, in [0, 1].")
        keys = iter(jax.random.split(key, 2 + 2 * num_layers))
        self.lift = Affine(num_in + (len(modes) if positions else 0), width, key=next(keys))
        self.project = ChannelMLP(width, num_hidden, num_out, activation=activation, key=next(keys))
        convolution = lambda key: SpectralConvolution(width, width, modes, backend=backend, key=key)
        self.convolutions = tuple(convolution(next(keys)) for _ in range(num_layers))
        self.local = tuple(Affine(width, width, key=next(keys)) for _ in range(num_layers))
        activation_by_name(activation)
        self.activation, self.positions, self.padding = activation, positions, float(padding)
        check_modes([n + self._margin(n) for n in shape], modes)

    @property
    def modes(self) -> tuple[int, ...]:
        return self.convolutions[0].modes

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for another number of components or axes than it was made for, and a grid with too few modes."""
        dim = len(self.modes)
        check_input(v, self.lift.weight.shape[0] - dim * self.positions, dim)
        check_modes([n + self._margin(n) for n in v.shape[1:]], self.modes)
        return components_first(self._on_grid(space_first(v)))

    def _on_grid(self, v):
        activation, shape = activation_by_name(self.activation), v.shape[:-1]
        v = with_positions(v) if self.positions else v
        v = jnp.pad(self.lift(v), [*((0, self._margin(n)) for n in shape), (0, 0)])
        for number, (convolution, local) in enumerate(zip(self.convolutions, self.local, strict=True), 1):
            v = convolution(v) + local(v)
            v = activation(v) if number < len(self.local) else v
        return self.project(v[tuple(slice(n) for n in shape)])

    def _margin(self, n):
        return math.ceil(self.padding * n - 1e-9)
