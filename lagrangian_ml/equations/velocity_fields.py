"""Prescribed velocities v(t, x) of classical tests of transport; each is a field that also reads grids, x (d, *s).

- swirl: LeVeque 1996 (doi 10.1137/0733033): divergence-free on the unit square, at rest on its walls; it turns
  back after half the period T, so that at t = T every particle is where it was.
- double gyre: Shadden, Lekien & Marsden 2005 (doi 10.1016/j.physd.2005.10.007), on [0, 2] × [0, 1].
- ABC flow: Arnold 1965, Beltrami and 2π-periodic; time-dependent as in Haller 2001 (doi 10.1016/S0167-2789(00)00199-8).
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .coefficients import Scalar, require_positive


class Swirl(eqx.Module):
    """v = cos(πt/T) (sin²πx sin 2πy, −sin²πy sin 2πx); `period` is T."""

    period: Scalar = 1.5

    def __check_init__(self):
        require_positive(period=self.period)

    def __call__(self, t: Scalar, x: Float[Array, "2 *s"]) -> Float[Array, "2 *s"]:
        sine, twice = jnp.sin(jnp.pi * x), jnp.sin(2 * jnp.pi * x)
        return jnp.cos(jnp.pi * t / self.period) * jnp.stack([sine[0] ** 2 * twice[1], -(sine[1] ** 2) * twice[0]])


class Shear(eqx.Module):
    """v = (rate · y, 0, …)."""

    rate: Scalar = 1.0

    def __call__(self, t: Scalar, x: Float[Array, "d *s"]) -> Float[Array, "d *s"]:
        return jnp.concatenate([self.rate * x[1:2], jnp.zeros_like(x[1:])])


class Rotation(eqx.Module):
    """v = rate · (−y, x): a rigid rotation, anticlockwise for a positive rate (radians a unit of time)."""

    rate: Scalar = 2 * math.pi

    def __call__(self, t: Scalar, x: Float[Array, "2 *s"]) -> Float[Array, "2 *s"]:
        return self.rate * jnp.stack([-x[1], x[0]])


class Saddle(eqx.Module):
    """v = rate · (x, −y): particles separate as exp(rate · t)."""

    rate: Scalar = 1.0

    def __call__(self, t: Scalar, x: Float[Array, "2 *s"]) -> Float[Array, "2 *s"]:
        return self.rate * jnp.stack([x[0], -x[1]])


class DoubleGyre(eqx.Module):
    """ψ = A sin(πf) sin(πy), v = (−∂ψ/∂y, ∂ψ/∂x), f = ε sin(ωt) x² + (1 − 2ε sin(ωt)) x: two gyres that breathe."""

    amplitude: Scalar = 0.1
    epsilon: Scalar = 0.25
    frequency: Scalar = 2 * math.pi / 10

    def __call__(self, t: Scalar, x: Float[Array, "2 *s"]) -> Float[Array, "2 *s"]:
        a = self.epsilon * jnp.sin(self.frequency * t)
        f, slope = a * x[0] ** 2 + (1 - 2 * a) * x[0], 2 * a * x[0] + 1 - 2 * a
        scale = jnp.pi * self.amplitude
        along = -scale * jnp.sin(jnp.pi * f) * jnp.cos(jnp.pi * x[1])
        return jnp.stack([along, scale * jnp.cos(jnp.pi * f) * jnp.sin(jnp.pi * x[1]) * slope])


class ABC(eqx.Module):
    """v = (A sin z + C cos y, B sin x + A cos z, C sin y + B cos x), with A + `unsteadiness` · t sin(πt) for A."""

    a: Scalar = math.sqrt(3)
    b: Scalar = math.sqrt(2)
    c: Scalar = 1.0
    unsteadiness: Scalar = 0.0

    def __call__(self, t: Scalar, x: Float[Array, "3 *s"]) -> Float[Array, "3 *s"]:
        a = self.a + self.unsteadiness * t * jnp.sin(jnp.pi * t)
        sine, cosine = jnp.sin(x), jnp.cos(x)
        return jnp.stack(
            [
                a * sine[2] + self.c * cosine[1],
                self.b * sine[0] + a * cosine[2],
                self.c * sine[1] + self.b * cosine[0],
            ]
        )
