"""Causal weights around any optimizer: early times are fitted before late ones.

Wang, Sankaran & Perdikaris 2022 (arXiv 2203.07404): the times are cut into chunks and the squares of the residuals in
chunk i are weighted by wᵢ = exp(−ε Σ_{k<i} Lₖ), where Lₖ is the mean square of those in chunk k; no gradient passes
through wᵢ. ε takes the next larger value when the last chunk has the weight 0.99. Differences: points may lie anywhere
in a chunk, Lₖ is that of the whole objective at these times, and the optimizer inside is any: it is given each sample
with its weight.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..core import Batch, Objective, Optimizer, Weighted, evaluate_terms, first_state, loss

RIPE = 0.99  # the weight of the last chunk at which ε grows


class Causal(eqx.Module):
    """`optimizer` on causally weighted residuals.

    Args:
        optimizer: what makes the steps, such as `LevenbergMarquardt()` or `from_optax(optax.adam(1e-3))`.
        horizon: times run from 0 to this; later ones count as the last chunk.
        tolerances: the values of ε, growing.
        num_chunks: into how many equal parts time is cut.

    Samples with times `t`, such as `Point`s, are weighted; others, and terms of kind "loss", are left as they are.
    `step` reports also causal_loss, the weighted one, causal_weight, that of the last chunk, and causal_tolerance;
    `loss` stays that of the objective.
    """

    optimizer: Optimizer
    horizon: float | int
    tolerances: Sequence[float] = eqx.field(
        converter=lambda values: tuple(map(float, values)), default=(1e-2, 1e-1, 1.0, 1e1, 1e2)
    )
    num_chunks: int = 32

    def __check_init__(self):
        grow = all(a < b for a, b in zip(self.tolerances[:-1], self.tolerances[1:], strict=True))
        if not (self.tolerances and grow and self.tolerances[0] > 0 and self.num_chunks >= 1 and self.horizon > 0):
            raise ValueError(
                f"tolerances={self.tolerances} must be > 0 and grow, num_chunks={self.num_chunks} be at least 1 and "
                f"horizon={self.horizon} > 0."
            )

    def init(self, model: Any, objective: Objective | None = None, batch: Batch | None = None) -> PyTree:
        """The terms are for the optimizer inside, if it takes them."""
        return {"optimizer": first_state(self.optimizer, model, objective, batch), "level": jnp.zeros((), jnp.int32)}

    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]:
        level = state["level"]
        weights, times = self.weights(model, level, objective, batch)
        weighted = {name: _weighted(batch[name], weights[chunks]) for name, chunks in times.items()}
        before = loss(objective, model, batch)  # XLA finds that the weights came of the same residuals
        model, inner, info = self.optimizer.step(model, state["optimizer"], objective, {**batch, **weighted})
        causal = info["loss"]
        info = info | {"loss": jnp.where(jnp.isfinite(causal), before, causal), "causal_loss": causal}
        ripe = (weights[-1] > RIPE) & (level + 1 < len(self.tolerances))
        info = info | {"causal_weight": weights[-1], "causal_tolerance": self._tolerance(level, weights.dtype)}
        return model, {"optimizer": inner, "level": level + ripe.astype(level.dtype)}, info

    def weights(
        self, model: Any, level: Array, objective: Objective, batch: Batch
    ) -> tuple[Float[Array, " i"], dict[str, Array]]:
        """(wᵢ of every chunk, the chunk of every sample by the name of its term)."""
        timed = {n: term for n, term in objective.items() if term.kind == "residual" and _times(batch[n]) is not None}
        chunks, total = {}, jnp.zeros(self.num_chunks)
        for name, residuals in evaluate_terms(timed, model, batch).items():
            place = jnp.floor(_times(batch[name]) / self.horizon * self.num_chunks)
            chunks[name] = jnp.clip(place, 0, self.num_chunks - 1).astype(jnp.int32)
            count = jnp.zeros(self.num_chunks).at[chunks[name]].add(1.0)
            square = jnp.zeros(self.num_chunks).at[chunks[name]].add(jnp.sum(residuals**2, axis=1))
            total = total + timed[name].weight * square / jnp.maximum(count, 1)
        before = jnp.concatenate([jnp.zeros(1, total.dtype), jnp.cumsum(total)[:-1]])
        return jax.lax.stop_gradient(jnp.exp(-self._tolerance(level, total.dtype) * before)), chunks

    def _tolerance(self, level, dtype):
        return jnp.asarray(self.tolerances, dtype)[level]


def _times(samples) -> Any:
    return getattr(samples.sample if isinstance(samples, Weighted) else samples, "t", None)


def _weighted(samples, weights):
    if isinstance(samples, Weighted):
        return Weighted(samples.sample, weights * samples.weight)
    return Weighted(samples, weights)
