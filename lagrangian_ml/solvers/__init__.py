"""Classical steppers: the same equations, solved by methods with known orders of accuracy."""

from .elliptic import Elliptic
from .etdrk import ETDRK, ModeState
from .method_of_lines import MethodOfLines
from .state import GridState

__all__ = ["ETDRK", "Elliptic", "GridState", "MethodOfLines", "ModeState"]
