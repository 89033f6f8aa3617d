"""Maps made of maps: compositions, inverses, and the identity at a chosen time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import FlowMap


class Chain(FlowMap):
    """The composition of flow maps, the first one applied first: x = φₙ(t, … φ₁(t, X)).

    The velocity is pushed from map to map at the states that the inverse has passed through (they are not computed
    again): v₀ = 0, vₖ = ∂_tφₖ + Dφₖ vₖ₋₁.
    """

    maps: tuple[FlowMap, ...]

    def __check_init__(self):
        if not self.maps:
            raise ValueError("a chain needs at least one flow map.")

    def forward(self, t, X):
        total = jnp.zeros((), X.dtype)
        for flow in self.maps:
            X, log_det = flow.forward(t, X)
            total = total + log_det
        return X, total

    def place(self, t, X):
        for flow in self.maps:
            X = flow.place(t, X)
        return X

    def inverse(self, t, x):
        total = jnp.zeros((), x.dtype)
        for flow in reversed(self.maps):
            x, log_det = flow.inverse(t, x)
            total = total + log_det
        return x, total

    def trace_back(self, t, x):
        total, pushes = jnp.zeros((), x.dtype), []
        for flow in reversed(self.maps):
            x, log_det, push = flow.trace_back(t, x)
            total, pushes = total + log_det, [push, *pushes]

        def push_all(V):
            for push in pushes:
                V = push(V)
            return V

        return x, total, push_all


class Inverted(FlowMap):
    """The inverse of a flow map, for those whose explicit direction should serve densities: φ = g⁻¹.

    The velocity solves ∂g/∂x · v = V − ∂_t g, exactly (d equations, d small).
    """

    flow: FlowMap

    def forward(self, t, X):
        return self.flow.inverse(t, X)

    def inverse(self, t, x):
        return self.flow.forward(t, x)

    def trace_back(self, t, x):
        X, log_det = self.flow.forward(t, x)

        def push(V):
            label = lambda t, x: self.flow.forward(t, x)[0]
            _, drift = jax.jvp(lambda t: label(t, x), (t,), (jnp.ones_like(t),))
            return jnp.linalg.solve(jax.jacfwd(label, argnums=1)(t, x), V - drift)

        return X, log_det, push


class Anchored(FlowMap):
    """φ(t) ∘ φ(t₀)⁻¹, the identity at t₀: its labels X are where the particles are at that time."""

    flow: FlowMap
    time: float = 0.0

    def forward(self, t, X):
        latent, before = self.flow.inverse(self._start(X), X)
        x, after = self.flow.forward(t, latent)
        return x, before + after

    def inverse(self, t, x):
        latent, before = self.flow.inverse(t, x)
        X, after = self.flow.forward(self._start(x), latent)
        return X, before + after

    def trace_back(self, t, x):
        latent, before, push = self.flow.trace_back(t, x)
        X, after = self.flow.forward(self._start(x), latent)
        to_latent = lambda X: self.flow.inverse(self._start(X), X)[0]
        return X, before + after, lambda V: push(jax.jvp(to_latent, (X,), (V,))[1])

    def _start(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.asarray(self.time, x.dtype)
