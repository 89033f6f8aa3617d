"""The damped least-squares kernel: min ½‖J δ + r‖² + ½ μ‖δ‖², for many μ and r at the price of one preparation.

`damped_least_squares` prepares a J that is stored, by one of

- "cholesky": factors of JᵀJ + μI in parameter space (P ≤ N), of JJᵀ + μI in batch space, where δ = −Jᵀ(JJᵀ + μI)⁻¹ r;
  the two are equal, and the smaller is the default. Errors grow as the square of J's condition number;
- "qr": orthogonal factors of J and of [R; √μ I]: errors grow as the condition number, at about four times the cost;
- "svd": δ = −V s/(s² + μ) Uᵀr without singular values below `rcond` times the largest: the truncated minimum-norm
  solution where μ = 0;

and `GramSystem` takes a Gram matrix that was summed up in parts, `ConjugateGradients` products with J and Jᵀ alone,
preconditioned by a randomized Nyström approximation (Frangella, Tropp & Udell 2023, arXiv 2110.02820). All have
`factor(μ)`, `solve(factor, r) -> δ`, `descend(factor, g)`, −(JᵀJ + μI)⁻¹ g for a g that need not be Jᵀr, and `largest`,
about the largest eigenvalue of JᵀJ. In batch space `descend` loses the digits by which ‖g‖ exceeds μ‖δ‖. What r does
not determine (the null space of J) is 0 in δ as μ → 0; to keep a given p there, solve for r + J p and add p. Solutions
by "svd" and the preconditioner are not to be differentiated: singular vectors have no derivatives where singular values
are equal.
"""

from collections.abc import Callable
from typing import Any, Literal, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

Space = Literal["auto", "parameters", "batch"]
Solver = Literal["cholesky", "qr", "svd"]


@runtime_checkable
class LeastSquares(Protocol):
    """A J that is ready to be solved."""

    @property
    def largest(self) -> Float[Array, ""]: ...
    def factor(self, damping: Float[Array, ""]) -> Any: ...
    def solve(self, factor: Any, residuals: Float[Array, " N"]) -> Float[Array, " P"]: ...
    def descend(self, factor: Any, gradient: Float[Array, " P"]) -> Float[Array, " P"]: ...


def damped_least_squares(
    jacobian: Float[Array, "N P"], solver: Solver = "cholesky", space: Space = "auto", rcond: float = 0.0
) -> LeastSquares:
    """The prepared J; see the module. ValueError for an unknown solver or space, and a space for "svd"."""
    if solver == "svd" and space == "auto":
        u, s, vt = jnp.linalg.svd(jacobian, full_matrices=False)
        return _Spectral(u, s, vt, rcond)
    in_batch = _is_in_batch(space, *jacobian.shape)
    if solver == "cholesky":
        gram = symmetric_product(jacobian.T if in_batch else jacobian)
        return GramSystem(gram, lambda v: jacobian.T @ v, (lambda v: jacobian @ v) if in_batch else None)
    if solver == "qr":
        return _Orthogonal(*jnp.linalg.qr(jacobian.T if in_batch else jacobian), in_batch)
    raise ValueError(
        f"solver={solver!r} with space={space!r}; choose cholesky or qr with the space auto, parameters or batch, or "
        "svd with auto."
    )


def _is_in_batch(space: Space, num_rows: int, num_parameters: int) -> bool:
    """Whether the system is N×N. ValueError for an unknown space."""
    if space not in ("auto", "parameters", "batch"):
        raise ValueError(f'space={space!r}; choose "auto", "parameters" or "batch".')
    return space == "batch" or (space == "auto" and num_rows < num_parameters)


class GramSystem(eqx.Module):
    """By Cholesky factors of a Gram matrix, JᵀJ, or JJᵀ if there is a `push`; `pull(v)` is Jᵀv and `push(δ)` Jδ."""

    gram: Float[Array, "m m"]
    pull: Callable[[Float[Array, " N"]], Float[Array, " P"]]
    push: Callable[[Float[Array, " P"]], Float[Array, " N"]] | None = None

    @property
    def largest(self):
        return jnp.max(jnp.diagonal(self.gram))

    def factor(self, damping):
        """Not finite if the system is not numerically definite."""
        return jnp.linalg.cholesky(self.gram + damping * jnp.eye(self.gram.shape[0], dtype=self.gram.dtype)), damping

    def solve(self, factor, residuals):
        if self.push is None:
            return self.descend(factor, self.pull(residuals))
        return -self.pull(_substitute(factor, residuals))

    def descend(self, factor, gradient):
        if self.push is None:
            return -_substitute(factor, gradient)
        return (self.pull(_substitute(factor, self.push(gradient))) - gradient) / factor[1]


def _substitute(factor, rhs):
    return jax.scipy.linalg.cho_solve((factor[0], True), rhs)


class _Orthogonal(eqx.Module):
    """J = QR, or Jᵀ = QR in batch space, and QR factors of [R; √μ I] for every μ."""

    q: Float[Array, "n k"]
    r: Float[Array, "k m"]
    in_batch: bool = eqx.field(static=True)

    @property
    def largest(self):
        return jnp.max(jnp.sum(self.r**2, axis=0))

    def factor(self, damping):
        below = jnp.sqrt(damping) * jnp.eye(self.r.shape[1], dtype=self.r.dtype)
        return *jnp.linalg.qr(jnp.concatenate([self.r, below])), damping

    def solve(self, factor, residuals):
        q, r, _ = factor
        if self.in_batch:  # (JJᵀ + μI)⁻¹ = (RᵀR + μI)⁻¹ = r⁻¹ r⁻ᵀ
            return -self.q @ (self.r @ _normal(r, residuals))
        return -jax.scipy.linalg.solve_triangular(r, q[: self.r.shape[0]].T @ (self.q.T @ residuals))

    def descend(self, factor, gradient):
        _, r, damping = factor
        if self.in_batch:
            return (self.q @ (self.r @ _normal(r, self.r.T @ (self.q.T @ gradient))) - gradient) / damping
        return -_normal(r, gradient)


def _normal(r, rhs):
    """(rᵀr)⁻¹ rhs of a triangle."""
    return jax.scipy.linalg.solve_triangular(r, jax.scipy.linalg.solve_triangular(r, rhs, trans=1))


class _Spectral(eqx.Module):
    """J = U S Vᵀ."""

    u: Float[Array, "N m"]
    s: Float[Array, " m"]
    vt: Float[Array, "m P"]
    rcond: float = eqx.field(static=True)

    @property
    def largest(self):
        return self.s[0] ** 2

    def factor(self, damping):
        kept = self.s > self.rcond * self.s[0]
        below = self.s**2 + damping
        return jnp.where(kept & (below > 0), self.s / jnp.where(below > 0, below, 1.0), 0.0), damping

    def solve(self, factor, residuals):
        return -(factor[0] * (residuals @ self.u)) @ self.vt

    def descend(self, factor, gradient):
        along, damping = self.vt @ gradient, factor[1]
        step = -(along / (self.s**2 + damping)) @ self.vt
        if self.vt.shape[0] < self.vt.shape[1]:  # and what J does not see
            step = step - (gradient - along @ self.vt) / damping
        return step


class ConjugateGradients(eqx.Module):
    """At most `max_steps` preconditioned steps on (JᵀJ + μI) δ = −Jᵀr, to the relative residual `tolerance`.

    `push(δ)` is Jδ and `pull(v)` Jᵀv. With `rank` ℓ > 0 the Gram matrix is approximated from ℓ products with random
    vectors, once for all μ: JᵀJ ≈ U Λ Uᵀ, and the preconditioner is U (λ_ℓ + μ)(Λ + μ)⁻¹ Uᵀ + I − UUᵀ.
    """

    push: Callable[[Float[Array, " P"]], Float[Array, " N"]]
    pull: Callable[[Float[Array, " N"]], Float[Array, " P"]]
    basis: Float[Array, "P l"]
    values: Float[Array, " l"]
    largest: Float[Array, ""]
    max_steps: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)

    def __init__(self, push, pull, example, *, rank=0, max_steps=100, tolerance=1e-8, key: Key[Array, ""]):
        """`example` is any vector (P,)."""
        self.push, self.pull, self.max_steps, self.tolerance = push, pull, max_steps, tolerance
        sketch, _ = jnp.linalg.qr(jax.random.normal(key, (example.size, max(rank, 1)), example.dtype))
        image = jax.vmap(lambda v: pull(push(v)), 1, 1)(sketch)
        self.largest = jnp.max(jnp.linalg.norm(image, axis=0)) * jnp.sqrt(example.size)
        if rank == 0:
            self.basis, self.values = jnp.zeros((example.size, 0)), jnp.zeros(0)
            return
        shift = jnp.finfo(example.dtype).eps * jnp.linalg.norm(image)
        shifted = image + shift * sketch
        factor = jnp.linalg.cholesky(sketch.T @ shifted)
        root = jax.scipy.linalg.solve_triangular(factor, shifted.T, lower=True).T
        self.basis, s, _ = jnp.linalg.svd(root, full_matrices=False)
        self.values = jnp.maximum(s**2 - shift, 0.0)

    def factor(self, damping):
        return damping

    def solve(self, factor, residuals):
        return self.descend(factor, self.pull(residuals))

    def descend(self, factor, gradient):
        smallest = self.values[-1] if self.values.size else 0.0
        scale = (smallest + factor) / (self.values + factor) - 1

        def precondition(v):
            return v + self.basis @ (scale * (self.basis.T @ v))

        product = lambda v: self.pull(self.push(v)) + factor * v
        return jax.scipy.sparse.linalg.cg(
            product, -gradient, tol=self.tolerance, maxiter=self.max_steps, M=precondition
        )[0]


def symmetric_product(a: Float[Array, "N P"], block: int = 256) -> Float[Array, "P P"]:
    """aᵀa from its upper blocks only: about half the multiplications of a matrix product."""
    P = a.shape[1]
    edges = [round(i * P / max(1, round(P / block))) for i in range(max(1, round(P / block)) + 1)]
    columns = [a[:, i:j] for i, j in zip(edges[:-1], edges[1:], strict=True)]
    upper = [[columns[i].T @ columns[j] for j in range(i, len(columns))] for i in range(len(columns))]
    return jnp.block(
        [[upper[i][j - i] if j >= i else upper[j][i - j].T for j in range(len(columns))] for i in range(len(columns))]
    )
