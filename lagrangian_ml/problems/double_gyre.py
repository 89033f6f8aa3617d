"""A dye in two gyres that breathe between walls, where it is stretched and folded; a test of coherent structures.

The flow is that of Shadden, Lekien & Marsden 2005 (doi 10.1016/j.physd.2005.10.007) with their A = 0.1,
ε = 0.25 and period 10. The walls let nothing through, so that they need no conditions.
"""

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box
from ..equations import PassiveTransport
from ..equations.velocity_fields import DoubleGyre


def double_gyre(equation: PassiveTransport | None = None, *, horizon: float = 30.0) -> Problem:
    """u_t + v·∇u = κ Δu on [0, 2] × [0, 1], u(0, x) = cos(πx₀/2): 1 at the left wall, −1 at the right; κ = 0."""
    return Problem(
        equation=PassiveTransport(DoubleGyre()) if equation is None else equation,
        domain=Box([0.0, 0.0], [2.0, 1.0]),
        initial=lambda x: jnp.cos(0.5 * jnp.pi * x[:1]),
        horizon=horizon,
    )
