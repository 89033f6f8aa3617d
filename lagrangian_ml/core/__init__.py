"""The nouns, the objective and the verb `rollout`. Read this file first; everything else is built from it.

A researcher states a `Problem` (an `Equation` on a domain), picks a `Field`, a `FlowMap` or an `Operator` to
represent its solution, and does one of two things: `fit` an objective (`lagrangian_ml.training`) or `rollout` a
stepper (`rollout`). Every part is a pure function of PyTrees and works under `jit`, `vmap` and `grad`.

Glossary of axes, used in every signature: `n` samples, `d` space dimensions, `c` components, `t` time steps,
`p` particles, `k` components of a residual, `*s` grid axes. A contract speaks of ONE sample, components first
and space last, `(c, *s)`; batches are made by `jax.vmap` at the call site. At a point `*s` is empty.
"""

from .conservation import ConservationLaw
from .equation import Equation, GradientJet, Jet, ValueJet
from .flow_map import FlowMap
from .grid import Grid
from .nouns import (
    Batch,
    Field,
    Fixed,
    Objective,
    Operator,
    Optimizer,
    Point,
    Problem,
    Samples,
    Source,
    Stepper,
    Term,
    Weighted,
    evaluate_terms,
    first_state,
    keeps_terms,
    loss,
    partition,
    reweight,
)
from .rollout import rollout
from .walls import RobinWall, ValueWall, as_walls

__all__ = [
    "Batch",
    "ConservationLaw",
    "Equation",
    "Field",
    "Fixed",
    "FlowMap",
    "GradientJet",
    "Grid",
    "Jet",
    "Objective",
    "Operator",
    "Optimizer",
    "Point",
    "Problem",
    "RobinWall",
    "Samples",
    "Source",
    "Stepper",
    "Term",
    "Weighted",
    "ValueJet",
    "ValueWall",
    "as_walls",
    "evaluate_terms",
    "first_state",
    "keeps_terms",
    "loss",
    "partition",
    "reweight",
    "rollout",
]
