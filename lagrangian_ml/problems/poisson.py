"""Poisson's equation on the unit square with a product of sines as its solution."""

from collections.abc import Sequence

import jax.numpy as jnp

from ..core import Problem
from ..domains import Box, Dirichlet
from ..equations import Poisson, Sines
from ..equations.poisson import sine_source


def poisson(*, modes: Sequence[int] = (1, 1)) -> Problem:
    """−Δu = π²|m|² Πᵢ sin mᵢπxᵢ on the unit box of as many dimensions as `modes` has entries, u = 0 on its boundary.

    Raises ValueError unless all modes are at least 1.
    """
    if not modes or min(modes) < 1:
        raise ValueError(f"modes={list(modes)}: give whole numbers of half waves, at least 1, one for each dimension.")
    wavevector = tuple(float(jnp.pi) * mode for mode in modes)
    domain = Box([0.0] * len(modes), [1.0] * len(modes))
    return Problem(
        equation=Poisson(sine_source(wavevector)),
        domain=domain,
        boundary=(Dirichlet(domain.boundary),),
        reference=Sines(wavevector),
    )
