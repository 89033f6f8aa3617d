"""The cubic nonlinear Schrödinger equation, i h_t + D Δh + g |h|² h = 0, in any dimension; h = a + ib.

D = ½, g = 1 is the setting of Raissi et al. (2019), from h = 2 sech x. The mass ∫|h|² and the energy
∫ D|∇h|² − ½g|h|⁴ are kept. g > 0 focuses: solitons in 1-D (Zakharov & Shabat 1972), collapse in 2-D and 3-D. The
cubic term needs grids that keep half of their modes.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_positive


class NonlinearSchroedinger(Equation):
    """The components are (a, b) = (Re h, Im h); `dispersion` is D, `focusing` is g (negative: defocusing)."""

    num_components: ClassVar[int] = 2
    dispersion: Scalar = 0.5
    focusing: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        return self.dispersion * _times_i(u.laplacian)

    def nonlinear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        return self.focusing * jnp.sum(u.value**2, axis=0, keepdims=True) * _times_i(u.value)


def _times_i(h: Inexact[Array, "2 *s"]) -> Inexact[Array, "2 *s"]:
    return jnp.stack([-h[1], h[0]])


def _parts(modulus: Array, phase: Array) -> Float[Array, "2"]:
    return modulus * jnp.stack([jnp.cos(phase), jnp.sin(phase)])


class BrightSoliton(eqx.Module):
    """h = A sech(A√(g/2D) ξ) exp(i(vξ/2D + (½gA² + v²/4D) t)) with ξ = x − vt − x₀, on the line; D and g > 0."""

    equation: NonlinearSchroedinger
    amplitude: Scalar = 1.0
    speed: Scalar = 0.0
    center: Scalar = 0.0

    def __check_init__(self):
        require_positive(dispersion=self.equation.dispersion, focusing=self.equation.focusing)

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "2"]:
        stretch, focusing = 2 * self.equation.dispersion, self.equation.focusing
        xi = x[0] - self.center - self.speed * t
        steepness = self.amplitude * jnp.sqrt(jnp.asarray(focusing / stretch, x.dtype))
        frequency = 0.5 * focusing * self.amplitude**2 + 0.5 * self.speed**2 / stretch
        return _parts(self.amplitude / jnp.cosh(steepness * xi), self.speed / stretch * xi + frequency * t)


class BreathingSoliton(eqx.Module):
    """h = 4 exp(it/2) s (4 − 3s²(1 − exp 4it)) / (8 − 3s⁴(1 − cos 4t)), s = sech x; D = ½, g = 1, on the line.

    What becomes of 2 sech x (Satsuma & Yajima 1974): two bound solitons, which beat with the period π/2.
    """

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "2"]:
        s, t = 1 / jnp.cosh(x[0]), jnp.asarray(t, x.dtype)
        waves = _parts(4 - 3 * s**2, t / 2) + _parts(3 * s**2, 9 * t / 2)
        return 4 * s * waves / (8 - 3 * s**4 * (1 - jnp.cos(4 * t)))
