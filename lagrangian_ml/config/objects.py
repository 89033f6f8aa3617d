"""From a complete configuration to objects: one class or function called per node, innermost first.

A node whose target requires a `key` gets one folded from the seed and the node's path in the configuration, so that
no two nodes share a key and adding one changes no other. Errors of constructors are told with the path of their node.
"""

import functools
import typing
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from .errors import ConfigError
from .folders import RUN
from .signatures import read_signature
from .targets import Targets
from .types import NONE_GIVEN, is_array, is_node, mentions

MISTAKES = (ValueError, TypeError, ArithmeticError, OSError)  # what constructors raise for bad arguments


@dataclass(frozen=True)
class Parts:
    """The objects of a run; `method`, `model` and often `source` are partial: `method(problem, model, source)`."""

    problem: Any
    model: Any
    method: Callable
    optimizer: Any
    source: Any
    trainer: Any
    observations: Any
    mesh: Any
    seed: int

    def key(self, path: str) -> Key[Array, ""]:
        """The random key that belongs to a path, such as "method" or "fit"."""
        return fold_key(self.seed, path)


def build(tree: dict) -> Parts:
    """Build every node of a complete configuration. ConfigError, naming the node, if a constructor refuses."""
    return Parts(**{name: build_group(tree, name) for name in RUN.groups}, seed=tree["seed"])


def build_group(tree: dict, name: str) -> Any:
    """Build what stands under one key of a complete configuration. ConfigError, naming the node, if refused."""
    return _build(tree[name], name, tree["seed"], Targets(tree.get("modules") or ()))


def fold_key(seed: int, path: str) -> Key[Array, ""]:
    """The key of a path: `seed` folded with the CRC-32 of its name."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(path.encode()))


def _build(value, where, seed, targets):
    if is_node(value):
        return _build_node(value, where, seed, targets)
    if isinstance(value, dict):
        return {name: _build(item, f"{where}.{name}", seed, targets) for name, item in value.items()}
    if isinstance(value, list):
        return [_build(item, f"{where}.{index}", seed, targets) for index, item in enumerate(value)]
    return value


def _build_node(node, where, seed, targets):
    target = targets.resolve(node["_target_"], where)
    signature = read_signature(target)
    arguments = {}
    for name, value in node.items():
        if not name.startswith("_"):
            parameter = signature.parameters.get(name)
            built = _build(value, f"{where}.{name}", seed, targets)
            arguments[name] = _as_annotated(built, parameter.hint if parameter else NONE_GIVEN)
    if node.get("_partial_", False):
        return NamedPartial(target, where, arguments)
    if signature.takes_key:
        arguments["key"] = fold_key(seed, where)
    return call(target, where, **arguments)


def call(function: Callable, where: str, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`; what it refuses becomes a ConfigError that begins with `where`."""
    try:
        return function(*args, **kwargs)
    except ConfigError:
        raise
    except MISTAKES as error:
        told = str(error) or type(error).__name__
        if isinstance(error, ArithmeticError):
            told = f"{type(error).__name__}: {error}; a number is out of range"
        if isinstance(error, TypeError) and args:
            told += f" ({_called(function, args)}; choose one that does)"
        names = {*kwargs, *getattr(function, "keywords", ())}
        if told.partition("=")[0].partition(".")[0] in names:  # a constructor names its argument
            told = f"{where}.{told}"
        raise ConfigError(told if told.startswith(f"{where}.") else f"{where}: {told}") from error


def _called(function, args):
    """What a part takes and what it was given, where these do not fit."""
    function = getattr(function, "func", function)
    given = ", ".join(type(arg).__name__ for arg in args)
    takes = ", ".join(name for name, p in read_signature(function).parameters.items() if p.default is NONE_GIVEN)
    return f"{function.__name__} takes ({takes}) and was given ({given}): it does not fit this method"


class NamedPartial(functools.partial):
    """A partial call whose errors name the node which it came from."""

    where: str

    def __new__(cls, function: Callable, where: str, arguments: dict[str, Any]):
        self = super().__new__(cls, function, **arguments)
        self.where = where
        return self

    def __call__(self, *args, **kwargs):
        return call(functools.partial(self.func, **self.keywords), self.where, *args, **kwargs)


def _as_annotated(value, hint):
    """YAML has lists only: tuples unless a list is asked for, arrays and paths where those are the only choice."""
    if isinstance(value, list) and not mentions(hint, (list,)):
        value = _tuples(value)
    hints = [part for part in typing.get_args(hint) or (hint,) if part is not type(None)]
    if isinstance(value, (int, float, tuple)) and not isinstance(value, bool) and all(map(is_array, hints)):
        return jnp.asarray(value)
    if isinstance(value, str) and len(hints) == 1 and isinstance(hints[0], type) and issubclass(hints[0], Path):
        return Path(value)
    return value


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
