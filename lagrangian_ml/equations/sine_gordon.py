"""The sine-Gordon equation at rest, Δu + sin u = f(x), in any dimension.

Sign: with +sin u, as STDE (Shi et al. 2024, arXiv 2412.00088) has it; waves at rest, u_tt = Δu − sin u, have −sin u.
"""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import at_points


class SineGordon(Equation):
    """Δu + sin u = f; `source(x: (d,)) -> (c,)` is f, or None for 0."""

    steady: ClassVar[bool] = True
    source: Callable | None = None

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return u.laplacian

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return jnp.sin(u.value)

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """Δu + sin u − f"""
        found = self.linear(jet) + self.nonlinear(jet)
        return found if self.source is None else found - at_points(self.source, jet.x)
