"""Weights of terms around any optimizer, by one of several rules: `grad_norm`, `ntk`, `softadapt`, `relobralo`.

A rule looks at the terms of the objective with weight 1 and says how much each should count; the objective's own
weights multiply what it says, so that they state what matters, and the rule makes terms comparable. No gradient
passes through the weights. Weights are 1 where the terms are alike, and their first value is 1.
"""

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ..core import Batch, Objective, Optimizer, first_state, loss
from ._terms import require_terms, unweighted


@runtime_checkable
class Weighting(Protocol):
    """A rule; its memory is arrays. `count` is how often it was asked before; terms are in the objective's order."""

    def init(self, objective: Objective) -> PyTree: ...
    def update(
        self,
        memory: PyTree,
        weights: Float[Array, " m"],
        count: Int[Array, ""],
        model: Any,
        objective: Objective,
        batch: Batch,
    ) -> tuple[Float[Array, " m"], PyTree]: ...


class Balanced(eqx.Module):
    """`optimizer` on an objective whose terms are weighted by a rule.

    Args:
        optimizer: what makes the steps, such as `from_optax(optax.adam(1e-3))` or `LevenbergMarquardt()`.
        weighting: the rule, such as `GradientNorms()`.
        every: the rule is asked before the first step and then after so many; between, weights are kept.

    `step` reports the weight of each term as weight_NAME and the weighted loss as balanced_loss; `loss` stays that of
    the objective. A weight that the rule cannot give as a finite number stays what it was. Optimizers with a memory
    of the loss, such as L-BFGS, notice the change of weights: ask the rule rarely there.
    """

    optimizer: Optimizer
    weighting: Weighting
    every: int = 100

    def __check_init__(self):
        if self.every < 1:
            raise ValueError(f"every={self.every} must be a number of steps, at least 1.")

    def init(self, model: Any, objective: Objective | None = None, batch: Batch | None = None) -> PyTree:
        objective = require_terms("Balanced", objective)
        return {
            "optimizer": first_state(self.optimizer, model, objective, batch),
            "step": jnp.zeros((), jnp.int32),
            "weights": jnp.ones(len(objective)),
            "weighting": self.weighting.init(objective),
        }

    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]:
        step, terms = state["step"], unweighted(objective)

        def update(weights, memory):
            new, memory = self.weighting.update(memory, weights, step // self.every, model, terms, batch)
            return jnp.where(jnp.isfinite(new), new, weights), memory

        keep = lambda weights, memory: (weights, memory)
        weights, memory = jax.lax.cond(step % self.every == 0, update, keep, state["weights"], state["weighting"])
        named = dict(zip(objective, weights, strict=True))
        terms = {name: replace(term, weight=term.weight * named[name]) for name, term in objective.items()}
        before = loss(objective, model, batch)  # XLA finds that the optimizer evaluates the same terms
        model, inner, info = self.optimizer.step(model, state["optimizer"], terms, batch)
        balanced = info["loss"]
        info = info | {"loss": jnp.where(jnp.isfinite(balanced), before, balanced), "balanced_loss": balanced}
        info |= {f"weight_{name}": weight for name, weight in named.items()}
        return model, {"optimizer": inner, "step": step + 1, "weights": weights, "weighting": memory}, info


class InverseShares(eqx.Module):
    """A rule whose weights are mean(s) / sᵢ of some `sizes` s of the terms, at most 1e5, averaged over time."""

    momentum: eqx.AbstractVar[float]

    @abstractmethod
    def sizes(self, model: Any, objective: Objective, batch: Batch) -> list[Float[Array, ""]]:
        """One at least 0 for every term."""

    def init(self, objective: Objective) -> tuple[()]:
        return ()

    def update(
        self,
        memory: tuple[()],
        weights: Float[Array, " m"],
        count: Int[Array, ""],
        model: Any,
        objective: Objective,
        batch: Batch,
    ) -> tuple[Float[Array, " m"], tuple[()]]:
        sizes = jnp.stack(self.sizes(model, objective, batch))
        mean = jnp.mean(sizes)
        new = jnp.where(mean > 0, mean / jnp.maximum(sizes, 1e-5 * mean), jnp.ones_like(sizes)).astype(weights.dtype)
        return self.momentum * weights + (1 - self.momentum) * new, memory
