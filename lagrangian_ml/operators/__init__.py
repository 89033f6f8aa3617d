"""Neural operators: networks from functions to functions, one file each, on shared transforms and channel maps."""

from .cloud import Cloud
from .deeponet import DeepONet
from .emulator import Emulator
from .factorised import FactorisedFNO
from .fno import FNO, SpectralConvolution
from .graph import GraphOperator
from .layout import nodes
from .local_global import LGM
from .mixture import Mixture
from .multionet import MultiONet
from .multitask import MultiTaskDeepONet
from .normalised import Normalised, Scale
from .pod import PODDeepONet, fitted
from .problem import OperatorProblem, Pairs, TrajectoryProblem, from_files, pairs_from_file, shapes_of
from .spectral import to_modes, to_values
from .stagger import Staggered, interleave, split
from .symmetry import mirrored
from .transolver import Transolver
from .tucker import TuckerConvolution, TuckerFNO
from .ufno import UFNO
from .unet import UNet
from .windows import Window, Windows

__all__ = [
    "Cloud",
    "DeepONet",
    "Emulator",
    "FNO",
    "FactorisedFNO",
    "GraphOperator",
    "LGM",
    "Mixture",
    "MultiONet",
    "MultiTaskDeepONet",
    "Normalised",
    "OperatorProblem",
    "PODDeepONet",
    "Pairs",
    "Scale",
    "SpectralConvolution",
    "Staggered",
    "TrajectoryProblem",
    "Transolver",
    "TuckerConvolution",
    "TuckerFNO",
    "UFNO",
    "UNet",
    "Window",
    "Windows",
    "fitted",
    "from_files",
    "interleave",
    "mirrored",
    "nodes",
    "pairs_from_file",
    "shapes_of",
    "split",
    "to_modes",
    "to_values",
]
