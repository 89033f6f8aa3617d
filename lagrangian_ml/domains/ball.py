"""Balls of any dimension and their spheres."""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .region import Domain, Region

Uniform = Literal["volume", "radius"]


class Ball(Domain):
    """The ball |x − center| < radius, whose points are drawn uniform in volume, or in direction and in |x − center|.

    In 100 dimensions 99 % of the volume lies beyond 0.95 of the radius: there the second is what PINNs use.
    Raises ValueError unless radius > 0.
    """

    center: tuple[float, ...] = eqx.field(static=True)
    radius: float = eqx.field(static=True)
    uniform: Uniform = eqx.field(static=True)

    def __init__(self, center: Sequence[float | int], radius: float | int = 1.0, uniform: Uniform = "volume"):
        self.center = tuple(float(value) for value in center)
        self.radius, self.uniform = float(radius), uniform
        if not self.center or not self.radius > 0:
            raise ValueError(f"a ball needs a center with at least one entry and radius > 0; got {center}, {radius}.")
        if uniform not in get_args(Uniform):
            raise ValueError(f"uniform={uniform!r} is unknown; choose one of {', '.join(get_args(Uniform))}.")

    @property
    def dim(self) -> int:
        return len(self.center)

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return tuple(c - self.radius for c in self.center), tuple(c + self.radius for c in self.center)

    @property
    def unit_dim(self) -> int:
        return self.dim + 1

    @property
    def measure(self) -> float:
        half = self.dim / 2
        return math.exp(half * math.log(math.pi) - math.lgamma(half + 1) + self.dim * math.log(self.radius))

    @property
    def boundary(self) -> "Sphere":
        return Sphere(self)

    def from_unit(self, unit: Float[Array, " k"]) -> Float[Array, " d"]:
        radius = self.radius * (unit[0] ** (1 / self.dim) if self.uniform == "volume" else unit[0])
        return jnp.asarray(self.center, unit.dtype) + radius * _direction(unit[1:])

    def contains(self, x: Float[Array, " d"]) -> Bool[Array, ""]:
        return jnp.sum((x - jnp.asarray(self.center, x.dtype)) ** 2) <= self.radius**2


class Sphere(Region):
    """The boundary of a ball; in one dimension its two end points."""

    ball: Ball

    @property
    def unit_dim(self) -> int:
        return self.ball.dim

    @property
    def measure(self) -> float:
        return self.ball.dim * self.ball.measure / self.ball.radius

    def from_unit(self, unit: Float[Array, " k"]) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        normal = _direction(unit)
        return jnp.asarray(self.ball.center, unit.dtype) + self.ball.radius * normal, normal

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """(R² − |x − center|²) / 2R"""
        squared = jnp.sum((x - jnp.asarray(self.ball.center, x.dtype)) ** 2)
        return (self.ball.radius**2 - squared) / (2 * self.ball.radius)


def _direction(unit):
    """A uniform unit vector: the direction of the Gaussian vector whose quantiles are `unit`."""
    gaussian = jax.scipy.special.ndtri(unit)
    norm = jnp.linalg.norm(gaussian)
    first = (jnp.arange(unit.shape[0]) == 0).astype(unit.dtype)
    return jnp.where(norm > 0, gaussian / jnp.where(norm > 0, norm, 1.0), first)
