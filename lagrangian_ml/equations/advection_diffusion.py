"""Advection–diffusion with constant coefficients, u_t + β·∇u = ν Δu, in any dimension.

Sign: a positive βᵢ carries u towards larger xᵢ. A solution of diffusion, seen in the frame x − βt, is a solution.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import (
    Scalar,
    Vector,
    as_vector,
    carried_by,
    components,
    over_grid,
    require_nonnegative,
    require_positive,
)
from .diffusion import DecayingSines


class AdvectionDiffusion(Equation):
    """u_t + β·∇u = ν Δu; `speed` is β (a number in 1-D), `diffusivity` is ν ≥ 0."""

    speed: Vector = eqx.field(converter=as_vector, default=(1.0,))
    diffusivity: Scalar = 0.01

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian

    def velocity(self, u: Jet) -> Inexact[Array, "d *s"]:
        return over_grid(self.speed, u)

    def flux(self, u: Jet) -> Inexact[Array, "c d *s"]:
        return carried_by(self.speed, u.value)


class MovingGaussian(eqx.Module):
    """A pulse of width σ and height 1 at t = 0, centred at `center` + βt, with variance σ² + 2νt; its mass is kept."""

    equation: AdvectionDiffusion
    center: Vector = eqx.field(converter=as_vector)
    width: Scalar = 0.1

    def __check_init__(self):
        require_positive(width=self.width)

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        variance = self.width**2 + 2 * self.equation.diffusivity * t
        offset = x - components(self.center, x) - components(self.equation.speed, x) * t
        height = (self.width**2 / variance) ** (x.shape[0] / 2)
        return (height * jnp.exp(-jnp.sum(offset**2) / (2 * variance)))[None]


class MovingSines(eqx.Module):
    """u(t, x) = exp(−ν|k|²t) Πᵢ sin kᵢ(xᵢ − βᵢt), a decaying mode that moves."""

    equation: AdvectionDiffusion
    wavevector: Vector = eqx.field(converter=as_vector)

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        mode = DecayingSines(self.equation.diffusivity, self.wavevector)
        return mode(t, x - components(self.equation.speed, x) * t)
