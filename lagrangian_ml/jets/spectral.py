"""The jet of a field on a periodic grid: derivatives are products with ik in Fourier space."""

from functools import cached_property

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ..core import Jet, ValueJet


class PeriodicGrid(eqx.Module):
    """Equispaced points of a periodic box; the upper end is not stored, being the lower one again.

    Fourier coefficients of real fields are those of `rfftn` (last axis halved), of complex fields those of `fftn`;
    `wavevectors` and `fields` below take `real` to say which. Axis i has `shape[i]` points in [lower, upper)."""

    shape: tuple[int, ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, shape, lower, upper):
        self.shape = tuple(int(n) for n in shape)
        self.lower, self.upper = (tuple(float(end) for end in ends) for ends in (lower, upper))
        if not (len(self.shape) == len(self.lower) == len(self.upper)) or min(self.shape, default=0) < 1:
            raise ValueError(f"shape, lower and upper need one entry an axis; got {shape}, {lower}, {upper}.")
        if not all(a < b for a, b in zip(self.lower, self.upper, strict=True)):
            raise ValueError(f"lower must lie below upper on every axis; got {self.lower} and {self.upper}.")

    @property
    def dim(self) -> int:
        return len(self.shape)

    @property
    def lengths(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def spacings(self) -> tuple[float, ...]:
        return tuple(length / n for length, n in zip(self.lengths, self.shape, strict=True))

    @property
    def points(self) -> Float[Array, "d *s"]:
        axes = [
            a + length / n * np.arange(n) for a, length, n in zip(self.lower, self.lengths, self.shape, strict=True)
        ]
        return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij")))

    def mode_numbers(self, real: bool = True) -> np.ndarray:
        """Integer wave numbers of the coefficients, (d, *k)."""
        axes = [np.fft.fftfreq(n, 1 / n) for n in self.shape]
        if real:
            axes[-1] = np.fft.rfftfreq(self.shape[-1], 1 / self.shape[-1])
        return np.rint(np.stack(np.meshgrid(*axes, indexing="ij")))

    def wavevectors(self, real: bool = True) -> Float[Array, "d *k"]:
        """2π·mode/length, (d, *k)."""
        scale = 2 * np.pi / np.reshape(self.lengths, (self.dim,) + (1,) * self.dim)
        return jnp.asarray(scale * self.mode_numbers(real))

    def to_modes(self, values: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """(…, *s) to Fourier coefficients (…, *k), by the dtype of `values` real or complex."""
        transform = jnp.fft.fftn if jnp.iscomplexobj(values) else jnp.fft.rfftn
        return transform(values, axes=tuple(range(-self.dim, 0)))

    def to_values(self, modes: Inexact[Array, "..."], real: bool = True) -> Inexact[Array, "..."]:
        """Fourier coefficients (…, *k) to values (…, *s)."""
        axes = tuple(range(-self.dim, 0))
        return jnp.fft.irfftn(modes, s=self.shape, axes=axes) if real else jnp.fft.ifftn(modes, axes=axes)


class SpectralJet(Jet):
    """The jet of values (c, *s) on a periodic grid, exact for band-limited fields.

    The Nyquist mode is dropped from derivatives of odd order, whose sign on it is undefined. A snapshot has no
    `dt`: that is what an equation's `rate` gives."""

    def __init__(self, values: Inexact[Array, "c *s"], grid: PeriodicGrid, t: Float[Array, ""] | float | None = None):
        if values.shape[1:] != grid.shape:
            raise ValueError(f"values (c, *s) must end in the grid's shape {grid.shape}; got {values.shape}.")
        self.value, self.grid, self.t = values, grid, t
        self._real = not jnp.iscomplexobj(values)

    @property
    def x(self):
        return self.grid.points

    @cached_property
    def _modes(self):
        return self.grid.to_modes(self.value)

    def _values(self, modes):
        return self.grid.to_values(modes, self._real)

    def _multiplier(self, axes: tuple[int, ...]) -> Array:
        k = self.grid.wavevectors(self._real)
        out = jnp.ones(k.shape[1:], jnp.result_type(k, 1j))
        for axis in set(axes):
            power, n = axes.count(axis), self.grid.shape[axis]
            factor = (1j * k[axis]) ** power
            if power % 2 and n % 2 == 0:
                nyquist = np.abs(self.grid.mode_numbers(self._real)[axis]) == n // 2
                factor = jnp.where(nyquist, 0.0, factor)
            out = out * factor
        return out

    def d(self, *axes):
        return self._values(self._multiplier(axes)[None] * self._modes)

    @cached_property
    def gradient(self):
        return jnp.stack([self.d(i) for i in range(self.grid.dim)], axis=1)

    @cached_property
    def laplacian(self):
        return self._values(-self._square[None] * self._modes)

    @property
    def _square(self):
        return jnp.sum(self.grid.wavevectors(self._real) ** 2, axis=0)

    @property
    def inverse_laplacian(self):
        """Δ⁻¹u with zero mean (the mean of u is dropped)."""
        square = self._square[None]
        return self._values(jnp.where(square == 0, 0.0, -1 / jnp.where(square == 0, 1.0, square)) * self._modes)

    @property
    def dt(self):
        raise ValueError("a grid jet is a snapshot in time and has no `dt`; use the equation's `rate`.")

    def divergence(self, flux):
        """Conservative: the flux is formed on the grid and differentiated in Fourier space."""
        fluxes = self.grid.to_modes(flux(ValueJet(self.value, self.x, self.t)))
        return self._values(sum(self._multiplier((i,))[None] * fluxes[:, i] for i in range(self.grid.dim)))
