"""Drift of integrals which the equation conserves: mass, momentum, energy, … along a stored trajectory.

The change of the integral is measured against the integral of the absolute density at the start, not against the
integral itself: a conserved mean of zero (momentum, vorticity) has a drift too.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float


def conservation_drift(
    trajectory: Float[Array, "t c *s"], density: Callable[[Array], Array] = lambda u: u
) -> Float[Array, " k"]:
    """max_t |I(t) − I(0)| / ∫|q(0)| for every component of I = ∫ q, q = `density(u (c, *s)) -> (k, *s)`.

    The grid is uniform without periodic end points; `density` defaults to u itself. Raises ValueError if there are
    no times, or if a density is zero or not finite at the start.
    """
    if trajectory.shape[0] == 0:
        raise ValueError(f"a drift needs at least one stored time; got a trajectory of shape {trajectory.shape}.")
    values = jax.vmap(density)(trajectory)
    space = tuple(range(2, values.ndim))
    integral = jnp.mean(values, axis=space)
    scale = jnp.mean(jnp.abs(values[0]), axis=tuple(axis - 1 for axis in space))
    if not isinstance(scale, Tracer) and not jnp.all((scale > 0) & jnp.isfinite(scale)):
        raise ValueError(f"the density is zero or not finite at the start (mean |q(0)| = {scale}): no drift exists.")
    return jnp.max(jnp.abs(integral - integral[:1]), axis=0) / scale
