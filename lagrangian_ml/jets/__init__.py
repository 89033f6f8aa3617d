"""Jets: local views of a field, each made in another way and read by the same equations."""

from .forward import Forward, forward_laplacian, mixed_derivative, taylor
from .moving_frame import MovingJet
from .point import PointJet, point_jet
from .spectral import PartJet, SpectralJet
from .stencil import StencilJet
from .stochastic import Directions, StochasticJet, stochastic_jet
from .symbol import linear_symbol, symbol

__all__ = [
    "Directions",
    "Forward",
    "MovingJet",
    "PartJet",
    "PointJet",
    "SpectralJet",
    "StencilJet",
    "StochasticJet",
    "forward_laplacian",
    "linear_symbol",
    "mixed_derivative",
    "point_jet",
    "stochastic_jet",
    "symbol",
    "taylor",
]
