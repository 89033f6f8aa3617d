"""Flow maps: time-dependent diffeomorphisms, from which densities, velocities and deformations are derived."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Push = Callable[[Float[Array, " d"]], Float[Array, " d"]]


class FlowMap(eqx.Module):
    """x = φ(t, X), where X labels a particle; a subclass states `forward` and `inverse` of ONE particle.

    All else follows. The velocity is ∂_tφ at the pre-image of x, a forward derivative: no Jacobian is solved with, so
    a density that is pushed along obeys the continuity equation to rounding. A map whose inverse is the explicit
    direction, and a composition, override `trace_back`.
    """

    @abc.abstractmethod
    def forward(self, t: Array, X: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """(x, log|det ∂x/∂X|)"""

    @abc.abstractmethod
    def inverse(self, t: Array, x: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        """(X, log|det ∂X/∂x|)"""

    def place(self, t: Array, X: Float[Array, " d"]) -> Float[Array, " d"]:
        """φ(t, X) alone; maps whose determinant costs more than a sum override it."""
        return self.forward(t, X)[0]

    def transition(self, start: Array, stop: Array, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Where the particle that is at x at time `start` is at time `stop`, earlier or later."""
        return self.place(stop, self.inverse(start, x)[0])

    def trace_back(self, t: Array, x: Float[Array, " d"]) -> tuple[Float[Array, " d"], Float[Array, ""], Push]:
        """(X, log|det ∂X/∂x|, push), where `push(V)` = ∂_tφ + ∂φ/∂X · V is the velocity at x of what has V at X."""
        X, log_det = self.inverse(t, x)
        return X, log_det, lambda V: jax.jvp(self.place, (t, X), (jnp.ones_like(t), V))[1]

    def observe(
        self, t: Array, x: Float[Array, " d"]
    ) -> tuple[Float[Array, " d"], Float[Array, ""], Float[Array, " d"]]:
        """(X, log|det ∂X/∂x|, velocity): what is known at (t, x), in one pass."""
        X, log_det, push = self.trace_back(t, x)
        return X, log_det, push(jnp.zeros_like(X))

    def velocity(self, t: Array, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """∂_tφ(t, X) at the pre-image X = φ⁻¹(t, x)."""
        return self.observe(t, x)[2]

    def deformation_gradient(self, t: Array, X: Float[Array, " d"]) -> Float[Array, "d d"]:
        """F = ∂x/∂X."""
        return jax.jacfwd(lambda X: self.place(t, X))(X)
