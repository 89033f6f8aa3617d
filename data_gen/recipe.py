"""Recipes: all that decides the numbers of a data set, but for the seed. They are built from `dataset=…` configs.

A recipe is a frozen dataclass. The generator knows only what `Recipe` says: how ONE sample is drawn from a key and
solved, what of it is stored, and how many samples are computed together.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Key, PyTree

from lagrangian_ml.core import Equation, Grid, rollout

from .quality import spectrum_tail

AXES = ("x", "y", "z")
Kind = Literal["scalar", "vector"]


@dataclass(frozen=True)
class Variable:
    """What is stored under one name: of one sample an array of this shape, ([t,] c, *s), with named axes."""

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]
    kind: Kind
    evolving: bool


class Outcome(NamedTuple):
    """One solved sample: what is stored, the largest finite Courant number of the frames, and their largest tail."""

    arrays: dict[str, Inexact[Array, "..."]]
    courant: Float[Array, ""]
    tail: Float[Array, ""]


class Recipe(Protocol):
    """What the generator knows of a recipe. All is of ONE sample, in float64; a block of samples is one `vmap`."""

    @property
    def block(self) -> int: ...  # samples computed together: sample i stands in block i // block, always
    @property
    def dtype(self) -> str: ...  # of what is stored
    @property
    def variables(self) -> tuple[Variable, ...]: ...
    @property
    def stored_grid(self) -> Grid: ...
    @property
    def times(self) -> np.ndarray | None: ...  # (t,), None if steady
    @property
    def num_updates(self) -> int: ...  # cell-updates of one sample
    def prepare(self, refine: int = 1) -> PyTree: ...  # the solver, with its `max_courant` if it has a bound
    def draw(self, key: Key[Array, ""]) -> PyTree: ...
    def solve(self, inputs: PyTree, refine: int = 1, *, solver: PyTree = None) -> Outcome: ...
    def shortened(self) -> "Recipe": ...  # the same with little work, to measure the time of an update


def sample_key(seed: int, index: Any, retry: Any = 0) -> Key[Array, ""]:
    """The key of sample `index`; `retry` counts the draws that were rejected."""
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, index), retry)


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
        _check_counts(self, steps_per_frame=1, num_frames=1 + self.keep_initial, warmup_frames=0)
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
        _check_stored(self, {"u": "scalar"})

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
        return tuple(_variable(name, kind, self.stored_grid, self.num_frames) for name, kind in _items(self.names))

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
            return self._observed(values), solver.courant(values), spectrum_tail(values)

        values, courant, tail = rollout(solver, state, self.num_intervals * steps, save_every=steps, save=save)
        first, first_courant, first_tail = save(state)
        if self.keep_initial:
            values = jnp.concatenate([first[None], values])
        courant, tail = jnp.append(courant, first_courant), jnp.append(tail, first_tail)
        largest = jnp.max(jnp.where(jnp.isfinite(courant), courant, 0))  # of what has blown up, that before
        return Outcome(_split(values, self.names, self.grid.dim), largest, jnp.max(tail))

    def shortened(self) -> "Evolution":
        """One interval of at most 8 steps."""
        steps, frames = min(8, self.steps_per_frame), 1 + self.keep_initial
        return replace(
            self, horizon=self.dt * steps, num_frames=frames, steps_per_frame=steps, warmup_frames=0,
            names=_as_mapping(self.names),
        )  # fmt: skip

    def _observed(self, values):
        observe = getattr(self.equation, self.observe) if isinstance(self.observe, str) else self.observe
        return strided(values if observe is None else observe(values), self.grid, self.stride)


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
        _check_counts(self, num_frames=2)
        if not 0 < self.horizon < float("inf"):
            raise ValueError(f"horizon={self.horizon} must be > 0.")
        if len(self.velocity) != self.grid.dim:
            raise ValueError(f"velocity={self.velocity} needs one entry for each of {self.grid.dim} axes.")
        _check_stored(self, {"u": "scalar"})

    @property
    def stored_grid(self) -> Grid:
        return self.grid

    @property
    def times(self) -> np.ndarray:
        return self.horizon / (self.num_frames - 1) * np.arange(self.num_frames)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(_variable(name, kind, self.grid, self.num_frames) for name, kind in _items(self.names))

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
        return Outcome(_split(values, self.names, self.grid.dim), jnp.zeros(()), jnp.max(tail))

    def shortened(self) -> "Translation":
        return replace(self, num_frames=2, names=_as_mapping(self.names))


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


def strided_grid(grid: Grid, stride: int) -> Grid:
    """The grid of what `strided` keeps."""
    return Grid(tuple(n // stride for n in grid.shape), grid.lower, grid.upper, grid.centred)


def strided(values: Inexact[Array, "c *s"], grid: Grid, stride: int) -> Inexact[Array, "c *r"]:
    """Every stride-th point of every axis; on centred grids, whose values are means of cells, the mean of a block."""
    if stride == 1:
        return values
    if not grid.centred:
        return values[(slice(None), *(slice(None, None, stride),) * grid.dim)]
    blocks = values.reshape(values.shape[0], *(k for n in grid.shape for k in (n // stride, stride)))
    return jnp.mean(blocks, axis=tuple(range(2, 2 * grid.dim + 1, 2)))


def _variable(name, kind, grid, num_frames):
    """The record of a variable; num_frames is None if it is steady."""
    evolving = num_frames is not None
    shape = (*((num_frames,) if evolving else ()), _width(kind, grid.dim), *grid.shape)
    axes = (*(("t",) if evolving else ()), "component", *AXES[: grid.dim])
    return Variable(name, shape, axes, kind, evolving)


def _width(kind, dim):
    return dim if kind == "vector" else 1


def _split(values, names, dim):
    """{name: its components} of (…, m, *s). ValueError if the names ask for more or fewer than there are."""
    widths = [_width(kind, dim) for _, kind in _items(names)]
    axis = values.ndim - dim - 1
    if sum(widths) != values.shape[axis]:
        raise ValueError(f"names={dict(_items(names))} take {sum(widths)} components; there are {values.shape[axis]}.")
    parts = jnp.split(values, np.cumsum(widths)[:-1].tolist(), axis=axis)
    return {name: part for (name, _), part in zip(_items(names), parts, strict=True)}


def _items(names) -> tuple[tuple[str, Kind], ...]:
    """The entries of `names`, which a checked recipe keeps as pairs, so that it can be hashed."""
    return names if isinstance(names, tuple) else tuple(names.items())


def _as_mapping(names):
    return dict(_items(names))


def _check_counts(recipe, **least):
    """ValueError for a number of the recipe below its least value; `block` is always at least 1."""
    for name, bound in {"block": 1, **least}.items():
        if getattr(recipe, name) < bound:
            raise ValueError(f"{name}={getattr(recipe, name)} must be at least {bound}.")


def _check_stored(recipe, default):
    """Fill in the names and keep them as pairs. ValueError for a stride, name, kind or dtype that cannot be stored."""
    names = dict(default if recipe.names is None else _items(recipe.names))
    for name, kind in names.items():
        if not name.isidentifier() or name in ("t", *AXES):
            raise ValueError(f"names: {name!r} cannot be the name of a variable; use letters, digits and _.")
        if kind not in ("scalar", "vector"):
            raise ValueError(f"names.{name}={kind!r}: give scalar or vector.")
    object.__setattr__(recipe, "names", tuple(names.items()))
    stride, grid = getattr(recipe, "stride", 1), recipe.grid
    if grid.dim > len(AXES):
        raise ValueError(f"grid has {grid.dim} axes; at most {len(AXES)} can be stored.")
    if stride < 1 or any(n % stride for n in grid.shape):
        raise ValueError(f"stride={stride} must divide the number of points on every axis, {grid.shape}.")
    if recipe.dtype not in ("float32", "float64"):
        raise ValueError(f"dtype={recipe.dtype} is not allowed: give float32 or float64.")
