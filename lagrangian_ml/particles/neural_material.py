"""An elastic energy given by a network of invariants, so that any network is isotropic and frame-indifferent.

Ψ(F) = base(F) + s [g(z) − g(0) − p₀ (J − 1)],  z = (I₁ − 3, I₂ − 3, J − 1),  I₁ = tr b,  I₂ = ½ (tr²b − tr b²),
b = FFᵀ, with p₀ = 2 g₁ + 4 g₂ + g₃ at z = 0, so that Ψ and the stress vanish at F = I (Linden et al. 2023,
arXiv 2302.02403). τ = 2 s [g₁ b + g₂ (I₁ b − b²)] + s (g₃ − p₀) J I (Rivlin), ∇g by automatic differentiation. In the
plane strain of 2-D F₃₃ = 1: one network serves both. Neither stability nor growth as J → 0 is enforced: give a base.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..linalg.components import Matrix, Scalar, Vector
from .materials import Material, require


class NeuralMaterial(Material):
    """`network(z: (3,)) -> (1,)` or `()`, such as `fields.MLP(3, 1, key=key)`; `scale` s has the unit of a stress.

    With a `base`, an elastic material, the network is what is added to it.
    """

    network: Callable[..., Any]
    scale: Scalar = 1.0
    base: Material | None = None

    def __check_init__(self):
        require(self.scale, "scale", lambda s: s > 0, "a number > 0 in the unit of a stress")

    def __call__(self, F: Matrix, plastic: Any) -> tuple[Matrix, Matrix, Any]:
        z, zero = _invariants(F), jnp.zeros(3, F[0, 0].dtype)
        g1, g2, g3 = _each(jax.grad(self._g), z)
        b, J = F @ F.T, F.det
        # I₁ b − b² = J² I + b in the plane, by Cayley and Hamilton
        second = b.add_diagonal(J * J) if len(F) == 2 else (z[0] + 3) * b - b @ b
        tau = self.scale * (2 * g1 * b + 2 * g2 * second).add_diagonal((g3 - self._rest_pressure(zero)) * J)
        if self.base is None:
            return tau, F, plastic
        base, F, plastic = self.base(F, plastic)
        return base + tau, F, plastic

    def energy(self, F: Matrix) -> Any:
        z, zero = _invariants(F), jnp.zeros(3, F[0, 0].dtype)
        own = self.scale * (_each(self._g, z) - self._g(zero) - self._rest_pressure(zero) * z[2])
        return own if self.base is None else self.base.energy(F) + own

    @property
    def p_wave_modulus(self) -> Scalar:
        """Ψ″ under stretch along one axis; it may be < 0 for a network that is not trained."""

        def stretched(s):
            growth = s * (s + 2)
            return self._g(jnp.stack([growth, 2 * growth, s]))

        own = self.scale * jax.grad(jax.grad(stretched))(jnp.zeros(()))
        return own if self.base is None else self.base.p_wave_modulus + own

    def _g(self, z: Float[Array, "3"]) -> Float[Array, ""]:
        return jnp.reshape(self.network(z), ())

    def _rest_pressure(self, zero: Float[Array, "3"]) -> Float[Array, ""]:
        g1, g2, g3 = jax.grad(self._g)(zero)
        return 2 * g1 + 4 * g2 + g3


def _invariants(F: Matrix) -> Vector:
    trace, J = F.contract(F), F.det
    if len(F) == 2:
        return Vector(trace - 2, J * J + trace - 3, J - 1)
    cofactors = F.cofactors
    return Vector(trace - 3, cofactors.contract(cofactors) - 3, J - 1)


def _each(fn: Callable[..., Array], z: Vector) -> Any:
    """`fn` of the vector z of every particle; a vector's components come first."""
    if z[0].ndim == 0:
        return fn(z.stack())
    rows = jax.vmap(fn)(z.map(jnp.ravel).stack(axis=1))
    return jnp.moveaxis(rows, 0, -1).reshape(rows.shape[1:] + z[0].shape)
