"""What shallow water and gases share: components (ρ, ρv[, E]), a pressure, sound; waves run with v − c, v and v + c."""

import abc

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..core import ConservationLaw, Jet
from ..core.conservation import with_rows

Velocity = Float[Array, "d *s"]


class Fluid(ConservationLaw):
    """Mass and momentum, and energy where there is one, in `dim` dimensions: div (v u + pressure flux)."""

    dim: eqx.AbstractVar[int]

    @abc.abstractmethod
    def motion(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], Velocity, Float[Array, "*s"]]:
        """Density, velocity and pressure."""

    @abc.abstractmethod
    def sound_speed(self, value: Float[Array, "c *s"]) -> Float[Array, "*s"]: ...

    def flux(self, u: Jet) -> Float[Array, "c d *s"]:
        _, velocity, pressure = self.motion(u.value)
        return u.value[:, None] * velocity[None] + self.pressure_flux(pressure, velocity)

    def pressure_flux(self, pressure: Float[Array, "*s"], velocity: Velocity) -> Float[Array, "c d *s"]:
        """Momentum p δᵢⱼ, energy p v."""
        none = jnp.zeros_like(velocity)
        push = [with_rows(none, {i: pressure}) for i in range(self.dim)]
        work = [pressure[None] * velocity] if self.num_components == self.dim + 2 else []
        return jnp.stack([none, *push, *work])

    def wave_speeds(self, jet: Jet) -> tuple[Velocity, Velocity]:
        velocity, sound = self.motion(jet.value)[1], self.sound_speed(jet.value)[None]
        return velocity - sound, velocity + sound

    @property
    def reflection(self) -> Int[np.ndarray, "c d"]:
        signs = np.ones((self.num_components, self.dim), int)
        signs[1 : self.dim + 1] -= 2 * np.eye(self.dim, dtype=int)
        return signs


def require_dim(dim: int) -> None:
    """ValueError unless dim is 1, 2 or 3."""
    if dim not in (1, 2, 3):
        raise ValueError(f"dim={dim} is not allowed: give 1, 2 or 3.")
