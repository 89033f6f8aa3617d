"""Flow maps, and the densities and velocities that follow from them."""

from .chain import Anchored, Chain, Inverted
from .density import Base, NormalMixture, StandardNormal, TransportedDensity
from .displacement import Displacement
from .ode import OdeFlow

__all__ = [
    "Anchored",
    "Base",
    "Chain",
    "Displacement",
    "Inverted",
    "NormalMixture",
    "OdeFlow",
    "StandardNormal",
    "TransportedDensity",
]
