"""Methods: one paper, one file, where fields, jets, equations and sources meet."""

from .autoregression import autoregression
from .divergence_free import DivergenceFree, divergence_free
from .ensemble import ensemble, members
from .ftle import ftle
from .lagrangian_pod import EulerianModel, LagrangianModel, ReducedStepper, pod, snapshots
from .lflow import lflow
from .lpinn import LPINN, lpinn
from .mpm_control import Goals, Launch, mpm_control
from .mpm_identification import Elasticity, FloorFriction, mpm_identification
from .mpm_simulation import Recording, mpm_simulation
from .operator_regression import operator_regression
from .physics_informed_operator import physics_informed_operator
from .pinn import PINN, pinn, strong_form
from .stde import stde
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
    "autoregression",
    "divergence_free",
    "ensemble",
    "ftle",
    "lflow",
    "lpinn",
    "members",
    "mpm_control",
    "mpm_identification",
    "mpm_simulation",
    "operator_regression",
    "physics_informed_operator",
    "pinn",
    "pod",
    "snapshots",
    "stde",
    "strong_form",
    "time_marching",
]
