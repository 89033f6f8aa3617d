"""The jet of a field at a point, by automatic differentiation pushed forward (see `forward`)."""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import Field, Jet, ValueJet
from .forward import Forward, forward_laplacian, isotropic_directions, mixed_derivative, sum_along, taylor


class PointJet(Jet):
    """Value, u_t, gradient and Laplacian come from one forward-Laplacian pass; `d(i, j, …)` from Taylor mode."""

    def __init__(self, field: Field, x: Float[Array, " d"], t: Float[Array, ""] | None = None):
        self.x, self.t = x, t
        if t is None:
            self._field, self._z, self._num_times = field, x, 0
        else:
            self._field, self._z, self._num_times = lambda z: field(z[0], z[1:]), jnp.concatenate([t[None], x]), 1

    @cached_property
    def _basis(self) -> Float[Array, "i i"]:
        return jnp.eye(self._z.shape[0], dtype=self._z.dtype)

    @cached_property
    def _pass(self) -> Forward:
        return forward_laplacian(
            self._field, self._z, space=self._basis[self._num_times :], first=self._basis[: self._num_times]
        )

    @property
    def value(self):
        return self._pass.value

    @property
    def gradient(self):
        return jnp.moveaxis(self._pass.gradient, 0, -1)

    @property
    def laplacian(self):
        return self._pass.laplacian

    @property
    def bilaplacian(self):
        """Up to three dimensions a sum of fourth derivatives by Taylor mode, else the forward Laplacian of another."""
        if self.x.shape[0] <= 3:
            directions = np.pad(isotropic_directions(self.x.shape[0]), ((0, 0), (self._num_times, 0)))
            return sum_along(self._field, self._z, directions, 4)
        space = self._basis[self._num_times :]
        push = lambda f, z: forward_laplacian(f, z, space=space, first=space[:0]).laplacian
        return push(lambda z: push(self._field, z), self._z)

    @property
    def dt(self):
        if self.t is None:
            raise ValueError("this jet was made without a time; a steady equation must not read `dt`.")
        return self._pass.first[0]

    def d(self, *axes):
        if not axes:
            return self.value
        axes = tuple(range(self.x.shape[0])[axis] for axis in axes)
        if len(set(axes)) == 1:
            return taylor(self._field, self._z, self._basis[self._num_times + axes[0]], len(axes))[-1]
        return mixed_derivative(self._field, self._z, tuple(self._num_times + axis for axis in axes))

    def divergence(self, flux):
        """By the chain rule: Σᵢ ∂Fᵢ/∂u · ∂ᵢu + ∂Fᵢ/∂xᵢ."""
        at = lambda value, x: flux(ValueJet(value, x, self.t))
        along = lambda du, dx: jax.jvp(at, (self.value, self.x), (du, dx))[1]
        parts = jax.vmap(along)(self._pass.gradient, self._basis[self._num_times :, self._num_times :])  # (d, c, d)
        return jnp.einsum("ici->c", parts)

    def of(self, law):
        """By composition: the jet of z -> law(value of the field at z)."""
        if self.t is None:
            return PointJet(lambda x: law(ValueJet(self._field(x), x)), self.x)
        return PointJet(lambda t, x: law(ValueJet(self._field(jnp.concatenate([t[None], x])), x, t)), self.x, self.t)


def point_jet(field: Field, x: Float[Array, " d"], t: Float[Array, ""] | float | None = None) -> PointJet:
    """The jet at x of a steady field `field(x)`, or at (t, x) of an evolving one `field(t, x)`.

    Args:
        field: a callable on one point, differentiable by JAX, returning (c,).
        x: the point, (d,).
        t: the time, a scalar, or None for a steady field.
    """
    return PointJet(field, x, None if t is None else jnp.asarray(t, x.dtype))
