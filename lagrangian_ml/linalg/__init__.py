"""Linear algebra that methods share: least squares with damping."""

from .least_squares import DampedLeastSquares, symmetric_product

__all__ = ["DampedLeastSquares", "symmetric_product"]
