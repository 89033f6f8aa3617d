"""The functions φ₀ = exp, φ₁, φ₂, φ₃ of exponential integrators, φₖ(z) = (φₖ₋₁(z) − 1/(k−1)!)/z.

Kassam & Trefethen (2005) evaluate them by contour integrals; here it is by scaling and doubling (Skaflestad & Wright
2009), exact to rounding for scalars and for the matrices of systems.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..linalg import scale


def times(coefficient: Inexact[Array, "..."], modes: Inexact[Array, "c *k"]) -> Inexact[Array, "..."]:
    """Coefficients (c, *k), or matrices (r, c, *k), times modes (c, *k)."""
    if coefficient.ndim == modes.ndim:
        return scale(coefficient, modes)
    products = [scale(coefficient[:, j], modes[j][None]) for j in range(len(modes))]
    return sum(products[1:], start=products[0])  # twice as fast on CPUs as a sum over the axis


@partial(jax.jit, static_argnums=1)  # many small operations, compiled as one
def phi_functions(z: Inexact[Array, "..."], is_matrix: bool) -> tuple[Array, ...]:
    """φ₀, φ₁, φ₂, φ₃ of scalars (c, *k) or of matrices (c, c, *k)."""
    if is_matrix:
        return tuple(jnp.moveaxis(phi, (-2, -1), (0, 1)) for phi in _matrix_phi(jnp.moveaxis(z, (0, 1), (-2, -1))))
    return jnp.exp(z), *(phi[..., 0, 0] for phi in _matrix_phi(z[..., None, None])[1:])


def _matrix_phi(z: Inexact[Array, "*k c c"]) -> tuple[Array, ...]:
    """Taylor series at Z/2ˢ, of norm ≤ 1, then s times φₖ(2Z) = 2⁻ᵏ (φ₀(Z) φₖ(Z) + Σ φⱼ(Z)/(k − j)!), j = 1 … k."""
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(z), axis=-1), axis=-1)[..., None, None])
    doublings = jnp.ceil(jnp.log2(jnp.maximum(norm, 1)))
    z, one = z * jnp.exp2(-doublings), jnp.broadcast_to(jnp.eye(z.shape[-1], dtype=z.dtype), z.shape)
    phi3 = one / float(math.factorial(21))
    for k in range(20, 2, -1):
        phi3 = z @ phi3 + one / float(math.factorial(k))
    phi2 = z @ phi3 + one / 2
    phi1 = z @ phi2 + one

    def double(phi, i):
        p0, p1, p2, p3 = phi
        twice = (p0 @ p0, (p0 @ p1 + p1) / 2, (p0 @ p2 + p1 + p2) / 4, (p0 @ p3 + p1 / 2 + p2 + p3) / 8)
        return tuple(jnp.where(i < doublings, a, b) for a, b in zip(twice, phi, strict=True)), None

    return jax.lax.scan(double, (z @ phi1 + one, phi1, phi2, phi3), jnp.arange(64))[0]
