"""Burgers' equation from sin x + C on [0, 2π], periodic: a front that forms while it is carried along with speed C.

The setting of Lagrangian PINNs (Mojgani, Balajewicz & Hassanzadeh 2023, arXiv 2205.02902). The truth is Cole's and
Hopf's for C = 0, seen from a frame that moves: u(t, x) = C + û(t, x − Ct).
"""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Field, Problem
from ..domains import Box, Periodic
from ..equations import Burgers, ColeHopf
from .burgers import num_nodes_for


class Boosted(eqx.Module):
    """u(t, x) = speed + solution(t, x − speed·t), a solution of Burgers' equation if `solution` is one."""

    solution: Field
    speed: float | int

    def __call__(self, t: float | Float[Array, ""], x: Float[Array, "1"]) -> Float[Array, "1"]:
        return self.speed + self.solution(t, x - self.speed * t)


def _minus_cosine(x):
    return -jnp.cos(x)


def burgers_shock(equation: Burgers | None = None, *, offset: float | int = 10.0, horizon: float = 1.0) -> Problem:
    """u_t + u u_x = ν u_xx, u(0, x) = sin x + `offset`; ν = 0.01 unless another equation is given."""
    equation = Burgers(0.01) if equation is None else equation
    solution = ColeHopf(equation.viscosity, _minus_cosine, num_nodes_for(equation.viscosity, horizon))
    return Problem(
        equation=equation,
        domain=Box([0.0], [2 * math.pi]),
        initial=lambda x: jnp.sin(x) + offset,
        boundary=(Periodic(0),),
        horizon=horizon,
        reference=Boosted(solution, offset),
    )
