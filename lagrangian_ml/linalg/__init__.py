"""Linear algebra that methods share: least squares with damping, and transforms between grid values and modes."""

from .least_squares import DampedLeastSquares, symmetric_product
from .transforms import Transform, make_transform
from .tridiagonal import Tridiagonal

__all__ = ["DampedLeastSquares", "Transform", "Tridiagonal", "make_transform", "symmetric_product"]
