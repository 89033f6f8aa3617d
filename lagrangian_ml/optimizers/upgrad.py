"""Updates that conflict with no term: gradients are projected onto the dual cone before any optax transformation.

Quinton & Rey 2024 (arXiv 2406.16232), Jacobian descent: the rows of J are the gradients of the m terms. UPGrad projects
every row onto {d : J d ≥ 0} and takes the mean; the projection of Jᵀu is Jᵀv, where v ≥ u minimises vᵀ(JJᵀ)v (their
Proposition 1). "dual_proj" projects the mean of the rows instead, by eq. 11 of Lopez-Paz & Ranzato 2017 (GEM, arXiv
1706.08840). To first order a step along −d raises no term. Differences: JJᵀ is scaled to a unit diagonal, and the small
programs are solved exactly, by looking at every active set; angles between gradients below 1e-8 count as none.
"""

import itertools
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Inexact

from ..core import Batch, Objective, partition
from ._terms import term_gradients

MOST_TERMS = 10  # 2^10 active sets


class ConflictFree(eqx.Module):
    """An optax transformation whose gradient is an aggregate of those of the terms, in conflict with none.

    Args:
        transformation: such as `optax.sgd(1e-2)`. One that scales each parameter, such as Adam, or keeps a momentum
            gives updates that may conflict a little; a line search is refused, as no function has this gradient.
        aggregation: "upgrad" or "dual_proj".

    The gradient is a mean over the terms, not their sum: 1/m of the loss's where there is no conflict. `step` reports
    also conflicts, the share of pairs of terms whose gradients have a negative inner product.
    """

    transformation: Any
    aggregation: Literal["upgrad", "dual_proj"] = "upgrad"

    def __check_init__(self):
        if self.aggregation not in ("upgrad", "dual_proj"):
            raise ValueError(f'aggregation={self.aggregation!r}; choose "upgrad" or "dual_proj".')

    def init(self, model: Any) -> Any:
        return optax.with_extra_args_support(self.transformation).init(partition(model)[0])

    def step(self, model: Any, state: Any, objective: Objective, batch: Batch) -> tuple[Any, Any, dict]:
        trained, rest = partition(model)
        losses, gradients = term_gradients(objective, model, batch)
        rows = jnp.stack([ravel_pytree(gradient)[0] for gradient in gradients.values()])
        gradient, conflicts = self.aggregate(rows)
        gradient = ravel_pytree(trained)[1](gradient)
        value, transformation = jnp.sum(losses), optax.with_extra_args_support(self.transformation)
        try:
            with jax.numpy_dtype_promotion("standard"):  # optax mixes integer counts with floats
                updates, state = transformation.update(gradient, state, trained, value=value)
        except TypeError as error:
            if "value_fn" not in str(error):
                raise
            raise ValueError(
                "ConflictFree was given a transformation with a line search, but its gradient belongs to no function. "
                "Take one without, such as optax.adam(1e-3) or optax.lbfgs(1e-2, linesearch=None)."
            ) from error
        model = eqx.combine(optax.apply_updates(trained, updates), rest)
        return model, state, {"loss": value, "grad_norm": optax.tree.norm(gradient), "conflicts": conflicts}

    def aggregate(self, rows: Inexact[Array, "m P"]) -> tuple[Inexact[Array, " P"], Float[Array, ""]]:
        """(the aggregate of the gradients in `rows`, the share of conflicting pairs). ValueError for m > 10."""
        m = rows.shape[0]
        if m > MOST_TERMS:
            raise ValueError(f"ConflictFree solves its programs for up to {MOST_TERMS} terms; this objective has {m}.")
        norms = jnp.linalg.norm(rows, axis=1)
        units = rows / jnp.where(norms == 0, 1, norms)[:, None]
        cosines = jnp.real(units @ units.conj().T)
        # In units of the rows: row i is norms[i] along its axis.
        aim = jnp.diag(norms) / m if self.aggregation == "upgrad" else (norms / m)[:, None]
        weights = jnp.sum(dual_cone_weights(cosines, aim), axis=1)
        pairs = max(1, m * (m - 1))
        return weights.astype(rows.dtype) @ units, jnp.sum(cosines < 0) / pairs


def dual_cone_weights(gram: Float[Array, "m m"], aim: Float[Array, "m q"]) -> Float[Array, "m q"]:
    """For each column u of `aim`, the v ≥ u that minimises vᵀ G v: G v ≥ 0, and v = u where (G v)ᵢ > 0.

    All 2^m sets where v > u may hold are tried; the one that violates these conditions least is taken.
    """
    m = gram.shape[0]
    free = jnp.asarray(np.array(list(itertools.product((False, True), repeat=m))))  # the first is empty
    scale = jnp.max(jnp.abs(aim), axis=0, keepdims=True)
    aim = aim / jnp.where(scale == 0, 1, scale)
    slope = gram @ aim

    def candidate(free):
        matrix = jnp.where(free[:, None] & free[None, :], gram, jnp.eye(m, dtype=gram.dtype))
        excess = jnp.linalg.solve(matrix, jnp.where(free[:, None], -slope, jnp.zeros_like(slope)))
        margins = jnp.concatenate([excess, slope + gram @ excess])  # all ≥ 0 at the solution; NaN if singular, which
        sound = jnp.isfinite(margins).all(axis=0)  # XLA's maximum may pass over
        return excess, jnp.where(sound, jnp.maximum(-jnp.min(margins, axis=0), 0), jnp.inf)

    excess, wrong = jax.vmap(candidate)(free)  # (2^m, m, q), (2^m, q)
    best = jnp.argmin(wrong, axis=0)
    chosen = jnp.take_along_axis(excess, best[None, None, :], axis=0)[0]
    return scale * (aim + chosen)
