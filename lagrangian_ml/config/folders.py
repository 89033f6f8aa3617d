"""Where configurations are: our own folder of groups and presets, and folders that the user names.

Ours is package data of an installed wheel (`lagrangian_ml/_experiments`) or the repository's `experiments` in an
editable checkout; it is found from this file, never from the working directory. Only the standard library is used
here, so that `list` and the check of names are fast.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigError, listing, nearest

ROOT = "root"  # the folder of the configs which everything starts from; it is no group
_PLAIN = re.compile(r"[A-Za-z_][\w/-]*")
_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Root:
    """The top of a configuration: what it is of, its first file, its groups, and the plain values beside them."""

    noun: str
    file: str
    groups: tuple[str, ...]
    values: tuple[str, ...]
    optional: tuple[str, ...] = ()  # groups that may be null

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.values, *self.groups)


RUN = Root(
    "run",
    "config",
    groups=("problem", "model", "method", "optimizer", "source", "trainer", "observations", "mesh"),
    values=("seed", "precision"),
    optional=("observations", "mesh"),
)
DATASET = Root("data set", "dataset", groups=("dataset",), values=("num_samples", "seed", "shard_size"))


def builtin_folder() -> Path:
    """Our own folder. ConfigError if the installation lacks it."""
    candidates = (_PACKAGE / "_experiments", _PACKAGE.parent / "experiments")
    for folder in candidates:
        if (folder / ROOT / f"{RUN.file}.yaml").is_file():
            return folder
    raise ConfigError(f"this installation has no configs: neither {candidates[0]} nor {candidates[1]}; reinstall it.")


def config_folders(config_dirs: Sequence[str | Path] = ()) -> tuple[Path, ...]:
    """The user's folders, then ours: the first that has a file wins. ConfigError if one is not a folder."""
    for folder in config_dirs:
        if not Path(folder).is_dir():
            raise ConfigError(f"--config-dir {folder}: there is no such folder.")
    return (*(Path(folder).resolve() for folder in config_dirs), builtin_folder())


def is_group(name: str, folders: Sequence[Path]) -> bool:
    """Whether `name` (`optimizer`, `experiment`, `problem/equation`, …) is a folder of choices."""
    if name == ROOT or any(part in ("", ".", "..") for part in name.split("/")):
        return False
    return any((folder / name).is_dir() for folder in folders)


def options(group: str, folders: Sequence[Path]) -> dict[str, str]:
    """The choices of a group, each with the description in its first comment line."""
    found = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return {name: description(found[name]) for name in sorted(found)}


def description(path: Path) -> str:
    """The first comment line of a YAML file that is not one of Hydra's `# @package …` lines."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                break
            text = line.strip("# \n")
            if text and not text.startswith("@"):
                return text
    return ""


def check_choice(group: str, choice: str, folders: Sequence[Path]) -> None:
    """ConfigError with the nearest name if the group has no such choice."""
    inside = not any(part in ("", ".", "..") for part in choice.split("/"))
    if not inside or not any((folder / group / f"{choice}.yaml").is_file() for folder in folders):
        allowed = options(group, folders)
        raise ConfigError(f"{group}={choice} is unknown.{nearest(choice, allowed)} Allowed: {listing(allowed)}.")


def check_choices(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """ConfigError for a plain `group=choice` whose choice does not exist, before anything heavy is imported."""
    for text in overrides:
        key, equals, value = text.partition("=")
        if equals and _PLAIN.fullmatch(value) and value != "null" and is_group(key, folders):
            check_choice(key, value, folders)


def run_config(path: str | Path) -> Path:
    """The config.yaml of a run directory. ConfigError if the path is not a run directory."""
    path = Path(path)
    if not path.is_dir():
        siblings = [str(entry) for entry in path.parent.glob("*")] if path.parent.is_dir() else []
        raise ConfigError(f"{path} is not a run directory: there is no such folder.{nearest(str(path), siblings)}")
    if not (path / "config.yaml").is_file():
        inner = sorted(str(entry.parent) for entry in path.glob("*/config.yaml"))
        hint = f" Did you mean {inner[-1]!r}?" if inner else ""
        raise ConfigError(f"{path} is not a run directory: it holds no config.yaml.{hint}")
    return path / "config.yaml"


def refuse_used(path: str | Path) -> None:
    """ConfigError if a directory for a new run holds one already, or is none."""
    if any((Path(path) / name).exists() for name in ("config.yaml", "checkpoints")):
        raise ConfigError(f"--run-dir {path} holds a run already: `lagrangian-ml resume {path}`, or name another.")
    if Path(path).exists() and not Path(path).is_dir():
        raise ConfigError(f"--run-dir {path} is a file; name a folder.")
