"""Flow maps, and the densities and velocities that follow from them."""

from .box import ToBox
from .chain import Anchored, Chain, Inverted
from .characteristics import displacement, monotone
from .checks import check_invertible, check_observations, check_places
from .conditioners import TimeNetwork, TimePolynomial
from .coupling import Affine, Coupling, Transformer
from .density import Base, NormalMixture, StandardNormal, TransportedDensity
from .displacement import Displacement
from .exact import LinearFlow
from .linear import ActNorm, LinearLU, LinearSVD, Shift
from .lyapunov import LyapunovField, Ridges, largest_stretch, lyapunov_exponents, ridges
from .models import continuous_flow, coupling_flow, factored_flow
from .monotone import MonotoneFourier
from .ode import OdeFlow
from .planar import Planar, Sylvester
from .residual import Residual, spectral_bound
from .spline import RationalQuadraticSpline
from .states import carried, grown
from .windows import Windowed, windowed

__all__ = [
    "ActNorm",
    "Affine",
    "Anchored",
    "Base",
    "Chain",
    "Coupling",
    "Displacement",
    "Inverted",
    "LinearFlow",
    "LinearLU",
    "LinearSVD",
    "LyapunovField",
    "MonotoneFourier",
    "NormalMixture",
    "OdeFlow",
    "Planar",
    "RationalQuadraticSpline",
    "Residual",
    "Ridges",
    "Shift",
    "StandardNormal",
    "Sylvester",
    "TimeNetwork",
    "TimePolynomial",
    "ToBox",
    "Transformer",
    "TransportedDensity",
    "Windowed",
    "carried",
    "check_invertible",
    "check_observations",
    "check_places",
    "continuous_flow",
    "coupling_flow",
    "displacement",
    "factored_flow",
    "grown",
    "largest_stretch",
    "lyapunov_exponents",
    "monotone",
    "ridges",
    "spectral_bound",
    "windowed",
]
