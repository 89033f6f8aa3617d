"""Optimizers: `init(model) -> state` and `step(model, state, objective, batch) -> (model, state, info)`."""

from ._residuals import System
from .causal import Causal
from .gauss_newton import GaussNewton
from .levenberg_marquardt import LevenbergMarquardt
from .march import March
from .optax_adapter import from_optax
from .quasi_newton import QuasiNewton

__all__ = ["Causal", "GaussNewton", "LevenbergMarquardt", "March", "QuasiNewton", "System", "from_optax"]
