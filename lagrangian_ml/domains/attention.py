"""Weights of collocation points that follow their residuals: residual-based attention, smoothed importance weights.

Anagnostopoulos, Toscano, Stergiopulos & Karniadakis 2024 (arXiv 2307.00379, eq. 9) and its variational form, vRBA
(Toscano, Chen, Oommen & Karniadakis 2025, arXiv 2509.14198): with q ∝ Φ′(|r|) of a convex potential Φ,

    λ ← γ λ + (1 − γ) (φ q/max q + 1 − φ),     and the loss is the mean of (λ r)²

Φ = r² ("quadratic", q ∝ |r|) lowers the variance of the mean square, Φ = exp(r/ε) ("exponential") aims at the largest
residual. Differs from both: ε is max|r|/log n, and a point that is drawn later starts from where it would settle,
φ q/max q + 1 − φ, so that a redraw does not make the weights jump.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Potential = Literal["quadratic", "exponential"]


class ResidualAttention(eqx.Module):
    """`decay` is γ, by step, and `share` is φ: weights lie in [1 − φ, 1]."""

    decay: float | int = eqx.field(static=True, default=0.9)
    share: float | int = eqx.field(static=True, default=0.9)
    potential: Potential = eqx.field(static=True, default="quadratic")

    def __check_init__(self):
        if not (0 <= self.decay < 1 and 0 <= self.share < 1) or self.potential not in ("quadratic", "exponential"):
            raise ValueError(f"{self} needs 0 ≤ decay, share < 1 and a potential quadratic or exponential.")

    def settled(self, sizes: Float[Array, " n"]) -> Float[Array, " n"]:
        """λ of points whose residuals have had these sizes for long."""
        largest = jnp.maximum(jnp.max(sizes), jnp.finfo(sizes.dtype).tiny)
        q = sizes / largest
        if self.potential == "exponential":
            q = sizes.shape[0] ** (q - 1.0)
        return self.share * q + 1 - self.share

    def update(self, weights: Float[Array, " n"], sizes: Float[Array, " n"]) -> Float[Array, " n"]:
        """λ after a step."""
        return self.decay * weights + (1 - self.decay) * self.settled(sizes)
