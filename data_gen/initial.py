"""Initial-condition laws of one field: frozen callables `law(grid, *, key) -> (c, *s)`.

A law draws everything from its key, by fixed numbers folded into it, and draws parameters of the *function*, never
one number for each grid point (`WhiteNoise` is the exception). So one key is one function, and a finer grid shows the
same sample. Wave numbers are those of the exactly periodic box, 2πk/L with the full length L. Laws of several fields
that belong together, such as a gas, are in `initial_systems`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lagrangian_ml.core import Grid
from lagrangian_ml.domains import gaussian_random_field

Law = Callable[..., Array]
Range = tuple[float, float]


def uniform(key: Key[Array, ""], number: int, between: Range, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
    """Draw `number` of a key: uniform in a range."""
    return jax.random.uniform(jax.random.fold_in(key, number), shape, minval=between[0], maxval=between[1])


def require_ranges(law: object, *names: str, positive: bool = False) -> None:
    """ValueError unless the named attributes are ranges (low, high) with low ≤ high, and low > 0 if `positive`."""
    for name in names:
        low, high = getattr(law, name)
        if low > high or positive and low <= 0:
            more = " > 0" if positive else ""
            raise ValueError(f"{type(law).__name__}: {name}={(low, high)} must be a range (low, high){more}.")


def require_shares(law: object, *names: str) -> None:
    """ValueError unless the named attributes are probabilities."""
    for name in names:
        if not 0 <= getattr(law, name) <= 1:
            raise ValueError(f"{type(law).__name__}: {name}={getattr(law, name)} is a probability, from 0 to 1.")


def _require_points(grid: Grid, what: str, highest: int) -> None:
    """ValueError if a grid is too coarse to show the highest mode."""
    if min(grid.shape) <= 2 * highest:
        raise ValueError(f"initial: {what} needs at least {2 * highest + 1} points on every axis; got {grid.shape}.")


@dataclass(frozen=True)
class GaussianRandomField:
    """A Gaussian random field u = Σ √S(κ) ξ_κ φ_κ with independent normal ξ and φ of mean square 1 over the box.

    φ are the Fourier modes of a periodic box (`domains.gaussian_random_field`), κ = 2πk/L, or with `walls="neumann"`
    the products of cosines, κ = πk/L, k ≥ 0. On the unit box PowerLaw(σ, τ, α) gives N(0, σ²(−Δ + τ²)^−α).
    Modes are drawn by absolute number: a finer grid adds modes, and none beyond `max_mode`.
    """

    spectrum: Callable[[Array], Array]
    walls: Literal["periodic", "neumann"] = "periodic"
    zero_mean: bool = False
    max_mode: int | None = None

    def __post_init__(self):
        if self.walls not in ("periodic", "neumann"):
            raise ValueError(f"GaussianRandomField: walls={self.walls!r}; give 'periodic' or 'neumann'.")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 *s"]:
        if self.walls == "neumann":
            return self._cosines(grid, key)
        return gaussian_random_field(
            grid.shape, spectrum=self.spectrum, lengths=grid.lengths, max_mode=self.max_mode,
            zero_mean=self.zero_mean, shift=0.5 * grid.centred, key=key,
        )  # fmt: skip

    def _cosines(self, grid, key):
        sizes = [n if self.max_mode is None else min(n, self.max_mode + 1) for n in grid.shape]
        numbers = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(-1, grid.dim)
        wavevectors = jnp.asarray(np.pi * numbers / np.asarray(grid.lengths))
        coefficients = jnp.sqrt(jax.vmap(self.spectrum)(wavevectors)) * _normal_by_number(key, numbers)
        if self.zero_mean:
            coefficients = jnp.where(jnp.asarray(numbers.any(axis=1)), coefficients, 0.0)
        field = coefficients.reshape(sizes)
        for i, size in enumerate(sizes):  # contracts the first axis, appends that of the grid
            phase = np.pi * np.arange(size) * (grid.axis(i)[:, None] - grid.lower[i]) / grid.lengths[i]
            modes = np.cos(phase) * np.where(np.arange(size) > 0, math.sqrt(2.0), 1.0)
            field = jnp.tensordot(field, jnp.asarray(modes), axes=([0], [1]))
        return field[None]


def _normal_by_number(key, numbers):
    """One normal number for every mode number (n, d), whatever the others."""

    def draw(k):
        mode = key
        for entry in k:
            mode = jax.random.fold_in(mode, entry)
        return jax.random.normal(mode)

    return jax.vmap(draw)(jnp.asarray(numbers, jnp.int32))


@dataclass(frozen=True)
class Threshold:
    """A two-valued field: `above` where `law` is ≥ 0, `below` elsewhere."""

    law: Law
    above: float = 12.0
    below: float = 3.0

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "c *s"]:
        return jnp.where(self.law(grid, key=key) >= 0, self.above, self.below)


@dataclass(frozen=True)
class SineWaves:
    """u = Σᵢ Aᵢ sin(2πkᵢ(x − lower)/L + φᵢ) on an interval, i < `num_waves`, and changes of it at random.

    Aᵢ, kᵢ (integers) and φᵢ are uniform in `amplitude`, `modes` and (0, 2π). With the probability `absolute` u becomes
    |u|; with `flip` its sign is drawn; with the probability `window` it is multiplied by a smooth window of the width
    0.01 at the edges, which lie in `left` and `right`. `constants` is the law of the public PDEBench generator: every
    mode number of the range has a wave, `num_waves` picks (with repetition) say how often its number counts, and a
    wave that was not picked stays as a constant.
    """

    num_waves: int = 2
    modes: tuple[int, int] = (1, 8)
    amplitude: Range = (0.0, 1.0)
    absolute: float = 0.0
    flip: bool = False
    window: float = 0.0
    left: Range = (0.1, 0.45)
    right: Range = (0.55, 0.9)
    constants: bool = False

    def __post_init__(self):
        require_ranges(self, "modes", "amplitude", "left", "right")
        require_shares(self, "absolute", "window")
        if self.num_waves < 1:
            raise ValueError(f"SineWaves: num_waves={self.num_waves} must be at least 1.")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 *s"]:
        if grid.dim != 1:
            raise ValueError(f"SineWaves are made for intervals; this grid has {grid.dim} axes.")
        _require_points(grid, f"modes={self.modes}", self.modes[1])
        return self.at(grid.points[0], grid, key=key)[None]

    def at(self, x: Float[Array, "*s"], grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "*s"]:
        """The function at points of the grid's box."""
        low, high = self.modes
        modes = low + jnp.floor(uniform(key, 0, (0.0, high - low + 1.0), (self.num_waves,)))
        if self.constants:
            numbers = jnp.arange(low, high + 1.0)
            modes = numbers * jnp.sum(modes[:, None] == numbers[None], axis=0)
        amplitude, phase = uniform(key, 1, (0.0, 1.0), (2, modes.size))
        amplitude = self.amplitude[0] + (self.amplitude[1] - self.amplitude[0]) * amplitude
        place = (x - grid.lower[0]) / grid.lengths[0]
        wave = lambda a, k, phase: a * jnp.sin(2 * np.pi * (k * place + phase))
        u = jnp.sum(jax.vmap(wave)(amplitude, modes, phase), axis=0)
        absolute, sign, window, left, right = uniform(key, 2, (0.0, 1.0), (5,))
        u = jnp.where(absolute < self.absolute, jnp.abs(u), u)
        if self.flip:
            u = jnp.where(sign < 0.5, u, -u)
        edges = (low + (high - low) * at for (low, high), at in ((self.left, left), (self.right, right)))
        rise, fall = (jnp.tanh((x - edge) / 0.01) for edge in edges)
        return jnp.where(window < self.window, 0.5 * (rise - fall) * u, u)


@dataclass(frozen=True)
class TruncatedFourier:
    """u = c + Σ a_k cos(2πk·(x − lower)/L + φ_k) over half of the modes with all |kᵢ| ≤ `cutoff`, after APEBench.

    c, a_k and φ_k are uniform in `offset`, `amplitude` and (0, 2π). `scale="max"` divides by max|u|, "unit" moves and
    scales the range of u to [0, 1]; the extremes are those on 32·`cutoff` points an axis, whatever the grid.
    """

    cutoff: int = 5
    amplitude: Range = (-1.0, 1.0)
    offset: Range = (0.0, 0.0)
    scale: Literal["max", "unit"] | None = "max"

    def __post_init__(self):
        require_ranges(self, "amplitude", "offset")
        if self.cutoff < 1:
            raise ValueError(f"TruncatedFourier: cutoff={self.cutoff} must be at least 1.")
        if self.scale not in ("max", "unit", None):
            raise ValueError(f"TruncatedFourier: scale={self.scale!r}; give 'max', 'unit' or null.")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 *s"]:
        _require_points(grid, f"cutoff={self.cutoff}", self.cutoff)
        shape = (2 * self.cutoff + 1,) * (grid.dim - 1) + (self.cutoff + 1,)
        amplitude = uniform(key, 0, self.amplitude, shape).at[(0,) * grid.dim].set(0.0)
        modes = amplitude * jnp.exp(1j * uniform(key, 1, (0.0, 2 * np.pi), shape))
        u = self._sum(modes, grid) + uniform(key, 2, self.offset)
        if self.scale is None:
            return u
        points = Grid((32 * self.cutoff,) * grid.dim, grid.lower, grid.upper)
        reference = self._sum(modes, points) + uniform(key, 2, self.offset)
        if self.scale == "max":
            return u / jnp.max(jnp.abs(reference))
        low, high = jnp.min(reference), jnp.max(reference)
        return (u - low) / (high - low)

    def _sum(self, modes, grid):
        for i, size in enumerate(modes.shape):  # contracts the first axis, appends that of the grid
            # Mode numbers in the order of the FFT; on the last axis none is negative.
            k = np.arange(size) - size * (np.arange(size) > self.cutoff)
            phase = 2 * np.pi * k * (grid.axis(i)[:, None] - grid.lower[i]) / grid.lengths[i]
            modes = jnp.tensordot(modes, jnp.exp(1j * phase), axes=([0], [1]))
        return modes.real[None]


@dataclass(frozen=True)
class InterpolatedNoise:
    """Uniform noise in (−½, ½) at `num_points` nodes an axis, joined by trigonometric interpolation, c components.

    The nodes belong to the box, not to the grid. With an even number the highest mode is the cosine.
    """

    num_points: int = 32
    components: int = 1

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "c *s"]:
        n = self.num_points
        field = uniform(key, 0, (-0.5, 0.5), (self.components,) + (n,) * grid.dim)
        for i in range(grid.dim):  # contracts the first axis of space, appends that of the grid
            place = 2 * np.pi * (grid.axis(i)[:, None] - grid.lower[i]) / grid.lengths[i] - 2 * np.pi * np.arange(n) / n
            k = np.arange(1, (n + 1) // 2)
            kernel = 1 + 2 * np.cos(k * place[..., None]).sum(axis=-1) + (np.cos(n // 2 * place) if n % 2 == 0 else 0)
            field = jnp.tensordot(field, jnp.asarray(kernel / n), axes=([1], [1]))
        return field


@dataclass(frozen=True)
class WhiteNoise:
    """Independent normal numbers of standard deviation `std` in every cell and component.

    White noise is no function: it has no value at a point, so each grid has its own sample. A key is the same sample
    only on the same grid; on finer ones the field is another, and diffusion damps it sooner.
    """

    components: int = 1
    std: float = 1.0

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "c *s"]:
        return self.std * jax.random.normal(jax.random.fold_in(key, 0), (self.components, *grid.shape))


@dataclass(frozen=True)
class UniformLevel:
    """The same value everywhere, uniform in `level`."""

    level: Range = (0.0, 1.0)

    def __post_init__(self):
        require_ranges(self, "level")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 *s"]:
        return jnp.broadcast_to(uniform(key, 0, self.level), (1, *grid.shape))


@dataclass(frozen=True)
class Either:
    """`first` with the probability `share`, else `second`: the draw is part of the sample."""

    first: Law
    second: Law
    share: float = 0.5

    def __post_init__(self):
        require_shares(self, "share")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "c *s"]:
        chosen = uniform(key, 0, (0.0, 1.0)) < self.share
        laws = (law(grid, key=jax.random.fold_in(key, i)) for i, law in enumerate((self.first, self.second), start=1))
        return jnp.where(chosen, *laws)
