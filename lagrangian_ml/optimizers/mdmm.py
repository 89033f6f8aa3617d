"""The modified differential method of multipliers: descent in the parameters, ascent in the multipliers, at once.

Platt & Barr 1987 (Constrained differential optimization, NIPS 0): θ̇ = −∇f − λ∇g − c g∇g and λ̇ = g; the damping c turns
the saddle of the Lagrangian f + λ·g into an attractor. Differences: any optimizer makes the descent; the ascent
uses g after the step, which damps more than g before it; inequalities g ≤ 0 have the gradient max(0, λ + c g)∇g in
place of a slack variable; the samples of a term share their multiplier unless they are fixed (`Constraints`).
"""

from typing import Any

import equinox as eqx
from jaxtyping import PyTree

from ..core import Batch, Objective, Optimizer, first_state
from .constraints import Constraints


class MDMM(eqx.Module):
    """`optimizer` on the augmented Lagrangian, and a step of gradient ascent in the multipliers after each of its own.

    Args:
        optimizer: what makes the steps in the parameters, such as `from_optax(optax.adam(1e-3))`.
        constraints: which terms are constraints; their penalty is the damping c. All others are minimised.
        learning_rate: of the multipliers; one far above that of the parameters lets them run away.
    """

    optimizer: Optimizer
    constraints: Constraints
    learning_rate: float | int = 1e-2

    def __check_init__(self):
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} of the multipliers must be > 0.")

    def init(self, model: Any, objective: Objective | None = None, batch: Batch | None = None) -> PyTree:
        multipliers = self.constraints.init(model, objective, batch)
        inner, marks = first_state(self.optimizer, model, objective, batch), self.constraints.marks()
        return {"optimizer": inner, "multipliers": multipliers, "marks": marks}

    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]:
        batch, marks = self.constraints.check(state["marks"], batch)
        model, inner, slopes, info = self.constraints.step(
            self.optimizer, model, state["optimizer"], state["multipliers"], objective, batch
        )
        rates = dict.fromkeys(self.constraints.names, self.learning_rate)
        multipliers = self.constraints.ascend(state["multipliers"], slopes, rates)
        return model, {"optimizer": inner, "multipliers": multipliers, "marks": marks}, info
