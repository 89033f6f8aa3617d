"""The jet of a field that is known along the particles of a flow map: u(t, φ(t, X)) = w(t, X).

With F = ∂φ/∂X and the directions gⱼ = F⁻¹eⱼ, the chain rule gives
    ∂u/∂xⱼ = D w[gⱼ],    Δu = Σⱼ D²w[gⱼ, gⱼ] − Σᵢ ∂u/∂xᵢ Σⱼ D²φᵢ[gⱼ, gⱼ],
so one forward-Laplacian pass of (w, φ) along the gⱼ holds all of it. D_t u = ∂_t w + (v − ∂_tφ)·∇u is the material
derivative for any velocity v, in any frame; its last term vanishes where the frame moves with v.
"""

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Field, FlowMap, Jet, ValueJet
from ..linalg.small import small_inverse
from .forward import Forward, forward_laplacian


class MovingJet(Jet):
    """The jet at x = φ(t, X) of u(t, x), given the state `w(t, X) -> (c,)` and the map of the frame.

    With `slip=False` the term (v − ∂_tφ)·∇u of the material derivative is left out: the form of Lagrangian PINNs, for
    which the frame has to move with the flow.
    """

    moving = True

    def __init__(self, state: Field, frame: FlowMap, t: Float[Array, ""], X: Float[Array, " d"], *, slip: bool = True):
        self.t, self.X, self._state, self._frame, self._slip = t, X, state, frame, slip

    @cached_property
    def deformation_gradient(self) -> Float[Array, "d d"]:
        """F = ∂x/∂X."""
        return self._frame.deformation_gradient(self.t, self.X)

    @cached_property
    def _pass(self) -> tuple[Forward, int]:
        """The pass of (w, φ) along the gⱼ, and the number of components of w."""
        d = self.X.shape[0]
        z = jnp.concatenate([self.t[None], self.X])
        directions = small_inverse(self.deformation_gradient).T  # rows gⱼ
        space = jnp.concatenate([jnp.zeros((d, 1), z.dtype), directions], axis=1)
        none = jnp.zeros((0, d + 1), z.dtype)  # time is pushed along the particle, without a Laplacian
        both = lambda z: jnp.concatenate([self._state(z[0], z[1:]), self._frame.place(z[0], z[1:])])
        found = forward_laplacian(both, z, space=space, first=none)
        return found, found.value.shape[0] - d

    @cached_property
    def _along(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """(w, φ) and their rates of change along the particle."""
        both = lambda t: (self._state(t, self.X), self._frame.place(t, self.X))
        return jax.jvp(both, (self.t,), (jnp.ones_like(self.t),))

    @property
    def x(self):
        return self._along[0][1]

    @property
    def value(self):
        return self._along[0][0]

    @property
    def frame_velocity(self) -> Float[Array, " d"]:
        """∂_tφ(t, X)."""
        return self._along[1][1]

    @cached_property
    def gradient(self):
        found, c = self._pass
        return jnp.moveaxis(found.gradient[:, :c], 0, -1)

    @cached_property
    def laplacian(self):
        found, c = self._pass
        return found.laplacian[:c] - self.gradient @ found.laplacian[c:]

    @property
    def dt(self):
        return self._along[1][0] - self.gradient @ self.frame_velocity

    def material_dt(self, velocity):
        along = self._along[1][0]
        return along + self.gradient @ (velocity - self.frame_velocity) if self._slip else along

    def d(self, *axes):
        function: Any = lambda X: self._state(self.t, X)
        for axis in axes:
            function = self._derivative(function, axis)
        return function(self.X)

    def _derivative(self, function, axis):
        def along(X):
            direction = small_inverse(self._frame.deformation_gradient(self.t, X))[:, axis]
            return jax.jvp(function, (X,), (direction,))[1]

        return along

    def divergence(self, flux):
        """By the chain rule: Σᵢ ∂Fᵢ/∂u · ∂ᵢu + ∂Fᵢ/∂xᵢ."""
        at = lambda value, x: flux(ValueJet(value, x, self.t))
        along = lambda du, dx: jax.jvp(at, (self.value, self.x), (du, dx))[1]
        parts = jax.vmap(along)(self.gradient.T, jnp.eye(self.X.shape[0], dtype=self.X.dtype))  # (d, c, d)
        return jnp.einsum("ici->c", parts)

    def of(self, law):
        """By composition: the jet of law(value, x, t) along the same particles."""
        state = lambda t, X: law(ValueJet(self._state(t, X), self._frame.place(t, X), t))
        return MovingJet(state, self._frame, self.t, self.X, slip=self._slip)
