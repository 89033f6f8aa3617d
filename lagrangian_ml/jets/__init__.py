"""Jets: local views of a field, each made in another way and read by the same equations."""

from .forward import Forward, forward_laplacian, mixed_derivative, taylor
from .moving_frame import MovingJet
from .point import PointJet, point_jet
from .spectral import PartJet, SpectralJet
from .stencil import StencilJet
from .symbol import linear_symbol, symbol

__all__ = [
    "Forward",
    "MovingJet",
    "PartJet",
    "PointJet",
    "SpectralJet",
    "StencilJet",
    "forward_laplacian",
    "linear_symbol",
    "mixed_derivative",
    "point_jet",
    "symbol",
    "taylor",
]
