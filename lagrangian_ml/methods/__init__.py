"""Methods: one paper, one file, where fields, jets, equations and sources meet."""

from .divergence_free import DivergenceFree, divergence_free
from .ftle import ftle
from .lagrangian_pod import EulerianModel, LagrangianModel, ReducedStepper, pod, snapshots
from .lflow import lflow
from .lpinn import LPINN, lpinn
from .pinn import PINN, pinn, strong_form
from .time_marching import time_marching

__all__ = [
    "DivergenceFree",
    "EulerianModel",
    "LPINN",
    "LagrangianModel",
    "PINN",
    "ReducedStepper",
    "divergence_free",
    "ftle",
    "lflow",
    "lpinn",
    "pinn",
    "pod",
    "snapshots",
    "strong_form",
    "time_marching",
]
