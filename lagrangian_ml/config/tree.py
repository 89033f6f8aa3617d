"""Configuration trees: every default filled in from the signatures, every value checked against them.

A tree is plain dictionaries, lists and scalars. `fill` completes it, `assign` puts one override into a filled tree;
both refuse unknown keys at any depth, with the nearest valid name, and values of the wrong type.
"""

import re
from typing import Any

from .errors import ConfigError, listing, nearest
from .folders import RUN, Root
from .signatures import INEXPRESSIBLE, Signature, as_yaml, read_signature
from .targets import Targets
from .types import MAPPINGS, NONE_GIVEN, Mismatch, convert, describe, is_node, is_reference, mentions

PRECISIONS = ("float64", "float32")
NOTES = ("experiment", "name", "modules")  # written into a stored config, not set by keys
MISSING = "???"  # OmegaConf's mark of a value that must be given
_MARKS = ("_target_", "_partial_")


def check_top_level(names, root: Root = RUN) -> None:
    """ConfigError for a first key that is neither a group nor a plain value of the root; needs no import of targets."""
    allowed = ("experiment", *root.keys) if root is RUN else root.keys
    for name in names:
        if name not in root.keys:
            hint = nearest(name, allowed)
            raise ConfigError(f"{name} is not a key of a {root.noun}.{hint} Allowed: {', '.join(allowed)}.")


def fill(tree: dict, targets: Targets, root: Root = RUN) -> dict:
    """A copy of the tree with every default that YAML can say, in the order of the signatures."""
    check_top_level((name for name in tree if name not in NOTES), root)
    filled: dict[str, Any] = {name: tree[name] for name in NOTES if name in tree}
    for name in root.values:
        check, default = _PLAIN[name]
        filled[name] = check(name, tree.get(name, default))
    for name in root.groups:
        value = tree.get(name)
        if value is not None and not is_node(value) and not is_reference(value):
            raise ConfigError(f"{name}={value!r}: a node with _target_ is expected, or a choice of the group {name}.")
        filled[name] = _fill_value(value, name, targets)
    return filled


def _fill_value(value, where, targets):
    if is_node(value):
        return _fill_node(value, where, targets)
    if isinstance(value, dict):
        return {name: _fill_value(item, f"{where}.{name}", targets) for name, item in value.items()}
    if isinstance(value, list):
        return [_fill_value(item, f"{where}.{index}", targets) for index, item in enumerate(value)]
    return value


def _fill_node(node, where, targets):
    target = targets.resolve(node["_target_"], where)
    signature = read_signature(target)
    partial = node.get("_partial_", False)
    if not isinstance(partial, bool):
        raise ConfigError(f"{where}._partial_={partial!r}: expected true or false.")
    given = {name: value for name, value in node.items() if name not in _MARKS}
    for name in given:
        _check_name(name, signature, target, where, settable_keys(node, signature))
    filled: dict[str, Any] = {"_target_": node["_target_"]} | ({"_partial_": True} if partial else {})
    for name, parameter in signature.parameters.items():
        default = _default_of(parameter, f"{where}.{name}", targets)
        if name in given:
            value = given.pop(name)
            if isinstance(value, dict) and isinstance(default, dict) and not is_node(value):
                value = default | value  # part of a default object
            filled[name] = _fill_value(checked(value, parameter, f"{where}.{name}"), f"{where}.{name}", targets)
        elif default is not INEXPRESSIBLE:
            filled[name] = default
    return filled | {name: _fill_value(value, f"{where}.{name}", targets) for name, value in given.items()}


def _default_of(parameter, where, targets):
    default = as_yaml(parameter.default)
    if isinstance(default, (dict, list)):
        try:
            return _fill_value(default, where, targets)
        except ConfigError:  # an object of a package that a configuration may not name
            return INEXPRESSIBLE
    return default


def settable_keys(node: dict, signature: Signature) -> list[str]:
    """What may be set in a node: all parameters, but in a partial one those that its caller gives are left out."""
    parameters = signature.parameters
    if not node.get("_partial_", False):
        return list(parameters)
    return [name for name in parameters if parameters[name].default is not NONE_GIVEN or name in node]


def _check_name(name, signature, target, where, allowed):
    if name.startswith("_"):
        raise ConfigError(
            f"{where}.{name} is not allowed: beside its arguments a node has only {' and '.join(_MARKS)}."
        )
    if name == "key":
        raise ConfigError(f"{where}.key is not a key: random keys are folded from `seed` and the path of the node.")
    if name not in allowed and not signature.is_open:
        called = getattr(target, "__name__", target)
        hint = nearest(name, allowed)
        raise ConfigError(f"{where}.{name} is unknown: {called} has no {name!r}.{hint} It takes: {listing(allowed)}.")


def checked(value: Any, parameter: Any, where: str) -> Any:
    """The value converted to what the parameter's annotation asks for. ConfigError if it is not of that type."""
    try:
        return convert(value, parameter.hint, parameter.default)
    except Mismatch as mismatch:
        shown = "null" if value is None else value
        expected = str(mismatch)
        if parameter.default is None and "null" not in expected:
            expected += " or null"
        raise ConfigError(f"{where}={shown} is of the wrong type: expected {expected}.") from None


def _check_seed(name, seed):
    if is_reference(seed) or (isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**63):
        return seed
    raise ConfigError(f"{name}={seed}: expected an integer that is not negative.")


def _check_count(name, count):
    if count is None and name == "shard_size" or is_reference(count):
        return count
    if count == MISSING:
        raise ConfigError(f"{name} needs a value: give {name}=….")
    if isinstance(count, int) and not isinstance(count, bool) and 1 <= count < 2**31:
        return count
    raise ConfigError(f"{name}={count}: expected an integer from 1 to 2³¹ − 1.")


def _check_precision(name, precision):
    if precision in PRECISIONS or is_reference(precision):
        return precision
    raise ConfigError(
        f"{name}={precision} is unknown.{nearest(str(precision), PRECISIONS)} Allowed: {listing(PRECISIONS)}."
    )


_PLAIN = {
    "seed": (_check_seed, 0),
    "precision": (_check_precision, "float64"),
    "num_samples": (_check_count, MISSING),
    "shard_size": (_check_count, None),
}


def check_complete(value: Any, targets: Targets, where: str = "") -> None:
    """ConfigError for the first required argument of a node that has no value."""
    if is_node(value):
        target = targets.resolve(value["_target_"], where)
        for name, parameter in read_signature(target).parameters.items():
            required = parameter.default is NONE_GIVEN and not value.get("_partial_", False)
            if (required and name not in value) or value.get(name) == MISSING:
                kind = f" ({describe(parameter.hint)})" if parameter.hint is not NONE_GIVEN else ""
                raise ConfigError(f"{where}.{name} needs a value{kind}: give {where}.{name}=….")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        check_complete(item, targets, f"{where}.{name}" if where else str(name))


def assign(tree: dict, path: str, value: Any, targets: Targets, root: Root = RUN) -> None:
    """Set `a.b.c` in a filled tree. ConfigError if there is no such key or the value is of the wrong type."""
    *parents, last = path.split(".")
    check_top_level([path.split(".")[0]], root)
    here: Any = tree
    where = ""
    for segment in parents:
        key, parameter = _step(here, segment, where, targets)
        where = f"{where}.{segment}" if where else segment
        child = here.get(key) if isinstance(here, dict) else here[key]
        if child is None and parameter is not None and mentions(parameter.hint, MAPPINGS):
            child = here[key] = {}
        if not isinstance(child, (dict, list)):
            raise ConfigError(_no_keys(path, where, child))
        here = child
    key, parameter = _step(here, last, where, targets)
    here[key] = value if parameter is None else checked(value, parameter, path)


def _no_keys(path, where, child):
    reference = re.fullmatch(r"\$\{([A-Za-z_][\w.]*)\}", child) if isinstance(child, str) else None
    if reference:
        return f"{path}: {where} is {child}, so set {reference[1]}{path[len(where) :]} instead."
    shown = "not set" if child is None else f"the value {child!r}"
    return f"{path}: {where} is {shown}, so it has no keys of its own."


def _step(here, segment, where, targets):
    """(key, its parameter if it has one) of a segment in a node, mapping or list. ConfigError if there is none."""
    if isinstance(here, list):
        if not segment.isdigit() or int(segment) >= len(here):
            raise ConfigError(f"{where}.{segment}: {where} is a list; its entries are 0 … {len(here) - 1}.")
        return int(segment), None
    if is_node(here) and segment not in _MARKS:
        target = targets.resolve(here["_target_"], where)
        signature = read_signature(target)
        _check_name(segment, signature, target, where, settable_keys(here, signature))
        return segment, signature.parameters.get(segment)
    # A mapping is free in its keys: who takes it knows them.
    return int(segment) if segment.isdigit() and int(segment) in here else segment, None
