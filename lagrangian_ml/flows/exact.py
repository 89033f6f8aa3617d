"""Flows known in closed form: those of linear velocities v = A x + b, rigid rotations among them.

x = exp(tA) X + ∫₀ᵗ exp(sA) b ds, both from one exponential of A and b stacked (Van Loan 1978). A Gaussian of
mean m and covariance Σ becomes the Gaussian of mean φ(t, m) and covariance exp(tA) Σ exp(tA)ᵀ.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import FlowMap

Matrix = Sequence[Sequence[float | int]] | Array | np.ndarray


class LinearFlow(FlowMap):
    """The flow of v = A x + b from time 0; a skew `matrix` A turns without deforming. Nothing is trained."""

    matrix: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    drift: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, matrix: Matrix, drift: Sequence[float | int] | Array | np.ndarray | None = None):
        self.matrix = tuple(tuple(map(float, row)) for row in matrix)
        self.drift = tuple(map(float, drift)) if drift is not None else (0.0,) * len(self.matrix)
        sizes = {len(self.matrix), len(self.drift), *(len(row) for row in self.matrix)}
        if not self.matrix or len(sizes) > 1:
            raise ValueError(f"the matrix must be (d, d) and the drift (d,); got {matrix} and {drift}.")

    def forward(self, t, X):
        turned, shift = self._motion(t, X.dtype)
        return turned @ X + shift, t * float(np.trace(np.asarray(self.matrix)))

    def inverse(self, t, x):
        return self.forward(-t, x)

    def trace_back(self, t, x):
        X, log_det = self.inverse(t, x)
        A, b = jnp.asarray(self.matrix, x.dtype), jnp.asarray(self.drift, x.dtype)
        return X, log_det, lambda V: A @ x + b + self._motion(t, x.dtype)[0] @ V

    def _motion(self, t: Array, dtype) -> tuple[Float[Array, "d d"], Float[Array, " d"]]:
        d = len(self.matrix)
        stacked = np.zeros((d + 1, d + 1))
        stacked[:d, :d], stacked[:d, d] = self.matrix, self.drift
        both = jax.scipy.linalg.expm(t * jnp.asarray(stacked, dtype))
        return both[:d, :d], both[:d, d]
