"""Discrete cosine and sine transforms of the last axis by one real FFT of the same length (Makhoul 1980).

Those of type II and their inverses, on the centres j + ½ of n cells, scaled as `scipy.fft.dct` and `dst` are.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact


def dct(x: Inexact[Array, "... n"]) -> Inexact[Array, "... n"]:
    """c_m = 2 Σⱼ xⱼ cos(π m (j + ½)/n), m = 0 … n − 1."""
    n = x.shape[-1]
    if jnp.iscomplexobj(x):
        return _by_parts(dct, x)
    modes = jnp.fft.rfft(jnp.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], axis=-1))
    turned = 2 * _quarter_turns(n, modes) * modes
    return jnp.concatenate([turned.real, -turned.imag[..., (n - 1) // 2 : 0 : -1]], axis=-1)


def idct(c: Inexact[Array, "... n"]) -> Inexact[Array, "... n"]:
    """xⱼ = (1/n) (c₀/2 + Σ c_m cos(π m (j + ½)/n)), the inverse of `dct`."""
    n = c.shape[-1]
    if jnp.iscomplexobj(c):
        return _by_parts(idct, c)
    mirrored = jnp.concatenate([jnp.zeros_like(c[..., :1]), c[..., :0:-1]], axis=-1)
    turned = 0.5 * lax.complex(c, -mirrored)[..., : n // 2 + 1]
    x = jnp.fft.irfft(turned * jnp.conj(_quarter_turns(n, turned)), n)
    even, odd = x[..., : (n + 1) // 2], x[..., : (n - 1) // 2 : -1]
    return jnp.zeros_like(c).at[..., ::2].set(even).at[..., 1::2].set(odd)


def dst(x: Inexact[Array, "... n"]) -> Inexact[Array, "... n"]:
    """s_m = 2 Σⱼ xⱼ sin(π m (j + ½)/n), m = 1 … n: the cosine coefficients n − m of (−1)ʲ xⱼ."""
    return dct(x * _signs(x))[..., ::-1]


def idst(s: Inexact[Array, "... n"]) -> Inexact[Array, "... n"]:
    """xⱼ = (1/n) (Σ s_m sin(π m (j + ½)/n) + (−1)ʲ s_n/2), m < n: the inverse of `dst`."""
    return idct(s[..., ::-1]) * _signs(s)


def _quarter_turns(n: int, like: Array) -> Array:
    return _row(np.exp(-0.5j * np.pi * np.arange(n // 2 + 1) / n), like)


def _signs(like: Array) -> Array:
    return _row((-1.0) ** np.arange(like.shape[-1]), like)


def _row(values: np.ndarray, like: Array) -> Array:
    """Values of the last axis, of the type and the rank of another array."""
    return jnp.asarray(values, like.dtype).reshape(*(1 for _ in like.shape[1:]), -1)


def _by_parts(function: Callable[[Array], Array], x: Array) -> Array:
    return lax.complex(function(x.real), function(x.imag))
