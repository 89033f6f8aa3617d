"""The Fourier symbol of an equation's linear part, by probing it with the jet of exp(ik·x).

On exp(ik·x) eⱼ the value is eⱼ, the gradient ik eⱼ and the Laplacian −|k|² eⱼ, so `linear` of that jet is column j
of the symbol: no equation states its symbol by hand.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float

from ..core import Equation, Jet


class _ModeJet(Jet):
    """The jet at x = 0 of amplitude (c,) · exp(ik·x), for all wave vectors (d, *k) at once."""

    def __init__(self, amplitude, wavevectors):
        self._k = wavevectors
        ones = (1,) * (wavevectors.ndim - 1)
        self.value = jnp.broadcast_to(amplitude.reshape(-1, *ones), (amplitude.shape[0], *wavevectors.shape[1:]))

    @property
    def gradient(self):
        return 1j * self._k[None] * self.value[:, None]

    @property
    def laplacian(self):
        return -jnp.sum(self._k**2, axis=0)[None] * self.value

    def d(self, *axes):
        factor = jnp.ones_like(self._k[0]) + 0j
        for axis in axes:
            factor = factor * 1j * self._k[axis]
        return factor[None] * self.value

    def _refuse(self, what):
        raise ValueError(
            f"`linear` reads `{what}`, so it has no Fourier symbol: only constant-coefficient linear terms do. "
            "Move the term to `nonlinear`."
        )

    x = property(lambda self: self._refuse("x"))
    t = property(lambda self: self._refuse("t"))
    dt = property(lambda self: self._refuse("dt"))

    def divergence(self, flux):
        self._refuse("divergence")


def linear_symbol(equation: Equation, wavevectors: Float[Array, "d *k"]) -> Complex[Array, "c c *k"]:
    """The matrix L(k) with linear(u)^ = L(k) û; zero where the equation states no `linear`.

    Raises:
        ValueError: if `linear` reads x or t, or is not linear in the jet.
    """
    if not equation.states("linear"):
        c = equation.num_components
        return jnp.zeros((c, c, *wavevectors.shape[1:]), jnp.result_type(wavevectors, 1j))
    columns, is_linear = _probe(equation, wavevectors)
    if not isinstance(is_linear, Tracer) and not is_linear:
        raise ValueError(
            f"`linear` of {type(equation).__name__} is not linear in u: L(au + bv) ≠ aL(u) + bL(v). "
            "Move the nonlinear terms to `nonlinear`."
        )
    return columns


@eqx.filter_jit  # many small operations, compiled as one
def _probe(equation, wavevectors):
    """The symbol, and whether `linear` is that on a sum of unit vectors too, at every wave vector.

    Each is judged against its own symbol, for a large one elsewhere would hide much, and against that at 3k/2, where
    terms that cancel at k, and leave rounding, do not.
    """
    c, dtype = equation.num_components, jnp.result_type(wavevectors, 1j)

    def columns_at(wavevectors):
        return jnp.stack([apply(unit, wavevectors) for unit in jnp.eye(c)], axis=1)

    def apply(amplitude, wavevectors):
        return equation.linear(_ModeJet(amplitude.astype(dtype), wavevectors))

    columns = columns_at(wavevectors)
    probe = jnp.asarray(np.exp(1j * np.arange(1, c + 1)) * np.arange(2, c + 2), dtype)
    error = jnp.abs(apply(probe, wavevectors) - jnp.einsum("ij...,j->i...", columns, probe))
    scale = jnp.maximum(jnp.abs(columns), jnp.abs(columns_at(1.5 * wavevectors)))
    return columns, jnp.all(error <= 100 * jnp.finfo(dtype).eps * jnp.max(scale, axis=1))
