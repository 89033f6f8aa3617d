"""Reconstruction: from the means of cells to the values at the two ends of each cell along one axis.

`Constant` (order 1); `MUSCL` (van Leer 1979), linear with a limited slope; `WENO5`, the fifth-order weighted
essentially non-oscillatory scheme with the weights of Jiang & Shu (1996, "js") or of Borges et al. (2008, "z").
A scheme maps the 2 radius + 1 means around a cell, arrays of one shape, to (low end, high end).

What is reconstructed are primitive variables in MUSCL. For WENO5 they would limit the order to 2, for the mean of a
product is not the product of the means: it takes characteristic variables, linearised in each cell. Where densities,
pressures or depths differ by factors of ten from cell to cell it gives way to MUSCL.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

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


def ends_of_cells(
    scheme: Reconstruction, law: ConservationLaw, values: Float[Array, "c *s"], axis: int
) -> tuple[Array, Array, Array]:
    """Conserved values at the low end, in the middle and at the high end, along an axis, of cells.

    They are those of all cells but `radius` at each end of the axis.
    """
    cells = windows(values, scheme.radius, axis)
    mean = cells[scheme.radius]
    if scheme.variables == "conserved":
        low, high = scheme(*cells)
    elif scheme.variables == "primitive":  # between those of the neighbours, so positive if they are
        low, high = map(law.conserved, scheme(*windows(law.primitive(values), scheme.radius, axis)))
    else:
        at, to_primitive = jax.linearize(law.primitive, mean)
        _, to_conserved = jax.linearize(law.conserved, at)
        ends = scheme(*(law.to_characteristic(to_primitive(cell), at, axis) for cell in cells))
        low, high = (to_conserved(law.from_characteristic(end, at, axis)) for end in ends)
        smooth = _kept_positive(law, mean, low, high)
        if not law.positive(mean):
            return smooth
        # Beside what is almost empty, a linearisation says little: a momentum may be left where no mass is.
        inner = jax.lax.slice_in_dim(
            values, scheme.radius - 1, values.shape[axis + 1] - scheme.radius + 1, axis=axis + 1
        )
        limited, is_rough = ends_of_cells(MUSCL(), law, inner, axis), ~comparable(law, cells)
        low, middle, high = (jnp.where(is_rough, *states) for states in zip(limited, smooth, strict=True))
        return low, middle, high
    return low, middle_of_cells(mean, low, high), high


def comparable(law: ConservationLaw, cells: list[Float[Array, "c *s"]]) -> Bool[Array, "1 *s"]:
    """Whether what is positive differs among neighbours by less than a factor of ten."""
    is_comparable = jnp.ones((1, *cells[0].shape[1:]), bool)
    for around in zip(*map(law.positive, cells), strict=True):
        stack = jnp.stack(around)
        is_comparable = is_comparable & (jnp.min(stack, axis=0) > 0.1 * jnp.max(stack, axis=0))[None]
    return is_comparable


def middle_of_cells(mean: Array, low: Array, high: Array) -> Array:
    """The value with which Simpson's rule over (low, middle, high) gives the mean."""
    return 1.5 * mean - 0.25 * (low + high)


def windows(values: Shaped[Array, "c *s"], radius: int, axis: int) -> list[Array]:
    """The neighbours, from −radius to radius along an axis, of all cells that have them."""
    size = values.shape[axis + 1] - 2 * radius
    return [jax.lax.slice_in_dim(values, k, k + size, axis=axis + 1) for k in range(2 * radius + 1)]


def _kept_positive(law, mean, low, high):
    """The values, drawn to the mean as far as `positive` asks (Zhang & Shu 2010).

    With fluxes that keep constant states positive, the means of the next step are, if the Courant number is ≤ 1/6;
    in practice with larger ones too.
    """
    middle = middle_of_cells(mean, low, high)
    for k, q in enumerate(law.positive(mean)):
        least = jnp.min(jnp.stack([law.positive(point)[k] for point in (low, middle, high)]), axis=0)
        floor = 1e-6 * jnp.maximum(q, 0)
        short = least < floor
        theta = jnp.where(short, jnp.clip((q - floor) / jnp.where(short, q - least, 1), 0, 1), 1)
        low, middle, high = (mean + theta[None] * (point - mean) for point in (low, middle, high))
    return low, middle, high
