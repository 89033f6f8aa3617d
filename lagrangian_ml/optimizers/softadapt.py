"""Weights by rates of change: terms that fall slowest, or grow, count most.

Heydari, Thompson & Mehmood 2019 (arXiv 1912.12355): with sᵢ = Lᵢ(t) − Lᵢ(t′), αᵢ = exp(β sᵢ) / Σⱼ exp(β sⱼ); the
variants are "normalised", sᵢ / Σⱼ |sⱼ| for sᵢ, and "loss weighted", αᵢ Lᵢ / Σⱼ αⱼ Lⱼ for αᵢ. Differences: weights are m
αᵢ for m terms, so that they are 1 when all fall alike, t′ is when the rule was last asked, and losses are not averaged
over a window, as the authors' code does.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..core import Batch, Objective
from ._terms import term_losses


class SoftAdapt(eqx.Module):
    """m · softmax(β s). The paper's β is 0.1; β < 0 favours the terms that fall fastest.

    Args:
        beta: β.
        normalised: whether rates are divided by Σⱼ |sⱼ|; without it β carries the unit of 1/loss.
        loss_weighted: whether the weights are multiplied by the losses.
    """

    beta: float = 0.1
    normalised: bool = True
    loss_weighted: bool = False

    def init(self, objective: Objective) -> Float[Array, " m"]:
        return jnp.zeros(len(objective))

    def update(
        self,
        memory: Float[Array, " m"],
        weights: Float[Array, " m"],
        count: Int[Array, ""],
        model: Any,
        objective: Objective,
        batch: Batch,
    ) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
        losses = term_losses(objective, model, batch)
        tiny = jnp.finfo(losses.dtype).tiny
        rates = losses - memory
        if self.normalised:
            rates = rates / jnp.maximum(jnp.sum(jnp.abs(rates)), tiny)
        shares = jax.nn.softmax(self.beta * rates)
        if self.loss_weighted:
            total = jnp.sum(shares * losses)
            shares = jnp.where(total > 0, shares * losses / jnp.maximum(total, tiny), shares)
        return jnp.where(count > 0, len(objective) * shares, weights), losses
