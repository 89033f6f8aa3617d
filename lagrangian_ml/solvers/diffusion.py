"""Diffusion beside a conservation law: its flux through faces by central differences, and how fast it decays waves."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..core import Equation, GradientJet, Grid
from ..core.walls import Walls, pad
from ..jets import linear_symbol
from .cells import first, last


def diffusion(
    equation: Equation,
    reflection: Int[np.ndarray, "c d"] | None,
    grid: Grid,
    walls: Walls,
    values: Float[Array, "c *s"],
) -> Float[Array, "c *s"]:
    """div of `diffusive_flux`, which reads the mean and the differences of the cells beside each face."""
    cells, total = pad(values, grid, walls, 1, signs=reflection), jnp.zeros_like(values)
    for axis, h in enumerate(grid.spacings):
        slopes = [_slope(cells, grid, i, axis) for i in range(grid.dim)]
        face = GradientJet(_beside(_inner(cells, {axis}), axis), jnp.stack(slopes, axis=1))
        flux = equation.diffusive_flux(face)[:, axis]
        total = total + (last(flux, axis) - first(flux, axis)) / h
    return total


def _slope(cells, grid, i, axis):
    """∂ᵢ on the faces of an axis."""
    if i == axis:
        return _difference(_inner(cells, {axis}), axis) / grid.spacings[axis]
    across = last(_difference(cells, i), i) + first(_difference(cells, i), i)
    return _beside(_inner(across, {axis, i}), axis) / (2 * grid.spacings[i])


def _difference(cells, axis):
    return last(cells, axis) - first(cells, axis)


def _beside(cells, axis):
    return 0.5 * (last(cells, axis) + first(cells, axis))


def _inner(cells, axes):
    """Without the ghost cells, one at each end, of all axes but those given."""
    return cells[:, *(slice(None) if i in axes else slice(1, -1) for i in range(cells.ndim - 1))]


def decay_of_diffusion(equation: Equation, grid: Grid, values: Float[Array, "c *s"]) -> Float[Array, "*s"]:
    """The decay rate of the shortest waves by `diffusive_flux` G: the trace of ∂Gᵢ/∂(∂ᵢu) bounds it."""
    still = jnp.zeros((values.shape[0], grid.dim, *grid.shape), values.dtype)
    flux = lambda slopes: equation.diffusive_flux(GradientJet(values, slopes))
    trace = lambda c, i: jax.jvp(flux, (still,), (still.at[c, i].set(1),))[1][c, i]
    rates = (4 / h**2 * trace(c, i) for c in range(values.shape[0]) for i, h in enumerate(grid.spacings))
    return sum(rates, start=jnp.zeros(grid.shape, values.dtype))


def decay_of_linear(equation: Equation, grid: Grid, order: int) -> float | Float[Array, ""]:
    """A bound of the rates of `linear` under central differences of an order; 0 unless it has a symbol."""
    if not equation.states("linear"):
        return 0.0
    shortest = np.sqrt({2: 4.0, 4: 16 / 3}[order]) / np.asarray(grid.spacings)  # what ∂ᵢᵢ does to it
    try:
        symbol = linear_symbol(equation, jnp.asarray(shortest))
    except ValueError:
        return 0.0
    return jnp.max(jnp.sum(jnp.abs(symbol), axis=1))
