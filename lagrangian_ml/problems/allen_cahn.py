"""The Allen–Cahn equation on [−1, 1], periodic, from x² cos πx: the setting of Raissi et al. (2019).

u₀ has a kink in its periodic extension (u₀′(±1) = ∓2), which diffusion smooths slowly: the reference needs many modes.
"""

from dataclasses import replace

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Periodic
from ..equations import AllenCahn
from .spectral_reference import SpectralReference


def allen_cahn(equation: AllenCahn | None = None, *, horizon: float = 1.0) -> Problem:
    """u_t = ε u_xx + r (u − u³), u(0, x) = x² cos πx; ε = 1e-4 and r = 5 unless another equation is given."""
    problem = Problem(
        equation=AllenCahn() if equation is None else equation,
        domain=Box([-1.0], [1.0]),
        initial=lambda x: x**2 * jnp.cos(jnp.pi * x),
        boundary=(Periodic(0),),
        horizon=horizon,
    )
    return replace(problem, reference=SpectralReference(problem, 8192, steps_per_time=1000, stride=16, dealias=1.0))
