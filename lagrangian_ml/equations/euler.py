"""The equations of an ideal gas, with u = (ρ, ρv, E): density, momentum and energy, in 1–3 dimensions.

ρ_t + div(ρv) = 0,  (ρv)_t + div(ρ v⊗v + p I) = div σ,  E_t + div((E + p) v) = div(σ v),  p = (γ − 1)(E − ½ρ|v|²).

`Euler` has σ = 0. `CompressibleNavierStokes` has σ = η(∇v + ∇vᵀ − ⅔ div v I) + ζ div v I with constant shear and bulk
viscosity and no conduction of heat, as in PDEBench (Takamoto et al. 2022, arXiv 2210.07182). Exact: Riemann problems
(`euler_riemann`) and the isentropic vortex (Shu 1998).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Jet
from ..core.conservation import with_rows
from .coefficients import Scalar, Vector, as_vector, components, require_nonnegative
from .fluid import Fluid, Velocity, require_dim


class _IdealGas(Fluid):
    gamma: Scalar = 1.4
    dim: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        require_dim(self.dim)
        if isinstance(self.gamma, int | float) and not self.gamma > 1:
            raise ValueError(f"gamma={self.gamma} is not allowed: give a number > 1, such as 1.4 or 5/3.")

    @property
    def num_components(self) -> int:
        return 2 + self.dim

    def motion(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], Velocity, Float[Array, "*s"]]:
        velocity = value[1:-1] / value[:1]
        kinetic = 0.5 * jnp.sum(value[1:-1] * velocity, axis=0)
        return value[0], velocity, (self.gamma - 1) * (value[-1] - kinetic)

    def sound_speed(self, value: Float[Array, "c *s"]) -> Float[Array, "*s"]:
        density, _, pressure = self.motion(value)
        return jnp.sqrt(self.gamma * pressure / density)

    def riemann_speeds(self, left: Jet, right: Jet) -> tuple[Velocity, Velocity]:
        """Widened by Roe's mean, which keeps ρ and p positive (Einfeldt 1988)."""
        (rho_l, v_l, p_l), (rho_r, v_r, p_r) = self.motion(left.value), self.motion(right.value)
        share = 1 / (1 + jnp.sqrt(rho_r / rho_l))
        v = v_r + share[None] * (v_l - v_r)
        h_l, h_r = (left.value[-1] + p_l) / rho_l, (right.value[-1] + p_r) / rho_r
        enthalpy = h_r + share * (h_l - h_r)
        c = jnp.sqrt((self.gamma - 1) * (enthalpy - 0.5 * jnp.sum(v**2, axis=0)))[None]
        c_l, c_r = (jnp.sqrt(self.gamma * p / rho)[None] for p, rho in ((p_l, rho_l), (p_r, rho_r)))
        return jnp.minimum(v_l - c_l, v - c), jnp.maximum(v_r + c_r, v + c)

    def primitive(self, value: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, v, p)"""
        density, velocity, pressure = self.motion(value)
        return jnp.concatenate([density[None], velocity, pressure[None]])

    def conserved(self, primitive: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(ρ, ρv, E)"""
        density, velocity, pressure = primitive[:1], primitive[1:-1], primitive[-1:]
        kinetic = 0.5 * density * jnp.sum(velocity**2, axis=0, keepdims=True)
        return jnp.concatenate([density, density * velocity, pressure / (self.gamma - 1) + kinetic])

    def positive(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        density, _, pressure = self.motion(value)
        return density, pressure

    def to_characteristic(self, change, at, axis):
        """(δp ∓ ρc δv)/2c² in the places of v and p along the axis, δρ − δp/c² in that of ρ; the velocity across."""
        c2 = self.gamma * at[-1] / at[0]
        push = at[0] * jnp.sqrt(c2) * change[1 + axis]
        back, forth = (change[-1] - push) / (2 * c2), (change[-1] + push) / (2 * c2)
        return with_rows(change, {0: change[0] - change[-1] / c2, 1 + axis: back, 1 + self.dim: forth})

    def from_characteristic(self, amplitudes, at, axis):
        c2 = self.gamma * at[-1] / at[0]
        back, forth = amplitudes[1 + axis], amplitudes[-1]
        push = jnp.sqrt(c2) / at[0] * (forth - back)
        both = back + forth
        return with_rows(amplitudes, {0: amplitudes[0] + both, 1 + axis: push, 1 + self.dim: c2 * both})


class Euler(_IdealGas):
    """Inviscid: `gamma` is the ratio γ of specific heats, `dim` the number of space dimensions."""


class CompressibleNavierStokes(_IdealGas):
    """`shear` is η ≥ 0 and `bulk` is ζ ≥ 0, both dynamic (not divided by ρ)."""

    shear: Scalar = 1e-2
    bulk: Scalar = 1e-2

    def __check_init__(self):
        require_nonnegative(shear=self.shear, bulk=self.bulk)

    def diffusive_flux(self, u: Jet) -> Float[Array, "c d *s"]:
        """(0, σ, σ v)"""
        velocity = u.value[1:-1] / u.value[:1]
        slopes = (u.gradient[1:-1] - velocity[:, None] * u.gradient[:1]) / u.value[:1, None]  # ∂ⱼvᵢ
        spread = jnp.einsum("ii...->...", slopes)
        pressure = (self.bulk - 2 / 3 * self.shear) * spread
        push = [with_rows(jnp.zeros_like(velocity), {i: pressure}) for i in range(self.dim)]
        stress = self.shear * (slopes + jnp.swapaxes(slopes, 0, 1)) + jnp.stack(push)
        work = jnp.sum(stress * velocity[:, None], axis=0)
        return jnp.concatenate([jnp.zeros_like(stress[:1]), stress, work[None]])


class IsentropicVortex(eqx.Module):
    """A vortex carried by a mean flow without change of form: T = 1 − (γ − 1)β²/(8γπ²) e^(1 − r²), ρ = T^(1/(γ−1)).

    `strength` is β, `velocity` the mean flow, `lengths` the periods of the box, beyond which it is repeated.
    """

    equation: Euler
    center: Vector = eqx.field(converter=as_vector, default=(0.0, 0.0))
    velocity: Vector = eqx.field(converter=as_vector, default=(1.0, 1.0))
    strength: Scalar = 5.0
    lengths: Vector | None = None

    def __check_init__(self):
        if self.equation.dim != 2:
            raise ValueError(f"equation has dim={self.equation.dim}: the vortex needs Euler(dim=2).")

    def __call__(self, t: Scalar, x: Float[Array, "2"]) -> Float[Array, "4"]:
        gamma, mean = self.equation.gamma, components(self.velocity, x)
        y = x - components(self.center, x) - mean * t
        if self.lengths is not None:
            periods = components(self.lengths, x)
            y = y - periods * jnp.round(y / periods)
        swirl = self.strength / (2 * jnp.pi) * jnp.exp(0.5 * (1 - y @ y))
        temperature = 1 - (gamma - 1) / (2 * gamma) * swirl**2
        density = temperature ** (1 / (gamma - 1))
        v = mean + swirl * jnp.stack([-y[1], y[0]])
        return self.equation.conserved(jnp.stack([density, v[0], v[1], density * temperature]))
