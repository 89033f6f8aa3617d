"""The wave equation u_tt = c² Δu as a first-order system in (u, v): u_t = v, v_t = c² Δu, in any dimension.

The two components of a field are (u, v), in this order; the Fourier symbol is the matrix ((0, 1), (−c²|k|², 0)).
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, components
from .modes import Sines


class Wave(Equation):
    """u_t = v, v_t = c² Δu; `speed` is c."""

    num_components: ClassVar[int] = 2
    speed: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        return jnp.stack([u.value[1], self.speed**2 * u.laplacian[0]])


class StandingWave(eqx.Module):
    """u = cos(c|k|t) Πᵢ sin(kᵢ xᵢ) and v = u_t, zero on the walls of a box of lengths π/kᵢ."""

    equation: Wave
    wavevector: Vector = eqx.field(converter=as_vector)

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "2"]:
        frequency = self.equation.speed * jnp.linalg.norm(components(self.wavevector, x))
        in_time = jnp.stack([jnp.cos(frequency * t), -frequency * jnp.sin(frequency * t)])
        return in_time * Sines(self.wavevector)(x)[0]


class TravellingWave(eqx.Module):
    """u = sin(k·x − c|k|t) and v = u_t, moving along k with speed c."""

    equation: Wave
    wavevector: Vector = eqx.field(converter=as_vector)

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, "2"]:
        k = components(self.wavevector, x)
        frequency = self.equation.speed * jnp.linalg.norm(k)
        phase = k @ x - frequency * t
        return jnp.stack([jnp.sin(phase), -frequency * jnp.cos(phase)])
