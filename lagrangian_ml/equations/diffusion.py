"""Diffusion (the heat equation), u_t = ν Δu, in any dimension."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, require_nonnegative
from .modes import Sines, squared_norm


class Diffusion(Equation):
    """u_t = ν Δu; `diffusivity` is ν ≥ 0."""

    diffusivity: Scalar = 1.0

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian


class DecayingSines(eqx.Module):
    """u(t, x) = exp(−ν|k|²t) Πᵢ sin(kᵢ xᵢ), the separable modes of `Diffusion`."""

    diffusivity: Scalar
    wavevector: Vector = eqx.field(converter=as_vector)

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        return jnp.exp(-self.diffusivity * squared_norm(self.wavevector) * t) * Sines(self.wavevector)(x)
