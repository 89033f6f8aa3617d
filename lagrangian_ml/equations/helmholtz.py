"""The Helmholtz equation, Δu + κ² u = f(x), steady, in any dimension.

Sign: with Δ, not −Δ, so the operator is indefinite for large κ. `Sines(k)` solves it with f = (κ² − |k|²) Sines(k).
"""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, at_points
from .modes import Sines, squared_norm


class Helmholtz(Equation):
    """Δu + κ² u = f; `wavenumber` is κ, `source(x: (d,)) -> (c,)` is f, or None for 0."""

    steady: ClassVar[bool] = True
    wavenumber: Scalar = 1.0
    source: Callable | None = None

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return u.laplacian + self.wavenumber**2 * u.value

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """Δu + κ²u − f"""
        return self.linear(jet) if self.source is None else self.linear(jet) - at_points(self.source, jet.x)


def sine_source(wavevector: Vector | list, wavenumber: Scalar) -> Sines:
    """f = (κ² − |k|²) Πᵢ sin(kᵢ xᵢ), whose Helmholtz solution is `Sines(wavevector)`."""
    return Sines(wavevector, wavenumber**2 - squared_norm(as_vector(wavevector)))
