"""Where the axes of values lie: components first outside, (c, *s), and space first within a network, (*s, c).

A batch by `vmap` then lies between space and components, (*s, n, c): transforms along space and maps of the channels
are each one product of matrices over the whole batch, with nothing to be rearranged between them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float


def space_first(v: Float[Array, "c *s"]) -> Float[Array, "*s c"]:
    """(c, *s) ↦ (*s, c); under `vmap` the batch axis is laid before the components."""
    return batch_before_last.bind(jnp.moveaxis(v, 0, -1))


def components_first(v: Float[Array, "*s c"]) -> Float[Array, "c *s"]:
    """(*s, c) ↦ (c, *s)."""
    return jnp.moveaxis(v, -1, 0)


def _batch(args, dims):
    (v,), (dim,) = args, dims
    place = v.ndim - 2
    return batch_before_last.bind(jnp.moveaxis(v, dim, place)), place


# The identity, whose only effect is on `vmap`: a function around the model that changes its batches, such as
# `custom_vmap`, would be in the way of derivatives by `vmap`.
batch_before_last = Primitive("batch_before_last")
batch_before_last.def_impl(lambda v: v)
batch_before_last.def_abstract_eval(lambda v: v)
batching.primitive_batchers[batch_before_last] = _batch
ad.deflinear2(batch_before_last, lambda cotangent, v: (batch_before_last.bind(cotangent),))
mlir.register_lowering(batch_before_last, lambda context, v: [v])


def spread(a: Float[Array, "..."], v: Float[Array, "..."]) -> Float[Array, "..."]:
    """a, whose axes are the last ones of v, over all axes of v.

    As `jnp.broadcast_to`, but under `vmap` the batch axis of the result lies where that of v is, so that `v + spread(b,
    v)` stays there; `v + b` with a bias b that all samples share would lay the batch axis in front.
    """
    return _spread.bind(a, v)


def _spread_over(a, v):
    return jnp.broadcast_to(jnp.expand_dims(a, range(v.ndim - a.ndim)), v.shape)


def _shape_of_spread(a, v):
    if a.ndim > v.ndim or any(m not in (1, n) for m, n in zip(a.shape[::-1], v.shape[::-1])):
        raise ValueError(f"{a.shape} cannot be spread over {v.shape}: its axes must be the last ones there, or 1.")
    return v.update(dtype=a.dtype, weak_type=a.weak_type)


def _spread_batch(args, dims):
    (a, v), (dim_a, dim_v) = args, dims
    place = 0 if dim_v is None else dim_v
    rank = v.ndim - (dim_v is not None)
    if dim_a is None:
        aligned = jnp.expand_dims(a, range(rank - a.ndim))
        shape = v.shape
        return jnp.broadcast_to(jnp.expand_dims(aligned, place), shape), place
    front = jnp.moveaxis(a, dim_a, 0)
    front = jnp.expand_dims(front, range(1, 1 + rank - (a.ndim - 1)))
    inner = v.shape if dim_v is None else v.shape[:dim_v] + v.shape[dim_v + 1 :]
    shape = (*inner[:place], front.shape[0], *inner[place:])
    return jnp.broadcast_to(jnp.moveaxis(front, 0, place), shape), place


def _spread_jvp(primals, tangents):
    out = _spread.bind(*primals)
    slope = tangents[0]
    return out, jnp.zeros_like(out) if isinstance(slope, ad.Zero) else _spread.bind(slope, primals[1])


def _spread_transpose(cotangent, a, v):
    missing = cotangent.ndim - a.aval.ndim
    summed = jnp.sum(cotangent, tuple(range(missing)))
    ones = tuple(k for k, n in enumerate(a.aval.shape) if n == 1 and summed.shape[k] != 1)
    return jnp.sum(summed, ones, keepdims=True), None


_spread = Primitive("spread")
_spread.def_impl(_spread_over)
_spread.def_abstract_eval(_shape_of_spread)
batching.primitive_batchers[_spread] = _spread_batch
ad.primitive_jvps[_spread] = _spread_jvp
ad.primitive_transposes[_spread] = _spread_transpose
mlir.register_lowering(_spread, mlir.lower_fun(_spread_over, multiple_results=False))


def to_patches(v: Float[Array, "*s c"], stride: Sequence[int]) -> Float[Array, "*r p c"]:
    """The boxes of ∏ stride neighbouring nodes: (*s, c) ↦ (*s/stride, ∏ stride, c). `from_patches` is its inverse.

    Raises:
        ValueError: unless the stride divides the grid.
    """
    check_stride(v.shape[:-1], stride)
    dim = len(stride)
    pairs = [k for n, p in zip(v.shape, stride) for k in (n // p, p)]
    order = (*range(0, 2 * dim, 2), *range(1, 2 * dim, 2), 2 * dim)
    boxes = v.reshape(*pairs, v.shape[-1]).transpose(order)
    return boxes.reshape(*boxes.shape[:dim], -1, v.shape[-1])


def from_patches(boxes: Float[Array, "*r p c"], stride: Sequence[int]) -> Float[Array, "*s c"]:
    """(*r, ∏ stride, c) ↦ (*r · stride, c)."""
    dim, shape = len(stride), boxes.shape[:-2]
    v = boxes.reshape(*shape, *stride, boxes.shape[-1])
    v = v.transpose(*(k for a in range(dim) for k in (a, dim + a)), 2 * dim)
    return v.reshape(*(n * p for n, p in zip(shape, stride)), v.shape[-1])


def check_stride(shape: Sequence[int], stride: Sequence[int]) -> None:
    """ValueError unless the stride has one number for every axis of the grid and divides its points."""
    if len(stride) != len(shape):
        raise ValueError(f"stride={tuple(stride)} for a grid of {len(shape)} axes; give one number an axis.")
    for axis, (n, p) in enumerate(zip(shape, stride)):
        if p < 1 or n % p:
            raise ValueError(f"{n} points on axis {axis} are not divisible by {p}; take a multiple of {p} points.")


def nodes(shape: Sequence[int], dtype: Any = None) -> Float[Array, "n d"]:
    """The nodes j/n of a grid of the unit box, one after the other in C order."""
    axes = jnp.meshgrid(*(jnp.arange(n, dtype=dtype or float) / n for n in shape), indexing="ij")
    return jnp.stack(axes, -1).reshape(-1, len(shape))


def evaluate(
    u: Callable[[Float[Array, "m d"]], Array], points: Float[Array, "m d"] | None, outputs: Sequence[int], dtype: Any
) -> Array:
    """A function of places, (m, d) ↦ (m, c), at the points; without points on the nodes of a grid, (c, *r)."""
    return u(nodes(outputs[1:], dtype)).T.reshape(tuple(outputs)) if points is None else u(points)


def same_grid(inputs: Sequence[int], outputs: Sequence[int]) -> tuple[int, int, tuple[int, ...]]:
    """(c_in, c_out, *s) of two shapes (c, *s). ValueError unless they have the same axes, at least one."""
    if len(inputs) < 2 or tuple(inputs[1:]) != tuple(outputs[1:]) or min(*inputs, *outputs) < 1:
        raise ValueError(
            f"inputs={tuple(inputs)}, outputs={tuple(outputs)}: this operator needs values (c, *s) on one grid."
        )
    return inputs[0], outputs[0], tuple(inputs[1:])


def check_input(v: Float[Array, "..."], num_in: int, dim: int) -> None:
    """ValueError unless v is (num_in, *s) with `dim` axes of space."""
    if v.shape[:1] != (num_in,) or v.ndim != 1 + dim:
        raise ValueError(f"the input has the shape {v.shape}; expected {num_in} components on {dim} axes.")


def check_sensors(
    v: Float[Array, "..."], points: Float[Array, "..."] | None, inputs: tuple[int, ...], dim: int
) -> None:
    """ValueError unless v has the shape of the inputs, and the points, if there are any, are (m, dim)."""
    if v.shape != inputs:
        raise ValueError(f"the input has the shape {v.shape}; this operator takes values at its sensors, {inputs}.")
    if points is not None and (points.ndim != 2 or points.shape[1] != dim):
        raise ValueError(f"the points have the shape {points.shape}; expected (m, {dim}).")
