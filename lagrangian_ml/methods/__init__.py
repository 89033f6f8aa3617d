"""Methods: one paper, one file, where fields, jets, equations and sources meet."""

from .divergence_free import DivergenceFree, divergence_free
from .ftle import ftle
from .lagrangian_pod import EulerianModel, LagrangianModel, ReducedStepper, pod, snapshots
from .lflow import lflow
from .lpinn import LPINN, lpinn
from .mpm_control import Goals, Launch, mpm_control
from .mpm_identification import Elasticity, FloorFriction, mpm_identification
from .mpm_simulation import Recording, mpm_simulation
from .pinn import PINN, pinn, strong_form
from .time_marching import time_marching

__all__ = [
    "DivergenceFree",
    "Elasticity",
    "EulerianModel",
    "FloorFriction",
    "Goals",
    "LPINN",
    "LagrangianModel",
    "Launch",
    "PINN",
    "Recording",
    "ReducedStepper",
    "divergence_free",
    "ftle",
    "lflow",
    "lpinn",
    "mpm_control",
    "mpm_identification",
    "mpm_simulation",
    "pinn",
    "pod",
    "snapshots",
    "strong_form",
    "time_marching",
]
