"""The Kuramoto–Sivashinsky equation, in conservative form u_t + u u_x + u_xx + u_xxxx = 0 (1-D), and in combustion
form φ_t + ½|∇φ|² + Δφ + Δ²φ = 0 (any dimension), of which u = φ_x is the slope in 1-D.

Wavenumbers below 1 grow, above 1 decay; on domains longer than about 22 the solution is chaotic. There is no exact
solution to test against. Coefficients other than 1 only scale x, t and u; they are for data that state them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_dimension


class KuramotoSivashinsky(Equation):
    """u_t + s (u²/2)_x + a u_xx + b u_xxxx = 0 in one dimension; s `steepening`, a `growth`, b `hyperdiffusivity`."""

    steepening: Scalar = 1.0
    growth: Scalar = 1.0
    hyperdiffusivity: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(u, 1, "the conservative Kuramoto–Sivashinsky equation")
        return -self.growth * u.laplacian - self.hyperdiffusivity * u.d(0, 0, 0, 0)

    def flux(self, u: Jet) -> Inexact[Array, "1 1 *s"]:
        return 0.5 * self.steepening * u.value[:, None] ** 2


class CombustionKuramotoSivashinsky(Equation):
    """φ_t + ½s|∇φ|² + a Δφ + b Δ²φ = 0 in any dimension, with s, a, b as above; the mean of φ falls for ever."""

    steepening: Scalar = 1.0
    growth: Scalar = 1.0
    hyperdiffusivity: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        return -self.growth * u.laplacian - self.hyperdiffusivity * u.bilaplacian

    def nonlinear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        return -0.5 * self.steepening * jnp.sum(u.gradient**2, axis=1)
