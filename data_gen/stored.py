"""What of a sample is stored: names and kinds of variables, the points that are kept, and the checks of all recipes."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from lagrangian_ml.core import Grid

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


def variable(name, kind, grid, num_frames):
    """The record of a variable; num_frames is None if it is steady."""
    evolving = num_frames is not None
    shape = (*((num_frames,) if evolving else ()), _width(kind, grid.dim), *grid.shape)
    axes = (*(("t",) if evolving else ()), "component", *AXES[: grid.dim])
    return Variable(name, shape, axes, kind, evolving)


def _width(kind, dim):
    return dim if kind == "vector" else 1


def split(values, names, dim):
    """{name: its components} of (…, m, *s). ValueError if the names ask for more or fewer than there are."""
    widths = [_width(kind, dim) for _, kind in pairs(names)]
    axis = values.ndim - dim - 1
    if sum(widths) != values.shape[axis]:
        raise ValueError(f"names={dict(pairs(names))} take {sum(widths)} components; there are {values.shape[axis]}.")
    parts = jnp.split(values, np.cumsum(widths)[:-1].tolist(), axis=axis)
    return {name: part for (name, _), part in zip(pairs(names), parts, strict=True)}


def pairs(names) -> tuple[tuple[str, Kind], ...]:
    """The entries of `names`, which a checked recipe keeps as pairs, so that it can be hashed."""
    return names if isinstance(names, tuple) else tuple(names.items())


def check_counts(recipe, **least):
    """ValueError for a number of the recipe below its least value; `block` is always at least 1."""
    for name, bound in {"block": 1, **least}.items():
        if getattr(recipe, name) < bound:
            raise ValueError(f"{name}={getattr(recipe, name)} must be at least {bound}.")


def check_stored(recipe, default):
    """Fill in the names and keep them as pairs. ValueError for a stride, name, kind or dtype that cannot be stored."""
    names = dict(default if recipe.names is None else pairs(recipe.names))
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
