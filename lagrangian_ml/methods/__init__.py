"""Methods: one paper, one file, where fields, jets, equations and sources meet."""

from .divergence_free import DivergenceFree, divergence_free
from .ftle import ftle
from .lflow import lflow
from .lpinn import LPINN, lpinn
from .pinn import PINN, pinn, strong_form
from .time_marching import time_marching

__all__ = [
    "DivergenceFree",
    "LPINN",
    "PINN",
    "divergence_free",
    "ftle",
    "lflow",
    "lpinn",
    "pinn",
    "strong_form",
    "time_marching",
]
