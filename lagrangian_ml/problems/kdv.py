"""The Korteweg–de Vries equation on [−1, 1], periodic, from cos πx: the setting of Raissi et al. (2019).

That setting has δ = 0.0025; Zabusky & Kruskal (1965) had δ = 0.022².
"""

from dataclasses import replace

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Periodic
from ..equations import KortewegDeVries
from .spectral_reference import SpectralReference


def kdv(equation: KortewegDeVries | None = None, *, horizon: float = 1.0) -> Problem:
    """u_t + u u_x + δ u_xxx = 0, u(0, x) = cos πx; δ = 0.0025 unless another equation is given."""
    problem = Problem(
        equation=KortewegDeVries() if equation is None else equation,
        domain=Box([-1.0], [1.0]),
        initial=lambda x: jnp.cos(jnp.pi * x),
        boundary=(Periodic(0),),
        horizon=horizon,
    )
    return replace(problem, reference=SpectralReference(problem, 512, steps_per_time=4000, stride=2))
