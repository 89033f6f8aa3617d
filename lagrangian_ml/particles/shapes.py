"""Bodies: lattices of particles that fill them, and signed distances of simple shapes and of shapes that move.

A signed distance is a function `(x: Vector, t) -> φ`, element by element: negative inside, positive outside. Numbers
in it may be floats or arrays, which are then trained as any other. `Obstacle` makes a boundary of it, `fill` particles.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..domains import Domain
from ..linalg.components import Vector, sum_of

Numbers = Sequence[float | int] | Array | np.ndarray
Shape = Callable[[Vector, Any], Array]


def fill(
    domain: Domain | Shape,
    spacing: float,
    *,
    per_cell: int = 1,
    bounds: tuple[Numbers, Numbers] | None = None,
    origin: Numbers | None = None,
) -> Float[np.ndarray, "p d"]:
    """The centres of those cubes of side spacing/per_cell that lie in the domain; each stands for the volume of one.

    Args:
        domain: a domain, or a signed distance.
        spacing: the cells of the grid, or the distance of particles themselves.
        per_cell: particles an axis in every cell.
        bounds: (lower, upper) of the box that is searched; that of the domain by default, needed for a signed distance.
        origin: a corner of the cubes, e.g. `grid.lower`. By default they lie symmetric in the bounds.

    Raises:
        ValueError: if a size is not positive, the bounds are missing, or no centre lies inside.
    """
    if not spacing > 0 or per_cell < 1:
        raise ValueError(f"spacing={spacing} must be positive and per_cell={per_cell} at least 1.")
    if bounds is None and not isinstance(domain, Domain):
        raise ValueError("a signed distance says not where it ends: give bounds=(lower, upper) of a box around it.")
    ends = domain.bounds if bounds is None and isinstance(domain, Domain) else bounds
    lower, upper = (np.asarray(end, float) for end in ends or ())
    h = spacing / per_cell
    if origin is None:
        counts = np.maximum(1, np.round((upper - lower) / h))
        first, last = (lower + upper - counts * h) / 2, (lower + upper + counts * h) / 2
    else:
        corner = np.asarray(origin, float)
        first = corner + h * np.floor((lower - corner) / h + 1e-6)
        last = corner + h * np.ceil((upper - corner) / h - 1e-6)
        counts = np.round((last - first) / h)
    x = block(first, last, [int(n) for n in counts])
    contains = jax.vmap(domain.contains) if isinstance(domain, Domain) else lambda x: domain(Vector(*x.T), 0.0) <= 0
    x = x[np.asarray(jax.jit(contains)(jnp.asarray(x)))]
    if not len(x):
        raise ValueError(
            f"no particle fits: the box {lower.tolist()} … {upper.tolist()} has {math.prod(map(int, counts))} cubes of "
            f"side {h:g}, none with its centre inside. Take a smaller spacing or more per cell."
        )
    return x


def block(lower: Numbers, upper: Numbers, counts: Sequence[int]) -> Float[np.ndarray, "p d"]:
    """The centres of counts[0] × counts[1] × … equal boxes that make up [lower, upper], in C order.

    Raises ValueError unless lower < upper and every count is at least 1.
    """
    lower, upper = np.asarray(lower, float), np.asarray(upper, float)
    if not (lower.shape == upper.shape == (len(counts),)) or not (lower < upper).all() or min(counts) < 1:
        raise ValueError(
            f"a block needs lower < upper and a count of at least 1 on every axis; got {lower.tolist()}, "
            f"{upper.tolist()} and counts={list(counts)}."
        )
    axes = [a + (b - a) * (np.arange(n) + 0.5) / n for a, b, n in zip(lower, upper, counts, strict=True)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=-1)


class HalfSpace(eqx.Module):
    """The side of the plane through `point` that `normal` points away from."""

    point: Numbers
    normal: Numbers

    def __check_init__(self):
        if len(self.point) != len(self.normal):
            raise ValueError(f"point and normal need one entry an axis; got {self.point} and {self.normal}.")

    def __call__(self, x: Vector, t: Any = 0.0) -> Array:
        size = jnp.sqrt(sum_of(n * n for n in _entries(self.normal)))
        return sum_of((a - b) * n for a, b, n in zip(x, self.point, self.normal, strict=True)) / size


class BallShape(eqx.Module):
    """A disc or ball. Raises ValueError unless radius > 0."""

    center: Numbers
    radius: float | int | Array | np.ndarray

    def __check_init__(self):
        _check_positive("radius", self.radius)

    def __call__(self, x: Vector, t: Any = 0.0) -> Array:
        return length(Vector(*(a - c for a, c in zip(x, self.center, strict=True)))) - self.radius


class BoxShape(eqx.Module):
    """The box [lower, upper]. Raises ValueError unless lower < upper."""

    lower: Numbers
    upper: Numbers

    def __check_init__(self):
        for a, b in zip(self.lower, self.upper, strict=True):
            _check_positive("upper - lower", b - a)

    def __call__(self, x: Vector, t: Any = 0.0) -> Array:
        outside = [jnp.maximum(a - c, c - b) for c, a, b in zip(x, self.lower, self.upper, strict=True)]
        deepest = jnp.stack(outside).max(0)
        return length(Vector(*(jnp.maximum(q, 0.0) for q in outside))) + jnp.minimum(deepest, 0.0)


class UnionShape(eqx.Module):
    """min φᵢ: what lies in any of the parts."""

    parts: tuple[Shape, ...] = eqx.field(converter=tuple)

    def __check_init__(self):
        if not self.parts:
            raise ValueError("a union needs at least one part.")

    def __call__(self, x: Vector, t: Any = 0.0) -> Array:
        return jnp.stack([part(x, t) for part in self.parts]).min(0)


class Moving(eqx.Module):
    """A shape given about the origin, carried to `center(t)`, (d,), and turned by `angle(t)` from the first axis
    towards the second.

    `velocity` is that of the rigid motion, ċ + θ̇ e × (x − c), by automatic differentiation.
    """

    shape: Shape
    center: Callable[[Any], Any]
    angle: Callable[[Any], Any] | None = None

    def __call__(self, x: Vector, t: Any = 0.0) -> Array:
        arm = self._arm(x, t)
        if self.angle is not None:
            cos, sin = jnp.cos(self.angle(t)), jnp.sin(self.angle(t))
            arm = Vector(cos * arm[0] + sin * arm[1], cos * arm[1] - sin * arm[0], *arm.components[2:])
        return self.shape(arm, t)

    def velocity(self, x: Vector, t: Any = 0.0) -> Vector:
        v = Vector(*(jnp.broadcast_to(jnp.asarray(c, a.dtype), a.shape) for c, a in zip(_rate(self.center, t), x)))
        if self.angle is None:
            return v
        arm, omega = self._arm(x, t), _rate(self.angle, t)
        return Vector(v[0] - omega * arm[1], v[1] + omega * arm[0], *v.components[2:])

    def _arm(self, x, t):
        return Vector(*(a - c for a, c in zip(x, self.center(t), strict=True)))


def length(v: Vector) -> Array:
    """|v|, with the derivative 0 at v = 0 instead of NaN."""
    squared = v.norm_squared()
    known = squared > 0
    return jnp.where(known, jnp.sqrt(jnp.where(known, squared, 1.0)), 0.0)


def _rate(path, t):
    t = jnp.asarray(t, jnp.result_type(float, t))
    return jax.jvp(lambda t: jax.tree.map(jnp.asarray, path(t)), (t,), (jnp.ones_like(t),))[1]


def _entries(numbers):
    return [numbers[i] for i in range(len(numbers))]


def _check_positive(name, value):
    if not isinstance(value, Tracer) and not value > 0:
        raise ValueError(f"{name}={value} must be positive.")
