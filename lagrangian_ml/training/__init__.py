"""Training: the verb `fit`, its state and result, runs in a directory, checkpoints, sharding and precision."""

from .checkpoints import CheckpointError, Checkpoints
from .loop import fit
from .mesh import make_mesh
from .precision import set_precision
from .record import RunDirectory
from .run import Interrupted, Trainer, restore_model, restore_state, run_task
from .state import DivergedError, FitResult, FitState, begin, num_parameters
from .task import Task

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "DivergedError",
    "FitResult",
    "FitState",
    "Interrupted",
    "RunDirectory",
    "Task",
    "Trainer",
    "begin",
    "fit",
    "make_mesh",
    "num_parameters",
    "restore_model",
    "restore_state",
    "run_task",
    "set_precision",
]
