"""Convection of a sine at a speed that plain PINNs cannot follow (Krishnapriyan et al. 2021, arXiv 2109.01050)."""

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Periodic
from ..equations import AdvectedProfile, Advection


def convection(equation: Advection | None = None, *, horizon: float = 1.0) -> Problem:
    """u_t + β u_x = 0 on [0, 2π], periodic, u(0, x) = sin x; β = 30 unless another equation is given."""
    equation = Advection(30.0) if equation is None else equation
    return Problem(
        equation=equation,
        domain=Box([0.0], [2 * float(jnp.pi)]),
        initial=jnp.sin,
        boundary=(Periodic(0),),
        horizon=horizon,
        reference=AdvectedProfile(jnp.sin, equation.speed),
    )
