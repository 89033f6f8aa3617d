"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .deeponet import DeepONet
from .emulator import Emulator
from .factorised import FactorisedFNO
from .fno import FNO, SpectralConvolution
from .layout import nodes
from .local_global import LGM
from .normalised import Normalised, Scale
from .problem import OperatorProblem, Pairs, TrajectoryProblem, from_files, pairs_from_file, shapes_of
from .spectral import to_modes, to_values
from .stagger import Staggered, interleave, split
from .tucker import TuckerConvolution, TuckerFNO
from .ufno import UFNO
from .unet import UNet
from .windows import Window, Windows

__all__ = [
    "DeepONet",
    "Emulator",
    "FNO",
    "FactorisedFNO",
    "LGM",
    "Normalised",
    "OperatorProblem",
    "Pairs",
    "Scale",
    "SpectralConvolution",
    "Staggered",
    "TrajectoryProblem",
    "TuckerConvolution",
    "TuckerFNO",
    "UFNO",
    "UNet",
    "Window",
    "Windows",
    "from_files",
    "interleave",
    "nodes",
    "pairs_from_file",
    "shapes_of",
    "split",
    "to_modes",
    "to_values",
]
