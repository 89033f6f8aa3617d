"""Advection by a constant velocity, u_t + β·∇u = 0, in any dimension.

Sign: a positive βᵢ carries u towards larger xᵢ. The transport is stated as a `velocity`, which a moving frame removes
exactly, and as a flux, which finite volumes read.
"""

from collections.abc import Callable

import equinox as eqx
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, carried_by, components, over_grid


class Advection(Equation):
    """u_t + β·∇u = 0; `speed` is β, a number in 1-D."""

    speed: Vector = eqx.field(converter=as_vector, default=(1.0,))

    def velocity(self, u: Jet) -> Inexact[Array, "d *s"]:
        return over_grid(self.speed, u)

    def flux(self, u: Jet) -> Inexact[Array, "c d *s"]:
        return carried_by(self.speed, u.value)


class AdvectedProfile(eqx.Module):
    """u(t, x) = profile(x − β t), the solution of `Advection` from any `profile(x) -> (c,)`."""

    profile: Callable
    speed: Vector = eqx.field(converter=as_vector, default=(1.0,))

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.profile(x - components(self.speed, x) * t)
