"""The Cahn–Hilliard equation, u_t = M Δμ with the potential μ = u³ − u − γΔu, in any dimension.

Two phases u = ±1 separate: the mean of u is kept, the energy ∫ ¼(u² − 1)² + ½γ|∇u|² falls (Cahn & Hilliard 1958).
`AllenCahnKink(AllenCahn(γ, 1))`, the wall tanh(x/√2γ), is at rest here too. The cubic term needs half of the modes.
"""

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative


class CahnHilliard(Equation):
    """`gradient_energy` is γ ≥ 0, the square of √2 times the width of walls; `mobility` is M ≥ 0."""

    gradient_energy: Scalar = 1e-3
    mobility: Scalar = 1.0

    def __check_init__(self):
        require_nonnegative(gradient_energy=self.gradient_energy, mobility=self.mobility)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -self.mobility * (u.laplacian + self.gradient_energy * u.bilaplacian)

    def products(self, u: Jet) -> Inexact[Array, "c *s"]:
        return u.value**3

    def combine(self, cube: Jet) -> Inexact[Array, "c *s"]:
        """−M Δu³"""
        return -self.mobility * cube.laplacian
