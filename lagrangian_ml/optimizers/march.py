"""Marching instead of training: the model is a state, and a step of the run applies a stepper to it.

So a long simulation has what a fit has: progress, records, checkpoints, and a resume that repeats every bit.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx

from ..core import Batch, Objective, Stepper


class March(eqx.Module):
    """`model ← step(model)`; `info(model)` are the scalars to be logged. Objective and batch are not looked at."""

    advance: Stepper
    info: Callable[[Any], Mapping[str, Any]] = lambda model: {}

    def init(self, model: Any) -> tuple[()]:
        return ()

    def step(self, model: Any, state: tuple[()], objective: Objective, batch: Batch) -> tuple[Any, tuple[()], dict]:
        model = self.advance(model)
        return model, state, dict(self.info(model))
