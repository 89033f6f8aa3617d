"""Burgers' equation: scalar, u_t + (u²/2)_x = ν u_xx, and vector, u_t + (u·∇)u = ν Δu in 1–3-D.

The exact solutions are those of Cole (1951) and Hopf (1950): u = −2ν ∇φ/φ with φ_t = νΔφ, φ > 0. For
u(0, x) = −sin πx and ν = 0.01/π a shock forms at x = 0 and |u_x(t, 0)| is largest, 152.00516, at πt = 1.603688
(Basdevant et al. 1986). The usual quadrature for it overflows for small ν; here it is a softmax, and t = 0 is allowed.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, require_dimension, require_nonnegative, require_positive


class Burgers(Equation):
    """u_t + (u²/2)_x = ν u_xx in one dimension; `viscosity` is ν ≥ 0."""

    viscosity: Scalar = 0.01 / math.pi

    def __check_init__(self):
        require_nonnegative(viscosity=self.viscosity)

    def linear(self, u: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(u, 1, "Burgers' equation")
        return self.viscosity * u.laplacian

    def flux(self, u: Jet) -> Inexact[Array, "1 1 *s"]:
        return 0.5 * u.value[:, None] ** 2


class VectorBurgers(Equation):
    """u_t + (u·∇)u = ν Δu for u with `dim` components in `dim` dimensions; `viscosity` is ν ≥ 0."""

    viscosity: Scalar = 0.01
    dim: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_nonnegative(viscosity=self.viscosity)
        if self.dim not in (1, 2, 3):
            raise ValueError(f"dim={self.dim} is not allowed: give 1, 2 or 3.")

    @property
    def num_components(self) -> int:
        return self.dim

    def linear(self, u: Jet) -> Inexact[Array, "d *s"]:
        require_dimension(u, self.dim, f"VectorBurgers(dim={self.dim})")
        return self.viscosity * u.laplacian

    def velocity(self, u: Jet) -> Inexact[Array, "d *s"]:
        return u.value


def minus_sine(x: Float[Array, ""]) -> Float[Array, ""]:
    """The potential ψ = cos(πx)/π of u(0, x) = ψ′ = −sin πx."""
    return jnp.cos(jnp.pi * x) / jnp.pi


class ColeHopf(eqx.Module):
    """The solution of `Burgers` on the line from u(0, x) = ψ′(x), for a smooth scalar potential ψ.

    It is the mean of ψ′(x − η) under the weights exp(−ψ(x − η)/2ν − η²/4νt), by Gauss–Hermite quadrature. Nodes
    must reach where u came from: about ½(½ max|ψ′| √(t/ν) + 6)² of them; the default suits ν ≥ 0.002 up to t = 1.
    """

    viscosity: Scalar = 0.01 / math.pi
    potential: Callable[[Array], Array] = minus_sine
    num_nodes: int = eqx.field(static=True, default=160)

    def __check_init__(self):
        require_positive(viscosity=self.viscosity)
        if not 2 <= self.num_nodes <= 600:
            raise ValueError(f"num_nodes={self.num_nodes} is not allowed: give 2 to 600 (then float64 is used up).")

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "1"]:
        nu, slope = self.viscosity, jax.grad(self.potential)
        t = jnp.asarray(t, x.dtype)
        # √t has no derivative at 0: there the first two terms of the series in t, exact to rounding, take over.
        early = t < 0.1 * jnp.finfo(x.dtype).eps ** 0.5
        u0, u0_x, u0_xx = slope(x[0]), jax.grad(slope)(x[0]), jax.grad(jax.grad(slope))(x[0])
        series = u0 + t * (nu * u0_xx - u0 * u0_x)
        nodes, log_weights = (jnp.asarray(a, x.dtype) for a in _gauss_hermite(self.num_nodes))
        y = x[0] - 2 * jnp.sqrt(nu * jnp.where(early, 1, t)) * nodes
        weights = jax.nn.softmax(log_weights - jax.vmap(self.potential)(y) / (2 * nu))
        return jnp.where(early, series, weights @ jax.vmap(slope)(y))[None]


@lru_cache
def _gauss_hermite(num_nodes):
    """Nodes and the logarithms of the weights, up to a constant; the weights themselves underflow."""
    nodes = np.linalg.eigvalsh(np.diag(np.sqrt(np.arange(1, num_nodes) / 2), -1))
    previous, last = _hermite(nodes, num_nodes)
    nodes = nodes - last / (np.sqrt(2 * num_nodes) * previous)  # one step of Newton: Hₙ′ = √(2n) Hₙ₋₁
    return nodes, -2 * np.log(np.abs(_hermite(nodes, num_nodes)[0]))


def _hermite(x, n):
    """The orthonormal Hermite polynomials of degrees n − 1 and n."""
    previous, last = np.zeros_like(x), np.full_like(x, np.pi**-0.25)
    for k in range(n):
        previous, last = last, np.sqrt(2 / (k + 1)) * x * last - np.sqrt(k / (k + 1)) * previous
    return previous, last


class BurgersFront(eqx.Module):
    """The shock u = s − a tanh(a(x − st − x₀)/2ν): s + a on the left, s − a on the right, moving with speed s."""

    viscosity: Scalar
    speed: Scalar = 0.0
    strength: Scalar = 1.0
    center: Scalar = 0.0

    def __check_init__(self):
        require_positive(viscosity=self.viscosity)

    def __call__(self, t: Scalar, x: Float[Array, "1"]) -> Float[Array, "1"]:
        phase = self.strength * (x - self.center - self.speed * t) / (2 * self.viscosity)
        return self.speed - self.strength * jnp.tanh(phase)


class PotentialBurgers(eqx.Module):
    """u = −2ν ∇log φ with φ = 1 + Σⱼ aⱼ exp(−ν|kⱼ|²t) cos(kⱼ·x), the periodic potential flows of `VectorBurgers`.

    `wavevectors` holds the rows kⱼ, `amplitudes` the aⱼ, with Σ|aⱼ| < 1 so that φ > 0.
    """

    viscosity: Scalar
    wavevectors: tuple[Vector, ...] = eqx.field(converter=lambda rows: tuple(map(as_vector, rows)))
    amplitudes: Vector = eqx.field(converter=as_vector, default=(0.5,))

    def __check_init__(self):
        require_positive(viscosity=self.viscosity)
        if len(self.wavevectors) != len(self.amplitudes):
            raise ValueError(f"{len(self.wavevectors)} wavevectors need as many amplitudes; got {self.amplitudes}.")
        if not eqx.is_array(self.amplitudes) and not sum(map(abs, self.amplitudes)) < 1:
            raise ValueError(f"amplitudes={self.amplitudes}: the sum of their sizes must be < 1, or φ may vanish.")

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " d"]:
        k, a = jnp.asarray(self.wavevectors, x.dtype), jnp.asarray(self.amplitudes, x.dtype)
        a = a * jnp.exp(-self.viscosity * jnp.sum(k**2, axis=1) * t)
        phi = 1 + a @ jnp.cos(k @ x)
        return 2 * self.viscosity * ((a * jnp.sin(k @ x)) @ k) / phi
