"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .deeponet import DeepONet
from .emulator import Emulator
from .fno import FNO, SpectralConvolution
from .layout import nodes
from .normalised import Normalised, Scale
from .problem import OperatorProblem, Pairs, TrajectoryProblem, from_files, pairs_from_file, shapes_of
from .spectral import to_modes, to_values
from .windows import Window, Windows

__all__ = [
    "FNO",
    "DeepONet",
    "Emulator",
    "Normalised",
    "OperatorProblem",
    "Pairs",
    "Scale",
    "SpectralConvolution",
    "TrajectoryProblem",
    "Window",
    "Windows",
    "from_files",
    "nodes",
    "pairs_from_file",
    "shapes_of",
    "to_modes",
    "to_values",
]
