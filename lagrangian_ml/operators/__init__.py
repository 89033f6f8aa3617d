"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .deeponet import DeepONet
from .fno import FNO, SpectralConvolution
from .multionet import MultiONet
from .multitask import MultiTaskDeepONet
from .pod import PODDeepONet, fitted
from .spectral import to_modes, to_values

__all__ = [
    "FNO",
    "DeepONet",
    "MultiONet",
    "MultiTaskDeepONet",
    "PODDeepONet",
    "SpectralConvolution",
    "fitted",
    "to_modes",
    "to_values",
]
