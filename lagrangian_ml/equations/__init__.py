"""Equations, one PDE a file, each with the exact solutions that exist."""

from .advection import AdvectedProfile, Advection
from .advection_diffusion import AdvectionDiffusion, MovingGaussian, MovingSines
from .allen_cahn import AllenCahn, AllenCahnFront, AllenCahnKink, SteadyAllenCahn
from .burgers import Burgers, BurgersFront, ColeHopf, PotentialBurgers, VectorBurgers
from .cahn_hilliard import CahnHilliard
from .coefficients import at_points
from .darcy import Darcy
from .diffusion import DecayingSines, Diffusion
from .diffusion_reaction import DiffusionReaction
from .diffusion_sorption import DiffusionSorption
from .dispersion import Dispersion, DispersiveWave
from .euler import CompressibleNavierStokes, Euler, IsentropicVortex
from .euler_riemann import EulerRiemann, lax, problem_123, sod
from .fisher_kpp import FisherFront, FisherKPP
from .gray_scott import GrayScott
from .helmholtz import Helmholtz
from .hyper_diffusion import HyperDiffusion
from .incompressible_flows import Beltrami, Kovasznay, TaylorGreen
from .korteweg_de_vries import KortewegDeVries, Soliton, Solitons
from .kuramoto_sivashinsky import CombustionKuramotoSivashinsky, KuramotoSivashinsky
from .modes import Sines
from .navier_stokes import DiagonalForce, Kolmogorov, NavierStokes, VelocityNavierStokes, VorticityNavierStokes
from .nonlinear_schroedinger import BreathingSoliton, BrightSoliton, NonlinearSchroedinger
from .passive_transport import Continuity, PassiveTransport
from .poisson import Poisson
from .reaction_diffusion import ReactionDiffusion
from .shallow_water import DamBreak, LakeAtRest, ShallowWater
from .sine_gordon import SineGordon
from .swift_hohenberg import SwiftHohenberg
from .two_body import ClosedFormSource, TwoBody
from .velocity_fields import ABC, DoubleGyre, Rotation, Saddle, Shear, Swirl
from .wave import StandingWave, TravellingWave, Wave

__all__ = [
    "ReactionDiffusion",
    "ABC",
    "AdvectedProfile",
    "Advection",
    "AdvectionDiffusion",
    "AllenCahn",
    "AllenCahnFront",
    "AllenCahnKink",
    "Beltrami",
    "BreathingSoliton",
    "BrightSoliton",
    "Burgers",
    "BurgersFront",
    "CahnHilliard",
    "ColeHopf",
    "ClosedFormSource",
    "CombustionKuramotoSivashinsky",
    "CompressibleNavierStokes",
    "Continuity",
    "DamBreak",
    "Darcy",
    "DecayingSines",
    "DiagonalForce",
    "Diffusion",
    "DiffusionReaction",
    "DiffusionSorption",
    "Dispersion",
    "DispersiveWave",
    "DoubleGyre",
    "Euler",
    "EulerRiemann",
    "FisherFront",
    "FisherKPP",
    "GrayScott",
    "Helmholtz",
    "HyperDiffusion",
    "IsentropicVortex",
    "Kolmogorov",
    "KortewegDeVries",
    "Kovasznay",
    "KuramotoSivashinsky",
    "LakeAtRest",
    "MovingGaussian",
    "MovingSines",
    "NavierStokes",
    "NonlinearSchroedinger",
    "PassiveTransport",
    "Poisson",
    "PotentialBurgers",
    "Rotation",
    "Saddle",
    "ShallowWater",
    "Shear",
    "SineGordon",
    "Sines",
    "Soliton",
    "Solitons",
    "StandingWave",
    "SteadyAllenCahn",
    "SwiftHohenberg",
    "Swirl",
    "TaylorGreen",
    "TwoBody",
    "TravellingWave",
    "VectorBurgers",
    "VelocityNavierStokes",
    "VorticityNavierStokes",
    "Wave",
    "at_points",
    "lax",
    "problem_123",
    "sod",
]
