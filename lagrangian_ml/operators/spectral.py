"""Truncated Fourier modes of values on equispaced periodic grids: space first, real numbers only, two equal back ends.

    û_κ = 1/∏n_a Σ_j u_j exp(−2πi Σ_a κ_a j_a/n_a),     u_j = Re Σ_κ α_κ û_κ exp(2πi Σ_a κ_a j_a/n_a)

with κ = 0, …, m − 1 on the last axis and 0, …, m − 1, −m, …, −1 on all others; α is 2, but 1 where the mode of the
last axis is its own mirror image: κ = 0, and κ = n/2 if n is even. This is `rfftn(norm="forward")` and its inverse, cut
off; by the factor 1/∏n the coefficients are those of the function, whatever the resolution.

- "dft": products with real matrices of cosines and sines: no complex numbers, and derivatives are products again.
- "fft": fast transforms of all modes, from which the kept ones are cut.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from .layout import spread

Backend = Literal["dft", "fft"]
Modes = tuple[Float[Array, "*k c"], Float[Array, "*k c"]]


def to_modes(u: Float[Array, "*s c"], modes: Sequence[int], backend: Backend = "dft") -> Modes:
    """(re, im) of the kept modes, each (2 m₁, …, 2 m_{d−1}, m_d, c).

    Raises:
        ValueError: where the grid is too coarse for so many modes.
    """
    shape = u.shape[:-1]
    check_modes(shape, modes)
    return (_by_matrices if backend == "dft" else _by_fft)(u, tuple(modes))


def to_values(coefficients: Modes, shape: Sequence[int], backend: Backend = "dft") -> Float[Array, "*s c"]:
    """The values of kept modes on a grid of this shape: the transpose of `to_modes`, weighted by α ∏n."""
    re, im = coefficients
    modes = (*(k // 2 for k in re.shape[:-2]), re.shape[-2])
    check_modes(shape, modes)
    alpha = np.where(2 * np.arange(modes[-1]) % shape[-1] == 0, 1.0, 2.0)
    weight = jnp.asarray(math.prod(shape) * alpha.reshape(*(1,) * (len(shape) - 1), -1, 1), re.dtype)
    grid = jax.ShapeDtypeStruct((*shape, re.shape[-1]), re.dtype)
    (u,) = jax.linear_transpose(lambda u: to_modes(u, modes, backend), grid)(
        (re * spread(weight, re), im * spread(weight, im))
    )
    return u


def check_modes(shape: Sequence[int], modes: Sequence[int]) -> None:
    """ValueError unless there are modes for every axis, and the grid has as many."""
    if len(modes) != len(shape):
        raise ValueError(f"modes={tuple(modes)} for a grid of {len(shape)} axes; give one number an axis.")
    for axis, (n, m) in enumerate(zip(shape, modes, strict=True)):
        most = n // 2 + 1 if axis == len(shape) - 1 else n // 2
        if not 1 <= m <= most:
            raise ValueError(f"modes={tuple(modes)}: {n} points on axis {axis} have 1 to {most} modes; got {m}.")


def modes_of_axes(modes: int | Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """One number for every axis of the grid, from the same for all or as given; checked."""
    modes = (modes,) * len(shape) if isinstance(modes, int) else tuple(modes)
    check_modes(shape, modes)
    return modes


def _by_fft(u, modes):
    axes = tuple(range(len(modes)))
    found = jnp.fft.rfftn(u, axes=axes, norm="forward")[..., : modes[-1], :]
    for axis, m in enumerate(modes[:-1]):
        at = lambda part, axis=axis: (*(slice(None),) * axis, part)
        found = jnp.concatenate([found[at(slice(m))], found[at(slice(-m, None))]], axis)
    return found.real, found.imag


def _by_matrices(u, modes):
    """Axis after axis, the last one first: its modes are few, and all others have both signs.

    a + ib has the modes (c_a ± s_b) + i (c_b ∓ s_a) at ±κ, c and s the sums with cos and sin.
    """
    a, b = _sums(u, len(modes) - 1, modes[-1])
    b = -b
    for axis in reversed(range(len(modes) - 1)):
        m = modes[axis]
        (c_a, s_a), (c_b, s_b) = (_sums(part, axis, m + 1) for part in (a, b))
        a, b = _both_signs(c_a + s_b, c_a - s_b, axis, m), _both_signs(c_b - s_a, c_b + s_a, axis, m)
    return a, b


def _sums(u, axis, count):
    """Means over an axis of u cos κθ and of u sin κθ, κ = 0, …, count − 1."""
    return jnp.split(product_along(u, axis, Table(u.shape[axis], count)), 2, axis)


def _both_signs(plus, minus, axis, m):
    """κ = 0, …, m − 1, −m, …, −1 from κ = 0, …, m of either sign."""
    take = lambda a, *ends: jax.lax.slice_in_dim(a, *ends, axis=axis)
    return jnp.concatenate([take(plus, 0, m), jnp.flip(take(minus, 1, m + 1), axis)], axis)


class Table(NamedTuple):
    """The matrix (2 count, n) of cos κθ_j / n and sin κθ_j / n, κ < count, or its transpose."""

    n: int
    count: int
    transposed: bool = False

    @property
    def values(self) -> Float[np.ndarray, "r n"]:
        table = _table(self.n, self.count)
        return table.T if self.transposed else table


@lru_cache
def _table(n, count):
    angle = 2 * np.pi / n * (np.outer(np.arange(count), np.arange(n)) % n)
    return np.concatenate([np.cos(angle), np.sin(angle)]) / n


def product_along(u: Float[Array, "..."], axis: int, table: Table) -> Float[Array, "..."]:
    """The table times u along an axis. Batches by `vmap` lie before the last axis, in derivatives too."""
    return _product.bind(u, axis=axis, table=table)


def _multiply(u, *, axis, table):
    values = jnp.asarray(table.values, u.dtype)
    if axis == 0:
        return jax.lax.dot_general(values, u, (((1,), (0,)), ((), ())))
    front = u.reshape(math.prod(u.shape[:axis]), u.shape[axis], -1)
    wide = jnp.broadcast_to(values[None], (len(front), *values.shape))
    found = jax.lax.dot_general(wide, front, (((2,), (1,)), ((0,), (0,))))
    return found.reshape(*u.shape[:axis], -1, *u.shape[axis + 1 :])


def _batch(args, dims, *, axis, table):
    (u,), (dim,) = args, dims
    place = u.ndim - 2
    return product_along(jnp.moveaxis(u, dim, place), axis, table), place


# By the rules of `dot_general` derivatives and batches would have their axes elsewhere, to be copied to their places.
_product = Primitive("product_along")
_product.def_impl(lambda u, **settings: _multiply(u, **settings))
_product.def_abstract_eval(
    lambda u, axis, table: u.update(shape=(*u.shape[:axis], len(table.values), *u.shape[axis + 1 :]))
)
batching.primitive_batchers[_product] = _batch
ad.deflinear2(
    _product,
    lambda cotangent, u, axis, table: (
        product_along(cotangent, axis, table._replace(transposed=not table.transposed)),
    ),
)
mlir.register_lowering(_product, mlir.lower_fun(_multiply, multiple_results=False))
