"""Differentiable physics and neural PDE solvers in JAX: write an equation once, then fit it or roll it out.

Names are loaded when they are first touched, so that importing the package is free and the command line's help
needs no numerics. Read `lagrangian_ml.core` first; the rooms are listed in its neighbours' docstrings.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import domains as domains
    from . import equations as equations
    from . import fields as fields
    from . import flows as flows
    from . import jets as jets
    from . import metrics as metrics
    from . import operators as operators
    from . import optimizers as optimizers
    from . import particles as particles
    from . import plots as plots
    from . import problems as problems
    from . import solvers as solvers
    from . import training as training
    from .core import Equation as Equation
    from .core import Fixed as Fixed
    from .core import FlowMap as FlowMap
    from .core import Grid as Grid
    from .core import Point as Point
    from .core import Problem as Problem
    from .core import Samples as Samples
    from .core import Term as Term
    from .core import partition as partition
    from .core import rollout as rollout
    from .domains import Ball as Ball
    from .domains import Box as Box
    from .domains import Dirichlet as Dirichlet
    from .domains import Neumann as Neumann
    from .domains import Periodic as Periodic
    from .domains import Robin as Robin
    from .fields import MLP as MLP
    from .jets import point_jet as point_jet
    from .methods.lflow import lflow as lflow
    from .methods.lpinn import lpinn as lpinn
    from .methods.pinn import pinn as pinn
    from .methods.stde import stde as stde
    from .metrics import relative_l2 as relative_l2
    from .optimizers import LevenbergMarquardt as LevenbergMarquardt
    from .optimizers import from_optax as from_optax
    from .problems import load_problem as load_problem
    from .runs import load_run as load_run
    from .training import FitResult as FitResult
    from .training import Task as Task
    from .training import fit as fit
    from .training import set_precision as set_precision

__version__ = "0.1.0"

_HOMES = {
    "Equation": "core",
    "Fixed": "core",
    "FlowMap": "core",
    "Grid": "core",
    "Point": "core",
    "Problem": "core",
    "Samples": "core",
    "Term": "core",
    "partition": "core",
    "rollout": "core",
    "Ball": "domains",
    "Box": "domains",
    "Dirichlet": "domains",
    "Neumann": "domains",
    "Periodic": "domains",
    "Robin": "domains",
    "MLP": "fields",
    "point_jet": "jets",
    "lflow": "methods.lflow",
    "lpinn": "methods.lpinn",
    "pinn": "methods.pinn",
    "stde": "methods.stde",
    "relative_l2": "metrics",
    "LevenbergMarquardt": "optimizers",
    "from_optax": "optimizers",
    "load_problem": "problems",
    "load_run": "runs",
    "FitResult": "training",
    "Task": "training",
    "fit": "training",
    "set_precision": "training",
}

__all__ = [*_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


# Rooms that can be read as attributes too: `lagrangian_ml.equations.ColeHopf`.
_ROOMS = (
    "domains",
    "equations",
    "fields",
    "flows",
    "jets",
    "metrics",
    "operators",
    "optimizers",
    "particles",
    "plots",
    "problems",
    "solvers",
    "training",
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'lagrangian_ml' has no attribute {name!r}; it exports {', '.join(_HOMES)}.")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
