"""NeuralStagger (Huang, Shi, Meng, Wang, Gao, Zhang & Liu, arXiv 2302.10255): one operator as several on coarse grids.

    u_p(j) = u(j · stride + p),   0 ≤ p_a < stride_a:     ∏ stride sub-grids, each the whole domain, staggered by p

As in the paper, `independent` operators see one sub-grid each and are trained together on the field that their outputs
make; on as many devices the time is that of one of them, on a single device their work is that of the fine grid.
Without it, one operator sees all sub-grids as components, and the work is about ∏ stride times less.

Differs from the paper: the second kind; strides in time, and losses of the equation, are left to training.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .layout import check_stride, from_patches, same_grid, to_patches


def split(v: Float[Array, "c *s"], stride: int | Sequence[int]) -> Float[Array, "p c *r"]:
    """The sub-grids of every `stride`-th node: (c, *s) ↦ (∏ stride, c, *s/stride), the last axis varies fastest.

    Raises:
        ValueError: unless the stride divides the grid.
    """
    boxes = to_patches(jnp.moveaxis(v, 0, -1), _of_axes(stride, v.ndim - 1))
    return jnp.moveaxis(boxes, (-2, -1), (0, 1))


def interleave(parts: Float[Array, "p c *r"], stride: int | Sequence[int]) -> Float[Array, "c *s"]:
    """The grid of these sub-grids, exactly: the inverse of `split`.

    Raises:
        ValueError: unless there are ∏ stride of them.
    """
    stride = _of_axes(stride, parts.ndim - 2)
    if len(stride) != parts.ndim - 2 or math.prod(stride) != len(parts):
        raise ValueError(f"{len(parts)} sub-grids of {parts.ndim - 2} axes are not those of stride={stride}.")
    return jnp.moveaxis(from_patches(jnp.moveaxis(parts, (0, 1), (-2, -1)), stride), -1, 0)


class Staggered(eqx.Module):
    """An `Operator` (c_in, *s) ↦ (c_out, *s) by operators on the grid *s/stride."""

    operator: Callable
    stride: tuple[int, ...] = eqx.field(static=True)
    independent: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        operator: Callable,
        stride: int | Sequence[int] = 2,
        independent: bool = False,
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *s) on the grid of the training.
            operator: makes an operator on a coarse grid, `operator(inputs, outputs, key=key)`.
            stride: of every axis, or of all axes.
            independent: one operator for every sub-grid, which sees that one; else one for all, which sees all.

        Raises:
            ValueError: unless the stride divides the grid.
        """
        num_in, num_out, shape = same_grid(inputs, outputs)
        self.stride, self.independent = _of_axes(stride, len(shape)), independent
        check_stride(shape, self.stride)
        count, coarse = math.prod(self.stride), [n // p for n, p in zip(shape, self.stride)]
        if independent:
            make = lambda key: operator((num_in, *coarse), (num_out, *coarse), key=key)
            self.operator = eqx.filter_vmap(make)(jax.random.split(key, count))
        else:
            self.operator = operator((count * num_in, *coarse), (count * num_out, *coarse), key=key)

    def __call__(self, v: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        """ValueError for a grid that the stride does not divide, and for what the operator refuses."""
        parts = split(v, self.stride)
        if self.independent:
            found = eqx.filter_vmap(lambda operator, part: operator(part))(self.operator, parts)
        else:
            found = self.operator(parts.reshape(-1, *parts.shape[2:]))
            found = found.reshape(len(parts), -1, *parts.shape[2:])
        return interleave(found, self.stride)


def _of_axes(stride, dim):
    return (stride,) * dim if isinstance(stride, int) else tuple(stride)
