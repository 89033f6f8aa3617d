"""The Allen–Cahn equation, u_t = ε Δu + r (u − u³), in any dimension.

Phases u = ±1 are stable, u = 0 is not. The usual test of PINNs (Raissi et al. 2019) has ε = 1e-4, r = 5. At rest, with
ε = r = 1 and a source, it is a test in high dimension.
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, at_points, require_nonnegative


class AllenCahn(Equation):
    """u_t = ε Δu + r (u − u³); `diffusivity` is ε ≥ 0, `reaction` is r."""

    diffusivity: Scalar = 1e-4
    reaction: Scalar = 5.0

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian + self.reaction * u.value

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -self.reaction * u.value**3


class SteadyAllenCahn(Equation):
    """Δu + u − u³ = f; `source(x: (d,)) -> (c,)` is f, or None for 0."""

    steady: ClassVar[bool] = True
    source: Callable | None = None

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return u.laplacian + u.value

    def nonlinear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return -(u.value**3)

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """Δu + u − u³ − f"""
        found = self.linear(jet) + self.nonlinear(jet)
        return found if self.source is None else found - at_points(self.source, jet.x)


class AllenCahnFront(eqx.Module):
    """u = 1/(1 + exp ξ), ξ = (x − x₀)√(r/2ε) − 3rt/2: the phase 1 invades the unstable 0 along the first axis."""

    equation: AllenCahn
    center: Scalar = 0.0

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        rate = self.equation.reaction
        steepness = jnp.sqrt(jnp.asarray(rate / (2 * self.equation.diffusivity), x.dtype))
        return jax.nn.sigmoid(1.5 * rate * t - steepness * (x[:1] - self.center))


class AllenCahnKink(eqx.Module):
    """u = tanh((x − x₀)√(r/2ε)), the standing wall between the phases −1 and 1 along the first axis."""

    equation: AllenCahn
    center: Scalar = 0.0

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "1"]:
        steepness = jnp.sqrt(jnp.asarray(self.equation.reaction / (2 * self.equation.diffusivity), x.dtype))
        return jnp.tanh(steepness * (x[:1] - self.center))
