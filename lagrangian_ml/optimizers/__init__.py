"""Optimizers: `init(model) -> state` and `step(model, state, objective, batch) -> (model, state, info)`."""

from .causal import Causal
from .levenberg_marquardt import LevenbergMarquardt
from .march import March
from .optax_adapter import from_optax
from .quasi_newton import QuasiNewton

__all__ = ["Causal", "LevenbergMarquardt", "March", "QuasiNewton", "from_optax"]
