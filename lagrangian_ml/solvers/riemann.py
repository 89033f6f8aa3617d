"""Numerical fluxes through a face from the states on its two sides: approximate solutions of the Riemann problem.

Rusanov: one speed bounds all waves. HLL (Harten, Lax & van Leer 1983): a slowest and a fastest one. HLLC (Toro,
Spruce & Speares 1994): and the contact between them, for laws that tell their `motion`; it keeps contacts sharp.
All take the speeds from `law.riemann_speeds`.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import ConservationLaw, Jet
from ..core.conservation import with_rows

Flux = Float[Array, "c *s"]


def rusanov(law: ConservationLaw, left: Jet, right: Jet, axis: int) -> Flux:
    """The mean flux less half of the jump times the largest speed."""
    low, high = (speeds[axis] for speeds in law.riemann_speeds(left, right))
    fastest = jnp.maximum(jnp.abs(low), jnp.abs(high))
    mean = 0.5 * (law.flux(left) + law.flux(right))[:, axis]
    return mean - 0.5 * fastest[None] * (right.value - left.value)


def hll(law: ConservationLaw, left: Jet, right: Jet, axis: int) -> Flux:
    """The flux of the mean state between the slowest and the fastest wave."""
    low, high = (speeds[axis][None] for speeds in law.riemann_speeds(left, right))
    low, high = jnp.minimum(low, 0), jnp.maximum(high, 0)
    f_left, f_right = law.flux(left)[:, axis], law.flux(right)[:, axis]
    width = jnp.where(high > low, high - low, 1)
    between = (high * f_left - low * f_right + low * high * (right.value - left.value)) / width
    return jnp.where(high > low, between, f_left)


def hllc(law: ConservationLaw, left: Jet, right: Jet, axis: int) -> Flux:
    """As HLL, but with two states in between, whose velocity and pressure agree (Toro 2009, section 10.4)."""
    low, high = (speeds[axis] for speeds in law.riemann_speeds(left, right))
    (rho_l, v_l, p_l), (rho_r, v_r, p_r) = law.motion(left.value), law.motion(right.value)
    mass_l, mass_r = rho_l * (low - v_l[axis]), rho_r * (high - v_r[axis])
    moved = mass_l - mass_r
    wet = jnp.abs(moved) > 0
    push = p_r - p_l + mass_l * v_l[axis] - mass_r * v_r[axis]
    contact = jnp.where(wet, push / jnp.where(wet, moved, 1), 0.5 * (v_l + v_r)[axis])
    pressure = 0.5 * (p_l + p_r + mass_l * (contact - v_l[axis]) + mass_r * (contact - v_r[axis]))

    def side(jet, velocity, speed, outside):
        # The state beside the contact from the jump over the outer wave, with speed s: s u − f = s u* − f*.
        flux = law.flux(jet)[:, axis]
        pushed = law.pressure_flux(pressure, with_rows(velocity, {axis: contact}))[:, axis]
        width = speed - contact
        apart = jnp.abs(width) > 0
        state = (speed[None] * jet.value - flux + pushed) / jnp.where(apart, width, 1)[None]
        beside = jnp.where(apart[None], contact[None] * state + pushed, flux)
        return jnp.where(outside[None], flux, beside)

    return jnp.where((contact > 0)[None], side(left, v_l, low, low >= 0), side(right, v_r, high, high <= 0))


FLUXES: dict[str, Callable[[ConservationLaw, Jet, Jet, int], Flux]] = {"rusanov": rusanov, "hll": hll, "hllc": hllc}
