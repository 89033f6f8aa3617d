"""Linear maps of the coordinates whose parameters are functions of time: x = W(t) X + b(t).

- ActNorm (Kingma & Dhariwal 2018, arXiv 1807.03039, sec. 3.1): W diagonal; here its parameters are trained from the
  start, not set by the first batch.
- SVD: W = U diag(exp s) Vᵀ with U, V products of Householder reflections (Tomczak & Welling 2016, arXiv 1611.09630)
  or exponentials of skew matrices, whose angles turn steadily where their parameters are linear in time.
- LU: W = L U with ones on the diagonal of L and exp s on that of U (Kingma & Dhariwal 2018, eq. 10).
Every |s| is bounded.
"""

import math
from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import FlowMap
from .conditioners import TimePolynomial, bounded

Law = Callable[..., Callable]  # `law(out_size, *, key)` makes the function of time that gives the parameters


class ActNorm(FlowMap):
    """xᵢ = Xᵢ exp sᵢ(t) + bᵢ(t), |sᵢ| ≤ `bound`."""

    parameters: Callable[[Array], Array]
    bound: float = eqx.field(static=True)

    def __init__(self, dim: int, law: Law = TimePolynomial, *, bound: float | int = 3.0, key: Key[Array, ""]):
        self.parameters, self.bound = law(2 * dim, key=key), float(bound)

    def forward(self, t, X):
        s, b = self._scale_and_shift(t)
        return X * jnp.exp(s) + b, jnp.sum(s)

    def inverse(self, t, x):
        s, b = self._scale_and_shift(t)
        return (x - b) * jnp.exp(-s), -jnp.sum(s)

    def _scale_and_shift(self, t):
        s, b = self.parameters(t).reshape(2, -1)
        return bounded(s, self.bound), b


class Shift(FlowMap):
    """x = X + b(t)"""

    parameters: Callable[[Array], Array]

    def __init__(self, dim: int, law: Law = TimePolynomial, *, key: Key[Array, ""]):
        self.parameters = law(dim, key=key)

    def forward(self, t, X):
        return X + self.parameters(t), jnp.zeros((), X.dtype)

    def inverse(self, t, x):
        return x - self.parameters(t), jnp.zeros((), x.dtype)


class LinearSVD(FlowMap):
    """x = U diag(exp s) Vᵀ X + b, all functions of time.

    `orthogonal` is "rotation" (exponentials of skew matrices) or "householder" (d reflections each).
    """

    parameters: Callable[[Array], Array]
    dim: int = eqx.field(static=True)
    orthogonal: Literal["rotation", "householder"] = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        law: Law = TimePolynomial,
        *,
        orthogonal: Literal["rotation", "householder"] = "rotation",
        bound: float | int = 3.0,
        key: Key[Array, ""],
    ):
        if orthogonal not in ("rotation", "householder"):
            raise ValueError(f'orthogonal={orthogonal!r}; choose "rotation" or "householder".')
        self.dim, self.orthogonal, self.bound = dim, orthogonal, float(bound)
        self.parameters = law(2 * self._num_angles + 2 * dim, key=key)

    @property
    def _num_angles(self) -> int:
        return self.dim * (self.dim - 1) // 2 if self.orthogonal == "rotation" else self.dim * self.dim

    def forward(self, t, X):
        U, s, V, b = self._factors(t)
        return U @ (jnp.exp(s) * (V.T @ X)) + b, jnp.sum(s)

    def inverse(self, t, x):
        U, s, V, b = self._factors(t)
        return V @ (jnp.exp(-s) * (U.T @ (x - b))), -jnp.sum(s)

    def _factors(self, t):
        n = self._num_angles
        left, right, s, b = jnp.split(self.parameters(t), np.cumsum([n, n, self.dim]))
        turn = rotation if self.orthogonal == "rotation" else householder
        return turn(left, self.dim), bounded(s, self.bound), turn(right, self.dim), b


class LinearLU(FlowMap):
    """x = L U X + b, all functions of time: L has ones on its diagonal, U has exp s, |s| ≤ `bound`."""

    parameters: Callable[[Array], Array]
    dim: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    def __init__(self, dim: int, law: Law = TimePolynomial, *, bound: float | int = 3.0, key: Key[Array, ""]):
        self.dim, self.bound = dim, float(bound)
        self.parameters = law(dim * (dim - 1) + 2 * dim, key=key)

    def forward(self, t, X):
        L, U, s, b = self._factors(t)
        return L @ (U @ X) + b, jnp.sum(s)

    def inverse(self, t, x):
        L, U, s, b = self._factors(t)
        solve = jax.scipy.linalg.solve_triangular
        return solve(U, solve(L, x - b, lower=True, unit_diagonal=True)), -jnp.sum(s)

    def _factors(self, t):
        n = self.dim * (self.dim - 1) // 2
        low, high, s, b = jnp.split(self.parameters(t), np.cumsum([n, n, self.dim]))
        s, eye = bounded(s, self.bound), jnp.eye(self.dim, dtype=s.dtype)
        L = eye.at[np.tril_indices(self.dim, -1)].set(low)
        U = (eye * jnp.exp(s)[None]).at[np.triu_indices(self.dim, 1)].set(high)
        return L, U, s, b


def rotation(angles: Float[Array, " k"], dim: int) -> Float[Array, "d d"]:
    """exp of the skew matrix with these entries, k = d(d − 1)/2."""
    if dim == 1:
        return jnp.ones((1, 1), angles.dtype)
    if dim == 2:
        cosine, sine = jnp.cos(angles[0]), jnp.sin(angles[0])
        return jnp.stack([jnp.stack([cosine, -sine]), jnp.stack([sine, cosine])])
    upper = jnp.zeros((dim, dim), angles.dtype).at[np.triu_indices(dim, 1)].set(angles)
    skew = upper.T - upper
    if dim == 3:  # Rodrigues' formula; expm costs much more, to compile too
        once, twice = _turn(jnp.sum(angles**2))
        return jnp.eye(3, dtype=angles.dtype) + once * skew + twice * (skew @ skew)
    return jax.scipy.linalg.expm(skew)


def _turn(square):
    """(sin θ/θ, (1 − cos θ)/θ²) as smooth functions of θ²."""
    near = square < 0.25
    theta = jnp.sqrt(jnp.where(near, 1.0, square))
    series = lambda first: sum((-square) ** k * (1 / math.factorial(2 * k + first)) for k in range(8))
    once = jnp.where(near, series(1), jnp.sin(theta) / theta)
    return once, jnp.where(near, series(2), (1 - jnp.cos(theta)) / theta**2)


def householder(vectors: Float[Array, " k"], dim: int) -> Float[Array, "d d"]:
    """The product of d reflections I − 2 v vᵀ/|v|², k = d². Each v has a part along its own axis and cannot vanish."""
    product = eye = jnp.eye(dim, dtype=vectors.dtype)
    rows = vectors.reshape(dim, dim)
    for v in (1 - eye) * rows + eye * (1 + bounded(rows, 0.9)):
        v = v / jnp.linalg.norm(v)
        product = product - 2 * jnp.outer(product @ v, v)
    return product
