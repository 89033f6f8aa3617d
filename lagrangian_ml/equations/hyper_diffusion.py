"""Hyper-diffusion, u_t = −μ Δ²u, in any dimension: modes decay as exp(−μ|k|⁴t).

`DecayingSines(μ|k|², k)`, a solution of diffusion with the diffusivity μ|k|², solves it too.
"""

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative


class HyperDiffusion(Equation):
    """u_t = −μ Δ²u; `hyperdiffusivity` is μ ≥ 0."""

    hyperdiffusivity: Scalar = 1.0

    def __check_init__(self):
        require_nonnegative(hyperdiffusivity=self.hyperdiffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -self.hyperdiffusivity * u.bilaplacian
