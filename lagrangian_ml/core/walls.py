"""Boundary conditions of cell-centred grids: one vocabulary for finite volumes, stencils and elliptic problems.

Every axis is "periodic" or has a wall at each end. A wall is one of

    "outflow"                    the last value goes on outside: waves leave
    "neumann"                    no flux, ∂u/∂n = 0: even reflection
    "reflecting"                 even reflection, but components that point through the wall change sign
    ValueWall(value)             u = value on the wall (Dirichlet)
    RobinWall(a, b, value)       a u + b ∂u/∂n = value on the wall, n outwards; a = 0 is Neumann's with a given slope

and becomes ghost cells, the k-th of which pairs with the k-th cell inside, so that differences across the wall are
of second order. Conditions for *points*, which PINNs and ansätze read, are in `domains`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from .grid import Grid

Value = int | float | tuple | Array | Callable  # for all components, one each, or a field x (d,) -> (c,) of wall points


class NamedWall(eqx.Module):
    """A wall without parameters: "outflow", "neumann" or "reflecting"."""

    name: str = eqx.field(static=True)


class ValueWall(eqx.Module):
    """u = value on the wall: a number for all components, one number for each, or a field `value(x: (d,)) -> (c,)`."""

    value: Value = eqx.field(converter=lambda value: tuple(value) if isinstance(value, list) else value)


class RobinWall(eqx.Module):
    """a u + b ∂u/∂n = value on the wall, n outwards; `value` as in `ValueWall`. ValueError if a = b = 0."""

    a: int | float | Float[Array, ""]
    b: int | float | Float[Array, ""]
    value: Value = eqx.field(converter=lambda value: tuple(value) if isinstance(value, list) else value, default=0.0)

    def __check_init__(self):
        if isinstance(self.a, int | float) and isinstance(self.b, int | float) and self.a == self.b == 0:
            raise ValueError("a=0 and b=0 say nothing about u: give at least one of them.")


NAMES = ("outflow", "neumann", "reflecting")
Wall = NamedWall | ValueWall | RobinWall
Boundary = str | ValueWall | RobinWall | Sequence  # as users give it: for all axes, or one entry an axis
Walls = tuple[tuple[Wall, Wall] | None, ...]  # one entry an axis, None if periodic


def as_walls(boundary: Boundary | NamedWall, dim: int) -> Walls:
    """The walls of every axis from "periodic", one wall for all ends, or a sequence with an entry for each axis.

    An entry is "periodic", a wall for both ends, or a pair (low, high); in one dimension the pair may be given alone.
    Raises ValueError, naming the allowed words, for anything else.
    """
    if not isinstance(boundary, list | tuple):
        return dim * (_axis_walls(boundary),)
    if dim == 1 and len(boundary) == 2:
        return (_axis_walls(boundary),)
    if len(boundary) != dim:
        raise ValueError(
            f"boundary has {len(boundary)} entries for {dim} axes: give one an axis, each "
            "'periodic', a wall, or a pair (low, high) of walls."
        )
    return tuple(map(_axis_walls, boundary))


def _axis_walls(entry: Any) -> tuple[Wall, Wall] | None:
    if entry is None or isinstance(entry, str) and entry == "periodic":
        return None
    if not isinstance(entry, list | tuple):
        return _as_wall(entry), _as_wall(entry)
    if len(entry) != 2 or "periodic" in [wall for wall in entry if isinstance(wall, str)]:
        raise ValueError(f"boundary has the axis {entry}; an axis is 'periodic' as a whole, or a pair (low, high).")
    return _as_wall(entry[0]), _as_wall(entry[1])


def _as_wall(wall: Any) -> Wall:
    if isinstance(wall, Wall):
        return wall
    if not isinstance(wall, str) or wall not in NAMES:
        raise ValueError(
            f"boundary={wall!r} is not a wall: give 'periodic', {', '.join(map(repr, NAMES))}, "
            "a ValueWall(value) or a RobinWall(a, b, value)."
        )
    return NamedWall(wall)


def pad(
    values: Inexact[Array, "c *s"],
    grid: Grid,
    walls: Walls,
    width: int | Sequence[int],
    *,
    signs: np.ndarray | None = None,
    upwind: bool = False,
) -> Inexact[Array, "c *padded"]:
    """Values on a centred grid with `width` ghost cells at both ends of every axis (or `width[i]` of axis i).

    Axes are padded one after the other, so that corners are filled too.

    Args:
        signs: (c, d), −1 where a component changes sign in a reflection along an axis: for "reflecting" walls.
        upwind: the ghost cells of a `ValueWall` hold its value, the state outside that hyperbolic laws ask for,
            instead of extrapolating through it.

    Raises:
        ValueError: if the grid has fewer cells than ghost cells, or a wall does not fit the components.
    """
    widths = grid.dim * (width,) if isinstance(width, int) else tuple(width)
    if values.shape[1:] != grid.shape or len(walls) != grid.dim or len(widths) != grid.dim:
        raise ValueError(
            f"values {values.shape} (components first), {len(walls)} walls and the width {width} must fit the grid "
            f"{grid.shape}."
        )
    for axis, (pair, w) in enumerate(zip(walls, widths, strict=True)):
        if w > grid.shape[axis]:
            raise ValueError(f"axis {axis} has {grid.shape[axis]} cells; {w} ghost cells at each end need as many.")
        if w > 0:
            values = _pad_axis(values, grid, axis, pair, w, None if signs is None else signs[:, axis], upwind)
    return values


def _pad_axis(values, grid, axis, pair, width, signs, upwind):
    n, along = grid.shape[axis], axis + 1
    first = jax.lax.slice_in_dim(values, 0, width, axis=along)
    last = jax.lax.slice_in_dim(values, n - width, n, axis=along)
    if pair is None:
        return jnp.concatenate([last, values, first], axis=along)
    below = _ghosts(pair[0], first, grid, axis, grid.lower[axis], signs, upwind)
    above = _ghosts(pair[1], jnp.flip(last, along), grid, axis, grid.upper[axis], signs, upwind)
    return jnp.concatenate([jnp.flip(below, along), values, above], axis=along)


def _ghosts(wall, inside, grid, axis, end, signs, upwind):
    """The ghost cells from the wall outwards, from the cells `inside` from the wall inwards."""
    along = axis + 1
    if isinstance(wall, NamedWall):
        if wall.name == "outflow":
            return jnp.broadcast_to(jax.lax.slice_in_dim(inside, 0, 1, axis=along), inside.shape)
        if wall.name == "neumann":
            return inside
        if signs is None:
            raise ValueError(
                "a 'reflecting' wall needs a law that says which components change sign there; 'neumann' reflects "
                "them all evenly."
            )
        return inside * _column(jnp.asarray(signs, inside.dtype), inside)
    value = _on_wall(wall.value, inside, grid, axis, end)
    if isinstance(wall, ValueWall):
        return jnp.broadcast_to(value, inside.shape) if upwind else 2 * value - inside
    # a (u + ghost)/2 + b (ghost − u)/distance = value, at distances h, 3h, 5h, …
    steps = jnp.asarray(2 * np.arange(inside.shape[along]) + 1, inside.dtype)
    slope = wall.b / (grid.spacings[axis] * steps.reshape([-1 if i == along else 1 for i in range(inside.ndim)]))
    return (value - (wall.a / 2 - slope) * inside) / (wall.a / 2 + slope)


def _column(vector, like):
    return vector.reshape(-1, *(1 for _ in like.shape[1:]))


def _on_wall(value: Any, inside: Array, grid: Grid, axis: int, end: float) -> Array:
    """The value of a wall, broadcastable to `inside` (c, *s), of which other axes may be padded already."""
    if callable(value):
        others = [
            np.array([end]) if i == axis else grid.axis(i)[0] + grid.spacings[i] * (np.arange(m) - (m - n) // 2)
            for i, (m, n) in enumerate(zip(inside.shape[1:], grid.shape, strict=True))
        ]
        points = jnp.asarray(np.stack(np.meshgrid(*others, indexing="ij")), inside.real.dtype)
        for _ in range(grid.dim):
            value = jax.vmap(value, in_axes=-1, out_axes=-1)
        value = value(points)
    else:
        value = _column(jnp.atleast_1d(jnp.asarray(value, inside.dtype)), inside)
    if value.shape[0] not in (1, inside.shape[0]):
        raise ValueError(
            f"a wall has {value.shape[0]} values, but the field has {inside.shape[0]} components: give one number "
            "for all, or one for each."
        )
    return value
