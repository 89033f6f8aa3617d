"""The heat equation u_t = u_xx/4 on [0, 1] from sin πx with zero ends, as in natural-gradient PINNs (Müller &
Zeinhofer 2023, arXiv 2302.13163)."""

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Dirichlet
from ..equations import DecayingSines, Diffusion


def heat(equation: Diffusion | None = None, *, horizon: float = 1.0) -> Problem:
    """u_t = ν u_xx, u(0, x) = sin πx, u(t, 0) = u(t, 1) = 0; ν = 1/4 unless another equation is given."""
    equation = Diffusion(0.25) if equation is None else equation
    domain = Box([0.0], [1.0])
    return Problem(
        equation=equation,
        domain=domain,
        initial=lambda x: jnp.sin(jnp.pi * x),
        boundary=(Dirichlet(domain.boundary),),
        horizon=horizon,
        reference=DecayingSines(equation.diffusivity, (jnp.pi,)),
    )
