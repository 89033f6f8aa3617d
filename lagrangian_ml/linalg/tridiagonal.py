"""Linear systems whose matrix is only known by its products, but known to be tridiagonal: three products find it."""

from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array


class Tridiagonal(lx.AbstractLinearSolver):
    """A solver of lineax for operators on arrays with one long axis, such as the Jacobian of three-point stencils.

    `lineax.Tridiagonal` reads the diagonals off the whole matrix. ValueError for operators on anything else.
    """

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> tuple[Array, Array, Array]:
        """The lower, the main and the upper diagonal, (n,): entry j of column i is product i mod 3, row j."""
        structure, i = operator.in_structure(), jnp.arange(operator.in_size())
        if not isinstance(structure, jax.ShapeDtypeStruct) or operator.out_size() != operator.in_size():
            raise ValueError(f"a tridiagonal operator maps one array to one of its size; got {structure}.")
        product = lambda color: operator.mv((i % 3 == color).astype(structure.dtype).reshape(structure.shape)).ravel()
        products = jnp.stack([product(color) for color in range(3)])
        lower, main, upper = (products[(i + side) % 3, i] for side in (-1, 0, 1))
        return lower.at[0].set(0), main, upper.at[-1].set(0)

    def compute(self, state, vector, options):
        lower, main, upper = state
        solution = jax.lax.linalg.tridiagonal_solve(lower, main, upper, vector.reshape(-1, 1))
        return solution.reshape(vector.shape), lx.RESULTS.successful, {}

    def transpose(self, state, options):
        lower, main, upper = state
        return (jnp.roll(upper, 1), main, jnp.roll(lower, -1)), options

    def conj(self, state, options):
        return jax.tree.map(jnp.conj, state), options

    def assume_full_rank(self):
        return True
