"""Polar and spectral decompositions of 2 × 2 and 3 × 3 matrices of component arrays, their derivatives always finite.

F = R S with a rotation R and a symmetric S; A = Q diag(λ) Qᵀ for symmetric A, and f(A) = Q diag(f(λ)) Qᵀ. No LAPACK:
Jacobi rotations (one is exact in 2-D), element by element, so that a cloud of particles is one vectorised loop.
Iterations are not differentiated: dR comes from the Sylvester equation S Ω + Ω S = Rᵀ dF − dFᵀ R, df(A) from divided
differences f[λᵢ, λⱼ] (Higham 2008, Functions of Matrices, chapters 3 and 8). The derivative of a singular value
decomposition is NaN where stretches are repeated, as they are in every body at rest.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .components import Matrix, Vector, diagonal, identity

Values = Float[Array, "..."]


def polar(F: Matrix) -> tuple[Matrix, Matrix]:
    """(R, S) with F = R S; R is a rotation also for det F ≤ 0, where the eigenvalue of S nearest to 0 is then < 0.

    Where R is not unique (det F < 0 with two equal smallest stretches, or rank below d − 1, as F = 0) it is some
    rotation, and its derivative 0 in 3-D as in 2-D.
    """
    F = _common(F)
    R = _rotation_2d(F) if len(F) == 2 else _rotation_3d(F)
    return R, _symmetric(R.T @ F)


def eigen_symmetric(A: Matrix) -> tuple[Vector, Matrix]:
    """(λ, Q) with A = Q diag(λ) Qᵀ for symmetric A; λ is not sorted, Q is a rotation.

    Derivatives of symmetric functions of λ are exact. That of Q is 0 between eigenvectors of equal eigenvalues.
    """
    return _eigen(_symmetric(_common(A)))


def log_symmetric(A: Matrix, floor: float = 0.0) -> Matrix:
    """log A of a symmetric A; eigenvalues below `floor` count as `floor`, with derivative 0."""
    return symmetric_function(A, partial(_log, floor), partial(_log_difference, floor))


def exp_symmetric(A: Matrix) -> Matrix:
    """exp A of a symmetric A."""
    return symmetric_function(A, jnp.exp, _exp_difference)


def symmetric_function(
    A: Matrix, f: Callable[[Values], Values], divided_difference: Callable[[Values, Values], Values]
) -> Matrix:
    """f(A) of a symmetric A, given f of an eigenvalue and f[a, b] = (f(a) − f(b)) / (a − b), which is f′(a) at b = a.

    Both are fixed functions: parameters to be trained must not hide in them.
    """
    return _function(f, divided_difference, _symmetric(_common(A)))


def _rotation_2d(F: Matrix) -> Matrix:
    x, y = F[0, 0] + F[1, 1], F[1, 0] - F[0, 1]
    squared = x * x + y * y
    unique = squared > float(jnp.finfo(squared.dtype).tiny) ** 0.75
    r = jnp.sqrt(jnp.where(unique, squared, 1))  # |tr S|; no rsqrt: its derivative overflows much earlier
    cos, sin = jnp.where(unique, x / r, 1), jnp.where(unique, y / r, 0)
    return Matrix((cos, -sin), (sin, cos))


@jax.custom_jvp
def _rotation_3d(F: Matrix) -> Matrix:
    """U Vᵀ with V from FᵀF, u₁ and u₂ along F v₁ and F v₂; then Newton's method on the rotations, against rounding."""
    F = F / _size(F)
    values, V = _eigen(F.T @ F)
    v1, v2 = _leading(values, V)
    u1 = _unit(F @ v1, v1)
    image = F @ v2
    u2 = _unit(image - image.dot(u1) * u1, _perpendicular(u1))
    R = u1.outer(v1) + u2.outer(v2) + _cross(u1, u2).outer(_cross(v1, v2))

    def newton(_, R):
        w = _turn(R, F, F)
        return R @ _rotation_by(w / jnp.maximum(1, 2 * jnp.sqrt(w.norm_squared())))

    return jax.lax.fori_loop(0, 2, newton, R)


@_rotation_3d.defjvp
def _(primals, tangents):
    (F,), (dF,) = primals, tangents
    R, size = _rotation_3d(F), _size(F)
    w = _turn(R, F / size, dF) / size
    zero = jnp.zeros_like(w[0])
    return R, R @ Matrix((zero, -w[2], w[1]), (w[2], zero, -w[0]), (-w[1], w[0], zero))


def _turn(R: Matrix, F: Matrix, dF: Matrix) -> Vector:
    """ω with dR = R [ω]×: (tr S I − S) ω = axial(Rᵀ dF − dFᵀ R); 0 where that matrix is singular. Linear in dF."""
    S = _symmetric(R.T @ F)
    G = (-S).add_diagonal(S.trace)
    det = G.det
    regular = jnp.abs(det) > jnp.finfo(det.dtype).eps
    M = R.T @ dF
    axial = Vector(M[2, 1] - M[1, 2], M[0, 2] - M[2, 0], M[1, 0] - M[0, 1])
    return jnp.where(regular, 1 / jnp.where(regular, det, 1), 0) * (G.cofactors @ axial)


def _rotation_by(w: Vector) -> Matrix:
    """The rotation of the unit quaternion along (1, ω/2)."""
    half = 0.5 * w
    inverse = 1 / jnp.sqrt(1 + half.norm_squared())
    c, (x, y, z) = inverse, half * inverse
    return Matrix(
        (1 - 2 * (y * y + z * z), 2 * (x * y - c * z), 2 * (x * z + c * y)),
        (2 * (x * y + c * z), 1 - 2 * (x * x + z * z), 2 * (y * z - c * x)),
        (2 * (x * z - c * y), 2 * (y * z + c * x), 1 - 2 * (x * x + y * y)),
    )


@jax.custom_jvp
def _eigen(A: Matrix) -> tuple[Vector, Matrix]:
    d, size = len(A), _size(A)
    a, q = A / size, identity(d, A[0, 0])
    if d == 2:
        a, q = _jacobi(a, q)
    else:
        num_rotations = 12 if jnp.finfo(size.dtype).bits <= 32 else 15
        a, q = jax.lax.fori_loop(0, num_rotations, lambda _, aq: _cycle(*_jacobi(*aq)), (a, q))
    return Vector(*(a[i, i] * size for i in range(d))), q


@_eigen.defjvp
def _(primals, tangents):
    (A,), (dA,) = primals, tangents
    values, Q = _eigen(A)
    M = Q.T @ dA @ Q
    gap = Matrix(*([b - a for b in values] for a in values))
    rate = gap.map(lambda g: jnp.where(g == 0, 0, 1 / jnp.where(g == 0, 1, g)))
    return (values, Q), (Vector(*(M[i, i] for i in range(len(A)))), Q @ M.map(jnp.multiply, rate))


def _jacobi(a: Matrix, q: Matrix) -> tuple[Matrix, Matrix]:
    """One rotation of the first two axes that makes a₀₁ zero (Golub and Van Loan, Matrix Computations, 8.5.2)."""
    h, g = 0.5 * (a[1, 1] - a[0, 0]), a[0, 1]
    r = jnp.abs(h) + jnp.sqrt(h * h + g * g)
    t = jnp.where(r > 0, jnp.where(h < 0, -g, g) / jnp.where(r > 0, r, 1), 0)
    c = 1 / jnp.sqrt(1 + t * t)
    s = t * c
    turned = lambda x, y, *rest: (c * x - s * y, s * x + c * y, *rest)
    x, y, zero = a[0, 0] - t * g, a[1, 1] + t * g, jnp.zeros_like(g)
    q = Matrix(*(turned(*row) for row in q.rows))
    if len(a) == 2:
        return Matrix((x, zero), (zero, y)), q
    u, v, w = turned(*a.rows[2])
    return Matrix((x, zero, u), (zero, y, v), (u, v, w)), q


def _cycle(a: Matrix, q: Matrix) -> tuple[Matrix, Matrix]:
    """Axes 0, 1, 2 are called 2, 0, 1, so that three rotations of the first two are one sweep."""
    order = (1, 2, 0)
    return Matrix(*([a[i, j] for j in order] for i in order)), Matrix(*([row[j] for j in order] for row in q.rows))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _function(f, divided_difference, A):
    values, Q = _eigen(A)
    return _symmetric(Q @ diagonal(values.map(f)) @ Q.T)


@_function.defjvp
def _(f, divided_difference, primals, tangents):
    (A,), (dA,) = primals, tangents
    values, Q = _eigen(A)
    rate = Matrix(*([divided_difference(a, b) for b in values] for a in values))
    value = _symmetric(Q @ diagonal(values.map(f)) @ Q.T)
    return value, _symmetric(Q @ (Q.T @ dA @ Q).map(jnp.multiply, rate) @ Q.T)


def _log(floor, a):
    return jnp.log(jnp.maximum(a, floor))


def _log_difference(floor, a, b):
    """2 artanh(x) / (x (a + b)), x = (a − b) / (a + b), exact for neighbours, times what `floor` leaves of a − b"""
    p, q = jnp.maximum(a, floor), jnp.maximum(b, floor)
    x = (p - q) / (p + q)
    ratio = jnp.where(x == 0, 1, jnp.arctanh(x) / jnp.where(x == 0, 1, x))
    kept = jnp.where(a == b, a > floor, (p - q) / jnp.where(a == b, 1, a - b))
    return 2 * ratio * kept / (p + q)


def _exp_difference(a, b):
    half = 0.5 * (a - b)
    return jnp.exp(0.5 * (a + b)) * jnp.where(half == 0, 1, jnp.sinh(half) / jnp.where(half == 0, 1, half))


def _common(A: Matrix) -> Matrix:
    """Entries as arrays of one shape and type."""
    d = len(A)
    if d not in (2, 3):
        raise ValueError(f"a {d} × {d} matrix is given; decompositions are written for 2 × 2 and 3 × 3.")
    entries = jnp.broadcast_arrays(*(a for row in A.rows for a in row))
    entries = [jnp.asarray(a, jnp.result_type(0.0, *entries)) for a in entries]
    return Matrix(*(entries[d * i : d * (i + 1)] for i in range(d)))


def _symmetric(A: Matrix) -> Matrix:
    return A.map(lambda a, b: 0.5 * (a + b), A.T)


def _size(A: Matrix) -> Any:
    """max |Aᵢⱼ|, a constant to derivatives; 1 where A is 0."""
    size = jax.lax.stop_gradient(A.rows[0][0])
    for a in jax.lax.stop_gradient([a for row in A.rows for a in row]):
        size = jnp.maximum(size, jnp.abs(a))
    return jnp.where(size > 0, size, 1)


def _leading(values: Vector, Q: Matrix) -> tuple[Vector, Vector]:
    """The eigenvectors of the largest and of the second largest of three eigenvalues."""
    columns = [(value, *column) for value, column in zip(values, Q.T.rows, strict=True)]

    def ordered(p, q):
        keep = p[0] >= q[0]
        pick = lambda a, b: tuple(jnp.where(keep, s, t) for s, t in zip(a, b, strict=True))
        return pick(p, q), pick(q, p)

    first, second = ordered(columns[0], columns[1])
    second, _ = ordered(second, columns[2])
    first, second = ordered(first, second)
    return Vector(*first[1:]), Vector(*second[1:])


def _cross(a: Vector, b: Vector) -> Vector:
    return Vector(*(a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3] for i in range(3)))


def _perpendicular(u: Vector) -> Vector:
    """A unit vector across the unit vector u (Duff et al. 2017, Building an orthonormal basis, revisited)."""
    x, y, z = u
    sign = jnp.where(z < 0, -1, 1).astype(z.dtype)
    return Vector(-x * y / (sign + z), sign - y * y / (sign + z), -y)


def _unit(v: Vector, otherwise: Vector) -> Vector:
    """v/|v|, or `otherwise` where v, of a matrix of size 1, is all rounding."""
    squared = v.norm_squared()
    nonzero = squared > float(4 * jnp.finfo(squared.dtype).eps) ** 2
    length = jnp.sqrt(jnp.where(nonzero, squared, 1))
    return v.map(lambda a, b: jnp.where(nonzero, a / length, b), otherwise)
