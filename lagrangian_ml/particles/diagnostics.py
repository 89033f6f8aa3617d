"""What a cloud of particles conserves: mass, momentum, angular momentum with its affine part, energy."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..linalg.components import Matrix
from .kernels import KERNELS
from .state import Particles
from .stepper import MPM, State


def momentum(particles: Particles) -> Float[Array, " d"]:
    """Σ m v over the particles that are alive."""
    return jnp.sum((_mass(particles)[:, None] * particles.v), axis=0)


def angular_momentum(particles: Particles, inertia: float = 0.0) -> Float[Array, "..."]:
    """Σ m (x × v + D c), c the skew part of C (cᵢ = εᵢⱼₖ Cₖⱼ): that of the nodes to which the particles are spread.

    `inertia` is D, `kernel.inertia · dx²`; see `conserved`. A scalar in 2-D, a vector in 3-D.
    """
    mass, d = _mass(particles), particles.dim
    moments = particles.v[:, :, None] * particles.x[:, None, :] + inertia * particles.C  # (p, i, j): v_i x_j
    total = jnp.einsum("p,pij->ij", mass, moments)
    if d == 2:
        return total[1, 0] - total[0, 1]
    return jnp.stack([total[2, 1] - total[1, 2], total[0, 2] - total[2, 0], total[1, 0] - total[0, 1]])


def kinetic_energy(particles: Particles, inertia: float = 0.0) -> Float[Array, ""]:
    """½ Σ m (|v|² + D |C|²)"""
    squares = jnp.sum(particles.v**2, axis=1) + inertia * jnp.sum(particles.C**2, axis=(1, 2))
    return 0.5 * jnp.sum(_mass(particles) * squares)


def elastic_energy(particles: Particles, materials: Any) -> Float[Array, ""]:
    """Σ V Ψ(F) of the materials that have an energy."""
    total = jnp.zeros((), particles.x.dtype)
    F = Matrix.split(particles.F, (1, 2))
    for k, material in enumerate(materials):
        if hasattr(material, "energy"):
            here = (particles.material == k) & particles.alive
            total = total + jnp.sum(jnp.where(here, particles.volume * material.energy(F), 0.0))
    return total


def conserved(step: MPM, state: State) -> dict[str, Float[Array, "..."]]:
    """{"mass", "momentum", "angular_momentum", "kinetic", "elastic"} of a state, as the step's scheme carries them."""
    particles = step.particles(state)
    inertia = KERNELS[step.kernel].inertia * step.grid.spacings[0] ** 2
    return {
        "mass": jnp.sum(_mass(particles)),
        "momentum": momentum(particles),
        "angular_momentum": angular_momentum(particles, inertia),
        "kinetic": kinetic_energy(particles, inertia),
        "elastic": elastic_energy(particles, step.materials),
    }


def _mass(particles):
    return jnp.where(particles.alive, particles.mass, 0.0)
