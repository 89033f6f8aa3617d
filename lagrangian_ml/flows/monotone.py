"""Increasing maps of an interval, which cannot fold: ∂x/∂X is the square of a trigonometric polynomial.

With s = 2π (X − lower)/L and q = Σₖ cₖ exp(iks), k = 0 … K, |q|² = r₀ + 2 Re Σₘ rₘ exp(ims), rₘ = Σₖ c̄ₖ cₖ₊ₘ, has the
antiderivative that is wanted,
    x = X + shift + L/π · Re Σₘ rₘ (exp(ims) − 1)/(im) / ((1 + ε) r₀),    ∂x/∂X = (|q|²/r₀ + ε)/(1 + ε) > 0,
and every positive trigonometric polynomial of degree K is such a square (Fejér and Riesz, 1916). No integral is left to
quadrature, as it is in unconstrained monotone networks (Wehenkel & Louppe 2019, arXiv 1908.05164). c(t) and shift(t)
come from a network of t and are 1, 0, 0, … and 0 at t = 0: the identity. Between walls L is twice their distance, c is
real and there is no shift, so that both ends stay. One dimension only. A jump in ∂x/∂X needs many modes: on Burgers'
moving front an LPINN with 12 ended at 4e-4 of ‖u − 10‖ for ν = 0.1 and at 6e-2 for ν = 0.01, where `displacement` is
the better map.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import FlowMap
from ..linalg import monotone_root


class MonotoneFourier(FlowMap):
    """An increasing map of the interval from `lower` to `upper`, periodic or between walls.

    Args:
        network: `network(t (1,)) -> (size(num_modes, walls),)`, the coefficients divided by t.
        lower, upper: the ends.
        num_modes: K.
        walls: the ends stay where they are; else ∂x/∂X is periodic and the map may shift.
        scale: a typical speed, by which the shift is multiplied.
        least: ε, about the smallest ∂x/∂X.
    """

    network: Callable[[Array], Array]
    lower: float
    upper: float
    num_modes: int = eqx.field(static=True, default=12)
    walls: bool = eqx.field(static=True, default=False)
    scale: float = 1.0
    least: float = 1e-3

    def __check_init__(self):
        if not (self.lower < self.upper and self.num_modes >= 1 and self.least > 0):
            raise ValueError(
                f"lower={self.lower} must be < upper={self.upper}, num_modes={self.num_modes} at least 1 and "
                f"least={self.least} > 0."
            )

    @staticmethod
    def size(num_modes: int, walls: bool) -> int:
        """How many numbers the network gives: c₁ … c_K, real between walls; else complex, and the shift."""
        return num_modes if walls else 2 * num_modes + 1

    def forward(self, t, X):
        x, slope = self._place_and_slope(t, X[0])
        return x[None], jnp.log(slope)

    def inverse(self, t, x):
        length = self.upper - self.lower
        before = x[0] - jax.lax.stop_gradient(self._coefficients(t)[2])
        X = monotone_root(lambda X: self._place_and_slope(t, X)[0] - x[0], before - length, before + length)
        return X[None], -jnp.log(self._place_and_slope(t, X)[1])

    def place(self, t: Array, X: Float[Array, " d"]) -> Float[Array, " d"]:
        """φ(t, X) alone."""
        return self._place_and_slope(t, X[0])[0][None]

    def deformation_gradient(self, t, X):
        return self._place_and_slope(t, X[0])[1][None, None]

    def _place_and_slope(self, t, X) -> tuple[Float[Array, ""], Float[Array, ""]]:
        real, imag, shift = self._coefficients(t)
        length = (2 if self.walls else 1) * (self.upper - self.lower)
        m = jnp.arange(1, self.num_modes + 1).astype(X.dtype)
        phase = m * (2 * math.pi / length * (X - self.lower))
        sine, cosine = jnp.sin(phase), jnp.cos(phase)
        total = 1 + self.least
        moved = jnp.sum((real * sine + imag * (cosine - 1)) / m)
        place = X + shift + length / math.pi / total * moved
        return place, 1 + 2 / total * jnp.sum(real * cosine - imag * sine)

    def _coefficients(self, t) -> tuple[Float[Array, " k"], Float[Array, " k"], Float[Array, ""]]:
        """(Re rₘ/r₀, Im rₘ/r₀, shift), m = 1 … K."""
        out, K = t * self.network(t[None]), self.num_modes
        one, none = jnp.ones(1, out.dtype), jnp.zeros(K, out.dtype)
        a = jnp.concatenate([one, out[:K], none])
        b = jnp.concatenate([0 * one, none if self.walls else out[K : 2 * K], none])
        later = np.arange(K + 1)[:, None] + np.arange(K + 1)[None]
        real = a[later] @ a[: K + 1] + b[later] @ b[: K + 1]
        imag = b[later] @ a[: K + 1] - a[later] @ b[: K + 1]
        shift = jnp.zeros((), out.dtype) if self.walls else self.scale * out[2 * K]
        return real[1:] / real[0], imag[1:] / real[0], shift
