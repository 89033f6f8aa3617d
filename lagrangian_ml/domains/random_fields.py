"""Gaussian random fields on periodic grids, by absolute mode number.

u(x) = Σ_k √S(2πk/L) c_k exp(2πi k·x/L) with independent complex normal c_k, E|c_k|² = 1 and c_{−k} = c̄_k. The
coefficient c_k depends on the key and on the integer wavevector k alone, so that one key is the same field at every
resolution: a finer grid only adds modes. Modes with some |k_i| ≥ n_i/2 do not exist on a grid of n_i points (the
Nyquist mode is left out). The variance of u is the sum of S over the modes.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key


class PowerLaw(eqx.Module):
    """S(κ) = amplitude² (|κ|² + τ²)^−α, the field N(0, amplitude² (−Δ + τ²)^−α) of the operator-learning papers."""

    amplitude: float | int = 1.0
    tau: float | int = 1.0
    alpha: float | int = 2.0

    def __call__(self, wavevector: Float[Array, " d"]) -> Float[Array, ""]:
        return self.amplitude**2 * (jnp.sum(wavevector**2) + self.tau**2) ** -self.alpha


class SquaredExponential(eqx.Module):
    """S(κ) = amplitude² exp(−|κ|² ℓ²/2): correlations fall off like a Gaussian of length ℓ.

    The variance of the field is about amplitude² (L / √(2π) ℓ)^d in a box of length L.
    """

    length: float | int = 0.2
    amplitude: float | int = 1.0

    def __call__(self, wavevector: Float[Array, " d"]) -> Float[Array, ""]:
        return self.amplitude**2 * jnp.exp(-0.5 * self.length**2 * jnp.sum(wavevector**2))


@eqx.filter_jit
def gaussian_random_field(
    shape: Sequence[int],
    *,
    spectrum: Callable[[Array], Array],
    lengths: Sequence[float | int] | None = None,
    max_mode: int | None = None,
    std: float | int | None = None,
    zero_mean: bool = False,
    shift: float | int = 0.0,
    key: Key[Array, ""],
) -> Float[Array, "1 *s"]:
    """One sample on the grid x_i = (i + shift) L/n of every axis, 0 ≤ i < n (lengths L default to 1).

    `spectrum(wavevector (d,)) -> S` is the variance of a mode; `std` rescales all modes so that this is the pointwise
    standard deviation (the scale then depends on the grid's modes: give `max_mode` too if resolutions are to agree).
    Modes with some |k_i| > max_mode are zero. `zero_mean` drops the mode 0.
    """
    shape = tuple(shape)
    lengths = (1.0,) * len(shape) if lengths is None else tuple(lengths)
    if len(lengths) != len(shape):
        raise ValueError(f"lengths={lengths} needs one entry for each axis of shape={shape}.")
    modes = [np.arange(m) - m * (np.arange(m) >= (m + 1) // 2) for m in shape]  # in the order of the FFT
    k = np.stack([g.ravel() for g in np.meshgrid(*modes, indexing="ij")], axis=-1).astype(np.int32)
    exists = np.all(2 * np.abs(k) < np.asarray(shape), axis=1)
    if max_mode is not None:
        exists &= np.all(np.abs(k) <= max_mode, axis=1)
    if zero_mean:
        exists &= np.any(k != 0, axis=1)
    kappa = jnp.asarray(2 * math.pi * k / np.asarray(lengths), jnp.result_type(float))
    variance = jnp.where(jnp.asarray(exists), jax.vmap(spectrum)(kappa), 0.0)
    if std is not None:
        variance = variance * std**2 / jnp.sum(variance)
    normal = jax.vmap(lambda k: _mode(key, k))
    here, opposite = normal(jnp.asarray(k)), normal(jnp.asarray(-k))
    # Adding the conjugate of the opposite mode makes the field real.
    coefficients = jax.lax.complex(here[:, 0] + opposite[:, 0], here[:, 1] - opposite[:, 1]) / math.sqrt(2.0)
    spectral = jnp.sqrt(variance).astype(coefficients.dtype) * coefficients
    if shift:
        spectral = spectral * np.exp(2j * math.pi * shift * (k / np.asarray(shape)).sum(axis=1))
    spectral = spectral.reshape(shape)
    return jnp.fft.ifftn(spectral, norm="forward").real[None]


def _mode(key, k):
    """Real and imaginary part, of variance ½ each, of the random number that belongs to the wavevector k."""
    for entry in k:
        key = jax.random.fold_in(key, 2 * jnp.abs(entry) + (entry < 0).astype(entry.dtype))
    return jax.random.normal(key, (2,)) * math.sqrt(0.5)
