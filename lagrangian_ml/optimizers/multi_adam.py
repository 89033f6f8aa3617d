"""MultiAdam: an Adam for every term, whose updates are averaged.

Yao, Su, Hao, Liu, Su & Zhu 2023 (arXiv 2306.02816), Algorithm 1: moments mᵢ and vᵢ of the gradient of each of n groups
of terms, and θ ← θ − (γ/n) Σᵢ m̂ᵢ / (√v̂ᵢ + ε). Each part is free of the scale of its group, so that weights between
groups hardly matter (not at all as ε → 0), nor do the scales of a domain. Difference: a term in no group is one of its
own, where the paper puts all initial and boundary conditions together.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from ..core import Batch, Objective, partition
from ._terms import require_terms, term_gradients


def _tuples(groups):
    return tuple(group if isinstance(group, str) else tuple(group) for group in groups)


class MultiAdam(eqx.Module):
    """The mean of the Adams of all groups of terms.

    Args:
        learning_rate: γ, a number or a schedule of optax.
        b1, b2: how slowly the first and second moments change; both 0.99 in the paper.
        eps: ε, in the units of a gradient.
        groups: names of terms that make one group, such as [["initial", "boundary"]]; every other term is its own.

    `step` reports the norm of each term's gradient as grad_norm_NAME. `init` raises ValueError for a name that is no
    term or is in two groups.
    """

    learning_rate: float | Callable[..., Any] = 1e-3
    b1: float = 0.99
    b2: float = 0.99
    eps: float = 1e-8
    groups: Sequence[Sequence[str]] = eqx.field(static=True, default=(), converter=_tuples)

    def __check_init__(self):
        if not (0 <= self.b1 < 1 and 0 <= self.b2 < 1 and self.eps > 0):
            raise ValueError(f"b1={self.b1} and b2={self.b2} must lie in [0, 1), eps={self.eps} be > 0.")
        if any(isinstance(group, str) for group in self.groups):
            raise ValueError(f"groups={self.groups} must be lists of names, such as [['initial', 'boundary']].")

    def init(self, model: Any, objective: Objective | None = None, batch: Batch | None = None) -> PyTree:
        objective, trained = require_terms("MultiAdam", objective), partition(model)[0]
        adam, rate = self._parts()
        return {"moments": {name: adam.init(trained) for name in self._groups(objective)}, "rate": rate.init(trained)}

    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]:
        trained, rest = partition(model)
        losses, gradients = term_gradients(objective, model, batch)
        adam, rate = self._parts()
        add = lambda *leaves: sum(leaves)
        grouped = {
            group: jax.tree.map(add, *(gradients[name] for name in names))
            for group, names in self._groups(objective).items()
        }
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer counts with floats
            parts = {name: adam.update(gradient, state["moments"][name]) for name, gradient in grouped.items()}
            mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *(update for update, _ in parts.values()))
            updates, rate_state = rate.update(mean, state["rate"])
        model = eqx.combine(optax.apply_updates(trained, updates), rest)
        state = {"moments": {name: moments for name, (_, moments) in parts.items()}, "rate": rate_state}
        return model, state, {"loss": jnp.sum(losses)} | _norms(gradients)

    def _groups(self, objective) -> dict[str, list[str]]:
        """The names of the terms of every group, by a name of its own."""
        grouped = [name for group in self.groups for name in group]
        if len(set(grouped)) < len(grouped) or not set(grouped) <= set(objective):
            raise ValueError(
                f"groups={[list(group) for group in self.groups]} must name terms of the objective, each once; it has "
                f"{', '.join(objective)}."
            )
        alone = [[name] for name in objective if name not in grouped]
        return {"+".join(group): list(group) for group in [*self.groups, *alone] if group}

    def _parts(self):
        return optax.scale_by_adam(self.b1, self.b2, self.eps), optax.scale_by_learning_rate(self.learning_rate)


def _norms(gradients) -> dict[str, Array]:
    return {f"grad_norm_{name}": optax.tree.norm(gradient) for name, gradient in gradients.items()}
