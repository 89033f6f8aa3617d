"""Particles: differentiable MLS-MPM with its materials, boundaries, muscles, shapes and files."""

from .boundaries import Bands, Friction, Obstacle, Separating, Slip, Sticky, Walls
from .controllers import Feedback, Sequences, Sines
from .diagnostics import angular_momentum, conserved, elastic_energy, kinetic_energy, momentum
from .export import load_npz, save_npz, save_ply, save_vtk
from .kernels import CUBIC, KERNELS, QUADRATIC, Kernel
from .materials import FixedCorotated, Fluid, Hencky, Material, NeoHookean
from .neural_material import NeuralMaterial
from .plasticity import DruckerPrager, VonMises
from .scene import Plant, Scene, final_state, play
from .shapes import BallShape, BoxShape, HalfSpace, Moving, UnionShape, block, fill
from .state import Particles, join
from .stepper import MPM, Observation, State
from .transfer import BACKENDS, default_backend, gather, scatter

__all__ = [
    "BACKENDS",
    "BallShape",
    "Bands",
    "BoxShape",
    "CUBIC",
    "DruckerPrager",
    "Feedback",
    "FixedCorotated",
    "Fluid",
    "Friction",
    "HalfSpace",
    "Hencky",
    "KERNELS",
    "Kernel",
    "MPM",
    "Material",
    "Moving",
    "NeoHookean",
    "NeuralMaterial",
    "Observation",
    "Obstacle",
    "Particles",
    "Plant",
    "QUADRATIC",
    "Scene",
    "Separating",
    "Sequences",
    "Sines",
    "Slip",
    "State",
    "Sticky",
    "UnionShape",
    "VonMises",
    "Walls",
    "angular_momentum",
    "block",
    "conserved",
    "default_backend",
    "elastic_energy",
    "fill",
    "final_state",
    "gather",
    "join",
    "kinetic_energy",
    "load_npz",
    "momentum",
    "play",
    "save_npz",
    "save_ply",
    "save_vtk",
    "scatter",
]
