"""Named problems: an equation with its domain, data and truth; `load_problem("burgers")` gives one."""

import difflib
import importlib
import inspect
import pkgutil
from typing import Any

from ..core import Problem


def problem_names() -> list[str]:
    """The names that `load_problem` knows: modules of this room with a function of their name returning a Problem."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if _is_problem(module.name))


def load_problem(name: str, **settings: Any) -> Problem:
    """The problem of that name; settings such as `equation=` are those of its function.

    Raises ValueError for an unknown name, with the nearest one.
    """
    names = problem_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"there is no problem {name!r}; choose one of {', '.join(names)}.{hint}")
    return getattr(importlib.import_module(f"{__name__}.{name}"), name)(**settings)


def _is_problem(name: str) -> bool:
    function = getattr(importlib.import_module(f"{__name__}.{name}"), name, None)
    return callable(function) and inspect.signature(function).return_annotation is Problem


__all__ = ["load_problem", "problem_names"]
