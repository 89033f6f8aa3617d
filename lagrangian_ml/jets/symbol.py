"""The Fourier symbol of an equation's linear part, by probing it with the jet of exp(ik·x).

On exp(ik·x) eⱼ the value is eⱼ, the gradient ik eⱼ and the Laplacian −|k|² eⱼ, so `linear` of that jet is column j
of the symbol: no equation states its symbol by hand.
"""

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
    c, shape = equation.num_components, wavevectors.shape[1:]
    dtype = jnp.result_type(wavevectors, 1j)
    if not equation.states("linear"):
        return jnp.zeros((c, c, *shape), dtype)
    apply = lambda amplitude: equation.linear(_ModeJet(amplitude.astype(dtype), wavevectors))
    columns = jnp.stack([apply(unit) for unit in jnp.eye(c)], axis=1)
    probe = jnp.asarray(np.exp(1j * np.arange(1, c + 1)) * np.arange(2, c + 2))
    combined, expected = apply(probe), jnp.einsum("ij...,j->i...", columns, probe.astype(dtype))
    if not isinstance(combined, Tracer):
        scale = float(jnp.max(jnp.abs(columns))) + 1e-300
        if not float(jnp.max(jnp.abs(combined - expected))) <= 1e3 * jnp.finfo(wavevectors.dtype).eps * scale:
            raise ValueError(
                f"`linear` of {type(equation).__name__} is not linear in u: L(au + bv) ≠ aL(u) + bL(v). "
                "Move the nonlinear terms to `nonlinear`."
            )
    return columns
