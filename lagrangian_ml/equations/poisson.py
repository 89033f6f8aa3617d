"""Poisson's equation, −Δu = f(x), steady, in any dimension; f = 0 is Laplace's.

`Sines(k)` solves it with f = |k|² Sines(k), which `sine_source` makes.
"""

from collections.abc import Callable
from typing import ClassVar

from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Vector, as_vector, at_points
from .modes import Sines, squared_norm


class Poisson(Equation):
    """−Δu = f; `source(x: (d,)) -> (c,)` is f, or None for 0."""

    steady: ClassVar[bool] = True
    source: Callable | None = None

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -u.laplacian

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """−Δu − f"""
        return self.linear(jet) if self.source is None else self.linear(jet) - at_points(self.source, jet.x)


def sine_source(wavevector: Vector | list) -> Sines:
    """f = |k|² Πᵢ sin(kᵢ xᵢ), whose Poisson solution is `Sines(wavevector)`."""
    return Sines(wavevector, squared_norm(as_vector(wavevector)))
