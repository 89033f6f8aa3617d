"""The augmented Lagrangian: minimise for a while at fixed multipliers, then let them ascend.

Hestenes 1969 and Powell 1969 for g = 0, Rockafellar 1973 for g ≤ 0; for PINNs Lu et al. 2021 (arXiv 2102.04626) and
Basir & Senocak 2022 (arXiv 2109.14860): after `every` steps on f + λ·g + (c/2)‖g‖² the multipliers become λ + c g, or
max(0, λ + c g). Differences: any optimizer makes the steps, `every` counts them in place of a test of convergence,
and c stays what it is: with multipliers the constraints hold at a finite c.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..core import Batch, Objective, Optimizer, first_state
from .constraints import Constraints


class AugmentedLagrangian(eqx.Module):
    """`optimizer` on the augmented Lagrangian; every so many steps the multipliers ascend.

    Args:
        optimizer: what makes the steps in the parameters, such as `LevenbergMarquardt()`.
        constraints: which terms are constraints, and their penalty c. All others are minimised.
        every: steps of the optimizer between two ascents.
    """

    optimizer: Optimizer
    constraints: Constraints
    every: int = 100

    def __check_init__(self):
        if self.every < 1:
            raise ValueError(f"every={self.every} must be a number of steps, at least 1.")

    def init(self, model: Any, objective: Objective | None = None, batch: Batch | None = None) -> PyTree:
        multipliers = self.constraints.init(model, objective, batch)
        inner = first_state(self.optimizer, model, objective, batch)
        marks = self.constraints.marks()
        return {"optimizer": inner, "multipliers": multipliers, "marks": marks, "step": jnp.zeros((), jnp.int32)}

    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]:
        step, multipliers = state["step"] + 1, state["multipliers"]
        batch, marks = self.constraints.check(state["marks"], batch)
        model, inner, slopes, info = self.constraints.step(
            self.optimizer, model, state["optimizer"], multipliers, objective, batch
        )
        rates = {name: self.constraints.penalty_of(objective[name]) for name in self.constraints.names}
        ascended = self.constraints.ascend(multipliers, slopes, rates)
        due = step % self.every == 0
        multipliers = jax.tree.map(lambda old, new: jnp.where(due, new, old), multipliers, ascended)
        return model, {"optimizer": inner, "multipliers": multipliers, "marks": marks, "step": step}, info
