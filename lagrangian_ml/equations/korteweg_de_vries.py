"""The Korteweg–de Vries equation, u_t + s u u_x + δ u_xxx = 0, in one dimension.

s = 1, δ = 0.0025 is the setting of Raissi et al. (2019) (0.022² of Zabusky & Kruskal 1965 is 0.000484); s = 6, δ = 1
is the usual normal form. Solitons are those of Hirota (1971): u = (12δ/s) ∂²ₓ log τ.
"""

from itertools import combinations, product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, require_dimension


class KortewegDeVries(Equation):
    """u_t + s u u_x + δ u_xxx = 0; `dispersion` is δ, `steepening` is s (1, or 6 in the normal form).

    With a `hyperdiffusivity` μ there is −μ u_xxxx on the right: a damped equation, which has no solitons.
    """

    dispersion: Scalar = 0.0025
    steepening: Scalar = 1.0
    hyperdiffusivity: Scalar | None = None

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(u, 1, "the Korteweg–de Vries equation")
        dispersed = -self.dispersion * u.d(0, 0, 0)
        return dispersed if self.hyperdiffusivity is None else dispersed - self.hyperdiffusivity * u.d(0, 0, 0, 0)

    def flux(self, u: Jet) -> Inexact[Array, "1 1 *s"]:
        return 0.5 * self.steepening * u.value[:, None] ** 2


class Soliton(eqx.Module):
    """u = (3v/s) sech²(½√(v/δ)(x − vt − x₀)), a wave of speed v > 0."""

    equation: KortewegDeVries
    speed: Scalar = 1.0
    center: Scalar = 0.0

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "1"]:
        steepness = jnp.sqrt(jnp.asarray(self.speed / self.equation.dispersion, x.dtype))
        decay = jnp.cosh(0.5 * steepness * (x - self.center - self.speed * t))
        return 3 * self.speed / self.equation.steepening / decay**2


class Solitons(eqx.Module):
    """N solitons of different speeds vᵢ > 0, passing through each other; alone, soliton i would start at `centers[i]`.

    τ = Σ over subsets S of exp(Σ_S kᵢ(x − xᵢ − vᵢt) + Σ_{i<j in S} log((kᵢ − kⱼ)/(kᵢ + kⱼ))²), kᵢ = √(vᵢ/δ); its
    second logarithmic derivative is the variance of Σ_S kᵢ under these weights, which never overflows.
    """

    equation: KortewegDeVries
    speeds: Vector = eqx.field(converter=as_vector)
    centers: Vector = eqx.field(converter=as_vector)

    def __check_init__(self):
        if len(self.speeds) != len(self.centers):
            raise ValueError(f"speeds={self.speeds} and centers={self.centers} must have the same length.")

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "1"]:
        n = len(self.speeds)
        speeds, centers = jnp.asarray(self.speeds, x.dtype), jnp.asarray(self.centers, x.dtype)
        subsets = np.array(list(product((0, 1), repeat=n)))
        pairs = np.array(list(combinations(range(n), 2)), int).reshape(-1, 2)
        both = jnp.asarray(subsets[:, pairs[:, 0]] * subsets[:, pairs[:, 1]], x.dtype)
        subsets = jnp.asarray(subsets, x.dtype)
        k = jnp.sqrt(speeds / self.equation.dispersion)
        first, second = k[pairs[:, 0]], k[pairs[:, 1]]
        shifts = 2 * jnp.log(jnp.abs((first - second) / (first + second)))
        weights = jax.nn.softmax(subsets @ (k * (x[0] - centers - speeds * t)) + both @ shifts)
        slopes = subsets @ k
        variance = weights @ (slopes - weights @ slopes) ** 2
        return (12 * self.equation.dispersion / self.equation.steepening * variance)[None]
