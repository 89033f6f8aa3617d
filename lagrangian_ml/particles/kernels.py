"""B-spline kernels between particles and nodes in units of cells (Steffen, Kirby & Berzins 2008, doi 10.1002/nme.2360).

N(r) is the cardinal B-spline, w_i(X) = Π_axes N(X − i). A kernel reaches `width` nodes on each axis, and its second
moment Σ_i w_i (i − X)² is the same everywhere, `inertia`: the D of APIC (Jiang et al. 2015) is inertia · dx² I.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


@dataclass(frozen=True)
class Kernel:
    """`weights(f)`, `slopes(f)`, `curvatures(f)`: the values and derivatives with respect to X at the nodes base + o.

    f = X − base ∈ [shift, shift + 1) is the place relative to the lowest node that the kernel reaches.
    """

    name: str
    width: int
    inertia: float
    shift: float
    weights: Callable[[Array], tuple[Array, ...]]
    slopes: Callable[[Array], tuple[Array, ...]]
    curvatures: Callable[[Array], tuple[Array, ...]]

    def base(self, X: Float[Array, "..."]) -> Int[Array, "..."]:
        """The lowest node that a particle at X reaches."""
        return jnp.floor(X - self.shift).astype(jnp.int32)


QUADRATIC = Kernel(
    name="quadratic",
    width=3,
    inertia=1 / 4,
    shift=0.5,
    weights=lambda f: (0.5 * (1.5 - f) ** 2, 0.75 - (f - 1.0) ** 2, 0.5 * (f - 0.5) ** 2),
    slopes=lambda f: (f - 1.5, -2.0 * (f - 1.0), f - 0.5),
    curvatures=lambda f: (jnp.ones_like(f), jnp.full_like(f, -2.0), jnp.ones_like(f)),
)


def _cubic_weights(f):
    """The third is what the others leave of 1: 2/3 is no float, and the sum's error would add up in the momentum."""
    first, second, last = (2.0 - f) ** 3 / 6, 2 / 3 - (f - 1.0) ** 2 + (f - 1.0) ** 3 / 2, (f - 1.0) ** 3 / 6
    return first, second, 1.0 - (first + second + last), last


CUBIC = Kernel(
    name="cubic",
    width=4,
    inertia=1 / 3,
    shift=1.0,
    weights=_cubic_weights,
    slopes=lambda f: (
        -((2.0 - f) ** 2) / 2,
        -2.0 * (f - 1.0) + 1.5 * (f - 1.0) ** 2,
        2.0 * (2.0 - f) - 1.5 * (2.0 - f) ** 2,
        (f - 1.0) ** 2 / 2,
    ),
    curvatures=lambda f: (2.0 - f, -2.0 + 3.0 * (f - 1.0), -2.0 + 3.0 * (2.0 - f), f - 1.0),
)

KERNELS = {kernel.name: kernel for kernel in (QUADRATIC, CUBIC)}
