"""Optimizers: `init(model) -> state` and `step(model, state, objective, batch) -> (model, state, info)`."""

from .levenberg_marquardt import LevenbergMarquardt
from .optax_adapter import from_optax

__all__ = ["LevenbergMarquardt", "from_optax"]
