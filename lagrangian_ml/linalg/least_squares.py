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
    """The Gram matrix of J (N, P) with residuals r (N,), ready to be solved for any damping."""

    jacobian: Float[Array, "N P"] | None
    gram: Float[Array, "m m"]
    rhs: Float[Array, " m"]
    gradient: Float[Array, " P"]

    def __init__(self, jacobian, residuals, space: Literal["auto", "parameters", "batch"] = "auto"):
        if space not in ("auto", "parameters", "batch"):
            raise ValueError(f'space={space!r}; choose "auto", "parameters" or "batch".')
        N, P = jacobian.shape
        in_batch = space == "batch" or (space == "auto" and N < P)
        self.gradient = jacobian.T @ residuals
        self.gram = symmetric_product(jacobian.T if in_batch else jacobian)
        self.rhs = residuals if in_batch else self.gradient
        self.jacobian = jacobian if in_batch else None

    def step(self, damping: Float[Array, ""]) -> Float[Array, " P"]:
        """δ for one damping μ > 0; not finite if JᵀJ + μI is not numerically positive definite."""
        damped = self.gram + damping * jnp.eye(self.gram.shape[0], dtype=self.gram.dtype)
        solution = jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(damped), True), self.rhs)
        return -solution if self.jacobian is None else -(self.jacobian.T @ solution)


def symmetric_product(a: Float[Array, "N P"], block: int = 256) -> Float[Array, "P P"]:
    """aᵀa from its upper blocks only: about half the multiplications of a matrix product."""
    P = a.shape[1]
    edges = [round(i * P / max(1, round(P / block))) for i in range(max(1, round(P / block)) + 1)]
    columns = [a[:, i:j] for i, j in zip(edges[:-1], edges[1:], strict=True)]
    upper = [[columns[i].T @ columns[j] for j in range(i, len(columns))] for i in range(len(columns))]
    return jnp.block(
        [[upper[i][j - i] if j >= i else upper[j][i - j].T for j in range(len(columns))] for i in range(len(columns))]
    )
