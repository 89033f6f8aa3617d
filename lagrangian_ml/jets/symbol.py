"""The Fourier symbol of a linear map of a jet, by probing it with the jet of exp(ik·x).

On exp(ik·x) eⱼ the value is eⱼ, the gradient ik eⱼ and the Laplacian −|k|² eⱼ, so the map of that jet is column j of
the symbol: no equation states its symbol by hand.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float

from ..core import Equation, Jet


class _ModeJet(Jet):
    """The jet at x = 0 of amplitude (c, *k) · exp(ik·x), for all wave vectors (d, *k) at once."""

    def __init__(self, value, wavevectors):
        self._k = wavevectors
        self.value = jnp.broadcast_to(value, (value.shape[0], *wavevectors.shape[1:]))

    @property
    def gradient(self):
        return 1j * self._k[None] * self.value[:, None]

    @property
    def laplacian(self):
        return -jnp.sum(self._k**2, axis=0)[None] * self.value

    @property
    def bilaplacian(self):
        return jnp.sum(self._k**2, axis=0)[None] ** 2 * self.value

    @property
    def inverse_laplacian(self):
        square = jnp.sum(self._k**2, axis=0)[None]
        return _ModeJet(jnp.where(square == 0, 0, -self.value / jnp.where(square == 0, 1, square)), self._k)

    def d(self, *axes):
        factor = jnp.ones_like(self._k[0]) + 0j
        for axis in axes:
            factor = factor * 1j * self._k[axis]
        return factor[None] * self.value

    def _refuse(self, what):
        raise ValueError(
            f"it reads `{what}`, so it has no Fourier symbol: only constant-coefficient linear maps do. "
            "Move such terms to `nonlinear`."
        )

    x = property(lambda self: self._refuse("x"))
    t = property(lambda self: self._refuse("t"))
    dt = property(lambda self: self._refuse("dt"))

    def divergence(self, flux):
        self._refuse("divergence")


def symbol(
    law: Callable[[Jet], Array], wavevectors: Float[Array, "d *k"], num_inputs: int, name: str = "the map"
) -> Complex[Array, "c m *k"]:
    """The matrix S(k) with law(v)^ = S(k) v̂ for fields v of `num_inputs` components; `name` stands in errors.

    Raises:
        ValueError: if the map reads x or t, or is not linear in the jet.
    """
    try:
        columns, is_linear = _probe(law, num_inputs, wavevectors)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not isinstance(is_linear, Tracer) and not is_linear:
        raise ValueError(
            f"{name} is not linear in u: L(au + bv) ≠ aL(u) + bL(v). Move the nonlinear terms to `nonlinear`."
        )
    return columns


def linear_symbol(equation: Equation, wavevectors: Float[Array, "d *k"]) -> Complex[Array, "c c *k"]:
    """The symbol L(k) of `linear`; zero where the equation states none. ValueErrors as those of `symbol`."""
    c = equation.num_components
    if not equation.states("linear"):
        return jnp.zeros((c, c, *wavevectors.shape[1:]), jnp.result_type(wavevectors, 1j))
    return symbol(equation.linear, wavevectors, c, f"`linear` of {type(equation).__name__}")


@eqx.filter_jit  # many small operations, compiled as one
def _probe(law, num_inputs, wavevectors):
    """The symbol, and whether the law is that on a sum of unit vectors too, at every wave vector.

    Each is judged against its own symbol, for a large one elsewhere would hide much, and against that at one and a
    half times |k| in an oblique direction, where terms that cancel at k, and leave rounding, do not.
    """
    m, dtype = num_inputs, jnp.result_type(wavevectors, 1j)

    def columns_at(wavevectors):
        return jax.vmap(apply, in_axes=(0, None), out_axes=1)(jnp.eye(m), wavevectors)

    def apply(amplitude, wavevectors):
        ones = (1,) * (wavevectors.ndim - 1)
        return law(_ModeJet(amplitude.astype(dtype).reshape(m, *ones), wavevectors)).astype(dtype)

    columns = columns_at(wavevectors)
    probe = jnp.asarray(np.exp(1j * np.arange(1, m + 1)) * np.arange(2, m + 2), dtype)
    error = jnp.abs(apply(probe, wavevectors) - jnp.einsum("ij...,j->i...", columns, probe))
    oblique = jnp.arange(3.0, 3.0 + len(wavevectors), dtype=wavevectors.dtype)
    oblique = (1.5 * oblique / jnp.linalg.norm(oblique)).reshape(-1, *(1,) * (wavevectors.ndim - 1))
    elsewhere = columns_at(oblique * jnp.linalg.norm(wavevectors, axis=0, keepdims=True))
    scale = jnp.maximum(jnp.abs(columns), jnp.abs(elsewhere))
    return columns, jnp.all(error <= 100 * jnp.finfo(dtype).eps * jnp.max(scale, axis=1))
