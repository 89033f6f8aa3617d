"""Samples on irregular points; an operator that takes them takes values on a grid too, as the cloud of its nodes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from .layout import check_input, components_first, nodes, same_grid, space_first


class Cloud(NamedTuple):
    """Values at points of the unit box; nothing is where the mask is 0 or False, whatever stands there.

    Clouds of different sizes are filled up to the same n, so that a batch is a `Cloud` with one more axis. Operators
    are made from the shapes: `Cloud((n, c), (n, d), (n,))` for the inputs and (n, k) for the outputs.
    """

    values: Any  # (n, c)
    points: Any  # (n, d)
    mask: Any  # (n,), of truth values or numbers


def same_points(inputs: Cloud | Sequence[int], outputs: Sequence[int]) -> tuple[int, int, int]:
    """(c_in, c_out, d) of shapes: a cloud and (n, c_out), or (c_in, *s) and (c_out, *s). ValueError for any others."""
    if not isinstance(inputs, Cloud):
        num_in, num_out, grid = same_grid(inputs, outputs)
        return num_in, num_out, len(grid)
    shapes = [tuple(shape) for shape in (*inputs, outputs)]
    if (
        [len(shape) for shape in shapes] != [2, 2, 1, 2]
        or len({n for n, *_ in shapes}) > 1
        or min(map(min, shapes)) < 1
    ):
        raise ValueError(
            f"inputs={inputs}, outputs={tuple(outputs)}: a cloud has values (n, c), points (n, d), a mask (n,), and the"
            " outputs at its points are (n, k)."
        )
    return shapes[0][1], shapes[3][1], shapes[1][1]


def components(inputs: Cloud | Sequence[int]) -> tuple[int, int]:
    """(c, d) of the shapes of a cloud, or of (c, *s)."""
    if isinstance(inputs, Cloud):
        return int(inputs.values[-1]), int(inputs.points[-1])
    return inputs[0], len(inputs) - 1


def as_cloud(v: Cloud | Float[Array, "c *s"], num_in: int, dim: int) -> Cloud:
    """The cloud with zeros where nothing is, or that of the nodes of a grid; its mask holds truth values.

    ValueError unless it has `num_in` components in `dim` dimensions.
    """
    if not isinstance(v, Cloud):
        check_input(v, num_in, dim)
        x = nodes(v.shape[1:], v.dtype)
        return Cloud(space_first(v).reshape(-1, num_in), x, jnp.ones(x.shape[0], bool))
    expected = (v.mask.size, num_in), (v.mask.size, dim), (v.mask.size,)
    shapes = tuple(part.shape for part in v)
    if shapes != expected:
        raise ValueError(f"values, points and mask of the cloud have the shapes {shapes}; expected {expected}.")
    inside = v.mask.astype(bool)[:, None]
    return Cloud(jnp.where(inside, v.values, 0), jnp.where(inside, v.points, 0), inside[:, 0])


def at_its_points(values: Float[Array, "n k"], v: Cloud | Float[Array, "c *s"]) -> Float[Array, "..."]:
    """Values at the points of `as_cloud(v)`, back on the grid of v, (k, *s), or (n, k) with 0 where its mask is."""
    if isinstance(v, Cloud):
        return jnp.where(v.mask.astype(bool)[:, None], values, 0)
    return components_first(values.reshape(*v.shape[1:], -1))
