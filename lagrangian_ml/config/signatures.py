"""What a target takes, read from its signature: names, annotations, and defaults as YAML can say them.

Defaults that are objects become nodes where that is possible: a dataclass or Equinox module whose constructor
arguments can be read back from its attributes. Other defaults (functions, arrays) stay with the signature.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .types import NONE_GIVEN

INEXPRESSIBLE = object()


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One parameter that a configuration may set."""

    name: str
    hint: Any
    default: Any  # NONE_GIVEN if it is required


@dataclasses.dataclass(frozen=True)
class Signature:
    """The parameters of a target by name; `key` is never one of them, `takes_key` says that it is required."""

    parameters: dict[str, Parameter]
    is_open: bool  # takes any further keyword
    takes_key: bool


@lru_cache(maxsize=1024)
def read_signature(target: Callable) -> Signature:
    """The signature of a class or function. Builtins without one are open."""
    try:
        found = inspect.signature(target).parameters.values()
    except (ValueError, TypeError):
        return Signature({}, is_open=True, takes_key=False)
    hints = _hints(target)
    factories = _factories(target)
    parameters, is_open, takes_key = {}, False, False
    for p in found:
        if p.kind is p.VAR_KEYWORD:
            is_open = True
        elif p.name == "key":
            takes_key = p.default is p.empty
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            default = factories[p.name]() if p.name in factories else _given(p.default)
            parameters[p.name] = Parameter(p.name, hints.get(p.name, _given(p.annotation)), default)
    return Signature(parameters, is_open, takes_key)


def _given(value):
    return NONE_GIVEN if value is inspect.Parameter.empty else value


def _hints(target):
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception:  # a name that only a type checker knows
        return {}


def _factories(target):
    if not (inspect.isclass(target) and dataclasses.is_dataclass(target)):
        return {}
    missing = dataclasses.MISSING
    return {f.name: f.default_factory for f in dataclasses.fields(target) if f.default_factory is not missing}


def as_yaml(value: Any) -> Any:
    """A default as YAML can say it: scalars, lists, mappings, nodes. INEXPRESSIBLE if it cannot."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        items = [as_yaml(item) for item in value]
        return INEXPRESSIBLE if any(item is INEXPRESSIBLE for item in items) else items
    if type(value) is dict and all(type(name) is str for name in value):
        items = {name: as_yaml(item) for name, item in value.items()}
        return INEXPRESSIBLE if any(item is INEXPRESSIBLE for item in items.values()) else items
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _as_node(value)
    return INEXPRESSIBLE


def _as_node(value):
    cls = type(value)
    node: dict[str, Any] = {"_target_": f"{cls.__module__}.{cls.__qualname__}"}
    signature = read_signature(cls)
    if signature.takes_key or "<locals>" in cls.__qualname__:
        return INEXPRESSIBLE
    for parameter in signature.parameters.values():
        item = as_yaml(getattr(value, parameter.name, INEXPRESSIBLE))
        if item is INEXPRESSIBLE:
            return INEXPRESSIBLE
        node[parameter.name] = item
    return node
