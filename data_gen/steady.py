"""Steady problems with a coefficient that is drawn: Darcy flow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Key, PyTree

from lagrangian_ml.core import Grid
from lagrangian_ml.equations import at_points

from .quality import spectrum_tail
from .stored import Kind, Outcome, Variable, check_counts, check_stored, pairs, strided, strided_grid, variable


@dataclass(frozen=True)
class Steady:
    """The solution p of a steady problem beside the coefficient a that was drawn, such as −∇·(a∇p) = f.

    Attributes:
        coefficient: a law `(grid, *, key) -> (1, *s)`.
        solver: `grid -> solver`, where `solver.solve(a, f)` is p.
        source: f, a number or a field `x (d,) -> (1,)`.
        stride: every stride-th point of every axis is stored; on centred grids the mean of stride cells.
        names: what a and p are called.
    """

    grid: Grid
    coefficient: Callable[..., Array]
    solver: Callable[..., Any]
    source: float | Callable[[Array], Array] = 1.0
    stride: int = 1
    names: Mapping[str, Kind] | None = None
    block: int = 16
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self):
        check_counts(self)
        check_stored(self, {"a": "scalar", "p": "scalar"})
        if len(self.names or ()) != 2 or any(kind != "scalar" for kind in dict(self.names or ()).values()):
            raise ValueError(f"names={dict(self.names or ())}: name two scalars, the coefficient and the solution.")

    @property
    def stored_grid(self) -> Grid:
        return strided_grid(self.grid, self.stride)

    @property
    def times(self) -> None:
        return None

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable(name, kind, self.stored_grid, None) for name, kind in pairs(self.names))

    @property
    def num_updates(self) -> int:
        return int(np.prod(self.grid.shape))

    def prepare(self, refine: int = 1) -> PyTree:
        return self.solver(self.grid.refined(refine))

    def draw(self, key: Key[Array, ""]) -> Inexact[Array, "1 *s"]:
        a = self.coefficient(self.grid, key=key)
        if a.shape != (1, *self.grid.shape):
            raise ValueError(f"coefficient gives values of the shape {a.shape}; expected {(1, *self.grid.shape)}.")
        return a

    def solve(self, inputs: Inexact[Array, "1 *s"], refine: int = 1, *, solver: PyTree = None) -> Outcome:
        """`refine` cuts every cell, within which the coefficient stays the same, and takes means of p."""
        solver = self.prepare(refine) if solver is None else solver
        grid, a = self.grid.refined(refine), inputs
        for axis in range(1, a.ndim):
            a = jnp.repeat(a, refine, axis=axis)
        f = at_points(self.source, grid.points) if callable(self.source) else self.source
        fine = solver.solve(a, f)
        p = strided(fine, grid, refine)
        fields = zip((name for name, _ in pairs(self.names)), (inputs, p), strict=True)
        arrays = {name: strided(values, self.grid, self.stride) for name, values in fields}
        return Outcome(arrays, jnp.zeros(()), spectrum_tail(fine))

    def shortened(self) -> "Steady":
        """On a coarser grid: the time of a cell is about the same."""
        shape = tuple(max(min(n, 16), n // 4) for n in self.grid.shape)
        grid = Grid(shape, self.grid.lower, self.grid.upper, self.grid.centred)
        return replace(self, grid=grid, stride=1, names=dict(pairs(self.names)))
