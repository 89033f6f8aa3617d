"""A flow that can turn fast and goes on turning: φ(t) = box ∘ W(t) ∘ (X + c(t)) ∘ G.

What moves is shifted before it is turned, so that the shift c(t) need not turn with it: then c, the angles and the
logarithms of the stretches of W(t) = U exp(s) Vᵀ are all smooth, and low powers of t carry them beyond the data; a
shift after W would be c(t) turned by W, which they cannot follow. Coefficients are trained in units of `rate`, or an
angle of several turns takes thousands of small steps.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap
from .box import ToBox
from .chain import Chain
from .conditioners import TimePolynomial
from .coupling import Affine, Coupling, Transformer
from .linear import LinearSVD
from .models import active_axes


class FastPolynomial(eqx.Module):
    """rate · Σₖ cₖ tᵏ"""

    polynomial: TimePolynomial
    rate: float = eqx.field(static=True)

    def __init__(self, out_size: int, *, degree: int = 4, rate: float | int = 10.0, key: Key[Array, ""]):
        self.polynomial = TimePolynomial(out_size, degree=degree, scale=0.1 / rate, key=key)
        self.rate = float(rate)

    def __call__(self, t: Float[Array, ""]) -> Float[Array, " m"]:
        return self.rate * self.polynomial(t)


class Shift(FlowMap):
    """x = X + c(t)"""

    law: FastPolynomial

    def forward(self, t, X):
        return X + self.law(t), jnp.zeros((), X.dtype)

    def inverse(self, t, x):
        return x - self.law(t), jnp.zeros((), x.dtype)


def motion_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    num_layers: int = 6,
    width: int = 64,
    depth: int = 2,
    degree: int = 4,
    layer_degree: int = 0,
    transformer: Transformer | None = None,
    key: Key[Array, ""],
) -> FlowMap:
    """G of couplings and linear maps, then the motion, then the box, whose map has slope 1 at its centre.

    Args:
        lower, upper: the corners of the box.
        num_layers, width, depth: of G and its conditioners.
        degree: powers of t in c and W.
        layer_degree: powers of t on which every layer of G depends too, none in the factored flow.
        transformer: of the couplings, affine with scales up to e² unless given.
        key: draws the parameters.
    """
    dim = len(lower)
    keys = jax.random.split(key, (num_layers + 1, 2))
    law = partial(TimePolynomial, degree=layer_degree)
    transformer = Affine(2.0) if transformer is None else transformer
    layers: list[FlowMap] = []
    for i in range(num_layers):
        active = active_axes(dim, i)
        layers += [
            Coupling(dim, active, transformer, width=width, depth=depth, degree=layer_degree, key=keys[i, 0]),
            LinearSVD(dim, law, key=keys[i, 1]),
        ]
    fast = partial(FastPolynomial, degree=degree)
    layers += [Shift(fast(dim, key=keys[-1, 0])), LinearSVD(dim, fast, key=keys[-1, 1])]
    scale = 0.5 * min(b - a for a, b in zip(lower, upper, strict=True))
    return Chain((*layers, ToBox(lower, upper, scale)))
