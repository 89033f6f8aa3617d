"""Terms as constraints: an augmented Lagrangian that is itself an objective of residuals.

With a constraint g(θ) = 0, its multiplier λ and penalty c > 0, completing the square gives
λ·g + (c/2)‖g‖² = (c/2)‖g + λ/c‖² − ‖λ‖²/2c, and for g ≤ 0 Rockafellar's (1973) form (c/2)‖max(0, g + λ/c)‖² − ‖λ‖²/2c.
So a constraint is a residual with a shift, and every optimizer can take it, least squares too. With n samples both
sides are means over them. Signs: L = f + λ·g, so that ∇f + λ·∇g = 0 at the solution; λ ≥ 0 for g ≤ 0.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Batch, Objective, Optimizer, Term, evaluate_terms, loss
from ._terms import require_terms

Multipliers = Mapping[str, Float[Array, "..."]]  # of each constraint, (k,) for all its samples or (n, k)


def _as_names(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names)


class Constraints(eqx.Module):
    """Which terms are constraints, r = 0 or r ≤ 0 in every component, and how hard they are pressed.

    `step` of an optimizer with constraints reports the lagrangian up to ‖λ‖²/2c, and as multiplier_NAME and
    violation_NAME the root mean squares of λ and of ∂L/∂λ, which vanishes at a solution (with one multiplier for all
    samples it is the mean residual, not each one's size); `loss` stays that of the objective.

    Args:
        equalities: names of terms r = 0.
        inequalities: names of terms r ≤ 0.
        penalty: c; a term's weight multiplies it.
        per_sample: a multiplier for every sample, which must then be the same samples in the same order in every
            step (resample_every=0), or that step is an error; or one for all, which holds the mean of the residual.
    """

    equalities: Sequence[str] = eqx.field(converter=_as_names, default=())
    inequalities: Sequence[str] = eqx.field(converter=_as_names, default=())
    penalty: float | int = 1.0
    per_sample: bool = False

    def __check_init__(self):
        if not self.names or len(set(self.names)) < len(self.names) or not self.penalty > 0:
            raise ValueError(
                f"equalities={self.equalities} and inequalities={self.inequalities} must name at least one term, each "
                f"once, and penalty={self.penalty} must be > 0."
            )

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.equalities, *self.inequalities)

    def init(self, model: Any, objective: Objective | None, batch: Batch | None) -> dict[str, Array]:
        """Multipliers of zero. ValueError for a constraint that is no term, or a term of kind "loss"."""
        objective = require_terms("An optimizer with constraints", objective)
        for name in self.names:
            if name not in objective:
                raise ValueError(
                    f"the constraint {name!r} is no term of this objective, which has {', '.join(objective)}. Name one "
                    "of these; a hard ansatz removes the terms that it satisfies: take "
                    "method.ansatz._target_=lagrangian_ml.fields.soft_constraints, say."
                )
            if objective[name].kind != "residual":
                raise ValueError(f"the constraint {name!r} is of kind {objective[name].kind!r}; it must be a residual.")
        values = eqx.filter_eval_shape(partial(evaluate_terms, self._among(objective)), model, batch)
        return {name: jnp.zeros(r.shape if self.per_sample else r.shape[1:]) for name, r in values.items()}

    def marks(self) -> dict[str, Float[Array, "2"]]:
        """(0, 0) for each constraint until its samples are known, then (1, what tells them from others).

        Nothing unless `per_sample`.
        """
        return {name: jnp.zeros(2) for name in self.names} if self.per_sample else {}

    def check(self, marks: Mapping[str, Array], batch: Batch) -> tuple[Batch, dict[str, Array]]:
        """(the batch, whose use is an error if its samples are not those of the marks; the marks of the next step)."""
        known = {}
        for name, mark in marks.items():
            message = (
                f"the samples of the constraint {name!r} are others than at the start, but per_sample=true keeps a "
                "multiplier for each: take source.resample_every=0, or optimizer.constraints.per_sample=false."
            )
            new = _mark(batch[name])
            others = (mark[0] > 0) & (jnp.abs(new - mark[1]) > 1e-4 * (1 + jnp.abs(new)))
            batch = {**batch, name: eqx.error_if(batch[name], others, message)}
            known[name] = jnp.where(mark[0] > 0, mark, jnp.stack([jnp.ones_like(new), new]).astype(mark.dtype))
        return batch, known

    def lagrangian(self, multipliers: Multipliers, objective: Objective, batch: Batch) -> tuple[Objective, Batch]:
        """(the augmented Lagrangian as an objective, its samples)."""
        terms, samples = dict(objective), dict(batch)
        for name in self.names:
            c, n = self.penalty_of(objective[name]), jax.tree.leaves(batch[name])[0].shape[0]
            shift = multipliers[name] / c
            samples[name] = (batch[name], jnp.broadcast_to(shift, (n, shift.shape[-1])))
            terms[name] = Term(partial(_shifted, objective[name], name in self.inequalities), weight=c)
        return terms, samples

    def step(
        self, optimizer: Optimizer, model: Any, inner: Any, multipliers: Multipliers, objective: Objective, batch: Batch
    ) -> tuple[Any, Any, dict[str, Array], dict[str, Array]]:
        """A step of an optimizer on the Lagrangian: (model, its state, ∂L/∂λ after the step, what to report)."""
        terms, samples = self.lagrangian(multipliers, objective, batch)
        before = loss(objective, model, batch)  # XLA finds that the optimizer evaluates the same terms
        model, inner, info = optimizer.step(model, inner, terms, samples)
        slopes, lagrangian = self.slopes(multipliers, objective, model, batch), info["loss"]
        info = info | {"loss": jnp.where(jnp.isfinite(lagrangian), before, lagrangian), "lagrangian": lagrangian}
        rms = lambda values: jnp.sqrt(jnp.mean(values**2))
        info |= {f"multiplier_{name}": rms(multipliers[name]) for name in self.names}
        info |= {f"violation_{name}": rms(slopes[name]) for name in self.names}
        return model, inner, slopes, info

    def slopes(self, multipliers: Multipliers, objective: Objective, model: Any, batch: Batch) -> dict[str, Array]:
        """∂L/∂λ of every constraint: g, or (max(0, λ + c g) − λ) / c; the mean over the samples unless `per_sample`."""
        slopes = {}
        for name, g in evaluate_terms(self._among(objective), model, batch).items():
            shift = jnp.broadcast_to(multipliers[name] / self.penalty_of(objective[name]), g.shape)
            slope = jnp.maximum(g, -shift) if name in self.inequalities else g
            slopes[name] = slope if self.per_sample else jnp.mean(slope, axis=0)
        return slopes

    def ascend(self, multipliers: Multipliers, slopes: Mapping[str, Array], rates: Mapping[str, Any]) -> dict:
        """λ + rate · slope, kept ≥ 0 for inequalities."""
        moved = {name: multipliers[name] + rates[name] * slopes[name] for name in self.names}
        return moved | {name: jnp.maximum(moved[name], 0) for name in self.inequalities}

    def penalty_of(self, term: Term) -> Any:
        return self.penalty * term.weight

    def _among(self, objective):
        return {name: objective[name] for name in self.names}


def _mark(samples):
    """A sum over all numbers with factors that depend on their places."""
    leaves = [leaf for leaf in jax.tree.leaves(samples) if jnp.issubdtype(leaf.dtype, jnp.number)]
    return sum((jnp.sum(leaf.reshape(-1) * jnp.cos(jnp.arange(leaf.size))) for leaf in leaves), jnp.zeros(()))


def _shifted(term, inequality, model, sample):
    residual = term(model, sample[0]) + sample[1]
    return jnp.maximum(residual, 0) if inequality else residual
