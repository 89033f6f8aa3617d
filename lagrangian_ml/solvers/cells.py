"""Means of cells: of a field, of and from point values across an axis, and the jets of cells and faces."""

from collections.abc import Callable
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import Field, Grid, ValueJet
from ..equations import at_points


def cell_means(field: Field, grid: Grid, num_points: int = 3) -> Float[Array, "c *s"]:
    """The means of a steady field in the cells of a grid, by Gauss–Legendre quadrature: exact to degree 2n − 1."""
    nodes, weights = np.polynomial.legendre.leggauss(num_points)
    choices = list(product(range(num_points), repeat=grid.dim))
    offsets = 0.5 * np.asarray(grid.spacings) * nodes[np.array(choices)]
    shares = np.prod(0.5 * weights[np.array(choices)], axis=1)

    @jax.jit
    def mean(points):
        def add(total, node):  # a loop, in which the compiler sees the field once
            offset, share = (a.astype(points.dtype) for a in node)
            moved = points + offset.reshape(-1, *(1 for _ in grid.shape))
            return total + share * at_points(field, moved), None

        zero = jnp.zeros_like(jax.eval_shape(partial(at_points, field), points))
        return jax.lax.scan(add, zero, (jnp.asarray(offsets), jnp.asarray(shares)))[0]

    return mean(grid.points)


class CellJet(ValueJet):
    """Values at the centres of cells or faces, whose coordinates are made only if they are read."""

    def __init__(self, value: Array, t: Array, axes: Callable[[], list[np.ndarray]]):
        super().__init__(value, None, t)
        self._axes = axes

    @property
    def x(self):
        return jnp.asarray(np.stack(np.meshgrid(*self._axes(), indexing="ij")), self.value.dtype)


# Means over an interval from values at its middle, and back, to sixth order: the coefficients of δ² and δ⁴.
_TO_MEANS, _TO_POINTS = (1 / 24, -17 / 5760), (-1 / 24, 3 / 640)
CONVERSION_RADIUS = 2


def means_to_points(values: Float[Array, "c *s"], axis: int) -> Float[Array, "c *r"]:
    """Values in the middle, along one axis, from means; two cells at each end are used up."""
    return _convert(values, axis, _TO_POINTS)


def points_to_means(values: Float[Array, "c *s"], axis: int) -> Float[Array, "c *r"]:
    """The inverse of `means_to_points`, to its order."""
    return _convert(values, axis, _TO_MEANS)


def _convert(values, axis, coefficients):
    size = values.shape[axis + 1] - 2 * CONVERSION_RADIUS
    a, b, c, d, e = (jax.lax.slice_in_dim(values, k, k + size, axis=axis + 1) for k in range(5))
    second, fourth = b - 2 * c + d, a - 4 * b + 6 * c - 4 * d + e
    return c + coefficients[0] * second + coefficients[1] * fourth


def first(values: Array, axis: int) -> Array:
    """All but the last along a space axis: what lies left of faces, or left faces of cells. (c, *s)"""
    return jax.lax.slice_in_dim(values, 0, values.shape[axis + 1] - 1, axis=axis + 1)


def last(values: Array, axis: int) -> Array:
    """All but the first along a space axis. (c, *s)"""
    return jax.lax.slice_in_dim(values, 1, values.shape[axis + 1], axis=axis + 1)
