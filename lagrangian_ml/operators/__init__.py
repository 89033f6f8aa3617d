"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .cloud import Cloud
from .deeponet import DeepONet
from .fno import FNO, SpectralConvolution
from .graph import GraphOperator
from .mixture import Mixture
from .multionet import MultiONet
from .multitask import MultiTaskDeepONet
from .pod import PODDeepONet, fitted
from .spectral import to_modes, to_values
from .transolver import Transolver

__all__ = [
    "FNO",
    "Cloud",
    "DeepONet",
    "GraphOperator",
    "Mixture",
    "MultiONet",
    "MultiTaskDeepONet",
    "PODDeepONet",
    "SpectralConvolution",
    "Transolver",
    "fitted",
    "to_modes",
    "to_values",
]
