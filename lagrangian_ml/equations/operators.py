"""Differential operators that several equations share."""

from collections.abc import Callable
from itertools import combinations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Jet


def biharmonic(u: Jet) -> Inexact[Array, "c *s"]:
    """Δ²u = Σᵢ ∂ᵢ⁴u + 2 Σ_{i<j} ∂ᵢ²∂ⱼ²u."""
    axes = range(u.gradient.shape[1])
    pure = sum(u.d(i, i, i, i) for i in axes)
    mixed = (u.d(i, i, j, j) for i, j in combinations(axes, 2))
    return pure + 2 * sum(mixed, jnp.zeros_like(u.value))


def curl(field: Callable[[Array], Array], x: Float[Array, " d"]) -> Float[Array, " m"]:
    """∇×v at a point of a vector field `field(x) -> (d,)`: ∂x v − ∂y u, (1,), in 2-D, and (3,) in 3-D."""
    slope = jax.jacfwd(field)(x)  # (component, axis)
    turn = slope.T - slope
    return turn[0, 1:] if x.shape[0] == 2 else jnp.stack([turn[1, 2], turn[2, 0], turn[0, 1]])
