"""Transport by a prescribed velocity, u_t + v(t, x)·∇u = κ Δu, and the continuity equation for (ρ, v) that are sought.

The first is not in conservative form; for a v free of divergence it conserves u all the same.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative


class PassiveTransport(Equation):
    """u_t + v·∇u = κ Δu; `field` is v(t, x (d, *s)) -> (d, *s), `diffusivity` is κ ≥ 0."""

    field: Callable
    diffusivity: Scalar = 0.0

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "c *s"]:
        return self.diffusivity * u.laplacian

    def velocity(self, u: Jet) -> Inexact[Array, "d *s"]:
        return self.field(u.t, u.x)


class Continuity(Equation):
    """∂_tρ + ∇·(ρ v) = 0 for u = (ρ, v₁, …, v_dim): one equation for 1 + dim unknowns, the rest is up to data."""

    dim: int = eqx.field(static=True, default=2)

    @property
    def num_components(self) -> int:
        return 1 + self.dim

    def residual(self, u: Jet) -> Inexact[Array, "1 *s"]:
        rho, v = u.value[:1], u.value[1:]
        slope = u.gradient  # (1 + d, d, *s)
        divergence = jnp.einsum("ii...->...", slope[1:])
        return u.dt[:1] + jnp.einsum("i...,ci...->c...", v, slope[:1]) + rho * divergence[None]
