"""Linear algebra that methods share: least squares with damping, and transforms between grid values and modes."""

from .least_squares import DampedLeastSquares, symmetric_product
from .modes import Transform, scale
from .transforms import make_transform
from .tridiagonal import Tridiagonal

__all__ = ["DampedLeastSquares", "Transform", "Tridiagonal", "make_transform", "scale", "symmetric_product"]
