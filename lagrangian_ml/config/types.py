"""Values of a configuration against the annotations of a signature.

`convert` returns the value in the type the annotation asks for (2 for 2.0 where an integer is wanted), or raises
`Mismatch`. It knows scalars, literals, sequences, mappings, unions, paths and arrays; what it does not know passes,
and the constructor judges. A node (`_target_`) and a reference (`${…}`) pass everywhere: they are judged when built.
"""

import collections.abc
import math
import types
import typing
from pathlib import Path
from typing import Any

NONE_GIVEN: Any = object()  # no default, or no annotation
_UNIONS = (typing.Union, types.UnionType)
_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
MAPPINGS = (dict, collections.abc.Mapping)


class Mismatch(Exception):
    """The value is not of the type; the message says what is expected."""


def is_node(value: Any) -> bool:
    return isinstance(value, dict) and "_target_" in value


def is_reference(value: Any) -> bool:
    return isinstance(value, str) and "${" in value


def convert(value: Any, hint: Any, default: Any = NONE_GIVEN) -> Any:
    """The value as `hint` asks for it; without a hint the type of a scalar default decides. Raises Mismatch."""
    if is_node(value) or is_reference(value):
        return value
    if hint is NONE_GIVEN or hint is Any:
        known = type(default) in (bool, int, float, str)
        return convert(value, type(default)) if known else value
    if (
        value is default is None or type(value) is type(default) is float and value == default
    ):  # a default may be infinite
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return convert(value, arguments[0])
    if origin in _UNIONS:
        return _convert_union(value, arguments)
    if origin is typing.Literal:
        return _need(value, value in arguments and type(value) in {type(a) for a in arguments}, hint)
    if hint in _SCALARS:
        return _SCALARS[hint](value)
    base = origin or hint
    if base in _SEQUENCES:
        return _convert_sequence(value, base, arguments, hint)
    if base in MAPPINGS:
        _need(value, isinstance(value, dict), hint)
        names, items = arguments or (Any, Any)
        return {_convert_name(name, names): convert(item, items) for name, item in value.items()}
    if is_array(hint):
        return _need(value, _is_numeric(value), hint)
    if base is collections.abc.Callable or hint is typing.Callable:
        return _need(value, False, hint)
    if isinstance(base, type):
        if issubclass(base, Path) or base.__name__ == "PathLike":
            return _need(value, isinstance(value, str), hint)
        return _need(value, base is object or (not is_protocol(base) and isinstance(value, base)), hint)
    return value


def is_array(hint: Any) -> bool:
    """Whether an annotation is an array: jaxtyping's, jax.Array or numpy's."""
    return isinstance(hint, type) and (hasattr(hint, "dim_str") or hint.__name__ in ("Array", "ndarray"))


def is_protocol(cls: type) -> bool:
    """Whether a class is a typing.Protocol, whose instances are never plain values."""
    return getattr(cls, "_is_protocol", False)


def mentions(hint: Any, kinds: tuple[type, ...]) -> bool:
    """Whether one of `kinds` is the annotation or one of its parts."""
    return (typing.get_origin(hint) or hint) in kinds or any(mentions(part, kinds) for part in typing.get_args(hint))


def describe(hint: Any) -> str:
    """The annotation in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return "null"
    if hint in _WORDS:
        return _WORDS[hint]
    if origin is typing.Annotated:
        return describe(arguments[0])
    if origin in _UNIONS:
        return " or ".join(dict.fromkeys(describe(argument) for argument in arguments))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(str, arguments))
    base = origin or hint
    if base in _SEQUENCES:
        items = [argument for argument in arguments if argument is not Ellipsis]
        return "a list" + (f" [{', '.join(map(describe, items))}]" if items else "")
    if is_array(hint):
        return "a number" if getattr(hint, "dim_str", "") == "" else "numbers"
    if base in MAPPINGS:
        return "a mapping" + (f" to {describe(arguments[1])}" if arguments else "")
    if isinstance(base, type) and issubclass(base, Path):
        return "a path"
    return "an object (a node with _target_)"


_WORDS = {bool: "true or false", int: "an integer", float: "a number", complex: "a number", str: "text"}


def _need(value, condition, hint):
    if not condition:
        raise Mismatch(describe(hint))
    return value


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_numeric(value):
    return all(map(_is_numeric, value)) if isinstance(value, list) else _is_number(value) and math.isfinite(value)


def _float(value):
    if not _is_number(value) or not math.isfinite(value):
        raise Mismatch("a number" if not _is_number(value) else "a number that is finite")
    return float(value)


def _int(value):
    return int(_need(value, _is_number(value) and math.isfinite(value) and value == int(value), int))


_SCALARS = {
    bool: lambda value: _need(value, isinstance(value, bool), bool),
    int: _int,
    float: _float,
    complex: _float,
    str: lambda value: _need(value, isinstance(value, str), str),
    None: lambda value: _need(value, value is None, None),
    type(None): lambda value: _need(value, value is None, None),
}


def _convert_union(value, hints):
    if any(hint is type(value) for hint in hints):  # 2 stays an integer under `float | int`
        return convert(value, type(value))
    for hint in hints:
        try:
            return convert(value, hint)
        except Mismatch:
            continue
    raise Mismatch(describe(typing.Union[tuple(hints)]))  # noqa: UP007


def _convert_name(name, hint):
    """The name of an entry; a path has spelt an integer one as text."""
    return int(name) if hint is int and isinstance(name, str) and name.isdigit() else name


def _convert_sequence(value, base, arguments, hint):
    if not isinstance(value, list):
        raise Mismatch(describe(hint))
    try:
        if base is tuple and arguments and arguments[-1] is not Ellipsis:
            if arguments == ((),):
                arguments = ()
            _need(value, len(value) == len(arguments), hint)
            return [convert(item, argument) for item, argument in zip(value, arguments, strict=True)]
        item_hint = arguments[0] if arguments else Any
        return [convert(item, item_hint) for item in value]
    except Mismatch as error:
        raise Mismatch(describe(hint)) from error
