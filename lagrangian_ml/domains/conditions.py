"""Boundary conditions, records that solvers, PINN terms and hard-constraint ansätze all read.

A value is a function of the point, `value(x) -> (c,)` in steady problems and `value(t, x) -> (c,)` in evolving
ones, or a number for a constant. Residuals are written in the field's jet and the outward unit normal.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Jet, Point
from .region import Region


class Constant(eqx.Module):
    """The field of the same value in every component and everywhere."""

    constant: float = eqx.field(static=True)

    def __call__(self, *point) -> Float[Array, "1"]:
        return jnp.full((1,), self.constant, point[-1].dtype)


def _as_field(value):
    return value if callable(value) else Constant(float(value))


class Dirichlet(eqx.Module):
    """u = value on the region."""

    region: Region
    value: Callable = eqx.field(converter=_as_field, default=0.0)

    def residual(self, jet: Jet, normal: Float[Array, " d"], value: Float[Array, " k"]) -> Inexact[Array, " c"]:
        return jet.value - value


class Neumann(eqx.Module):
    """∂u/∂n = value on the region."""

    region: Region
    value: Callable = eqx.field(converter=_as_field, default=0.0)

    def residual(self, jet: Jet, normal: Float[Array, " d"], value: Float[Array, " k"]) -> Inexact[Array, " c"]:
        return jnp.einsum("cd,d->c", jet.gradient, normal) - value


class Robin(eqx.Module):
    """a u + b ∂u/∂n = value on the region."""

    region: Region
    a: float | int
    b: float | int
    value: Callable = eqx.field(converter=_as_field, default=0.0)

    def residual(self, jet: Jet, normal: Float[Array, " d"], value: Float[Array, " k"]) -> Inexact[Array, " c"]:
        return self.a * jet.value + self.b * jnp.einsum("cd,d->c", jet.gradient, normal) - value


class Periodic(eqx.Module):
    """u and its normal derivative agree on the two faces of a box across `axis`."""

    axis: int = eqx.field(static=True)

    def residual(self, jet: Jet, partner: Jet, normal: Float[Array, " d"]) -> Inexact[Array, " k"]:
        """(jump of u, jump of ∂u/∂n) between a point and its partner on the opposite face."""
        slopes = jnp.einsum("cd,d->c", jet.gradient - partner.gradient, normal)
        return jnp.concatenate([jet.value - partner.value, slopes])


Condition = Dirichlet | Neumann | Robin | Periodic


class BoundaryPoint(NamedTuple):
    """A sample on the region of a condition; `partner` is the opposite point of a periodic one."""

    point: Point
    normal: Float[Array, "*n d"]
    partner: Point | None = None


def boundary_residual(
    conditions: Sequence[Condition], jet_at: Callable[[Point], Jet], sample: Sequence[BoundaryPoint]
) -> Inexact[Array, " k"]:
    """The residuals of all conditions, each at its own point of the sample; `jet_at(point)` is the field's jet."""
    residuals = []
    for condition, (point, normal, partner) in zip(conditions, sample, strict=True):
        if isinstance(condition, Periodic):
            assert partner is not None, "a sample of a periodic condition has a partner"
            residuals.append(condition.residual(jet_at(point), jet_at(partner), normal))
        else:
            value = condition.value(point.x) if point.t is None else condition.value(point.t, point.x)
            residuals.append(condition.residual(jet_at(point), normal, value))
    return jnp.concatenate(residuals)
