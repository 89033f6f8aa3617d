"""Hydrostatic reconstruction (Audusse et al. 2004): the pressure of water at rest cancels the push of its bed exactly.

At a face both sides are lifted to the higher of the two beds; what the lift takes from the pressure of each side is
given back to its cell. In a cell the bed pushes as much as the pressure of water at rest differs between its ends.
All of it follows from the surface u₀ + bed, which is constant at rest, and the pressure that the law tells.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import ConservationLaw
from ..core.conservation import with_rows
from .cells import first, last

Triple = tuple[Array, Array, Array]  # at the low end, in the middle and at the high end of each cell


def balanced_difference(
    law: ConservationLaw,
    solve: Callable[[Array, Array], Array],
    states: Triple,
    surfaces: Triple,
    axis: int,
) -> tuple[Float[Array, "c *s"], Float[Array, "1 *f"]]:
    """The flux out of each cell at its high end, less that at its low end, less the push of the bed.

    With it comes the flux of u₀ through the faces, on which the bed does not push. `solve(left, right)` is the flux
    through the faces. There is one cell more at each end than in the result.
    """
    low, middle, high = states
    b_low, b_mid, b_high = (surface - state[0] for surface, state in zip(surfaces, states, strict=True))
    left, right, b_left, b_right = first(high, axis), last(low, axis), first(b_high, axis - 1), last(b_low, axis - 1)
    top = jnp.maximum(b_left, b_right)
    lifted_left, lifted_right = _lift(law, left, top - b_left), _lift(law, right, top - b_right)
    flux = solve(lifted_left, lifted_right)
    given_back = lambda state, lifted: _rest_pressure(law, state[0], axis) - _rest_pressure(law, lifted[0], axis)
    difference = last(flux + given_back(left, lifted_left), axis) - first(flux + given_back(right, lifted_right), axis)
    push = _push_of_bed(law, (low[0], middle[0], high[0]), (b_low, b_mid, b_high), axis)
    return difference - last(first(push, axis), axis), flux[:1]


def _lift(law, state, rise):
    """The state on a bed that is higher by `rise`, with the same surface and velocity; dry if it does not reach."""
    primitive = law.primitive(state)
    return law.conserved(with_rows(primitive, {0: jnp.maximum(primitive[0] - rise, 0)}))


def _rest_pressure(law, depth, axis):
    """The flux along an axis of water of a depth at rest."""
    rest = with_rows(jnp.zeros((law.num_components, *depth.shape), depth.dtype), {0: depth})
    _, velocity, pressure = law.motion(rest)
    return law.pressure_flux(pressure, velocity)[:, axis]


def _push_of_bed(law, depths, beds, axis):
    """The integral of the bed's force over a cell: to fourth order, by extrapolation from one and from two halves."""

    def between(i, j):
        depth, half = 0.5 * (depths[i] + depths[j]), 0.5 * (beds[j] - beds[i])
        return _rest_pressure(law, depth - half, axis) - _rest_pressure(law, depth + half, axis)

    return (4 * (between(0, 1) + between(1, 2)) - between(0, 2)) / 3
