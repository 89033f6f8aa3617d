"""Boxes of any dimension, and their faces.

The distance function of faces is a product over axes of ξ(1 − ξ), ξ or 1 − ξ with ξ ∈ [0, 1] along the axis: a
polynomial, smooth up to the corners, with slope 1 at the middle of the nearest faces. (R-functions are normalised
along the whole boundary, but not smooth at corners, where second derivatives are taken.)
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .region import Domain, Region, Side, pick


class Box(Domain):
    """The box lower < x < upper; `Box([-1.0], [1.0])` is an interval. Raises ValueError unless lower < upper."""

    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, lower: Sequence[float | int], upper: Sequence[float | int]):
        self.lower = tuple(float(value) for value in lower)
        self.upper = tuple(float(value) for value in upper)
        if (
            not self.lower
            or len(self.lower) != len(self.upper)
            or any(a >= b for a, b in zip(self.lower, self.upper, strict=True))
        ):
            raise ValueError(f"a box needs lower < upper on every axis; got lower={lower}, upper={upper}.")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.lower, self.upper

    @property
    def lengths(self) -> tuple[float, ...]:
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def unit_dim(self) -> int:
        return self.dim

    @property
    def measure(self) -> float:
        return math.prod(self.lengths)

    @property
    def boundary(self) -> "BoxFaces":
        return BoxFaces(self, tuple((axis, side) for axis in range(self.dim) for side in ("lower", "upper")))

    def face(self, axis: int, side: Side) -> "BoxFaces":
        """One face, such as `face(0, "lower")` at x₀ = lower₀."""
        return BoxFaces(self, ((axis, side),))

    def from_unit(self, unit: Float[Array, " d"]) -> Float[Array, " d"]:
        lower, upper = self._corners(unit.dtype)
        return lower + (upper - lower) * unit

    def contains(self, x: Float[Array, " d"]) -> Bool[Array, ""]:
        lower, upper = self._corners(x.dtype)
        return jnp.all((x >= lower) & (x <= upper))

    def grid(self, shape: Sequence[int]) -> Float[Array, "n d"]:
        """All points of a regular grid in C order, both ends included."""
        if len(shape) != self.dim:
            raise ValueError(f"shape={tuple(shape)} has {len(shape)} axes; the box has {self.dim}.")
        axes = [jnp.linspace(a, b, m) for a, b, m in zip(self.lower, self.upper, shape, strict=True)]
        return jnp.stack([g.ravel() for g in jnp.meshgrid(*axes, indexing="ij")], axis=-1)

    def _corners(self, dtype):
        return jnp.asarray(self.lower, dtype), jnp.asarray(self.upper, dtype)


class BoxFaces(Region):
    """Some faces of a box, each an (axis, side)."""

    box: Box
    faces: tuple[tuple[int, str], ...] = eqx.field(static=True)

    def __check_init__(self):
        for axis, side in self.faces:
            if side not in ("lower", "upper") or not 0 <= axis < self.box.dim:
                raise ValueError(
                    f"face ({axis}, {side!r}) does not exist: the axis is 0 … {self.box.dim - 1}, "
                    "the side 'lower' or 'upper'."
                )

    @property
    def unit_dim(self) -> int:
        return self.box.dim - 1 + (len(self.faces) > 1)  # one coordinate picks the face

    @property
    def measure(self) -> float:
        return sum(self._areas())

    def _areas(self):
        return tuple(self.box.measure / self.box.lengths[axis] for axis, _ in self.faces)

    def from_unit(self, unit: Float[Array, " k"]) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        d = self.box.dim
        face = pick(unit[0], self._areas()) if len(self.faces) > 1 else jnp.array(0)
        axis = jnp.asarray([axis for axis, _ in self.faces])[face]
        sign = jnp.asarray([1.0 if side == "upper" else -1.0 for _, side in self.faces], unit.dtype)[face]
        is_normal = jnp.arange(d) == axis
        # Spread the d − 1 coordinates along the face over the other axes, in order.
        along = jnp.concatenate([unit[unit.shape[0] - (d - 1) :], jnp.zeros(1, unit.dtype)])
        along = along[jnp.arange(d) - (jnp.arange(d) > axis).astype(axis.dtype)]
        lower, upper = self.box._corners(unit.dtype)
        x = jnp.where(is_normal, jnp.where(sign > 0, upper, lower), lower + (upper - lower) * along)
        return x, jnp.where(is_normal, sign, jnp.zeros_like(sign))

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        used = sorted({axis for axis, _ in self.faces})
        product, scale = jnp.ones((), x.dtype), math.inf
        for axis in used:
            low, high, length = self.box.lower[axis], self.box.upper[axis], self.box.lengths[axis]
            below, above = (x[axis] - low) / length, (high - x[axis]) / length
            sides = {side for a, side in self.faces if a == axis}
            both = len(sides) == 2
            product = product * (4.0 * below * above if both else below if "lower" in sides else above)
            scale = min(scale, length / 4.0 if both else length)
        return scale * product


def interval(lower: float | int, upper: float | int) -> Box:
    """The one-dimensional box (lower, upper), of space or time."""
    return Box((lower,), (upper,))
