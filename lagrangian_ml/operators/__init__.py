"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .deeponet import DeepONet
from .fno import FNO, SpectralConvolution
from .spectral import to_modes, to_values

__all__ = ["FNO", "DeepONet", "SpectralConvolution", "to_modes", "to_values"]
