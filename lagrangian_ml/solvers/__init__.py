"""Classical steppers: the same equations, solved by methods with known orders of accuracy."""

from .etdrk import ETDRK4, GridState

__all__ = ["ETDRK4", "GridState"]
