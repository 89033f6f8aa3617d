"""A map as a displacement, x = X + t·D(X)·N(t, X): the identity at t = 0, and on walls where D vanishes.

The plainest flow map, explicit forward; its inverse is Newton's. Nothing keeps it from folding: where ∂x/∂X is singular
the inverse does not converge and is NaN, and `check_invertible` says where. It suits smooth flows for moderate times.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import FlowMap
from ..linalg import newton_root


class Displacement(FlowMap):
    """x = X + t·distance(X)·network(t, X), with `network(t, X) -> (d,)` and a scalar `distance(X)`, 1 unless given."""

    network: Callable[..., Array]
    distance: Callable[[Array], Array] | None = None

    def forward(self, t, X):
        return self._place(t, X), jnp.linalg.slogdet(self.deformation_gradient(t, X))[1]

    def inverse(self, t, x):
        # The guess moves back with the velocity at x; the root itself does not depend on it.
        guess = jax.lax.stop_gradient(2 * x - self._place(t, x))
        X = newton_root(lambda X: self._place(t, X) - x, guess)
        return X, -jnp.linalg.slogdet(self.deformation_gradient(t, X))[1]

    def deformation_gradient(self, t, X):
        return jax.jacfwd(lambda X: self._place(t, X))(X)

    def _place(self, t: Array, X: Float[Array, " d"]) -> Float[Array, " d"]:
        distance = 1.0 if self.distance is None else self.distance(X)
        return X + t * distance * self.network(t, X)
