"""Products of sines, the separable modes shared by diffusion, wave, Poisson and Helmholtz."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .coefficients import Scalar, Vector, as_vector, components


class Sines(eqx.Module):
    """The steady field a·Πᵢ sin(kᵢ xᵢ), an eigenfunction: Δu = −|k|² u."""

    wavevector: Vector = eqx.field(converter=as_vector)
    amplitude: Scalar = 1.0

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "1"]:
        return self.amplitude * jnp.prod(jnp.sin(components(self.wavevector, x) * x))[None]


def squared_norm(vector: Vector) -> Scalar:
    """|k|²"""
    return sum(k**2 for k in vector)
