"""The jet of a field on a random plane through a point: unbiased estimates of sums of derivatives over all axes.

Stochastic Taylor derivative estimators (STDE) of Shi, Hu, Lin & Kawaguchi 2024 (arXiv 2412.00088):
for directions v₁ … v_V with E Σₖ vₖvₖᵀ = I/s, s Σₖ D²u[vₖ, vₖ] has the mean Δu. "coordinates" (sparse) are distinct
axes, every subset as likely, and s = d/V. "rademacher" (entries ±1) and "gaussian" (dense) have s = 1/V: the estimator
of a trace of Hutchinson (1990). If D²u is diagonal, Rademacher's has no variance; if the diagonal of D²u is constant,
coordinates have none.

Values, u_t and gradients are exact, whatever an equation makes of them. It has to be linear in Δu to be unbiased; the
mean square of a residual then exceeds the square of its mean by the variance of the estimate, as in the paper.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ..core import Field, Jet, ValueJet
from .coordinates import on_coordinates
from .forward import taylor
from .point import PointJet

DirectionLaw = Literal["coordinates", "rademacher", "gaussian"]


@dataclass(frozen=True)
class Directions:
    """How many directions are drawn at a point, and by which law. ValueError for an unknown law and for num < 1."""

    num: int = 16
    law: DirectionLaw = "coordinates"

    def __post_init__(self):
        if self.law not in get_args(DirectionLaw):
            raise ValueError(f"law={self.law!r} of directions is unknown; choose {', '.join(get_args(DirectionLaw))}.")
        if self.num < 1:
            raise ValueError(f"num={self.num} directions are not allowed: an estimate needs at least 1.")

    def check(self, dim: int) -> None:
        """ValueError if so many directions do not exist in `dim` dimensions."""
        if self.law == "coordinates" and self.num > dim:
            raise ValueError(
                f"num={self.num} distinct coordinates do not exist in {dim} dimensions: take at most {dim} "
                "(method.directions.num), with which the Laplacian is exact, or law='rademacher'."
            )


SPARSE = Directions()


class StochasticJet(Jet):
    """Value, u_t, gradient and `d(i, j, …)` are exact, Laplacian and divergence are unbiased estimates.

    No array of the size of d² exists, and with coordinates none of d · num in the pass of a network, whose first layer
    costs what it costs for the value. Without a key there are the value, the gradient and `d` only.
    """

    def __init__(
        self,
        field: Field,
        x: Float[Array, " d"],
        t: Float[Array, ""] | None = None,
        directions: Directions = SPARSE,
        *,
        key: Key[Array, ""] | None,
    ):
        directions.check(x.shape[0])
        self.x, self.t, self._field, self._directions, self._key = x, t, field, directions, key

    @property
    def _times(self) -> tuple:
        return () if self.t is None else (self.t,)

    @cached_property
    def _drawn(self) -> tuple[Array, float]:
        """(what was drawn, s): distinct axes (V,), or vectors (V, d)."""
        if self._key is None:
            raise ValueError("this jet has no random key: sums over axes are estimated where a sample brings one.")
        num, d = self._directions.num, self.x.shape[0]
        if self._directions.law == "coordinates":
            return distinct(d, num, key=self._key), d / num
        draw = jax.random.rademacher if self._directions.law == "rademacher" else jax.random.normal
        return draw(self._key, (num, d), self.x.dtype), 1 / num

    @cached_property
    def _plane(self) -> PointJet:
        """The jet of the field on the plane through x."""
        drawn = self._drawn[0]
        if drawn.ndim == 1:
            return self._on_axes(drawn)
        field = lambda *z: self._field(*z[:-1], self.x + z[-1] @ drawn)
        return PointJet(field, jnp.zeros(drawn.shape[0], self.x.dtype), self.t)

    def _on_axes(self, axes) -> PointJet:
        field = lambda *z: on_coordinates(lambda x: self._field(*z[:-1], x), self.x, axes)(z[-1])
        return PointJet(field, self.x[axes], self.t)

    @property
    def value(self):
        return self._field(*self._times, self.x) if self._key is None else self._plane.value

    @cached_property
    def gradient(self):
        """By reverse mode, a pass for each component."""
        return jax.jacrev(lambda x: self._field(*self._times, x))(self.x)

    @property
    def laplacian(self):
        return self._drawn[1] * self._plane.laplacian

    @property
    def bilaplacian(self):
        """Unbiased along Gaussian directions, for which E D⁴u[v, v, v, v] = 3 Δ²u; otherwise exact, with d² terms.

        ValueError for these in more than 8 dimensions.
        """
        if self._directions.law != "gaussian":
            if self.x.shape[0] > 8:
                raise ValueError(
                    f"Δ²u in {self.x.shape[0]} dimensions is estimated along Gaussian directions only, not by "
                    f"law={self._directions.law!r}: take method.directions.law=gaussian."
                )
            return super().bilaplacian
        pure = jax.vmap(lambda v: taylor(lambda x: self._field(*self._times, x), self.x, v, 4)[-1])
        return jnp.mean(pure(self._drawn[0]), axis=0) / 3

    @property
    def dt(self):
        return self._plane.dt

    def d(self, *axes):
        axes = [range(self.x.shape[0])[axis] for axis in axes]
        present = sorted(set(axes))
        return self._on_axes(jnp.asarray(present, int)).d(*(present.index(axis) for axis in axes))

    def divergence(self, flux):
        """s Σₖ vₖ · (derivative of F along vₖ)"""
        drawn, scale = self._drawn
        vectors = drawn if drawn.ndim == 2 else jax.nn.one_hot(drawn, self.x.shape[0], dtype=self.x.dtype)
        at = lambda value, x: flux(ValueJet(value, x, self.t))
        along = lambda du, v: jax.jvp(at, (self.value, self.x), (du, v))[1] @ v
        return scale * jnp.sum(jax.vmap(along)(self._plane.gradient.T, vectors), axis=0)

    def of(self, law):
        """By composition, along the same directions."""
        composed = lambda *z: law(ValueJet(self._field(*z), z[-1], None if self.t is None else z[0]))
        return StochasticJet(composed, self.x, self.t, self._directions, key=self._key)


def stochastic_jet(
    field: Field,
    x: Float[Array, " d"],
    t: Float[Array, ""] | float | None = None,
    directions: Directions = SPARSE,
    *,
    key: Key[Array, ""] | None,
) -> StochasticJet:
    """The jet at x of a steady field `field(x)`, or at (t, x) of an evolving one, along random directions.

    Args:
        field: a callable on one point, differentiable by JAX, returning (c,).
        x: the point, (d,).
        t: the time, a scalar, or None for a steady field.
        directions: their number and law. ValueError if there are more coordinates than dimensions.
        key: draws them; None for a jet without a Laplacian.
    """
    return StochasticJet(field, x, None if t is None else jnp.asarray(t, x.dtype), directions, key=key)


def distinct(total: int, num: int, *, key: Key[Array, ""]) -> Int[Array, " num"]:
    """`num` of the numbers 0 … total − 1, every subset as likely as any other, in a memory of `num`.

    Floyd's algorithm (Bentley & Floyd 1987, doi 10.1145/30401.315746).
    """
    last = jnp.arange(total - num, total)
    guesses = jax.random.randint(key, (num,), 0, last + 1)

    def pick(k, chosen):
        return chosen.at[k].set(jnp.where(jnp.any(chosen == guesses[k]), last[k], guesses[k]))

    return jax.lax.fori_loop(0, num, pick, jnp.full(num, -1, guesses.dtype))
