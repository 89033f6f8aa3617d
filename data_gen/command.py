"""The command that makes a data set, in one spelling: the name of the recipe, and what differs from it."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lagrangian_ml.config import ConfigError, load_config
from lagrangian_ml.config.folders import DATASET
from lagrangian_ml.config.types import is_node

_WORD = re.compile(r"[A-Za-z_][\w./-]*")


def spell_command(config: Mapping[str, Any]) -> str:
    """`lagrangian-ml generate dataset=… num_samples=… seed=… --out DIR` for a complete configuration.

    It names no folder: a recipe that is not ours is written out, so that the command is the same on every machine.
    """
    words = spell_overrides(config)
    options = [word for module in config["modules"] for word in ("--module", module)]
    return " ".join(["lagrangian-ml generate", *map(shlex.quote, words), *map(shlex.quote, options), "--out DIR"])


def spell_overrides(config: Mapping[str, Any]) -> list[str]:
    """The overrides that stand for a configuration; they do not depend on how it was written."""
    plain = [f"num_samples={config['num_samples']}", f"seed={config['seed']}"]
    if config["shard_size"] is not None:
        plain.append(f"shard_size={config['shard_size']}")
    load = lambda words: load_config(words, modules=config["modules"], root=DATASET)
    named = [f"dataset={config['name']}"]
    try:
        preset = load([*named, "num_samples=1"])
        changed = [f"{key}={spell(value)}" for key, value in _changes(preset["dataset"], config["dataset"], "dataset")]
        words = [*named, *changed, *plain]
        if load(words) == config:
            return words
    except ConfigError:
        pass
    return [f"dataset={spell(config['dataset'])}", *plain]


def differences(stored: Any, given: Any, where: str = "") -> list[str]:
    """What two configurations differ in, in words."""
    if isinstance(stored, dict) and isinstance(given, dict):
        names = list(dict.fromkeys([*stored, *given]))
        inner = [differences(stored.get(n), given.get(n), f"{where}.{n}" if where else str(n)) for n in names]
        return [line for lines in inner for line in lines]
    return [] if stored == given else [f"{where} is {_short(stored)} there, {_short(given)} here"]


def spell(value: Any) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{spell(name)}: {spell(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(spell, value)) + "]"
    if isinstance(value, str) and not (_WORD.fullmatch(value) and value.lower() not in _SPECIAL):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value if isinstance(value, str) else json.dumps(value)


_SPECIAL = ("true", "false", "null", "nan", "inf")


def _changes(default: Any, given: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The keys to set, innermost first, so that `given` comes out of `default`."""
    inside = is_node(default) and is_node(given) and default["_target_"] == given["_target_"]
    if inside and default.get("_partial_") == given.get("_partial_") and set(default) == set(given):
        for name in sorted(given):
            yield from _changes(default[name], given[name], f"{where}.{name}")
    elif default != given:
        yield where, given


def _short(value):
    text = "not set" if value is None else spell(value)
    return text if len(text) <= 60 else text[:57] + "…"
