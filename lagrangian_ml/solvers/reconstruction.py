"""Reconstruction: from the means of cells to the values at the two ends of each cell along one axis.

`Constant` (order 1); `MUSCL` (van Leer 1979), linear with a limited slope; `WENO5`, the fifth-order weighted
essentially non-oscillatory scheme with the weights of Jiang & Shu (1996, "js") or of Borges et al. (2008, "z").
A scheme maps the 2 radius + 1 means around a cell, arrays of one shape, to (low end, high end).

What is reconstructed are primitive variables in MUSCL. For WENO5 they would limit the order to 2, for the mean of a
product is not the product of the means: it takes characteristic variables, linearised in each cell.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import ConservationLaw

Ends = tuple[Float[Array, "..."], Float[Array, "..."]]


class Constant(eqx.Module):
    """The mean itself, everywhere in the cell."""

    radius: ClassVar[int] = 0
    variables: ClassVar[str] = "conserved"

    def __call__(self, mean: Array) -> Ends:
        return mean, mean


class MUSCL(eqx.Module):
    """Linear in each cell, the slope chosen by `limiter` from the differences to both sides."""

    radius: ClassVar[int] = 1
    variables: ClassVar[str] = "primitive"
    limiter: Literal["minmod", "van_leer", "mc"] = eqx.field(static=True, default="van_leer")

    def __check_init__(self):
        if self.limiter not in LIMITERS:
            raise ValueError(f"limiter={self.limiter!r} is not known: give one of {', '.join(LIMITERS)}.")

    def __call__(self, below: Array, mean: Array, above: Array) -> Ends:
        half = 0.5 * LIMITERS[self.limiter](mean - below, above - mean)
        return mean - half, mean + half


class WENO5(eqx.Module):
    """The convex combination of three parabolas that avoids those which cross a jump."""

    radius: ClassVar[int] = 2
    variables: ClassVar[str] = "characteristic"
    weights: Literal["z", "js"] = eqx.field(static=True, default="z")

    def __check_init__(self):
        if self.weights not in ("z", "js"):
            raise ValueError(f"weights={self.weights!r} are not known: give 'z' or 'js'.")

    def __call__(self, a: Array, b: Array, c: Array, d: Array, e: Array) -> Ends:
        roughness = (
            13 / 12 * (a - 2 * b + c) ** 2 + 1 / 4 * (a - 4 * b + 3 * c) ** 2,
            13 / 12 * (b - 2 * c + d) ** 2 + 1 / 4 * (b - d) ** 2,
            13 / 12 * (c - 2 * d + e) ** 2 + 1 / 4 * (3 * c - 4 * d + e) ** 2,
        )
        # Relative to the values, so that a change of units changes nothing, and above what rounding makes of them.
        tiny = jnp.finfo(c.dtype).tiny ** 0.25
        floor = 100 * jnp.finfo(c.dtype).eps ** 1.5 * (a**2 + b**2 + c**2 + d**2 + e**2) + tiny
        if self.weights == "js":
            trust = [(r + floor) ** -2 for r in roughness]
        else:
            spread = jnp.abs(roughness[0] - roughness[2])
            trust = [1 + (spread / (r + floor)) ** 2 for r in roughness]
        high = ((2 * a - 7 * b + 11 * c) / 6, (-b + 5 * c + 2 * d) / 6, (2 * c + 5 * d - e) / 6)
        low = ((-a + 5 * b + 2 * c) / 6, (2 * b + 5 * c - d) / 6, (11 * c - 7 * d + 2 * e) / 6)
        return _blend(low, trust, (0.3, 0.6, 0.1)), _blend(high, trust, (0.1, 0.6, 0.3))


def _blend(values, trust, ideal) -> Array:
    weights = [w * t for w, t in zip(ideal, trust, strict=True)]
    (a, b, c), (u, v, w) = weights, values
    return (a * u + b * v + c * w) / (a + b + c)


def _minmod(a, b):
    return jnp.where(a * b > 0, jnp.where(jnp.abs(a) < jnp.abs(b), a, b), 0)


def _van_leer(a, b):
    """The harmonic mean of slopes of one sign."""
    same = a * b > 0
    return jnp.where(same, 2 * a * b / jnp.where(same, a + b, 1), 0)


def _monotonized_central(a, b):
    return _minmod(_minmod(2 * a, 2 * b), 0.5 * (a + b))


LIMITERS: dict[str, Callable[[Array, Array], Array]] = {
    "minmod": _minmod,
    "van_leer": _van_leer,
    "mc": _monotonized_central,
}
Reconstruction = Constant | MUSCL | WENO5
SCHEMES: dict[str, Reconstruction] = {"constant": Constant(), "muscl": MUSCL(), "weno5": WENO5()}


def ends_of_cells(scheme: Reconstruction, law: ConservationLaw, values: Float[Array, "c *s"], axis: int) -> Ends:
    """Conserved values at the low and the high end, along an axis, of all cells but `radius` at each end of it."""
    if scheme.variables == "primitive":
        low, high = scheme(*windows(law.primitive(values), scheme.radius, axis))
        return law.conserved(low), law.conserved(high)
    cells = windows(values, scheme.radius, axis)
    if scheme.variables == "conserved":
        return scheme(*cells)
    mean = cells[scheme.radius]
    at, to_primitive = jax.linearize(law.primitive, mean)
    _, to_conserved = jax.linearize(law.conserved, at)
    low, high = scheme(*(law.to_characteristic(to_primitive(cell), at, axis) for cell in cells))
    return tuple(to_conserved(law.from_characteristic(end, at, axis)) for end in (low, high))


def windows(values: Float[Array, "c *s"], radius: int, axis: int) -> list[Array]:
    """The neighbours, from −radius to radius along an axis, of all cells that have them."""
    size = values.shape[axis + 1] - 2 * radius
    return [jax.lax.slice_in_dim(values, k, k + size, axis=axis + 1) for k in range(2 * radius + 1)]


def keep_positive(
    law: ConservationLaw, mean: Float[Array, "c *s"], low: Float[Array, "c *s"], high: Float[Array, "c *s"]
) -> tuple[Array, Array, Array]:
    """The ends, drawn to the mean as far as `positive` asks (Zhang & Shu 2010), and the middle that goes with them.

    Simpson's rule over (low, middle, high) is the mean. For time steps with a Courant number ≤ 1/6 the means of the
    next step are positive if all three are, with fluxes that keep constant states positive.
    """
    middle = 1.5 * mean - 0.25 * (low + high)
    for k, q in enumerate(law.positive(mean)):
        least = jnp.min(jnp.stack([law.positive(point)[k] for point in (low, middle, high)]), axis=0)
        floor = 1e-6 * jnp.maximum(q, 0)
        short = least < floor
        theta = jnp.where(short, jnp.clip((q - floor) / jnp.where(short, q - least, 1), 0, 1), 1)
        low, middle, high = (mean + theta[None] * (point - mean) for point in (low, middle, high))
    return low, middle, high
