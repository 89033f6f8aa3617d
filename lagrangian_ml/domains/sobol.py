"""Points of the unit cube: uniform, Sobol' and cell-centred grid, all traceable under `jit`.

Sobol' points use the direction numbers of Joe and Kuo (2008, "new-joe-kuo-6") in Gray-code order. Each draw is
scrambled by a random lower-triangular bit matrix and a digital shift (Matousek 1998), so that every key gives an
independent, unbiased point set that keeps the net property; n = 2^m is best balanced. scipy draws the same
unscrambled sequence, but not inside `jit`.
"""

from functools import lru_cache
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt32

Law = Literal["uniform", "sobol", "grid"]
LAWS = ("uniform", "sobol", "grid")

_BITS = 32
# For dimensions 2, 3, …: the coefficients of the primitive polynomial, and the initial odd numbers m_1 … m_s.
_JOE_KUO = (
    (0, (1,)),
    (1, (1, 3)),
    (1, (1, 3, 1)),
    (2, (1, 1, 1)),
    (1, (1, 1, 3, 3)),
    (4, (1, 3, 5, 13)),
    (2, (1, 1, 5, 5, 17)),
    (4, (1, 1, 5, 5, 5)),
    (7, (1, 1, 7, 11, 19)),
    (11, (1, 1, 5, 1, 1)),
    (13, (1, 1, 1, 3, 11)),
)
MAX_SOBOL_DIM = len(_JOE_KUO) + 1


def unit_points(n: int, dim: int, *, key: Key[Array, ""], law: Law = "sobol") -> Float[Array, "n dim"]:
    """n points of (0, 1)^dim in the default float type. Raises ValueError for an unknown law or an unfit n or dim."""
    if law == "uniform":
        return jax.random.uniform(key, (n, dim), minval=jnp.finfo(jnp.result_type(float)).tiny)
    if law == "grid":
        return _grid(n, dim)
    if law != "sobol":
        raise ValueError(f"law={law!r} is unknown; choose one of {', '.join(LAWS)}.")
    random = jax.random.bits(key, (_BITS + 1, dim), jnp.uint32)
    directions = _scramble(jnp.asarray(direction_numbers(dim)), random[:-1])
    return _to_unit(sobol_integers(n, directions) ^ random[-1:])


@lru_cache
def direction_numbers(dim: int) -> np.ndarray:
    """Joe and Kuo's direction numbers as a (32, dim) array of uint32, the most significant bit first."""
    if dim > MAX_SOBOL_DIM:
        raise ValueError(
            f"Sobol' points exist here in at most {MAX_SOBOL_DIM} dimensions, not {dim}: use law='uniform'."
        )
    columns = [[1 << (_BITS - 1 - j) for j in range(_BITS)]]
    for coefficients, initial in _JOE_KUO[: max(dim - 1, 0)]:
        s = len(initial)
        v = [m << (_BITS - 1 - j) for j, m in enumerate(initial)]
        for j in range(s, _BITS):
            value = v[j - s] ^ (v[j - s] >> s)
            for i in range(1, s):
                value ^= ((coefficients >> (s - 1 - i)) & 1) * v[j - i]
            v.append(value)
        columns.append(v)
    return np.asarray(columns, np.uint32).T[:, :dim]


def sobol_integers(n: int, directions: UInt32[Array, "32 dim"]) -> UInt32[Array, "n dim"]:
    """The first n points as 32-bit fractions: the exclusive or of the directions of the Gray code's bits."""
    index = jnp.arange(n, dtype=jnp.uint32)
    bits = ((index ^ (index >> 1))[:, None] >> jnp.arange(_BITS, dtype=jnp.uint32)[None, :]) & jnp.uint32(1)
    return jax.lax.reduce(bits[:, :, None] * directions[None], jnp.uint32(0), jax.lax.bitwise_xor, (1,))


def _scramble(directions, random):
    """Multiply every direction number by a lower-triangular matrix of bits; `random` (32, dim) holds its rows."""
    place = jnp.arange(_BITS, dtype=jnp.uint32)[:, None]  # 0 is the most significant bit
    diagonal = jnp.uint32(1 << (_BITS - 1)) >> place
    rows = (random & ~((diagonal << 1) - 1)) | diagonal
    parity = jax.lax.population_count(rows[:, None] & directions[None]) & jnp.uint32(1)
    return jnp.sum(parity * diagonal[:, None], axis=0, dtype=jnp.uint32)


def _to_unit(integers):
    """The centres of the cells of width 2^-b, with as many bits b as the float type resolves: never 0 or 1."""
    dtype = jnp.result_type(float)
    bits = min(_BITS, jnp.finfo(dtype).nmant)
    return ((integers >> (_BITS - bits)).astype(dtype) + 0.5) * 2.0**-bits


def _grid(n, dim):
    side = round(n ** (1 / dim)) if dim else 1
    if side**dim != n:
        low = int(n ** (1 / dim)) if dim else 1
        raise ValueError(
            f"law='grid' in {dim} dimensions needs n = m^{dim}, such as {low**dim} or {(low + 1) ** dim}; got {n}."
        )
    axis = (jnp.arange(side, dtype=jnp.result_type(float)) + 0.5) / side
    return jnp.stack([g.ravel() for g in jnp.meshgrid(*[axis] * dim, indexing="ij")], -1) if dim else jnp.zeros((1, 0))
