"""Exact solutions of advection: what was drawn, moved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from lagrangian_ml.core import Grid

from .quality import spectrum_tail
from .stored import Kind, Outcome, Variable, check_counts, check_stored, pairs, split, variable


@dataclass(frozen=True)
class Translation:
    """The exact solution u₀(x − v t) of advection, periodic in the box: the law is evaluated at points moved back.

    `initial` must read `grid.points` and nothing that was made on a grid at rest, such as Fourier modes.
    """

    grid: Grid
    initial: Callable[..., Array]
    velocity: tuple[float, ...]
    horizon: float
    num_frames: int
    names: Mapping[str, Kind] | None = None
    block: int = 16
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self):
        check_counts(self, num_frames=2)
        if not 0 < self.horizon < float("inf"):
            raise ValueError(f"horizon={self.horizon} must be > 0.")
        if len(self.velocity) != self.grid.dim:
            raise ValueError(f"velocity={self.velocity} needs one entry for each of {self.grid.dim} axes.")
        check_stored(self, {"u": "scalar"})

    @property
    def stored_grid(self) -> Grid:
        return self.grid

    @property
    def times(self) -> np.ndarray:
        return self.horizon / (self.num_frames - 1) * np.arange(self.num_frames)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable(name, kind, self.grid, self.num_frames) for name, kind in pairs(self.names))

    @property
    def num_updates(self) -> int:
        return int(np.prod(self.grid.shape)) * self.num_frames

    def prepare(self, refine: int = 1) -> PyTree:
        return None

    def draw(self, key: Key[Array, ""]) -> Key[Array, ""]:
        return key

    def solve(self, inputs: Key[Array, ""], refine: int = 1, *, solver: PyTree = None) -> Outcome:
        def frame(t):
            grid = MovedGrid(self.grid, jnp.asarray(self.velocity) * t)
            values = self.initial(grid, key=inputs)
            if not grid.uses:
                raise ValueError(f"initial={type(self.initial).__name__} does not read the points, so it cannot move.")
            return values, spectrum_tail(values)

        values, tail = jax.lax.map(frame, jnp.asarray(self.times))
        return Outcome(split(values, self.names, self.grid.dim), jnp.zeros(()), jnp.max(tail))

    def shortened(self) -> "Translation":
        return replace(self, num_frames=2, names=dict(pairs(self.names)))


class MovedGrid(Grid):
    """A grid seen by a flow that has moved by `shift`: its points are moved back, and stay in the box."""

    shift: Float[Array, " d"]
    uses: list = eqx.field(static=True)  # one entry for every time that the points were read

    def __init__(self, grid: Grid, shift: Float[Array, " d"]):
        super().__init__(grid.shape, grid.lower, grid.upper, grid.centred)
        self.shift, self.uses = shift, []

    @property
    def points(self) -> Float[Array, "d *s"]:
        self.uses.append("points")
        column = lambda a: jnp.reshape(jnp.asarray(a), (-1,) + (1,) * self.dim)
        lower = column(self.lower)
        return lower + jnp.mod(super().points - column(self.shift) - lower, column(self.lengths))
