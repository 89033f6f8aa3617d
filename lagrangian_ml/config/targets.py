"""What a `_target_` may name: public classes and functions of this package and of a few others.

A configuration may come from somebody else, so a dotted path is refused before anything is imported unless its root
is allowed and no segment is private. Each hop must then be a real submodule, or a public class or function whose own
`__module__` lies in the allowed package: modules that a module happens to import (`…runs.np.load`) do not pass.
"""

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .errors import ConfigError, listing, nearest

# root of a path: prefixes of `__module__` that count as the root's own
_ROOTS = {
    "lagrangian_ml": ("lagrangian_ml",),
    "data_gen.recipe": tuple(
        f"data_gen.{name}" for name in ("recipe", "antiderivative", "evolution", "steady", "translation")
    ),
    "data_gen.problems": ("data_gen.problems",),
    "data_gen.initial": ("data_gen.initial",),
    "data_gen.initial_systems": ("data_gen.initial_systems",),
    "optax": ("optax",),
    "diffrax": ("diffrax",),
    "equinox.nn": ("equinox.nn",),
    "jax.nn": ("jax.nn", "jax._src.nn", "jax.numpy"),  # jax.nn.tanh is jax.numpy's
}
# Our own machinery starts processes and writes files; but for these two it is nothing to build a run from.
_MACHINERY = tuple(f"lagrangian_ml.{name}" for name in ("cli", "config", "runs", "plots", "training"))
_PARTS = ("Trainer", "make_mesh")
_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


class Targets:
    """The policy: the packages above, and the modules named by the user (`--module`)."""

    def __init__(self, modules: Sequence[str] = ()):
        self.modules = tuple(modules)
        self.roots = dict(_ROOTS)
        for name in self.modules:
            if name.partition(".")[0] in sys.builtin_module_names or not _PATH.fullmatch(f"{name}.x"):
                raise ConfigError(f"--module {name}: name a Python module of your own, such as my_package.equations.")
            self.roots[name] = (name,)

    def import_modules(self) -> None:
        """Import the user's modules. ConfigError if one does not exist or fails."""
        for name in self.modules:
            try:
                import_module(name, "--module")
            except ConfigError:
                raise
            except Exception as error:
                raise ConfigError(f"--module {name} cannot be imported: {type(error).__name__}: {error}") from error

    def resolve(self, path: Any, where: str) -> Callable:
        """The class or function at a dotted path. ConfigError, naming the key `where`, if it is not allowed."""
        refuse = f"{where}._target_={path} is not allowed: "
        if not isinstance(path, str) or not _PATH.fullmatch(path):
            raise ConfigError(refuse + "write a dotted path such as lagrangian_ml.fields.mlp.MLP.")
        roots = [root for root in self.roots if _within(path, root)]
        machinery = any(_within(path, room) for room in _MACHINERY[:-1])
        if not roots or path in self.roots or machinery:
            raise ConfigError(
                refuse + f"targets are public classes and functions of {', '.join(self.roots)}. "
                "Name a module of your own by --module."
            )
        private = [segment for segment in path.split(".") if segment.startswith("_")]
        if private:
            raise ConfigError(refuse + f"{private[0]!r} is private; use the public name.")
        root = max(roots, key=len)
        return self._walk(path, root, refuse, where)

    def _walk(self, path, root, refuse, where):
        here: Any = import_module(root, where)
        segments = path[len(root) + 1 :].split(".")
        for position, segment in enumerate(segments):
            last = position == len(segments) - 1
            submodule = isinstance(here, ModuleType) and _has_submodule(here, segment)
            if submodule and not (last and callable(getattr(here, segment, None))):
                here = import_module(f"{here.__name__}.{segment}", where)
                continue
            if not hasattr(here, segment):
                names = [name for name in dir(here) if not name.startswith("_")]
                owner = getattr(here, "__name__", here)
                raise ConfigError(f"{where}._target_={path}: {owner} has no {segment!r}.{nearest(segment, names)}")
            owner, here = here, getattr(here, segment)
            if isinstance(here, ModuleType):
                raise ConfigError(refuse + f"{segment!r} is not a submodule of {root}, only imported there.")
            home = getattr(here, "__module__", None)
            ours = any(_within(str(home), own) for own in self.roots[root])
            if any(_within(str(home), room) for room in _MACHINERY) and segment not in _PARTS:
                raise ConfigError(refuse + f"{segment!r} is machinery of a run, not a part of one.")
            if isinstance(owner, type) and _is_method(owner, segment):
                raise ConfigError(refuse + f"{segment!r} is a method of an object; name a class or a function.")
            if not callable(here) or not ours:
                raise ConfigError(refuse + f"{segment!r} is not a class or function of {root} (but of {home}).")
        if isinstance(here, ModuleType):
            raise ConfigError(f"{where}._target_={path} is a module; name a class or function in it: {_publics(here)}.")
        return here


def _has_submodule(package: ModuleType, name: str) -> bool:
    if not hasattr(package, "__path__"):
        return False
    try:
        return importlib.util.find_spec(f"{package.__name__}.{name}") is not None
    except (ImportError, ValueError):
        return False


def _is_method(cls: type, name: str) -> bool:
    """Whether the attribute needs an object of the class: it is neither a class, nor a class or static method."""
    return not isinstance(inspect.getattr_static(cls, name, None), (type, classmethod, staticmethod))


def _publics(module):
    return listing(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    )


def import_module(name: str, where: str) -> ModuleType:
    """Import a module; one that does not exist is the user's mistake, an error inside it is shown as it is."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and _within(name, error.name):
            raise ConfigError(f"{where}: there is no module {error.name!r} here (for {name}).") from error
        raise ConfigError(f"{where}: importing {name} needs {error.name!r}, which is not installed.") from error
