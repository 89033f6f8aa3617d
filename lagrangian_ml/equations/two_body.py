"""A solution in any dimension in which neighbouring variables interact, and the source that makes it one.

u = (1 − |x|²) Σᵢ cᵢ sin aᵢ, aᵢ = xᵢ + cos xᵢ₊₁ + xᵢ₊₁ cos xᵢ, i < d, vanishes on the unit sphere. It is a test of STDE
(Shi et al. 2024, arXiv 2412.00088), where cᵢ ~ N(0, 1). Value and Laplacian cost O(d).
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Equation, ValueJet


class TwoBody(eqx.Module):
    """(1 − |x|²) Σ cᵢ sin aᵢ with the coefficients c (d − 1,)."""

    coefficients: Float[Array, " m"]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "1"]:
        phase, weights, _, _ = self._pairs(x)
        return ((1 - jnp.sum(x**2)) * jnp.sum(weights * jnp.sin(phase)))[None]

    def laplacian(self, x: Float[Array, " d"]) -> Float[Array, "1"]:
        """−2d S − 4 x·∇S + (1 − |x|²) ΔS with S = Σ cᵢ sin aᵢ."""
        phase, weights, (p, q), (a_p, a_q, a_pp, a_qq) = self._pairs(x)
        sine, cosine = weights * jnp.sin(phase), weights * jnp.cos(phase)
        along_x = jnp.sum(cosine * (p * a_p + q * a_q))
        bent = jnp.sum(cosine * (a_pp + a_qq) - sine * (a_p**2 + a_q**2))
        return (-2 * x.shape[0] * jnp.sum(sine) - 4 * along_x + (1 - jnp.sum(x**2)) * bent)[None]

    def _pairs(self, x):
        """a, c, (xᵢ, xᵢ₊₁) = (p, q), and the derivatives (a_p, a_q, a_pp, a_qq) of a; a_pq is not needed."""
        if x.shape[0] != self.coefficients.shape[0] + 1:
            raise ValueError(f"{self.coefficients.shape[0]} coefficients of pairs do not fit {x.shape[0]} dimensions.")
        p, q = x[:-1], x[1:]
        phase = p + jnp.cos(q) + q * jnp.cos(p)
        slopes = 1 - q * jnp.sin(p), jnp.cos(p) - jnp.sin(q), -q * jnp.cos(p), -jnp.cos(q)
        return phase, self.coefficients.astype(x.dtype), (p, q), slopes


class ClosedFormSource(eqx.Module):
    """The source f that makes `solution`, which states its `laplacian(x)`, solve a steady equation without one.

    The equation reads value and Laplacian only: Poisson, SteadyAllenCahn, SineGordon, Helmholtz.
    """

    equation: Equation
    solution: Any

    def __check_init__(self):
        if not self.equation.steady:
            raise ValueError(
                f"{type(self.equation).__name__} evolves; a closed-form source must have a steady equation."
            )

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.equation.residual(_ClosedForm(self.solution(x), self.solution.laplacian(x), x))


class _ClosedForm(ValueJet):
    """A jet that knows value and Laplacian."""

    def __init__(self, value, laplacian, x):
        super().__init__(value, x)
        self.laplacian = laplacian
