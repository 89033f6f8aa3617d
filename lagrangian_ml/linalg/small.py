"""Inverse and determinant of matrices of at most three rows in closed form: no factorisation is called, compiled or
differentiated. Larger ones are left to LAPACK."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def small_inverse(matrix: Float[Array, "d d"]) -> Float[Array, "d d"]:
    """A⁻¹ by cofactors for d ≤ 3; not finite where A is singular."""
    d = matrix.shape[0]
    if d > 3:
        return jnp.linalg.inv(matrix)
    return _adjugate(matrix) / _determinant(matrix)


def log_abs_det(matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    """log |det A|."""
    d = matrix.shape[0]
    return jnp.log(jnp.abs(_determinant(matrix))) if d <= 3 else jnp.linalg.slogdet(matrix)[1]


def _adjugate(a):
    if a.shape[0] == 1:
        return jnp.ones_like(a)
    if a.shape[0] == 2:
        return jnp.stack([jnp.stack([a[1, 1], -a[0, 1]]), jnp.stack([-a[1, 0], a[0, 0]])])
    return jnp.stack([jnp.cross(a[1], a[2]), jnp.cross(a[2], a[0]), jnp.cross(a[0], a[1])], axis=1)


def _determinant(a):
    if a.shape[0] == 1:
        return a[0, 0]
    if a.shape[0] == 2:
        return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return jnp.dot(a[0], jnp.cross(a[1], a[2]))
