"""Planar and Sylvester layers, X plus a bump along few directions, with time-dependent parameters.

Planar: x = X + u tanh(w·X + b) (Rezende & Mohamed 2015, arXiv 1505.05770, eq. 10); u is corrected so that w·u > −1
(their app. A.1), and then w·x determines w·X. Sylvester: x = X + Q R tanh(R̃ QᵀX + b), Q orthogonal, R and R̃ upper
triangular with rᵢᵢ r̃ᵢᵢ > −1 (van den Berg et al. 2018, arXiv 1803.05649). Difference: both are
inverted, one increasing scalar function after the other, with implicit derivatives.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..core import FlowMap
from ..linalg import monotone_root
from .conditioners import TimePolynomial, bounded
from .linear import householder


class Planar(FlowMap):
    """x = X + u tanh(w·X + b); u, w and b are functions of time."""

    parameters: Callable[[Array], Array]
    dim: int = eqx.field(static=True)

    def __init__(self, dim: int, law: Callable[..., Callable] = TimePolynomial, *, key: Key[Array, ""]):
        self.dim, self.parameters = dim, law(2 * dim + 1, key=key)

    def forward(self, t, X):
        u, w, b = self._directions(t)
        bump = jnp.tanh(w @ X + b)
        return X + u * bump, jnp.log1p((w @ u) * (1 - bump**2))

    def inverse(self, t, x):
        u, w, b = self._directions(t)
        gain, height = w @ u, w @ x
        span = jnp.abs(gain)
        along = monotone_root(lambda a: a + gain * jnp.tanh(a + b) - height, height - span, height + span)
        bump = jnp.tanh(along + b)
        return x - u * bump, -jnp.log1p(gain * (1 - bump**2))

    def _directions(self, t):
        u, w, b = jnp.split(self.parameters(t), [self.dim, 2 * self.dim])
        w = jnp.concatenate([1 + bounded(w[:1], 0.9), w[1:]])  # it cannot vanish
        gain = w @ u
        return u + (_above_minus_one(gain) - gain) * w / (w @ w), w, b[0]


class Sylvester(FlowMap):
    """x = X + Q R tanh(R̃ QᵀX + b) with d directions; Q, R, R̃ and b are functions of time."""

    parameters: Callable[[Array], Array]
    dim: int = eqx.field(static=True)

    def __init__(self, dim: int, law: Callable[..., Callable] = TimePolynomial, *, key: Key[Array, ""]):
        self.dim, self.parameters = dim, law(dim * dim + dim * (dim + 1) + dim, key=key)

    def forward(self, t, X):
        Q, R, S, b = self._matrices(t)
        bump = jnp.tanh(S @ (Q.T @ X) + b)
        return X + Q @ (R @ bump), self._log_det(R, S, bump)

    def inverse(self, t, x):
        Q, R, S, b = self._matrices(t)
        y = Q.T @ x
        z, bumps = [x[0]] * self.dim, [x[0]] * self.dim
        for i in reversed(range(self.dim)):  # the last row stands alone, the others follow
            tail = range(i + 1, self.dim)
            offset = b[i] + sum(S[i, j] * z[j] for j in tail)
            height = y[i] - sum(R[i, j] * bumps[j] for j in tail)
            f = lambda a, i=i, offset=offset, height=height: a + R[i, i] * jnp.tanh(S[i, i] * a + offset) - height
            z[i] = monotone_root(f, height - jnp.abs(R[i, i]), height + jnp.abs(R[i, i]))
            bumps[i] = jnp.tanh(S[i, i] * z[i] + offset)
        return Q @ jnp.stack(z), -self._log_det(R, S, jnp.stack(bumps))

    def _log_det(self, R, S, bump):
        return jnp.sum(jnp.log1p(jnp.diagonal(R) * jnp.diagonal(S) * (1 - bump**2)))

    def _matrices(self, t):
        n = self.dim * (self.dim + 1) // 2
        vectors, r, s, b = jnp.split(self.parameters(t), np.cumsum([self.dim**2, n, n]))
        fill = lambda entries: jnp.zeros((self.dim, self.dim), entries.dtype).at[np.triu_indices(self.dim)].set(entries)
        R, S = fill(r), fill(s)
        # R̃'s diagonal is 1 + tanh/2, not zero, and R's is what keeps their product above −1.
        slopes = 1 + 0.5 * jnp.tanh(jnp.diagonal(S))
        gains = _above_minus_one(jnp.diagonal(R) * slopes)
        diagonal = np.diag_indices(self.dim)
        return householder(vectors, self.dim), R.at[diagonal].set(gains / slopes), S.at[diagonal].set(slopes), b


def _above_minus_one(gain):
    """An increasing function > −0.95 with value 0 at 0: the layer compresses no more than twentyfold."""
    return 0.95 * (jax.nn.softplus(gain + math.log(math.expm1(1))) - 1)
