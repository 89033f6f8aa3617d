"""Burgers' equation from −sin πx on [−1, 1] with zero ends: a front of width ν steepens at x = 0.

The setting of Basdevant et al. (1986) and of Raissi et al. (2019) for ν = 0.01/π; the truth is Cole's and Hopf's.
"""

import math

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Dirichlet
from ..equations import Burgers, ColeHopf
from ..equations.coefficients import Scalar


def burgers(equation: Burgers | None = None, *, horizon: float = 1.0) -> Problem:
    """u_t + u u_x = ν u_xx, u(0, x) = −sin πx, u(t, ±1) = 0, up to t = `horizon`."""
    equation = Burgers() if equation is None else equation
    domain = Box([-1.0], [1.0])
    return Problem(
        equation=equation,
        domain=domain,
        initial=lambda x: -jnp.sin(jnp.pi * x),
        boundary=(Dirichlet(domain.boundary),),
        horizon=horizon,
        reference=ColeHopf(equation.viscosity, num_nodes=num_nodes_for(equation.viscosity, horizon)),
    )


def num_nodes_for(viscosity: Scalar, horizon: float | int) -> int:
    """See `ColeHopf`: the quadrature must reach where u came from, 0.5·√(horizon/ν) + 6 ≤ √(2·600)."""
    if not 0 < horizon < math.inf:
        raise ValueError(f"horizon={horizon} is not allowed: give a time > 0.")
    least = horizon / (2 * (math.sqrt(1200) - 6)) ** 2
    if not float(viscosity) >= least:
        raise ValueError(
            f"viscosity={float(viscosity)} is too small for the Cole–Hopf quadrature up to t = {horizon}; "
            f"give at least {least:.3g}."
        )
    return max(160, math.ceil(0.5 * (0.5 * math.sqrt(horizon / float(viscosity)) + 6.0) ** 2))
