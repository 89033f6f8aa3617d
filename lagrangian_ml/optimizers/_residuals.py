"""Residual vectors of an objective and their Jacobian, prepared for the least-squares kernel."""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ..core import Batch, Objective, evaluate_terms, partition
from ..linalg import ConjugateGradients, GramSystem, LeastSquares, damped_least_squares, symmetric_product

Solver = Literal["cholesky", "qr", "svd", "cg"]
DampingUnit = Literal["constant", "residual", "gradient"]


class System(eqx.Module):
    """How J is prepared, a setting of every least-squares optimizer.

    Args:
        solver: "cholesky", "qr", "svd" (see `linalg.least_squares`), or "cg": products with J and Jᵀ only.
        space: where Cholesky and QR factors are taken, "parameters" (P×P), "batch" (N×N), or "auto", the smaller.
        rcond: of "svd": singular values below this share of the largest are left out.
        chunk: the Jacobians of so many samples of a term are in memory at once, which is then solved by Cholesky in
            parameter space; 0 for all.
        rank, max_steps, tolerance: of "cg": the rank of its preconditioner, its steps, its relative residual.
    """

    solver: Solver = "cholesky"
    space: Literal["auto", "parameters", "batch"] = "auto"
    rcond: float = 1e-12
    chunk: int = 0
    rank: int = 0
    max_steps: int = 100
    tolerance: float = 1e-8

    def __check_init__(self):
        if self.solver not in ("cholesky", "qr", "svd", "cg") or self.space not in ("auto", "parameters", "batch"):
            raise ValueError(
                f"solver={self.solver!r}, space={self.space!r}; choose cholesky, qr, svd or cg, and auto, parameters "
                "or batch."
            )
        if self.space != "auto" and self.solver in ("svd", "cg"):
            raise ValueError(f"space={self.space!r} is for cholesky and qr; {self.solver} has none: leave it out.")
        if self.chunk and (self.solver != "cholesky" or self.space == "batch"):
            raise ValueError(f"chunk={self.chunk} is for solver=cholesky in parameter space only.")
        if self.rank and self.solver != "cg":
            raise ValueError(f"rank={self.rank} is for solver=cg only.")
        if min(self.chunk, self.rank) < 0 or self.max_steps < 1 or not (self.rcond >= 0 and self.tolerance > 0):
            raise ValueError(
                f"chunk={self.chunk}, rank={self.rank} and rcond={self.rcond} must be at least 0, "
                f"max_steps={self.max_steps} at least 1 and tolerance={self.tolerance} > 0."
            )

    def prepare(self, problem: "Residuals") -> LeastSquares:
        """J at θ, ready for any damping."""
        if self.solver == "cg":
            options = {"rank": self.rank, "max_steps": self.max_steps, "tolerance": self.tolerance}
            return ConjugateGradients(problem.push, problem.pull, problem.theta, key=jax.random.key(0), **options)
        if self.chunk:
            return GramSystem(problem.gram_matrix(self.chunk), problem.pull)
        return damped_least_squares(problem.jacobian(), self.solver, self.space, self.rcond)


class Residuals:
    """r(θ) of an objective on a batch around one θ, (P,): the stack of all √(weight/n)·r_n, so that loss = ½‖r‖².

    ValueError for a term of kind "loss".
    """

    def __init__(self, objective: Objective, model: Any, batch: Batch):
        for name, term in objective.items():
            if term.kind != "residual":
                raise ValueError(
                    f"the term {name!r} is of kind {term.kind!r}, not a residual: least-squares optimizers need "
                    "residuals. Take a gradient method, such as optax.adam, or a loss that is a square where the "
                    "method has one, such as method.loss=relative_square."
                )
        self._objective, self._batch = objective, batch
        trained, rest = partition(model)
        self.theta, unravel = ravel_pytree(trained)
        self.model: Callable[[Float[Array, " P"]], Any] = lambda theta: eqx.combine(unravel(theta), rest)
        self.r, self._vjp = jax.vjp(self.at, self.theta)

    def at(self, theta: Float[Array, " P"]) -> Float[Array, " N"]:
        values = evaluate_terms(self._objective, self.model(theta), self._batch)
        scaled = [(self._objective[k].weight / r.shape[0]) ** 0.5 * r for k, r in values.items()]
        return jnp.concatenate([r.reshape(-1) for r in scaled])

    def push(self, delta: Float[Array, " P"]) -> Float[Array, " N"]:
        """J δ."""
        return jax.jvp(self.at, (self.theta,), (delta,))[1]

    def pull(self, v: Float[Array, " N"]) -> Float[Array, " P"]:
        """Jᵀ v."""
        return self._vjp(v)[0]

    def jacobian(self) -> Float[Array, "N P"]:
        """One backward pass for every component of every sample."""
        rows = [
            (term.weight / _length(self._batch[name])) ** 0.5 * self._rows(term, self._batch[name])
            for name, term in self._objective.items()
        ]
        return jnp.concatenate(rows)

    def _rows(self, term, samples):
        one = jax.jacrev(lambda theta, sample: term(self.model(theta), sample))
        return jax.vmap(one, (None, 0))(self.theta, samples).reshape(-1, self.theta.size)

    def gram_matrix(self, chunk: int) -> Float[Array, "P P"]:
        """JᵀJ, summed over chunks of samples."""
        total = jnp.zeros((self.theta.size, self.theta.size), self.theta.dtype)
        for name, term in self._objective.items():
            samples, n = self._batch[name], _length(self._batch[name])
            product = lambda part, term=term: symmetric_product(self._rows(term, part))
            piece = lambda start, size, samples=samples: jax.tree.map(
                lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), samples
            )
            add = lambda k, sum, piece=piece, product=product: sum + product(piece(k * chunk, chunk))
            found = jnp.zeros_like(total)
            if n >= chunk:
                found = jax.lax.fori_loop(0, n // chunk, add, found)
            if n % chunk:
                found = found + product(piece(n - n % chunk, n % chunk))
            total = total + term.weight / n * found
        return total


def check_unit(unit: DampingUnit) -> None:
    """ValueError for an unknown one."""
    if unit not in ("constant", "residual", "gradient"):
        raise ValueError(f"damping_unit={unit!r}; choose constant, residual or gradient.")


def damping_unit(unit: DampingUnit, r: Float[Array, " N"], gradient: Float[Array, " P"]) -> Float[Array, ""]:
    """1, ‖r‖ or ‖Jᵀr‖: with the latter two damping vanishes at a solution, at the rates of Fan & Yuan 2005 (doi
    10.1007/s00607-004-0083-1) and, where r grows slower than the distance, of Ahookhosh et al. 2019 (arXiv 1703.07461).
    """
    vector = {"constant": None, "residual": r, "gradient": gradient}[unit]
    return jnp.ones((), r.dtype) if vector is None else jnp.linalg.norm(vector)


def _length(samples):
    return jax.tree.leaves(samples)[0].shape[0]
