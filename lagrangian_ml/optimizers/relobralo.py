"""Relative loss balancing with random lookback: terms that fell least since an earlier time count most.

Bischof & Kraus 2021 (arXiv 2110.09813), the equations of ReLoBRaLo: with the balance λ(t; t′) = m · softmax(L(t) / (τ
L(t′))) of m terms, λ(t) = α (ρ λ(t − 1) + (1 − ρ) λ(t; 0)) + (1 − α) λ(t; t − 1), where ρ is 1 with the probability
`lookback`, else 0: now and then the weights forget and look back to the first losses. Differences: t counts how often
the rule was asked, and losses may be zero.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from ..core import Batch, Objective
from ._terms import term_losses


class ReLoBRaLo(eqx.Module):
    """The rule with the paper's settings.

    Args:
        key: draws ρ.
        decay: α, close to 1: how slowly weights change.
        lookback: the expectation of ρ.
        temperature: τ; large values make weights alike, small ones single out the slowest term.
    """

    key: Key[Array, ""] = eqx.field(kw_only=True)
    decay: float = 0.999
    lookback: float = 0.999
    temperature: float = 0.1

    def __check_init__(self):
        if not (0 <= self.decay <= 1 and 0 <= self.lookback <= 1 and self.temperature > 0):
            raise ValueError(
                f"decay={self.decay} and lookback={self.lookback} must lie in [0, 1], "
                f"temperature={self.temperature} be > 0."
            )

    def init(self, objective: Objective) -> dict[str, Float[Array, " m"]]:
        return {"first": jnp.ones(len(objective)), "last": jnp.ones(len(objective))}

    def update(
        self,
        memory: dict[str, Float[Array, " m"]],
        weights: Float[Array, " m"],
        count: Int[Array, ""],
        model: Any,
        objective: Objective,
        batch: Batch,
    ) -> tuple[Float[Array, " m"], dict[str, Float[Array, " m"]]]:
        losses = term_losses(objective, model, batch)
        first = jnp.where(count > 0, memory["first"], losses)
        keep = jax.random.bernoulli(jax.random.fold_in(self.key, count), self.lookback)
        past = jnp.where(keep, weights, self._balance(losses, first))
        new = self.decay * past + (1 - self.decay) * self._balance(losses, memory["last"])
        return jnp.where(count > 0, new, weights), {"first": first, "last": losses}

    def _balance(self, losses, earlier):
        tiny = jnp.finfo(losses.dtype).tiny
        ratios = losses / jnp.maximum(earlier, tiny)
        # A loss that was zero is a ratio without bound; this one leaves the softmax finite and all to that term.
        return losses.shape[0] * jax.nn.softmax(jnp.minimum(ratios / self.temperature, 1e30))
