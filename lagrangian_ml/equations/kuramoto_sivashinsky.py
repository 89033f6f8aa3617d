"""The Kuramoto–Sivashinsky equation, in conservative form u_t + u u_x + u_xx + u_xxxx = 0 (1-D), and in combustion
form φ_t + ½|∇φ|² + Δφ + Δ²φ = 0 (any dimension), of which u = φ_x is the slope in 1-D.

Wavenumbers below 1 grow, above 1 decay; on domains longer than about 22 the solution is chaotic. There is no exact
solution to test against; periodic domains have lengths of the user's choice, coefficients are all 1.
"""

from itertools import combinations

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import require_dimension


class KuramotoSivashinsky(Equation):
    """u_t + (u²/2)_x + u_xx + u_xxxx = 0 in one dimension."""

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(u, 1, "the conservative Kuramoto–Sivashinsky equation")
        return -u.laplacian - u.d(0, 0, 0, 0)

    def flux(self, u: Jet) -> Inexact[Array, "1 1 *s"]:
        return 0.5 * u.value[:, None] ** 2


class CombustionKuramotoSivashinsky(Equation):
    """φ_t + ½|∇φ|² + Δφ + Δ²φ = 0 in any dimension; the mean of φ falls for ever."""

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        axes = range(u.gradient.shape[1])
        pure = sum(u.d(i, i, i, i) for i in axes)
        mixed = (u.d(i, i, j, j) for i, j in combinations(axes, 2))
        return -u.laplacian - pure - 2 * sum(mixed, jnp.zeros_like(u.value))

    def nonlinear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        return -0.5 * jnp.sum(u.gradient**2, axis=1)
