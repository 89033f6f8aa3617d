"""What every classical solver shares: its constructor, its state, and how a state is made from a field.

A solver is an Equinox module `Solver(equation, grid, dt, **options)` and a stepper:

    init(initial, t=0) -> state     from a field `initial(x) -> (c,)` or from values (c, *s) on the grid
    __call__(state)    -> state     at t + dt
    values(state)      -> (c, *s)   on the grid; what `rollout(…, save=solver.values)` keeps
    courant(values)    -> scalar    the largest stability number of a step from these values …
    max_courant                     … and its bound; beyond it the step is unstable
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Field, Grid
from ..equations import at_points


class GridState(eqx.Module):
    """A field on a grid, (c, *s), at the time t."""

    values: Inexact[Array, "c *s"]
    t: Float[Array, ""]


def values_on(grid: Grid, equation: Equation, initial: Field | Array) -> Inexact[Array, "c *s"]:
    """The values of an initial field on the grid, or the values given. ValueError if their shape does not fit."""
    if callable(initial):
        values = jax.jit(partial(at_points, initial))(grid.points)
    else:
        values = jnp.asarray(initial)
        values = values if jnp.issubdtype(values.dtype, jnp.inexact) else values.astype(float)
    expected = (equation.num_components, *grid.shape)
    if values.shape != expected:
        raise ValueError(
            f"the initial values have the shape {values.shape}; {type(equation).__name__} on this grid needs "
            f"{expected}: components first."
        )
    return values
