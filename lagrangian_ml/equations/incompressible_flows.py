"""Exact incompressible flows, solutions of all the forms of `navier_stokes`."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .coefficients import Scalar, Vector, as_vector, components, require_positive
from .modes import squared_norm
from .operators import curl


class Flow(eqx.Module):
    """A flow (t, x) -> (u, p), (d + 1,), a field of `NavierStokes`; other forms take its `velocity` or `vorticity`."""

    @abc.abstractmethod
    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " c"]:
        """Velocity and pressure at a point."""

    def velocity(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return self(t, x)[:-1]

    def vorticity(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """∂x v − ∂y u, (1,), in 2-D; ∇×u, (3,), in 3-D."""
        return curl(lambda x: self.velocity(t, x), x)


class TaylorGreen(Flow):
    """The vortices ψ = A exp(−ν|k|²t) cos(k₀ξ) cos(k₁η) in 2-D, carried by a mean flow U: (ξ, η) = x − Ut.

    u = U + (∂y ψ, −∂x ψ), ω = |k|² ψ, p = −½(|∇ψ|² + |k|²ψ²) (Taylor & Green 1937). At rest, U = 0, the transport of
    ω vanishes, and a solver that has its sign wrong is exact too; a moving one sees the sign.
    """

    viscosity: Scalar = 1e-2
    wavevector: Vector = eqx.field(converter=as_vector, default=(1.0, 1.0))
    mean_flow: Vector = eqx.field(converter=as_vector, default=(0.0, 0.0))
    amplitude: Scalar = 1.0

    def __call__(self, t: Scalar, x: Float[Array, "2"]) -> Float[Array, "3"]:
        k, mean = components(self.wavevector, x), components(self.mean_flow, x)
        square, phase = squared_norm(self.wavevector), k * (x - mean * t)
        (c0, c1), (s0, s1) = jnp.cos(phase), jnp.sin(phase)
        size = self.amplitude * jnp.exp(jnp.asarray(-self.viscosity * square * t, x.dtype))
        u, v = -size * k[1] * c0 * s1, size * k[0] * s0 * c1
        pressure = -0.5 * (u**2 + v**2 + square * (size * c0 * c1) ** 2)
        return jnp.stack([mean[0] + u, mean[1] + v, pressure])


class Beltrami(Flow):
    """The flow of Arnold, Beltrami and Childress in 3-D, ∇×v = kv, carried by a mean flow U: (ξ, η, ζ) = x − Ut.

    u = U + v, v = exp(−νk²t)(A sin kζ + C cos kη, B sin kξ + A cos kζ, C sin kη + B cos kξ), p = −½|v|².
    """

    viscosity: Scalar = 1e-2
    wavenumber: Scalar = 1.0
    amplitudes: Vector = eqx.field(converter=as_vector, default=(1.0, 1.0, 1.0))
    mean_flow: Vector = eqx.field(converter=as_vector, default=(0.0, 0.0, 0.0))

    def __call__(self, t: Scalar, x: Float[Array, "3"]) -> Float[Array, "4"]:
        a, b, c = components(self.amplitudes, x)
        mean, size = components(self.mean_flow, x), -self.viscosity * self.wavenumber**2 * t
        phase = self.wavenumber * (x - mean * t)
        (s0, s1, s2), (c0, c1, c2) = jnp.sin(phase), jnp.cos(phase)
        swirl = jnp.stack([a * s2 + c * c1, b * s0 + a * c2, c * s1 + b * c0])
        swirl = jnp.exp(jnp.asarray(size, x.dtype)) * swirl
        return jnp.concatenate([mean + swirl, -0.5 * jnp.sum(swirl**2)[None]])


class Kovasznay(eqx.Module):
    """The steady flow behind a grid (Kovasznay 1948), of `NavierStokes(steady=True)`; it has the period 1 in y.

    u = 1 − exp(λx) cos 2πy, v = (λ/2π) exp(λx) sin 2πy, p = −½exp(2λx), λ = 1/2ν − √(1/4ν² + 4π²).
    """

    viscosity: Scalar = 1 / 40

    def __check_init__(self):
        require_positive(viscosity=self.viscosity)

    def __call__(self, x: Float[Array, "2"]) -> Float[Array, "3"]:
        half, turn = jnp.asarray(0.5 / self.viscosity, x.dtype), 2 * jnp.pi
        rate = -(turn**2) / (half + jnp.sqrt(half**2 + turn**2))  # λ, without cancellation
        decay, y = jnp.exp(rate * x[0]), turn * x[1]
        return jnp.stack([1 - decay * jnp.cos(y), rate / turn * decay * jnp.sin(y), -0.5 * decay**2])
