"""Equispaced grids: where grid jets, classical solvers and data sets have their values."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Grid(eqx.Module):
    """Equispaced points of the box [lower, upper], `shape[i]` of them on axis i, h = (upper − lower)/shape apart.

    By default they are nodes lower + i h, without the upper end, which on a periodic axis is the lower one again.
    `centred` grids hold the centres lower + (i + ½) h of cells: for finite volumes and for boxes with walls.
    Raises ValueError if an axis has no points or no length.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    centred: bool = eqx.field(static=True)

    def __init__(self, shape, lower, upper, centred: bool = False):
        self.shape = tuple(int(n) for n in shape)
        self.lower, self.upper = (tuple(float(end) for end in ends) for ends in (lower, upper))
        self.centred = centred
        if min(self.shape, default=0) < 1:
            raise ValueError(f"shape={self.shape} needs at least one axis, and at least one point on each.")
        if not len(self.shape) == len(self.lower) == len(self.upper):
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

    def axis(self, i: int) -> np.ndarray:
        """The coordinates of the points on axis i, (shape[i],), in float64."""
        return self.lower[i] + self.spacings[i] * (np.arange(self.shape[i]) + 0.5 * self.centred)

    @property
    def points(self) -> Float[Array, "d *s"]:
        axes = [self.axis(i) for i in range(self.dim)]
        return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij")))

    def refined(self, factor: int) -> "Grid":
        """The same box with `factor` times as many points on every axis."""
        return Grid(tuple(factor * n for n in self.shape), self.lower, self.upper, self.centred)
