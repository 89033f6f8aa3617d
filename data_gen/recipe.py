"""Recipes: all that decides the numbers of a data set, but for the seed. They are built from `dataset=…` configs.

A recipe is a frozen dataclass. The generator knows only what `Recipe` says: how ONE sample is drawn from a key and
solved, what of it is stored, and how many samples are computed together.
"""

from typing import Any, Protocol

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from lagrangian_ml.core import Grid

from .antiderivative import Antiderivative
from .evolution import Evolution
from .steady import Steady
from .stored import AXES, Outcome, Variable
from .translation import Translation

__all__ = [
    "AXES",
    "Antiderivative",
    "Evolution",
    "Outcome",
    "Recipe",
    "Steady",
    "Translation",
    "Variable",
    "sample_key",
]


class Recipe(Protocol):
    """What the generator knows of a recipe. All is of ONE sample, in float64; a block of samples is one `vmap`."""

    @property
    def block(self) -> int: ...  # samples computed together: sample i stands in block i // block, always
    @property
    def dtype(self) -> str: ...  # of what is stored
    @property
    def variables(self) -> tuple[Variable, ...]: ...
    @property
    def stored_grid(self) -> Grid: ...
    @property
    def times(self) -> np.ndarray | None: ...  # (t,), None if steady
    @property
    def num_updates(self) -> int: ...  # cell-updates of one sample
    def prepare(self, refine: int = 1) -> PyTree: ...  # the solver, with its `max_courant` if it has a bound
    def draw(self, key: Key[Array, ""]) -> PyTree: ...
    def solve(self, inputs: PyTree, refine: int = 1, *, solver: PyTree = None) -> Outcome: ...
    def shortened(self) -> "Recipe": ...  # the same with little work, to measure the time of an update


def sample_key(seed: int, index: Any, retry: Any = 0) -> Key[Array, ""]:
    """The key of sample `index`; `retry` counts the draws that were rejected."""
    key = jax.random.key(seed, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, index), retry)
