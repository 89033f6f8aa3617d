"""Diffusion of a dissolved contaminant that is held back by sorption: uₜ = D/R(u) Δu (Limousin et al. 2007).

The sorbed amount follows Freundlich, (1 − φ)/φ ρₛ k u^n per pore volume, so that the retardation is
R(u) = 1 + (1 − φ)/φ ρₛ k n u^(n−1). With n < 1 it is infinite at u = 0; u is therefore raised by the small
`regularization`, and negative u count as 0. What is conserved is u with the sorbed amount, not u.

The default coefficients are those of PDEBench (Takamoto et al. 2022): u = 1 at x = 0 and T = 500. Its paper writes
the condition at x = 1 as u = D uₓ, which would let the contaminant in; its data follow u = −D uₓ: it flows out.
"""

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_nonnegative, require_positive


class DiffusionSorption(Equation):
    """uₜ = D/R(u) Δu, u ≥ 0; `diffusivity` D, `porosity` φ, `density` ρₛ of the solid, Freundlich's k and n."""

    diffusivity: Scalar = 5e-4
    porosity: Scalar = 0.29
    density: Scalar = 2880.0
    freundlich: Scalar = 3.5e-4
    exponent: Scalar = 0.874
    regularization: Scalar = 1e-6

    def __check_init__(self):
        require_nonnegative(diffusivity=self.diffusivity, density=self.density, freundlich=self.freundlich)
        require_positive(porosity=self.porosity, exponent=self.exponent, regularization=self.regularization)
        if isinstance(self.porosity, int | float) and self.porosity > 1:
            raise ValueError(f"porosity={self.porosity} is not allowed: it is a share of the volume, at most 1.")

    @property
    def _capacity(self) -> Scalar:
        """(1 − φ)/φ ρₛ k"""
        return (1 - self.porosity) / self.porosity * self.density * self.freundlich

    def retardation(self, value: Inexact[Array, "1 *s"]) -> Inexact[Array, "1 *s"]:
        """R(u)"""
        raised = jnp.maximum(value, 0) + self.regularization
        return 1 + self._capacity * self.exponent * raised ** (self.exponent - 1)

    def stored(self, value: Inexact[Array, "1 *s"]) -> Inexact[Array, "1 *s"]:
        """What is conserved: ∫₀ᵘ R, the dissolved and the sorbed amount."""
        raised = jnp.maximum(value, 0) + self.regularization
        return value + self._capacity * (raised**self.exponent - self.regularization**self.exponent)

    def nonlinear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        return self.diffusivity * u.laplacian / self.retardation(u.value)
