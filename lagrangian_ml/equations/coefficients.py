"""Coefficients of equations and of their exact solutions.

A coefficient is a number, or a scalar array when it is to be trained (then it is a leaf of the model like any
other). Numbers are checked when the object is built; arrays, which may be tracers, are not.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Jet

Scalar = int | float | Float[Array, ""]
Vector = tuple[Scalar, ...] | Float[Array, " d"]


def require_positive(**coefficients: Scalar) -> None:
    """ValueError unless every coefficient that is a number is > 0."""
    for name, value in coefficients.items():
        if isinstance(value, int | float) and not value > 0:
            raise ValueError(f"{name}={value} is not allowed: give a number > 0, or a scalar array to train it.")


def require_nonnegative(**coefficients: Scalar) -> None:
    """ValueError unless every coefficient that is a number is >= 0."""
    for name, value in coefficients.items():
        if isinstance(value, int | float) and not value >= 0:
            raise ValueError(f"{name}={value} is not allowed: give a number >= 0, or a scalar array to train it.")


def as_vector(value: Scalar | Sequence[Scalar] | Float[Array, " d"]) -> Vector:
    """The converter of vector coefficients: a number means one dimension, a list becomes a tuple."""
    if isinstance(value, int | float):
        return (value,)
    if isinstance(value, jax.Array):
        return jnp.atleast_1d(value)
    return tuple(value)


def components(vector: Vector, x: Inexact[Array, " d"]) -> Float[Array, " d"]:
    """`vector` as an array that goes with the point x; ValueError if their dimensions differ."""
    if len(vector) != x.shape[0]:
        raise ValueError(f"the coefficient {vector} has {len(vector)} components, but the point has {x.shape[0]}.")
    return jnp.asarray(vector, x.dtype)


def over_grid(vector: Vector, jet: Jet) -> Float[Array, "d *s"]:
    """`vector` repeated over the grid axes (none at a point) of a jet; ValueError if their dimensions differ."""
    require_dimension(jet, len(vector), f"the coefficient {vector}")
    return _spread(vector, jet.value)


def carried_by(vector: Vector, value: Inexact[Array, "c *s"]) -> Inexact[Array, "c d *s"]:
    """The flux of u that moves with the constant velocity `vector`; ValueError if a grid has other dimensions."""
    if value.ndim > 1 and value.ndim - 1 != len(vector):
        raise ValueError(f"the coefficient {vector} has {len(vector)} components; the grid has {value.ndim - 1} axes.")
    return value[:, None] * _spread(vector, value)[None]


def _spread(vector, value):
    array, grid = jnp.asarray(vector, jnp.finfo(value.dtype).dtype), value.shape[1:]
    return jnp.broadcast_to(array.reshape(-1, *(1 for _ in grid)), (array.shape[0], *grid))


def at_points(field: Callable, x: Float[Array, "d *s"]) -> Float[Array, "c *s"]:
    """A steady field at a point (d,) or at the points (d, *s) of a grid."""
    for _ in x.shape[1:]:
        field = jax.vmap(field, in_axes=-1, out_axes=-1)
    return field(x)


def require_dimension(jet: Jet, dim: int, what: str) -> None:
    """ValueError unless the jet is taken in `dim` space dimensions: broadcasting would hide the mistake."""
    given = jet.gradient.shape[1]
    if given != dim:
        raise ValueError(f"{what} needs a field in {dim} space dimension(s); this one has {given}.")
