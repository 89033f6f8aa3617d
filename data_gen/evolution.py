"""Solutions that evolve: drawn initial values, a classical solver, frames at equal times."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact, Key, PyTree

from lagrangian_ml.core import Equation, Grid, rollout

from .quality import spectrum_tail
from .stored import Kind, Outcome, Variable, check_counts, check_stored, pairs, split, strided, strided_grid, variable


@dataclass(frozen=True)
class Evolution:
    """Initial values drawn by a law, advanced by a solver, stored at `num_frames` equally spaced times up to `horizon`.

    Attributes:
        initial: a law `(grid, *, key) -> (c, *s)`.
        solver: `(equation, grid, dt) -> solver`; dt follows from horizon, frames and steps.
        num_frames: how many are stored; the first is that of t = 0 unless `keep_initial` is false.
        warmup_frames: frames before t = 0, which are not stored.
        stride: every stride-th point of every axis is stored; on centred grids the mean of stride cells.
        observe: what is stored of the values: a map (c, *s) -> (m, *s), or the name of the equation's method.
        names: the names of what is stored and what each is, `{density: scalar, velocity: vector}`, in the order of
            the components; a vector takes as many as there are dimensions. One component is called u.
    """

    equation: Equation
    grid: Grid
    initial: Callable[..., Array]
    solver: Callable[..., Any]
    horizon: float
    num_frames: int
    steps_per_frame: int
    keep_initial: bool = True
    warmup_frames: int = 0
    stride: int = 1
    observe: str | Callable[[Array], Array] | None = None
    names: Mapping[str, Kind] | None = None
    block: int = 16
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self):
        check_counts(self, steps_per_frame=1, num_frames=1 + self.keep_initial, warmup_frames=0)
        if not 0 < self.horizon < float("inf"):
            raise ValueError(f"horizon={self.horizon} must be > 0.")
        if self.equation.steady:
            raise ValueError(f"equation={type(self.equation).__name__} is steady: it does not evolve.")
        if isinstance(self.observe, str) and not callable(getattr(self.equation, self.observe, None)):
            raise ValueError(f"observe={self.observe}: {type(self.equation).__name__} has no such method.")
        if self.names is None and self.observe is None and self.equation.num_components > 1:
            raise ValueError(
                f"names: {type(self.equation).__name__} has {self.equation.num_components} components; name what is "
                "stored, such as {density: scalar, velocity: vector}."
            )
        check_stored(self, {"u": "scalar"})

    @property
    def num_intervals(self) -> int:
        return self.num_frames - self.keep_initial

    @property
    def dt(self) -> float:
        return self.horizon / (self.num_intervals * self.steps_per_frame)

    @property
    def stored_grid(self) -> Grid:
        return strided_grid(self.grid, self.stride)

    @property
    def times(self) -> np.ndarray:
        return self.horizon / self.num_intervals * np.arange(1 - self.keep_initial, self.num_intervals + 1)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(variable(name, kind, self.stored_grid, self.num_frames) for name, kind in pairs(self.names))

    @property
    def num_updates(self) -> int:
        return int(np.prod(self.grid.shape)) * self.steps_per_frame * (self.num_intervals + self.warmup_frames)

    def prepare(self, refine: int = 1) -> PyTree:
        return self.solver(self.equation, self.grid, self.dt / refine)

    def draw(self, key: Key[Array, ""]) -> Inexact[Array, "c *s"]:
        values = self.initial(self.grid, key=key)
        expected = (self.equation.num_components, *self.grid.shape)
        if values.shape != expected:
            raise ValueError(
                f"initial gives values of the shape {values.shape}; {type(self.equation).__name__} on this grid "
                f"needs {expected}."
            )
        return values

    def solve(self, inputs: Inexact[Array, "c *s"], refine: int = 1, *, solver: PyTree = None) -> Outcome:
        solver = self.prepare(refine) if solver is None else solver
        steps = refine * self.steps_per_frame
        state = solver.init(inputs)
        if self.warmup_frames:
            num_steps = self.warmup_frames * steps
            state = jax.tree.map(lambda a: a[-1], rollout(solver, state, num_steps, save_every=num_steps))

        def save(state):
            values = solver.values(state)
            return self._observed(values), solver.courant(values), spectrum_tail(values, _kept(solver))

        values, courant, tail = rollout(solver, state, self.num_intervals * steps, save_every=steps, save=save)
        first, first_courant, first_tail = save(state)
        if self.keep_initial:
            values = jnp.concatenate([first[None], values])
        courant, tail = jnp.append(courant, first_courant), jnp.append(tail, first_tail)
        largest = jnp.max(jnp.where(jnp.isfinite(courant), courant, 0))  # of what has blown up, that before
        return Outcome(split(values, self.names, self.grid.dim), largest, jnp.max(tail))

    def shortened(self) -> "Evolution":
        """One interval of at most 8 steps."""
        steps, frames = min(8, self.steps_per_frame), 1 + self.keep_initial
        return replace(
            self, horizon=self.dt * steps, num_frames=frames, steps_per_frame=steps, warmup_frames=0,
            names=dict(pairs(self.names)),
        )  # fmt: skip

    def _observed(self, values):
        observe = getattr(self.equation, self.observe) if isinstance(self.observe, str) else self.observe
        return strided(values if observe is None else observe(values), self.grid, self.stride)


def _kept(solver) -> float:
    """The share of the modes of every axis that the solver carries: less than 1 if it dealiases."""
    basis = getattr(solver, "basis", None)
    width = lambda axis: axis.n if axis.basis in ("sin", "cos") else axis.n / 2
    return 1.0 if basis is None else min(min(1.0, axis.bound / width(axis)) for axis in basis.axes)
