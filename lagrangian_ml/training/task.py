"""What a method hands over: something to fit, and how to judge and show the result."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import Field, Objective, Optimizer, Source


def _no_errors(model):
    return {}


def _no_figures(model, history, directory, title):
    return []


@dataclass(frozen=True)
class Task:
    """A fit with its judgement. A method is a function `method(problem, model, source, *, key) -> Task`.

    `field(model)` is the solution as a `Field`, None where there is none (of particles, say); `errors(model)` measures
    it against the problem's truth (empty without one), `figures(model, history, directory, title)` writes files and
    returns their paths; `history` is the list of logged records, `title` names what made them. A method that marches
    instead of training gives its own `optimizer`, such as `optimizers.March`, which takes the place of the user's.
    `test_errors(model)` measures what must not be looked at before the end; `against(model, file)` compares with the
    arrays of a file where there is no field: (errors, arrays with the prediction).
    The command line, checkpoints and callbacks see only this.
    """

    model: Any
    objective: Objective
    source: Source
    field: Callable[[Any], Field] | None
    errors: Callable[[Any], dict[str, float]] = _no_errors
    figures: Callable[[Any, list[dict], Path, str], list[Path]] = _no_figures
    optimizer: Optimizer | None = None
    test_errors: Callable[[Any], dict[str, float]] = _no_errors
    against: Callable[[Any, Path], tuple[dict[str, float], dict[str, Any]]] | None = None
