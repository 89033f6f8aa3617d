"""Numerics that methods share: damped least squares, roots, and transforms between grid values and modes."""

from .least_squares import (
    ConjugateGradients,
    GramSystem,
    LeastSquares,
    damped_least_squares,
    symmetric_product,
)
from .modes import Transform, scale
from .roots import monotone_root, newton_root
from .small import log_abs_det, small_inverse
from .transforms import make_transform
from .tridiagonal import Tridiagonal

__all__ = [
    "ConjugateGradients",
    "GramSystem",
    "LeastSquares",
    "Transform",
    "Tridiagonal",
    "damped_least_squares",
    "log_abs_det",
    "make_transform",
    "monotone_root",
    "newton_root",
    "scale",
    "small_inverse",
    "symmetric_product",
]
