"""The damped least-squares kernel: min ½‖J δ + r‖² + ½ μ‖δ‖², solved where the system is smaller.

In parameter space (P ≤ N) by (JᵀJ + μI) δ = −Jᵀr, in batch space (N < P) by δ = −Jᵀ(JJᵀ + μI)⁻¹ r; the two are
equal. The Gram matrix does not depend on μ, so that damping can be searched at the price of a Cholesky factor.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class DampedLeastSquares(eqx.Module):
    """The Gram matrix of J (N, P), ready to be solved for any damping and residuals r (N,)."""

    jacobian: Float[Array, "N P"]
    gram: Float[Array, "m m"]
    in_batch: bool = eqx.field(static=True)

    def __init__(self, jacobian, space: Literal["auto", "parameters", "batch"] = "auto"):
        if space not in ("auto", "parameters", "batch"):
            raise ValueError(f'space={space!r}; choose "auto", "parameters" or "batch".')
        N, P = jacobian.shape
        self.in_batch = space == "batch" or (space == "auto" and N < P)
        self.gram = symmetric_product(jacobian.T if self.in_batch else jacobian)
        self.jacobian = jacobian

    def factor(self, damping: Float[Array, ""]) -> Float[Array, "m m"]:
        """The Cholesky factor for one damping μ > 0; not finite if the system is not numerically definite."""
        return jnp.linalg.cholesky(self.gram + damping * jnp.eye(self.gram.shape[0], dtype=self.gram.dtype))

    def solve(self, factor: Float[Array, "m m"], residuals: Float[Array, " N"]) -> Float[Array, " P"]:
        """δ for residuals r, with the factor of a damping."""
        rhs = residuals if self.in_batch else self.jacobian.T @ residuals
        solution = jax.scipy.linalg.cho_solve((factor, True), rhs)
        return -(self.jacobian.T @ solution) if self.in_batch else -solution


def symmetric_product(a: Float[Array, "N P"], block: int = 256) -> Float[Array, "P P"]:
    """aᵀa from its upper blocks only: about half the multiplications of a matrix product."""
    P = a.shape[1]
    edges = [round(i * P / max(1, round(P / block))) for i in range(max(1, round(P / block)) + 1)]
    columns = [a[:, i:j] for i, j in zip(edges[:-1], edges[1:], strict=True)]
    upper = [[columns[i].T @ columns[j] for j in range(i, len(columns))] for i in range(len(columns))]
    return jnp.block(
        [[upper[i][j - i] if j >= i else upper[j][i - j].T for j in range(len(columns))] for i in range(len(columns))]
    )
