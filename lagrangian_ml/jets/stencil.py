"""The jet of a field on a grid by finite differences: central stencils of second or fourth order, and walls.

Walls are ghost cells (`core.walls`). With one at each end the second-order jet loses accuracy in the cells at a wall
with a value, but solutions of diffusion do not: they remain of second order. The fourth order is kept up to a wall
only if the field itself continues through it as the ghosts do, evenly at a "neumann" wall.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ..core import Grid, Jet, ValueJet, as_walls
from ..core.walls import Boundary, NamedWall, Walls, pad
from ..linalg import make_transform


class StencilJet(Jet):
    """The jet of values (c, *s) on a centred grid between the walls `boundary`, or on any periodic grid.

    `divergence` is conservative: the flux is formed on the faces between cells, from interpolated values. A snapshot
    has no `dt`: that is what an equation's `rate` gives.

    Raises:
        ValueError: if the values do not fit the grid, the grid has walls but is not centred, or `order` is not 2 or 4.
    """

    def __init__(
        self,
        values: Inexact[Array, "c *s"],
        grid: Grid,
        boundary: Boundary | Walls = "periodic",
        t: Any = None,
        order: int = 2,
    ):
        self.value, self.grid, self.t, self.order = values, grid, t, order
        self.walls = as_walls(boundary, grid.dim)
        if values.shape[1:] != grid.shape:
            raise ValueError(f"values (c, *s) must end in the grid's shape {grid.shape}; got {values.shape}.")
        if any(self.walls) and not grid.centred:
            raise ValueError("walls lie on the faces of cells: give a Grid with centred=True, or boundary='periodic'.")
        if order not in (2, 4):
            raise ValueError(f"order={order} is not available: choose 2 or 4.")

    @property
    def x(self):
        return self.grid.points

    def d(self, *axes):
        powers = [axes.count(axis) for axis in range(self.grid.dim)]
        reach = [(power + 1) // 2 + self.order // 2 - 1 if power else 0 for power in powers]
        out = pad(self.value, self.grid, self.walls, reach)
        for axis, (power, width, h) in enumerate(zip(powers, reach, self.grid.spacings, strict=True)):
            if power:
                out = _apply(_weights(tuple(range(-width, width + 1)), power), out, axis + 1) / h**power
        return out

    @cached_property
    def gradient(self):
        return jnp.stack([self.d(i) for i in range(self.grid.dim)], axis=1)

    @cached_property
    def laplacian(self):
        return sum((self.d(i, i) for i in range(1, self.grid.dim)), start=self.d(0, 0))

    def divergence(self, flux):
        return sum((self._flux_difference(flux, i) for i in range(1, self.grid.dim)), self._flux_difference(flux, 0))

    def _flux_difference(self, flux, axis):
        """∂Fᵢ/∂xᵢ from the faces around each cell, order/2 of them on either side."""
        half = self.order // 2
        width = [(self.order - 1) * int(i == axis) for i in range(self.grid.dim)]
        around = tuple(j + 0.5 for j in range(-half, half))
        on_faces = _apply(_weights(around, 0), pad(self.value, self.grid, self.walls, width), axis + 1)
        fluxes = flux(ValueJet(on_faces, self._faces(axis, half), self.t))[:, axis]
        return _apply(_weights(around, 1), fluxes, axis + 1) / self.grid.spacings[axis]

    def _faces(self, axis: int, half: int) -> Float[Array, "d *f"]:
        """The centres of the faces of an axis, `half` − 1 of them outside each end of the grid."""
        axes = [self.grid.axis(i) for i in range(self.grid.dim)]
        number = self.grid.shape[axis] + 2 * half - 1
        axes[axis] = axes[axis][0] + self.grid.spacings[axis] * (np.arange(number) - half + 0.5)
        return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij")))

    @property
    def inverse_laplacian(self):
        """The jet of Δ⁻¹u with zero mean, the mean of u being dropped, by transforms; see `of` for the walls."""
        kinds, width = self._even_walls("inverse_laplacian"), self.order // 2
        transform = make_transform(self.grid.shape, walls=kinds, real=not jnp.iscomplexobj(self.value))
        weights, symbol = _weights(tuple(range(-width, width + 1)), 2), 0
        for kappa, h in zip(transform.wavevectors(self.grid.lengths), self.grid.spacings, strict=True):
            symbol = symbol + sum(w * np.cos(j * h * kappa) for j, w in enumerate(weights, -width)) / h**2
        is_mean = np.all(transform.mode_numbers == 0, axis=0)
        factor = jnp.asarray(np.where(is_mean, 0, 1 / np.where(is_mean, 1, symbol)), self.value.real.dtype)[None]
        inverse = transform.to_values(factor * transform.to_modes(self.value))
        return StencilJet(inverse, self.grid, self.walls, self.t, self.order)

    def of(self, law: Callable[[Jet], Array]) -> "StencilJet":
        """The jet of other values; walls must be "neumann", for of others the conditions on them are not known."""
        self._even_walls("of")
        return StencilJet(law(self), self.grid, self.walls, self.t, self.order)

    def _even_walls(self, asked: str) -> list[str]:
        is_even = lambda wall: isinstance(wall, NamedWall) and wall.name == "neumann"
        if not all(is_even(wall) for pair in self.walls if pair for wall in pair):
            raise ValueError(f"`{asked}` needs an axis to be periodic, or 'neumann' at both ends: u alone has others.")
        return ["neumann" if pair else "periodic" for pair in self.walls]

    @property
    def dt(self):
        raise ValueError("a grid jet is a snapshot in time and has no `dt`; use the equation's `rate`.")


def _apply(weights: Sequence[float], padded: Array, axis: int) -> Array:
    """Σⱼ wⱼ padded[i + j], as long as all j lie inside."""
    count = padded.shape[axis] - len(weights) + 1
    parts = [w * jax.lax.slice_in_dim(padded, j, j + count, axis=axis) for j, w in enumerate(weights) if w]
    return sum(parts[1:], start=parts[0])


@lru_cache
def _weights(offsets: tuple[int | float, ...], derivative: int) -> tuple[float, ...]:
    """The weights of values at the symmetric `offsets` which give a derivative at 0, exact for polynomials."""
    powers = np.arange(len(offsets))
    moments = np.where(powers == derivative, float(np.prod(np.arange(1, derivative + 1))), 0.0)
    weights = np.linalg.solve(np.asarray(offsets, float)[None, :] ** powers[:, None], moments)
    weights = (weights + (-1) ** derivative * weights[::-1]) / 2  # symmetric to the last bit
    return tuple(np.where(np.abs(weights) < 1e-12, 0, weights).tolist())
