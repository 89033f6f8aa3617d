"""How a fit is doing, measured between steps: the residual on fresh points, and the error where there is a truth.

The training residual says how well the samples are fitted; only points that were never trained on say how well
the equation is. A callback of `fit`.
"""

import math
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Batch, Objective, Weighted, evaluate_terms
from .state import FitState
from .task import Task

PARTED, LOGS = 3.0, 3  # fresh / training residual that gives a warning, on so many records in a row


class Evaluation:
    """Adds to a record the root mean square residuals `train_rms` = √(2 · loss), on the samples of the last step, and
    `fresh_rms`, on independent samples of the source, without the weights that it may give them, then `task.errors`.
    Warns once when the two residuals, both with weights, part."""

    def __init__(self, task: Task, every: int):
        self.task, self.every = task, every
        self._recent: list[tuple[float, float]] = []
        self._warned = False
        self._terms = {name: term for name, term in task.objective.items() if term.kind == "residual"}

        @eqx.filter_jit
        def measure(source, state, model):
            batch = source.next(state, model, task.objective)[0]
            plain = {n: samples.sample if isinstance(samples, Weighted) else samples for n, samples in batch.items()}
            return residual_rms(self._terms, model, plain), residual_rms(self._terms, model, batch)

        self._measure = measure

    def __call__(self, state: FitState, record: dict) -> None:
        if self._terms:
            fresh = self.task.source.init(jax.random.fold_in(state.key, state.step))
            plain, weighted = self._measure(self.task.source, fresh, state.model)
            record["fresh_rms"] = float(plain)
        if len(self._terms) == len(self.task.objective) and "loss" in record:
            record["train_rms"] = math.sqrt(2 * record["loss"])
            self._compare(record["train_rms"], float(weighted), record)
        record.update({name: float(error) for name, error in self.task.errors(state.model).items()})

    def _compare(self, train, fresh, record):
        self._recent = [*self._recent[1 - LOGS :], (train, fresh)]
        parted = all(fresh > PARTED * train for train, fresh in self._recent)
        if len(self._recent) == LOGS and parted and train < self._recent[0][0] and not self._warned:
            self._warned = True
            times = fresh / train if train > 0 else math.inf
            record["warning"] = (
                f"step {record['step']}: the residual is {fresh:.1e} on fresh points, {times:.0f} times that "
                "on the training points, which still falls: the samples are fitted, not the equation. "
                "Use more points, or a source that resamples them."
            )
            warnings.warn(record["warning"], stacklevel=2)


def residual_rms(objective: Objective, model: Any, batch: Batch) -> Float[Array, ""]:
    """√(Σ_terms weight · mean_n ‖r_n‖²), that is √(2 · loss)."""
    values = evaluate_terms(objective, model, batch)
    return jnp.sqrt(sum(objective[name].weight * jnp.sum(r**2) / r.shape[0] for name, r in values.items()))
