"""Domains and their boundaries, conditions on them, sources of collocation points, random fields."""

from .adaptive import ResidualAdaptive, RetainResampleRelease
from .attention import ResidualAttention
from .ball import Ball, Sphere
from .box import Box, BoxFaces, interval
from .conditions import (
    BoundaryPoint,
    Condition,
    Constant,
    Dirichlet,
    Neumann,
    Periodic,
    Robin,
    boundary_residual,
)
from .random_fields import PowerLaw, SquaredExponential, gaussian_random_field
from .region import Domain, Region
from .sobol import unit_points
from .sources import ArraySource, Collocation, JoinedSource, collocation
from .union import Union, UnionBoundary

__all__ = [
    "ArraySource",
    "Ball",
    "BoundaryPoint",
    "Box",
    "BoxFaces",
    "Collocation",
    "Condition",
    "Constant",
    "Dirichlet",
    "Domain",
    "JoinedSource",
    "Neumann",
    "Periodic",
    "PowerLaw",
    "Region",
    "ResidualAdaptive",
    "ResidualAttention",
    "RetainResampleRelease",
    "Robin",
    "Sphere",
    "SquaredExponential",
    "Union",
    "UnionBoundary",
    "boundary_residual",
    "collocation",
    "gaussian_random_field",
    "interval",
    "unit_points",
]
