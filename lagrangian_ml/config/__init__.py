"""Configurations: composed by Hydra, filled from signatures, checked, and turned into objects.

The names of `folders` and `errors` need the standard library only; the others are imported when they are asked for.
"""

from typing import TYPE_CHECKING

from .errors import ConfigError

if TYPE_CHECKING:
    from .compose import complete, load_config, parse_override, read_config, to_yaml
    from .objects import Parts, build, build_group
    from .targets import Targets

__all__ = [
    "ConfigError",
    "Parts",
    "Targets",
    "build",
    "build_group",
    "complete",
    "load_config",
    "parse_override",
    "read_config",
    "to_yaml",
]


def __getattr__(name):
    import importlib

    homes = {"Parts": "objects", "build": "objects", "build_group": "objects", "Targets": "targets"}
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{homes.get(name, 'compose')}", __name__), name)
    globals()[name] = value
    return value
