"""The Fisher–KPP equation, u_t = D Δu + r u (1 − u), in any dimension: growth up to 1, spreading as a front.

The front is that of Ablowitz & Zeppetella (1979), of speed 5√(rD/6), a little above the smallest possible 2√(rD).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative


class FisherKPP(Equation):
    """u_t = D Δu + r u (1 − u); `diffusivity` is D ≥ 0, `reaction` is r."""

    diffusivity: Scalar = 1.0
    reaction: Scalar = 1.0

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian + self.reaction * u.value

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -self.reaction * u.value**2


class FisherFront(eqx.Module):
    """u = (1 + exp ξ)⁻², ξ = (x − x₀)√(r/6D) − 5rt/6: 1 invades 0 along the first axis."""

    equation: FisherKPP
    center: Scalar = 0.0

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        rate = self.equation.reaction
        steepness = jnp.sqrt(jnp.asarray(rate / (6 * self.equation.diffusivity), x.dtype))
        return jax.nn.sigmoid(5 / 6 * rate * t - steepness * (x[:1] - self.center)) ** 2
