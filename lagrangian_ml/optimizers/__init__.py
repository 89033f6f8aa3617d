"""Optimizers: `init(model) -> state` and `step(model, state, objective, batch) -> (model, state, info)`.

Those that keep something for every term (weights, moments, multipliers) begin by `init(model, objective, batch)`.
"""

from ._residuals import System
from .augmented_lagrangian import AugmentedLagrangian
from .balanced import Balanced, Weighting
from .causal import Causal
from .constraints import Constraints
from .gauss_newton import GaussNewton
from .grad_norm import GradientNorms
from .levenberg_marquardt import LevenbergMarquardt
from .march import March
from .mdmm import MDMM
from .multi_adam import MultiAdam
from .ntk import NTK
from .optax_adapter import from_optax
from .quasi_newton import QuasiNewton
from .relobralo import ReLoBRaLo
from .soap import soap
from .softadapt import SoftAdapt
from .upgrad import ConflictFree

__all__ = [
    "MDMM",
    "NTK",
    "AugmentedLagrangian",
    "Balanced",
    "Causal",
    "ConflictFree",
    "Constraints",
    "GaussNewton",
    "GradientNorms",
    "LevenbergMarquardt",
    "March",
    "MultiAdam",
    "QuasiNewton",
    "ReLoBRaLo",
    "SoftAdapt",
    "System",
    "Weighting",
    "from_optax",
    "soap",
]
