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
    if backend == "dft":
        z = jnp.stack([re, im])
        for axis, (n, m) in enumerate(zip(shape, modes, strict=True)):
            z = product_along(z, axis, Table(n, m, axis == len(modes) - 1, True, True))
        return z
    weight = jnp.asarray(math.prod(shape) * _alpha(shape[-1], modes[-1])[:, None], re.dtype)
    grid = jax.ShapeDtypeStruct((*shape, re.shape[-1]), re.dtype)
    weight = jnp.expand_dims(weight, range(re.ndim - 2))
    weighted = re * weight, im * weight
    return jax.linear_transpose(lambda u: to_modes(u, modes, backend), grid)(weighted)[0]


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
    """Axis after axis, the last one first: its modes are few. Real and imaginary parts are an axis in front of them."""
    for axis in reversed(range(len(modes))):
        u = product_along(u, axis, Table(u.shape[axis], modes[axis], axis == len(modes) - 1))
    return u[0], u[1]


class Table(NamedTuple):
    """The matrix from values on an axis to its modes, a real one for parts of complex numbers.

    On the last axis from n values to (re, im) of m modes, (2, m, n); on others from n values of (re, im) to modes of
    both signs, (2, 2 m, n, 2). It is divided by n, or where `weighted` multiplied by α; then the transpose is the way
    back to values.
    """

    n: int
    m: int
    last: bool
    weighted: bool = False
    transposed: bool = False

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of what it is multiplied with, and of the product."""
        values, modes = ((self.n,), (2, self.m)) if self.last else ((self.n, 2), (2, 2 * self.m))
        return (modes, values) if self.transposed else (values, modes)

    @property
    def matrix(self) -> Float[np.ndarray, "r n"]:
        found = _matrix(*self[:4])
        return found.T if self.transposed else found


@lru_cache
def _matrix(n, m, last, weighted):
    kappa = np.arange(m) if last else np.r_[0:m, -m:0]
    angle = 2 * np.pi / n * (np.outer(kappa, np.arange(n)) % n)
    scale = (_alpha(n, m)[:, None] if last else 1.0) if weighted else 1 / n
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    if last:
        return np.concatenate([c, -s])
    return np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)]).reshape(4 * m, 2 * n)


def _alpha(n, m):
    return np.where(2 * np.arange(m) % n == 0, 1.0, 2.0)


def product_along(u: Float[Array, "..."], axis: int, table: Table) -> Float[Array, "..."]:
    """The table times u along axes from `axis` on; batches by `vmap` lie before the last axis, in derivatives too."""
    return _product.bind(u, axis=axis, table=table)


def _multiply(u, *, axis, table):
    old, new = table.shapes
    matrix = jnp.asarray(table.matrix, u.dtype)
    front, behind = u.shape[:axis], u.shape[axis + len(old) :]
    if not axis:
        found = jax.lax.dot_general(matrix, u.reshape(matrix.shape[1], -1), (((1,), (0,)), ((), ())))
    else:
        u = u.reshape(math.prod(front), matrix.shape[1], -1)
        wide = jnp.broadcast_to(matrix[None], (len(u), *matrix.shape))
        found = jax.lax.dot_general(wide, u, (((2,), (1,)), ((0,), (0,))))
    return found.reshape(*front, *new, *behind)


def _batch(args, dims, *, axis, table):
    (u,), (dim,) = args, dims
    place = u.ndim - 2
    u = jnp.moveaxis(u, dim, place)
    old, new = table.shapes
    return product_along(u, axis, table), place + len(new) - len(old)


def _shape_of_product(u, *, axis, table):
    old, new = table.shapes
    if u.ndim <= axis + len(old) or u.shape[axis : axis + len(old)] != old:
        raise ValueError(f"values {u.shape} have no axes {old} at {axis} with channels behind them.")
    return u.update(shape=(*u.shape[:axis], *new, *u.shape[axis + len(old) :]))


# By the rules of `dot_general` derivatives and batches would have their axes elsewhere, to be copied to their places.
_product = Primitive("product_along")
_product.def_impl(lambda u, **settings: _multiply(u, **settings))
_product.def_abstract_eval(_shape_of_product)
batching.primitive_batchers[_product] = _batch
ad.deflinear2(
    _product,
    lambda cotangent, u, axis, table: (
        product_along(cotangent, axis, table._replace(transposed=not table.transposed)),
    ),
)
mlir.register_lowering(_product, mlir.lower_fun(_multiply, multiple_results=False))
