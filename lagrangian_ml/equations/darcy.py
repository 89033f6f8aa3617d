"""Darcy's flow through a porous medium, −∇·(a(x)∇u) = f(x), steady, in any dimension; a = 1 is Poisson's equation.

The coefficient is a permeability that varies in space. Where it jumps, u solves the equation only weakly, and
residuals at points see nothing of the jump: `solvers.Elliptic` is made for that.
"""

from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import at_points


class Darcy(Equation):
    """−∇·(a∇u) = f; `coefficient(x: (d,)) -> (1,)` is a > 0, smooth, and `source(x) -> (1,)` is f, or None for 0."""

    steady: ClassVar[bool] = True
    coefficient: Callable
    source: Callable | None = None

    def nonlinear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        """−aΔu − ∇a·∇u, linear in u, but not with constant coefficients."""
        a = at_points(self.coefficient, u.x)
        slope = at_points(lambda x: jax.jacfwd(self.coefficient)(x)[0], u.x)
        return -a * u.laplacian - jnp.einsum("d...,cd...->c...", slope, u.gradient)

    def residual(self, jet: Jet) -> Inexact[Array, "1 *s"]:
        """−∇·(a∇u) − f"""
        flow = self.nonlinear(jet)
        return flow if self.source is None else flow - at_points(self.source, jet.x)
