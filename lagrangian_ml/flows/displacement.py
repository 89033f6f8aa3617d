"""A map as a displacement, x = X + t·D(X)·N(t, X): the identity at t = 0, and on walls where D vanishes.

The plainest flow map, explicit forward; its inverse is Newton's. Nothing keeps it from folding: where ∂x/∂X is singular
the inverse does not converge and is NaN, and `check_invertible` says where. It suits smooth flows for moderate times.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import FlowMap
from ..linalg import newton_root
from ..linalg.small import log_abs_det, small_inverse


class Displacement(FlowMap):
    """x = X + t·scale·distance(X)·network(t, X), with `network(t, X) -> (d,)`.

    `distance(X)` is a scalar or a number for each axis, 1 unless given; `scale` is a typical speed. The inverse starts
    from the label that was at x, followed in `num_steps` steps from t = 0 on.
    """

    network: Callable[..., Array]
    distance: Callable[[Array], Array] | None = None
    scale: float = 1.0
    num_steps: int = eqx.field(static=True, default=8)

    def forward(self, t, X):
        return self.place(t, X), log_abs_det(self.deformation_gradient(t, X))

    def inverse(self, t, x):
        # The root itself does not depend on the guess.
        guess = jax.lax.stop_gradient(self._follow(t, x))
        X = newton_root(lambda X: self.place(t, X) - x, guess)
        return X, -log_abs_det(self.deformation_gradient(t, X))

    def _follow(self, t: Array, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The label at the fixed place x, Ẋ = −F⁻¹ ∂_tφ(t, X) from X = x, by steps of the midpoint rule."""
        step = t / self.num_steps

        def rate(s, X):
            _, velocity = jax.jvp(lambda s: self.place(s, X), (s,), (jnp.ones_like(s),))
            return -small_inverse(self.deformation_gradient(s, X)) @ velocity

        def advance(i, X):
            s = i.astype(x.dtype) * step
            return X + step * rate(s + 0.5 * step, X + 0.5 * step * rate(s, X))

        return jax.lax.fori_loop(0, self.num_steps, advance, x)

    def place(self, t: Array, X: Float[Array, " d"]) -> Float[Array, " d"]:
        """φ(t, X) alone."""
        distance = 1.0 if self.distance is None else self.distance(X)
        return X + t * self.scale * distance * self.network(t, X)
