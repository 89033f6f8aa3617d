"""Equations, one PDE a file, each with the exact solutions that exist."""

from .advection import AdvectedProfile, Advection
from .advection_diffusion import AdvectionDiffusion, MovingGaussian, MovingSines
from .allen_cahn import AllenCahn, AllenCahnFront, AllenCahnKink
from .burgers import Burgers, BurgersFront, ColeHopf, PotentialBurgers, VectorBurgers
from .coefficients import at_points
from .diffusion import DecayingSines, Diffusion
from .fisher_kpp import FisherFront, FisherKPP
from .helmholtz import Helmholtz
from .korteweg_de_vries import KortewegDeVries, Soliton, Solitons
from .kuramoto_sivashinsky import CombustionKuramotoSivashinsky, KuramotoSivashinsky
from .modes import Sines
from .poisson import Poisson
from .wave import StandingWave, TravellingWave, Wave

__all__ = [
    "AdvectedProfile",
    "Advection",
    "AdvectionDiffusion",
    "AllenCahn",
    "AllenCahnFront",
    "AllenCahnKink",
    "Burgers",
    "BurgersFront",
    "ColeHopf",
    "CombustionKuramotoSivashinsky",
    "DecayingSines",
    "Diffusion",
    "FisherFront",
    "FisherKPP",
    "Helmholtz",
    "KortewegDeVries",
    "KuramotoSivashinsky",
    "MovingGaussian",
    "MovingSines",
    "Poisson",
    "PotentialBurgers",
    "Sines",
    "Soliton",
    "Solitons",
    "StandingWave",
    "TravellingWave",
    "VectorBurgers",
    "Wave",
    "at_points",
]
