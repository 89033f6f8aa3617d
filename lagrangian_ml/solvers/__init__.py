"""Classical steppers: the same equations, solved by methods with known orders of accuracy."""

from .elliptic import Elliptic
from .etdrk import ETDRK, ModeState
from .finite_volume import FiniteVolume
from .method_of_lines import MethodOfLines
from .reconstruction import MUSCL, WENO5, Constant
from .state import GridState

__all__ = [
    "ETDRK",
    "MUSCL",
    "WENO5",
    "Constant",
    "Elliptic",
    "FiniteVolume",
    "GridState",
    "MethodOfLines",
    "ModeState",
]
