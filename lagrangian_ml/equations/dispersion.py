"""Linear dispersion, u_t + δ u_xxx = 0, in one dimension: a mode of wave number k moves with the velocity −δk².

Sign: that of the Korteweg–de Vries equation, whose linear part this is; positive δ carries waves to the left.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, require_dimension


class Dispersion(Equation):
    """u_t + δ u_xxx = 0; `dispersion` is δ."""

    dispersion: Scalar = 1.0

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(u, 1, "the dispersion equation")
        return -self.dispersion * u.d(0, 0, 0)


class DispersiveWave(eqx.Module):
    """u = sin(k(x + δk²t)), a mode of `Dispersion`."""

    dispersion: Scalar = 1.0
    wavenumber: Scalar = 1.0

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "1"]:
        return jnp.sin(self.wavenumber * (x + self.dispersion * self.wavenumber**2 * t))
