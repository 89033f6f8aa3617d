"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .deeponet import DeepONet
from .factorised import FactorisedFNO
from .fno import FNO, SpectralConvolution
from .local_global import LGM
from .spectral import to_modes, to_values
from .stagger import Staggered, interleave, split
from .tucker import TuckerConvolution, TuckerFNO
from .ufno import UFNO
from .unet import UNet

__all__ = [
    "FNO",
    "LGM",
    "UFNO",
    "DeepONet",
    "FactorisedFNO",
    "SpectralConvolution",
    "Staggered",
    "TuckerConvolution",
    "TuckerFNO",
    "UNet",
    "interleave",
    "split",
    "to_modes",
    "to_values",
]
