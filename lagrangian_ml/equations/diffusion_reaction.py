"""Diffusion–reaction after FitzHugh (1961) and Nagumo et al. (1962): an activator u and an inhibitor v.

uₜ = Dᵤ Δu + u − u³ − k − v,  vₜ = D_v Δv + u − v, in any dimension. Without diffusion u = v = −∛k is at rest. The
default coefficients are those of PDEBench (Takamoto et al. 2022), which has no-flux walls on [−1, 1]² and T = 5.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, require_nonnegative


class DiffusionReaction(Equation):
    """uₜ = Dᵤ Δu + u − u³ − k − v, vₜ = D_v Δv + u − v; `diffusivities` are (Dᵤ, D_v), `threshold` is k."""

    num_components = 2
    diffusivities: Vector = eqx.field(converter=as_vector, default=(1e-3, 5e-3))
    threshold: Scalar = 5e-3

    def __check_init__(self):
        if len(self.diffusivities) != 2:
            raise ValueError(f"diffusivities={self.diffusivities}: give two, that of u and that of v.")
        for diffusivity in self.diffusivities:
            require_nonnegative(diffusivities=diffusivity)

    def linear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        exchange = u.value[0] - u.value[1]
        return jnp.stack([D * u.laplacian[i] + exchange for i, D in enumerate(self.diffusivities)])

    def nonlinear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        return jnp.stack([-(u.value[0] ** 3) - self.threshold, jnp.zeros_like(u.value[1])])
