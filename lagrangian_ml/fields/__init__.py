"""Networks of a point and the ansätze around them; an adapter for Flax modules."""

from .ansatz import HardConstraint, hard_constraints, soft_constraints
from .flax_adapter import from_flax
from .inputs import Chain, FourierFeatures, PeriodicEmbedding, Rescale, fourier_network
from .mlp import MLP, Linear, activation_by_name
from .modified_mlp import ModifiedMLP
from .pirate_net import PirateNet
from .spacetime import SpaceField, SpaceTimeField
from .symmetric import Symmetric

__all__ = [
    "Chain",
    "FourierFeatures",
    "HardConstraint",
    "Linear",
    "MLP",
    "ModifiedMLP",
    "PeriodicEmbedding",
    "PirateNet",
    "Rescale",
    "SpaceField",
    "SpaceTimeField",
    "Symmetric",
    "activation_by_name",
    "fourier_network",
    "from_flax",
    "hard_constraints",
    "soft_constraints",
]
