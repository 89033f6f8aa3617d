"""Even and odd functions, exact to the last bit: u(x) = (N(x) ± N(Rx)) / 2 with a reflection R.

Unlike networks of even or odd features, this leaves the network as it is, at the price of a second evaluation.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact

Parity = Literal["even", "odd"]


class Symmetric(eqx.Module):
    """Wraps a field, or a network, whose last argument is reflected in the `axes` together, at the origin.

    Several parities are several wrappers. Raises ValueError for an unknown parity.
    """

    function: Callable
    axes: tuple[int, ...] = eqx.field(static=True)
    parity: Parity = eqx.field(static=True)

    def __init__(self, function: Callable, axes: Sequence[int], parity: Parity):
        if parity not in ("even", "odd"):
            raise ValueError(f"parity={parity!r} is unknown; choose 'even' or 'odd'.")
        self.function, self.axes, self.parity = function, tuple(axes), parity

    @property
    def satisfies(self) -> frozenset[str]:
        return getattr(self.function, "satisfies", frozenset())

    def __call__(self, *point) -> Inexact[Array, " c"]:
        *rest, x = point
        signs = jnp.asarray([-1.0 if axis in self.axes else 1.0 for axis in range(x.shape[0])], x.dtype)
        here, there = self.function(*rest, x), self.function(*rest, signs * x)
        return 0.5 * (here + there if self.parity == "even" else here - there)
