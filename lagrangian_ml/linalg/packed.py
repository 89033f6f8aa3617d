"""Real FFTs by complex ones of half the work: fields two by two, and a single one as two of half the length.

A complex FFT takes a + ib at the price of one field; a and b being real, their modes are its even and odd parts about
k = 0. A single field a is taken as a₂ⱼ + i a₂ⱼ₊₁, on half the points of the last axis. On CPUs XLA's complex FFT is
up to twice as fast per operation as its real one. The two fields of a pair share rounding errors.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from .modes import Transform


class PackedFFT(Transform):
    """Periodic real fields: of the last axis the kept m ≥ 0 are stored, of the others all m, zero if not kept."""

    def to_modes(self, values):
        fields = values.reshape(-1, *self.shape)
        half, modes = len(fields) // 2, []
        if half:
            modes += self._pair_to_modes(fields[:half], fields[half : 2 * half])
        if len(fields) % 2:
            modes.append(self._single_to_modes(fields[-1:]))
        return self.truncated(jnp.concatenate(modes)).reshape(*values.shape[: -len(self.shape)], *self.kept.shape)

    def to_values(self, modes):
        fields = self.truncated(modes).reshape(-1, *self.kept.shape)
        half, values = len(fields) // 2, []
        if half:
            values += self._pair_to_values(fields[:half], fields[half : 2 * half])
        if len(fields) % 2:
            values.append(self._single_to_values(fields[-1:]))
        return jnp.concatenate(values).reshape(*modes.shape[: -len(self.shape)], *self.shape)

    def _pair_to_modes(self, a: Array, b: Array) -> list[Array]:
        """â = (ŵ(k) + ŵ*(−k))/2 and b̂ = (ŵ(k) − ŵ*(−k))/2i of w = a + ib."""
        count, n = self.axes[-1].count, self.shape[-1]
        modes = jnp.fft.fftn(lax.complex(a, b), axes=self._axes)
        here = modes[..., :count]
        there = self._mirrored(_join(modes[..., :1], modes[..., n + 1 - count :][..., ::-1]))
        return [0.5 * (here + there), _times_i(-0.5 * (here - there))]

    def _pair_to_values(self, a: Array, b: Array) -> list[Array]:
        """a and b from ŵ(k) = â(k) + i b̂(k) and ŵ(−k) = â*(k) + i b̂*(k)."""
        n, half = self.shape[-1], (self.shape[-1] - 1) // 2  # half: the modes that are stored at k and meant at −k
        here, there = a + _times_i(b), self._mirrored(a - _times_i(b))
        first, *last = (0.5 * (here[..., [i]] + there[..., [i]]) for i in self._ends)
        inner = slice(1, min(self.axes[-1].count - 1, half) + 1)
        gap = jnp.zeros((*here.shape[:-1], n - 1 - len(last) - 2 * here[..., inner].shape[-1]), here.dtype)
        modes = _join(first, here[..., inner], gap, *last, there[..., inner][..., ::-1])
        values = jnp.fft.ifftn(modes, axes=self._axes)
        return [values.real, values.imag]

    def _single_to_modes(self, a: Array) -> Array:
        """â = (ŵ + ŵ*(−k))/2 + e (ŵ − ŵ*(−k))/2i, e = exp(−2πik/n), of wⱼ = a₂ⱼ + i a₂ⱼ₊₁."""
        count, n = self.axes[-1].count, self.shape[-1]
        if n % 2:
            return jnp.fft.rfftn(a, axes=self._axes)[..., :count]
        modes = jnp.fft.fftn(lax.complex(a[..., ::2], a[..., 1::2]), axes=self._axes)
        modes = _join(modes, modes[..., :1])
        here, there = modes[..., :count], self._mirrored(modes[..., ::-1][..., :count])
        turns = self._turns(here)
        return 0.5 * (1 - turns) * here + 0.5 * (1 + turns) * there

    def _single_to_values(self, modes: Array) -> Array:
        """The modes k = 0 … n/2 − 1 of wⱼ = a₂ⱼ + i a₂ⱼ₊₁: ½(1 + i/e) â(k) and, at n/2 − k, ½(1 + ie) â*(k)."""
        count, n = self.axes[-1].count, self.shape[-1]
        if n % 2:
            return jnp.fft.irfftn(modes, s=self.shape, axes=self._axes)
        there = self._mirrored(modes)
        first, *last = (0.5 * (modes[..., [i]] + there[..., [i]]) for i in self._ends)
        turns = self._turns(modes)
        here = 0.5 * (1 - jnp.conj(turns[..., : n // 2])) * _join(first, modes[..., 1 : n // 2])
        there = 0.5 * (1 + turns) * _join(there[..., : n // 2], *last)
        pad = lambda x, before: jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, n // 2 - before - x.shape[-1])])
        values = jnp.fft.ifftn(pad(here, 0) + pad(there[..., :0:-1], n // 2 + 1 - count), axes=self._axes)
        return jnp.stack([values.real, values.imag], axis=-1).reshape(*values.shape[:-1], n)

    def _mirrored(self, modes: Array) -> Array:
        """The complex conjugate, at −k on all axes but the last."""
        for axis in self._axes[:-1]:
            first, rest = jnp.split(modes, [1], axis=axis)
            modes = jnp.concatenate([first, jnp.flip(rest, axis)], axis=axis)
        return jnp.conj(modes)

    @property
    def _axes(self) -> list[int]:
        return list(range(-len(self.shape), 0))

    @property
    def _ends(self) -> list[int]:
        """The columns of the last axis that are their own mirror images: m = 0 and, if it is stored, n/2."""
        count = self.axes[-1].count
        return [0, count - 1] if 2 * (count - 1) == self.shape[-1] else [0]

    def _turns(self, like: Array) -> Array:
        """i exp(−2πik/n) for the stored k, (1, …, k)."""
        turns = 1j * np.exp(-2j * np.pi / self.shape[-1] * np.arange(self.axes[-1].count))
        return jnp.asarray(turns, like.dtype).reshape((1,) * (like.ndim - 1) + turns.shape)


def _times_i(x: Array) -> Array:
    return lax.complex(-x.imag, x.real)


def _join(*parts: Array) -> Array:
    return jnp.concatenate(parts, axis=-1)
