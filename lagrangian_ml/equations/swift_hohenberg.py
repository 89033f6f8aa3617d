"""The Swift–Hohenberg equation, u_t = r u − (q² + Δ)² u + b u² − c u³, in any dimension.

For r > 0 wavenumbers near q grow out of u = 0 into stripes, and into hexagons where the quadratic term breaks the
symmetry u → −u (Swift & Hohenberg 1977). The cubic term needs grids that keep half of their modes.
"""

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar


class SwiftHohenberg(Equation):
    """r is `growth`, q is `wavenumber`, b and c are the `quadratic` and the `cubic` coefficient (c > 0 saturates)."""

    growth: Scalar = 0.7
    wavenumber: Scalar = 1.0
    quadratic: Scalar = 1.0
    cubic: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        square = self.wavenumber**2
        return (self.growth - square**2) * u.value - 2 * square * u.laplacian - u.bilaplacian

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return u.value**2 * (self.quadratic - self.cubic * u.value)
