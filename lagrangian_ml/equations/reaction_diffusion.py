"""Diffusion with a polynomial reaction, u_t = D Δu + Σ_k c_k u^k, k = 1, 2, …, in any dimension.

c = (r, −r) is the Fisher–KPP equation; (1, 0, −1) that of Newell, Whitehead and Segel; (−a, 1 + a, −1) Nagumo's, where
u grows above the threshold a only. `FisherKPP`, `AllenCahn` and others have coefficients with names of their own.
"""

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative


class ReactionDiffusion(Equation):
    """u_t = D Δu + Σ_k c_k u^k; `diffusivity` is D ≥ 0, `reaction` are c_1, c_2, …"""

    diffusivity: Scalar = 1.0
    reaction: tuple[Scalar, ...] = (1.0, -1.0)

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)
        if not self.reaction:
            raise ValueError("reaction=() must have a term at least: give the coefficients of u, u², …")

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian + self.reaction[0] * u.value

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        total = 0.0 * u.value
        for coefficient in reversed(self.reaction[1:]):
            total = (total + coefficient) * u.value
        return total * u.value
