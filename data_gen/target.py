"""The folder of a data set while it is made: what it holds already, and how it becomes complete.

recipe.yaml is written first and manifest.jsonl last. In between, `manifest.d` has one line for every finished shard;
no other file says so. A data set that is repaired or extended becomes unfinished again before anything is changed.
"""

import concurrent.futures
import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import lagrangian_ml
from lagrangian_ml.config import ConfigError, to_yaml

from . import manifest
from .command import differences
from .manifest import Entry
from .recipe import Recipe
from .write import Plan, shard_files

RECIPE = "recipe.yaml"
_SUM = "# sha256: "
_PACKAGES = ("jax", "jaxlib", "numpy", "equinox", "diffrax", "lineax", "optimistix", "tensorstore")
_HEADER = """\
# A data set of lagrangian-ml. This command made it, goes on with it, and repairs it:
#   {command}
"""


@dataclass(frozen=True)
class Target:
    """A folder, and the data set that is to be in it."""

    directory: Path
    config: dict[str, Any]
    command: str
    recipe: Recipe
    plan: Plan

    @property
    def identity(self) -> str:
        """The SHA-256 sum of the recipe, as a complete configuration."""
        return manifest.digest(self.config["dataset"])

    @property
    def header(self) -> Entry:
        """The first line of the manifest."""
        return {
            "format": manifest.FORMAT,
            "version": manifest.VERSION,
            "name": self.config["name"],
            "num_samples": self.plan.num_samples,
            "shard_size": self.plan.shard_size,
            "num_shards": self.plan.num_shards,
            "recipe": self.identity,
            "seed": self.config["seed"],
            "made_by": versions(),
        }

    @property
    def recipe_text(self) -> bytes:
        """The content of recipe.yaml."""
        about = {"format": manifest.FORMAT, "version": manifest.VERSION, "made_by": versions()}
        text = to_yaml(about | {"command": self.command, "recipe": self.identity} | self.config)
        body = (_HEADER.format(command=self.command) + text).encode()
        return body + f"{_SUM}{hashlib.sha256(body).hexdigest()}\n".encode()

    def check(self) -> None:
        """ConfigError unless the folder is free, or holds this data set or its beginning."""
        if self.directory.exists() and not self.directory.is_dir():
            raise ConfigError(f"--out {self.directory} is a file; name a folder.")
        found = list(present_files(self.directory))
        if not found:
            return
        stored = self._stored()
        if stored is None and RECIPE in found:
            raise ConfigError(
                f"--out {self.directory} has a damaged {RECIPE}, and nothing in it says what the data set was: delete "
                "the folder, or name another."
            )
        if stored is None:
            raise ConfigError(
                f"--out {self.directory} is not empty and holds no data set (there is {found[0]}); name another folder."
            )
        differing = self._differing(stored)
        if differing:
            shown = "; ".join(differing[:5]) + (f"; and {len(differing) - 5} more" if len(differing) > 5 else "")
            raise ConfigError(f"--out {self.directory} holds another data set: {shown}. Name another folder.")
        if stored["num_samples"] > self.plan.num_samples and self._has_more():
            raise ConfigError(
                f"--out {self.directory} holds {stored['num_samples']} samples; num_samples={self.plan.num_samples} is "
                "fewer. Give as many or more, or name another folder."
            )
        ours = self._small_names() | self._shard_names()
        foreign = [name for name in found if name not in ours and not name.startswith(f"{manifest.PENDING}/")]
        if foreign:
            raise ConfigError(
                f"--out {self.directory} holds what is not of this data set: {', '.join(foreign[:5])}"
                f"{' …' if len(foreign) > 5 else ''}. Move it away, or name another folder."
            )

    def check_versions(self) -> None:
        """ConfigError if what is there was made by other versions, whose numbers differ in the last bits."""
        entries = manifest.read(self.directory)[0]
        stored = read_recipe(self.directory) or next((entry for entry in entries if "made_by" in entry), {})
        made_by = stored.get("made_by", versions())
        if made_by != versions():
            told = "; ".join(differences(made_by, versions()))
            raise ConfigError(
                f"--out {self.directory} was made by other versions ({told}); what is missing would differ from the "
                "rest in the last bits. Install those to go on, or name another folder."
            )

    def finished(self, shards: Iterable[int], *, check: bool) -> dict[int, Entry]:
        """The entries of the shards that are finished, and with `check` whose files have the sums that they should."""
        lines = {entry["shard"]: entry for entry in manifest.read(self.directory)[0] if "shard" in entry}
        entries = {n: lines.get(n) or manifest.read_pending(self.directory, n) for n in shards}
        known = {n: entry for n, entry in entries.items() if entry is not None and self._is_expected(n, entry)}
        if not check:
            return known
        sound = lambda n: all(
            manifest.file_matches(self.directory / name, file) is None for name, file in known[n]["files"].items()
        )
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return {n: known[n] for n, holds in zip(known, pool.map(sound, known), strict=True) if holds}

    def is_complete(self) -> bool:
        """Whether the manifest is that of this data set, and all small files are as it says."""
        entries, whole = manifest.read(self.directory)
        known = lambda header: {name: value for name, value in header.items() if name != "made_by"}
        if not whole or known(entries[0]) != known(self.header) or (self.directory / manifest.PENDING).exists():
            return False
        files = [(name, file) for e in entries if "shard" not in e for name, file in e.get("files", {}).items()]
        return all(manifest.file_matches(self.directory / name, file) is None for name, file in files)

    def begin(self, anew: Iterable[int]) -> None:
        """Make the folder, or make the data set in it unfinished; the shards `anew` are forgotten, all others kept."""
        pending, anew = self.directory / manifest.PENDING, set(anew)
        pending.mkdir(parents=True, exist_ok=True)
        if (self.directory / manifest.NAME).exists():
            for shard, entry in self.finished(range(self.plan.num_shards), check=False).items():
                if shard not in anew:
                    manifest.write_pending(self.directory, entry, pending / f"{shard:06d}.{os.getpid()}.tmp")
            (self.directory / manifest.NAME).unlink()
            manifest.sync_folder(self.directory)
        for shard in anew:
            (pending / f"{shard:06d}.json").unlink(missing_ok=True)
        if not _has_content(self.directory / RECIPE, self.recipe_text):
            manifest.write_atomically(
                self.directory / RECIPE, self.recipe_text, pending / f"{RECIPE}.{os.getpid()}.tmp"
            )

    def undo(self) -> None:
        """Remove what `begin` made in a new folder, unless a shard is finished or others are at work in it."""
        pending = self.directory / manifest.PENDING
        if (self.directory / manifest.NAME).exists() or any(pending.glob("*.json")) or _held(pending.glob("*.lock")):
            return
        shutil.rmtree(pending, ignore_errors=True)
        (self.directory / RECIPE).unlink(missing_ok=True)
        for variable in self.recipe.variables:
            shutil.rmtree(self.directory / variable.name, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    @contextlib.contextmanager
    def locked(self, tag: str) -> Iterator[None]:
        """Let one process alone make this share of the shards, and clear what an earlier one left half-written."""
        pending = self.directory / manifest.PENDING
        with self.alone():
            pending.mkdir(parents=True, exist_ok=True)
            file = open(pending / f"{tag}.lock", "a+", encoding="utf-8")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise ConfigError(f"--out {self.directory} is in use by {holder}: wait for it, or end it.") from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            for left in pending.glob(f"*.{tag}.tmp"):
                left.unlink(missing_ok=True)
            yield

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """No other process begins or completes the data set meanwhile; for moments only."""
        self.directory.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # file systems that cannot lock a folder
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _has_more(self):
        """Whether there are finished samples beyond those of the plan; an announced number alone binds nobody."""
        shards = [entry for entry in manifest.read(self.directory)[0] if "shard" in entry]
        pending = self.directory / manifest.PENDING
        numbers = [entry["shard"] for entry in shards] + [
            int(p.stem) for p in pending.glob("*.json") if p.stem.isdigit()
        ]
        return any(entry["samples"][1] > self.plan.num_samples for entry in shards) or any(
            number >= self.plan.num_shards for number in numbers
        )

    def _stored(self) -> dict[str, Any] | None:
        """What the folder says it holds, from the first of its files that is sound: recipe, seed, numbers, config."""
        stored = read_recipe(self.directory)
        if stored is not None:
            return stored
        for entry in manifest.read(self.directory)[0]:
            if "num_shards" in entry:
                return entry
        pending = sorted((self.directory / manifest.PENDING).glob("*.json"))
        entries = [manifest.read_pending(self.directory, int(path.stem)) for path in pending if path.stem.isdigit()]
        for entry in filter(None, entries):
            first, last = entry["samples"]
            return {"recipe": entry["recipe"], "seed": entry["seed"], "num_samples": last}
        return None

    def _differing(self, stored):
        compared = ["name", "seed", "shard_size"] if "dataset" in stored else ["seed"]
        found = differences({n: stored.get(n) for n in compared}, {n: self.config[n] for n in compared})
        if stored["recipe"] != self.identity:
            inner = differences(stored["dataset"], self.config["dataset"], "dataset") if "dataset" in stored else []
            found += inner or [f"its recipe has the sum {stored['recipe'][:12]}…, this one {self.identity[:12]}…"]
        return found

    def _is_expected(self, shard, entry):
        samples = self.plan.samples(shard)
        about = (entry["samples"], entry["recipe"], entry["seed"], sorted(entry["files"]))
        names = sorted(shard_files(self.recipe, shard).values())
        return about == ([samples.start, samples.stop], self.identity, self.config["seed"], names)

    def _small_names(self):
        arrays = [v.name for v in self.recipe.variables] + ["t", "x", "y", "z"]
        small = {f"{array}/{key}" for array in arrays for key in ("zarr.json", "c/0")}
        return small | {RECIPE, manifest.NAME, "zarr.json", "statistics.json", "figures/samples.png"}

    def _shard_names(self):
        return {name for n in range(self.plan.num_shards) for name in shard_files(self.recipe, n).values()}


def versions() -> dict[str, str]:
    """What the last bits of a sample depend on besides its recipe."""
    return {"lagrangian-ml": lagrangian_ml.__version__} | {name: metadata.version(name) for name in _PACKAGES}


def read_recipe(directory: Path) -> dict[str, Any] | None:
    """The content of recipe.yaml; None if it is missing, or not what was written."""
    try:
        return parse_recipe((directory / RECIPE).read_bytes())
    except OSError:
        return None


def parse_recipe(text: bytes) -> dict[str, Any] | None:
    """The same of the bytes of recipe.yaml."""
    body, mark, total = text.rpartition(_SUM.encode())
    if not mark or total != hashlib.sha256(body).hexdigest().encode() + b"\n":
        return None
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError:
        return None


def present_files(directory: Path) -> Iterator[str]:
    """The files below a folder, but for hidden ones, in order."""
    for folder, inner, files in os.walk(directory):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        base = Path(folder).relative_to(directory)
        yield from (str(base / name) for name in sorted(files) if not name.startswith("."))


def _held(locks):
    """Whether another process holds one of the lock files."""
    for path in locks:
        with open(path, "a", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _has_content(path, content):
    try:
        return path.read_bytes() == content
    except OSError:
        return False
