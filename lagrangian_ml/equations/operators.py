"""Differential operators that several equations share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def curl(field: Callable[[Array], Array], x: Float[Array, " d"]) -> Float[Array, " m"]:
    """∇×v at a point of a vector field `field(x) -> (d,)`: ∂x v − ∂y u, (1,), in 2-D, and (3,) in 3-D."""
    slope = jax.jacfwd(field)(x)  # (component, axis)
    turn = slope.T - slope
    return turn[0, 1:] if x.shape[0] == 2 else jnp.stack([turn[1, 2], turn[2, 0], turn[0, 1]])
