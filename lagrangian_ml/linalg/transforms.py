"""Transforms between values on an equispaced grid and modes: Fourier on periodic axes, sines or cosines between walls.

Periodic axes: û_m = Σⱼ uⱼ exp(−2πi mj/n) and u = (1/n) Σ û_m exp(+2πi mj/n), as `numpy.fft`. Walls, on the centres
xⱼ = j + ½ of n cells: "dirichlet" û_m = 2 Σ uⱼ sin(π m xⱼ/n), m = 1 … n (DST-II), "neumann" the same with cosines,
m = 0 … n − 1 (DCT-II), as `scipy.fft`. Only the modes |m| < dealias·n/2 (walls: m < dealias·n) of every axis are
kept, a Galerkin truncation; dealias = 1 keeps all. `to_modes` drops the others, `to_values` relies on it.

Back ends, equal to rounding: "fft" keeps the usual layout and masks, "pruned" carries the kept modes only and
transforms only rows that have some, "matrix" multiplies by the matrix of each axis: for small grids and for TPUs.
"auto" is the fastest on CPUs, or nearly: "fft" in 1-D and for complex fields, else "matrix" below 64 points an axis,
else "pruned".
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from .modes import SWAP, WALLS, Axis, Transform
from .trigonometric import dct, dst, idct, idst


class FFT(Transform):
    """Fast transforms in the usual layout, (m ≥ 0, m < 0) on every axis; what is not kept is zero."""

    def to_modes(self, values):
        modes = self._along_walls(values, _fast_forward)
        if self._periodic:
            transform = jnp.fft.rfftn if self._halved else jnp.fft.fftn
            modes = transform(modes, axes=self._periodic)
        return self.truncated(modes)

    def to_values(self, modes):
        if self._halved:
            modes = jnp.fft.irfftn(modes, s=[self.shape[i] for i in self._periodic], axes=self._periodic)
        elif self._periodic:
            modes = jnp.fft.ifftn(modes, axes=self._periodic)
        return self._along_walls(modes, _fast_backward)

    @cached_property
    def _periodic(self) -> list[int]:
        """The periodic axes, counted from the last one, the halved one at the end."""
        return [i - len(self.axes) for i, axis in enumerate(self.axes) if axis.basis not in SWAP]

    @cached_property
    def _halved(self) -> bool:
        return any(axis.basis == "half" for axis in self.axes)

    def _along_walls(self, x: Array, transform: Callable[[Axis, Array], Array]) -> Array:
        for i, axis in enumerate(self.axes, -len(self.axes)):
            if axis.basis in SWAP:
                x = jnp.moveaxis(transform(axis, jnp.moveaxis(x, i, -1)), -1, i)
        return x


class PrunedFFT(Transform):
    """Fast transforms, axis after axis, of the rows that hold kept modes; only these are stored."""

    def to_modes(self, values):
        for i in self._order:
            values = self._along(i, values, forward=True)
        return values

    def to_values(self, modes):
        for i in reversed(self._order):
            modes = self._along(i, modes, forward=False)
        return modes

    @cached_property
    def _order(self) -> list[int]:
        """Axes in the order of `to_modes`: walls, on real values still; then the halved axis, then the others."""
        rank = {"sin": 0, "cos": 0, "half": 1, "exp": 2}
        return sorted(range(len(self.axes)), key=lambda i: rank[self.axes[i].basis])

    def _along(self, i: int, x: Array, forward: bool) -> Array:
        axis, transform = self.axes[i], _fast_forward if forward else _fast_backward
        return jnp.moveaxis(transform(axis, jnp.moveaxis(x, i - len(self.axes), -1)), -1, i - len(self.axes))


def _fast_forward(axis: Axis, x: Array) -> Array:
    """The stored modes of the last axis."""
    if axis.basis == "exp":
        modes, positive = jnp.fft.fft(x), axis.count
        negative = len(axis.modes) - positive
        return modes if negative + positive == axis.n else _join(modes[..., :positive], modes[..., axis.n - negative :])
    if axis.basis == "half":
        return jnp.fft.rfft(x)[..., : axis.count]
    zero = jnp.zeros_like(x[..., :1])
    modes = _join(dct(x), zero) if axis.basis == "cos" else _join(zero, dst(x))
    return modes[..., axis.first : axis.first + axis.count]


def _fast_backward(axis: Axis, modes: Array) -> Array:
    """Values from the stored modes of the last axis."""
    if axis.basis == "exp":
        gap = axis.n - modes.shape[-1]
        if gap:
            zeros = jnp.zeros((*modes.shape[:-1], gap), modes.dtype)
            modes = _join(modes[..., : axis.count], zeros, modes[..., axis.count :])
        return jnp.fft.ifft(modes)
    if axis.basis == "half":
        return jnp.fft.irfft(modes, axis.n)
    ends = (axis.first, axis.n + 1 - axis.first - axis.count)
    modes = jnp.pad(modes, [(0, 0)] * (modes.ndim - 1) + [ends])
    return idct(modes[..., :-1]) if axis.basis == "cos" else idst(modes[..., 1:])


def _join(*parts: Array) -> Array:
    return jnp.concatenate(parts, axis=-1)


class MatrixDFT(PrunedFFT):
    """Products with the real matrix of each axis, (cos, −sin) for exponentials: n² work, but no other overhead."""

    def _along(self, i, x, forward):
        axis, position = self.axes[i], i - len(self.axes)
        x = jnp.moveaxis(x, position, -1)
        forward_matrix, backward_matrix = _matrices(axis)
        dtype = jnp.finfo(x.dtype).dtype
        matrix = jnp.asarray(forward_matrix if forward else backward_matrix, dtype)
        if axis.basis in SWAP:
            out = lax.complex(x.real @ matrix, x.imag @ matrix) if jnp.iscomplexobj(x) else x @ matrix
        elif axis.basis == "half" and forward:
            out = _as_complex(x @ matrix)
        elif axis.basis == "half":
            out = _as_real(x) @ matrix
        else:
            out = _as_complex(_as_real(x) @ matrix)
        return jnp.moveaxis(out, -1, position)


def _as_real(x: Array) -> Array:
    """(re, im) beside each other on the last axis."""
    return _join(x.real, x.imag)


def _as_complex(x: Array) -> Array:
    return lax.complex(*jnp.split(x, 2, axis=-1))


@lru_cache
def _matrices(axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """The matrices that multiply rows from the right: values to modes, and back."""
    m, n = axis.modes, axis.n
    if axis.basis in SWAP:
        function = np.sin if axis.basis == "sin" else np.cos
        values = function(np.pi / n * _modulo(np.outer(m, 2 * np.arange(n) + 1), 4 * n) / 2)
        return 2 * values.T, np.where((m == 0) | (m == n), 0.5, 1)[:, None] * values / n
    angle = 2 * np.pi / n * _modulo(np.outer(m, np.arange(n)), n)
    cos, sin = np.cos(angle), np.sin(angle)
    if axis.basis == "half":
        weight = np.where((m == 0) | (2 * m == n), 1, 2)[:, None] / n
        return np.concatenate([cos.T, -sin.T], axis=1), np.concatenate([weight * cos, -weight * sin])
    forward = np.block([[cos.T, -sin.T], [sin.T, cos.T]])
    return forward, forward.T / n


def _modulo(k: np.ndarray, n: int) -> np.ndarray:
    """k mod n, so that the angles are exact to rounding for large k."""
    return np.mod(k, n)


BACKENDS = {"fft": FFT, "pruned": PrunedFFT, "matrix": MatrixDFT}


def make_transform(
    shape: Sequence[int],
    dealias: float = 1.0,
    backend: str = "auto",
    real: bool = True,
    walls: Sequence[str] | str = "periodic",
) -> Transform:
    """The transform of fields on `shape` points that keeps the fraction `dealias` of the modes of every axis.

    `walls` names each axis (or all): "periodic", "dirichlet" or "neumann". Real fields (`real`) on periodic axes
    store half of the last of these.

    Raises:
        ValueError: if dealias lies outside (0, 1], or a back end or a wall is unknown.
    """
    walls = (walls,) * len(shape) if isinstance(walls, str) else tuple(walls)
    if not 0 < dealias <= 1:
        raise ValueError(f"dealias={dealias} must lie in (0, 1]; 2/3 suits quadratic terms, 1/2 cubic ones.")
    if len(walls) != len(shape) or not set(walls) <= set(WALLS):
        raise ValueError(f"walls={walls}: name one of {', '.join(WALLS)} for each of the {len(shape)} axes.")
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"the back end {backend!r} is unknown; choose one of auto, {', '.join(BACKENDS)}.")
    halved = max((i for i, wall in enumerate(walls) if wall == "periodic" and real), default=None)
    axes = [Axis.of(n, wall, dealias, i == halved) for i, (n, wall) in enumerate(zip(shape, walls, strict=True))]
    if backend == "auto":
        if not real or len(shape) == 1:
            backend = "fft"
        else:
            backend = "matrix" if max(shape) < 64 else "pruned"
    if backend != "fft":
        axes = [axis.pruned() for axis in axes]
    return BACKENDS[backend](tuple(axes))
