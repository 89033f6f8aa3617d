"""What grid velocities obey at the walls of a box and in obstacles: `boundary(v, x, t) -> v`, node by node.

Contact laws are functions `law(v, n, x) -> v` of the velocity relative to the wall and of the unit normal n, which
points away from the wall. Coulomb's law on a grid is that of Stomakhin et al. (2013, doi:10.1145/2461912.2461948,
section 8): with vₙ = v·n < 0 and vₜ = v − vₙ n,

    v ← max(0, 1 + μ vₙ/|vₜ|) vₜ.

These laws have kinks where a node begins to touch and where it begins to slide. With `smooth`, a width in units of
velocity, they are differentiable everywhere and still let nothing through: max(0, s) becomes w log(1 + exp(s/w)), so
that a node at rest is pushed away at w log 2. As w → 0 they become the laws above.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ..core import Grid
from ..linalg.components import Vector

Number = float | int | Array | np.ndarray
Law = Callable[[Vector, Vector, Vector], Vector]
SignedDistance = Callable[[Vector, Any], Array]
_SIDES = ("lower", "upper")
_AXES = "xyz"
_SLACK = 1e-6  # of the box: nodes on a face in spite of rounding


class Sticky(eqx.Module):
    """Nodes move with the wall."""

    def __call__(self, v: Vector, normal: Vector, x: Vector) -> Vector:
        return v.map(jnp.zeros_like)


class Slip(eqx.Module):
    """v − vₙ n: nodes neither enter nor leave, and slide freely."""

    def __call__(self, v: Vector, normal: Vector, x: Vector) -> Vector:
        return v - normal * v.dot(normal)


class Separating(eqx.Module):
    """v − min(vₙ, 0) n: nodes do not enter, leave as they like, and slide freely."""

    smooth: Number | None = None

    def __check_init__(self):
        _check_width("smooth", self.smooth, "a velocity")

    def __call__(self, v: Vector, normal: Vector, x: Vector) -> Vector:
        return v + normal * _ramp(-v.dot(normal), self.smooth)


class Friction(eqx.Module):
    """Coulomb's law, which separates freely; μ a number, an array (trained as any other) or a function of positions.

    A trained μ is not kept from becoming negative: give `softplus` of a parameter where that may happen.
    Raises ValueError if a known μ is negative or `smooth` is not positive.
    """

    coefficient: Number | Callable[[Vector], Any]
    smooth: Number | None = None

    def __check_init__(self):
        _check_width("smooth", self.smooth, "a velocity")
        if not callable(self.coefficient):
            _check_friction("coefficient", self.coefficient)

    def __call__(self, v: Vector, normal: Vector, x: Vector) -> Vector:
        mu = self.coefficient(x) if callable(self.coefficient) else self.coefficient
        speed = v.dot(normal)
        along = v - normal * speed
        stop = _ramp(-speed, self.smooth)
        # v + … rather than a new sum: where nothing touches, v stays as it is to the last bit.
        return v + normal * stop - along * (1.0 - _kept(along.norm_squared(), mu * stop, self.smooth))


class Bands(eqx.Module):
    """A piecewise constant μ for `Friction`: values[0] below edges[0], … along one axis.

    Raises ValueError unless the edges increase, there is one value more than edges, and known values are ≥ 0.
    """

    edges: tuple[float, ...] = eqx.field(static=True, converter=lambda edges: tuple(map(float, edges)))
    values: Array | np.ndarray | Sequence[float | int]
    axis: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if len(self.values) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError(
                f"{len(self.edges)} edges need to increase and {len(self.edges) + 1} values; "
                f"got edges={self.edges} and {len(self.values)} values."
            )
        _check_friction("values", self.values)

    def __call__(self, x: Vector) -> Array:
        mu = jnp.full_like(x[self.axis], self.values[0])
        for i, edge in enumerate(self.edges):
            mu = jnp.where(x[self.axis] >= edge, self.values[i + 1], mu)
        return mu


class Walls(eqx.Module):
    """The faces of the box [lower, upper] in which particles stay: nodes on a face or beyond obey its contact law.

    `contact` is one law for all faces; or a sequence with one entry an axis, a law or a pair (at lower, at upper); or
    a mapping such as {"y_lower": Friction(0.4), "other": Slip()}. A face with None is open.
    """

    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    faces: tuple[tuple[Law | None, Law | None], ...]

    def __init__(self, lower: Sequence[float | int], upper: Sequence[float | int], contact: Any):
        self.lower, self.upper = tuple(map(float, lower)), tuple(map(float, upper))
        if len(lower) != len(upper) or not all(a < b for a, b in zip(self.lower, self.upper)):
            raise ValueError(f"walls need lower < upper on every axis; got lower={lower} and upper={upper}.")
        self.faces = _faces(contact, len(self.lower))

    @classmethod
    def of(cls, grid: Grid, margin: int = 3, contact: Any = Slip()) -> "Walls":  # noqa: B008 - it has no state
        """The bounds of the grid, moved inwards by `margin` cells: room for the kernels of particles at the walls."""
        if not 2 <= margin < min(grid.shape) / 2:
            raise ValueError(
                f"margin={margin}: kernels of particles at a wall need 2 cells beyond it, and walls some between them; "
                f"the grid has {grid.shape} nodes."
            )
        ends = zip(grid.lower, grid.upper, grid.spacings)
        lower, upper = zip(*((a + margin * h, b - margin * h) for a, b, h in ends))
        return cls(lower, upper, contact)

    def __call__(self, v: Vector, x: Vector, t: Any = 0.0) -> Vector:
        for i, (laws, low, high) in enumerate(zip(self.faces, self.lower, self.upper, strict=True)):
            slack = _SLACK * (high - low)
            for law, beyond, sign in zip(laws, (x[i] <= low + slack, x[i] >= high - slack), (1.0, -1.0)):
                if law is not None:
                    normal = Vector(*(sign * (j == i) for j in range(len(v))))
                    v = v.map(lambda old, new, beyond=beyond: jnp.where(beyond, new, old), law(v, normal, x))
        return v


class Obstacle(eqx.Module):
    """A body: where its signed distance is ≤ 0, the velocity relative to the body obeys the contact law.

    Args:
        signed_distance: `(x, t) -> φ`, element by element, negative inside; its normalised gradient is the normal.
        contact: the law.
        velocity: `(x, t) -> Vector` of the body; without it the method `velocity` of `signed_distance`, as `Moving`
            has one, or rest.
        thickness: a length. The law sets in over it, by a share 1/(1 + exp(φ/thickness)), so that derivatives by the
            place and form of the body exist. Without it they are zero but for the direction of the normal.
    """

    signed_distance: SignedDistance
    contact: Law
    velocity: Callable[[Vector, Any], Vector] | None = None
    thickness: Number | None = None

    def __check_init__(self):
        _check_width("thickness", self.thickness, "a length")

    def __call__(self, v: Vector, x: Vector, t: Any = 0.0) -> Vector:
        x = Vector(*jnp.broadcast_arrays(*(jnp.asarray(a, b.dtype) for a, b in zip(x, v, strict=True))))
        phi, normal = distance_and_normal(self.signed_distance, x, t)
        velocity = self.velocity or getattr(self.signed_distance, "velocity", None)
        body = velocity(x, t) if velocity else v.map(jnp.zeros_like)
        change = self.contact(v - body, normal, x) + body - v
        if self.thickness is None:
            return v.map(lambda old, dv: jnp.where(phi <= 0, old + dv, old), change)
        return v + change * jax.nn.sigmoid(-phi / self.thickness)


def distance_and_normal(signed_distance: SignedDistance, x: Vector, t: Any) -> tuple[Array, Vector]:
    """(φ, ∇φ/|∇φ|), the normal zero where the gradient is."""
    phi, pull = jax.vjp(lambda x: signed_distance(x, t), x)
    (gradient,) = pull(jnp.ones_like(phi))
    squared = gradient.norm_squared()
    known = squared > 0  # not so where it is NaN
    scale = jnp.where(known, 1.0 / jnp.sqrt(jnp.where(known, squared, 1.0)), 0.0)
    return phi, gradient.map(lambda g: jnp.where(known, g, 0.0) * scale)


def _ramp(s, width):
    """max(0, s), or its smooth variant."""
    return jnp.where(s > 0, s, 0.0) if width is None else width * jax.nn.softplus(s / width)


def _kept(squared, loss, width):
    """The share max(0, 1 − loss/s) of the sliding speed s = √squared that friction leaves."""
    if width is not None:  # in [0, 1], and 1 where there is no loss
        s = jnp.sqrt(squared + width**2)
        return jax.nn.softplus((s - loss) / width) / jax.nn.softplus(s / width)
    slides = squared > jnp.finfo(squared.dtype).tiny ** 0.5  # below, derivatives overflow
    s = jnp.sqrt(jnp.where(slides, squared, 1.0))
    return jnp.where(slides, jnp.where(s > loss, 1.0 - loss / s, 0.0), jnp.where(loss > 0, 0.0, 1.0))


def _faces(contact, dim):
    names = [[f"{_AXES[i]}_{side}" for side in _SIDES] for i in range(dim)]
    if isinstance(contact, Mapping):
        flat = [name for pair in names for name in pair]
        unknown = [name for name in contact if name not in (*flat, "other")]
        missing = [name for name in flat if name not in contact]
        if unknown or (missing and "other" not in contact):
            problem = f"there is no face {unknown[0]!r}" if unknown else f"nothing is said about {missing[0]!r}"
            raise ValueError(f'{problem}: name all of {", ".join(flat)}, or "other" for the rest; None is an open one.')
        contact = [[contact.get(name, contact.get("other")) for name in pair] for pair in names]
    elif not isinstance(contact, Sequence):
        contact = [contact] * dim
    if len(contact) != dim:
        raise ValueError(f"contact has {len(contact)} entries for {dim} axes; give one law, or one entry an axis.")
    faces = tuple(tuple(entry) if isinstance(entry, Sequence) else (entry, entry) for entry in contact)
    for pair in faces:
        if len(pair) != 2 or not all(law is None or callable(law) for law in pair):
            raise ValueError(f"an axis has a contact law for its lower and its upper face, or None; got {pair}.")
    return faces


def _known(value):
    return value is not None and not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))


def _check_width(name, value, unit):
    if _known(value) and eqx.is_array_like(value) and not np.all(np.asarray(value) > 0):
        raise ValueError(f"{name}={value} is {unit} and must be positive; None gives the sharp law.")


def _check_friction(name, value):
    if _known(value) and not np.all(np.asarray(value) >= 0):
        raise ValueError(f"{name}={value}: a friction coefficient is not negative.")
