"""Data sets as they were generated: random access, checked. Local folders, and `gs://` or whatever TensorStore opens.

Nothing that has changed is returned: when a data set is opened, the manifest is checked by its own SHA-256 sum and
all other small files by the sums in the manifest; samples are read through the crc32c of their chunks, and a chunk
that is missing is an error and not a field of zeros. A whole file put in the place of another is found by `verify`.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from . import manifest
from .recipe import Variable
from .store import Arrays, Frames, SampleStore

_OF_THE_STORE = ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
_CACHE = 64 * 2**20  # bytes; holds the indices of shards, so that a sample costs one read


class DatasetError(ValueError):
    """A folder or file is no data set, is unfinished, or is not what was written; the message says what to do."""


class Dataset(SampleStore):
    """A generated data set: `Dataset("data/burgers")`, `Dataset("gs://bucket/burgers")`.

    Opening reads the small files only. Errors of damage name the file; `lagrangian-ml verify DIR` names the command
    that regenerates it. `check=False` opens a data set that has no manifest yet.

    Attributes:
        command: what generates it again.
        recipe: the text of recipe.yaml, complete: it generates the data set again.
        statistics: mean, std, rms and those of one-step differences, by variable; see `data_gen.statistics`.
        manifest: the lines of manifest.jsonl: the header, then one a shard with its sums and quality figures.
    """

    def __init__(self, path: str | Path | ts.KvStore, *, check: bool = True):
        self._store = open_store(path)
        self.path = path.url if isinstance(path, ts.KvStore) else str(path)
        files, self.manifest = self._checked_files() if check else (None, [])
        read = lambda name: self._read(name) if files is None else files.get(name) or self._lost(name)
        about = _parsed(self.path, "zarr.json", read)["attributes"]
        if about.get("format") != manifest.FORMAT:
            raise DatasetError(f"{self.path} is a zarr group of another kind; it is no data set of this package.")
        self.name, self.seed, self._num_samples = about["name"], about["seed"], about["num_samples"]
        self.command = about.get("command", "")
        self.parameters = about.get("parameters", {})
        self.boundary = tuple(_ends(end) for end in about.get("boundary", ()))
        self.recipe = read("recipe.yaml").decode()
        self.statistics = _parsed(self.path, "statistics.json", read) if check else {}
        context = ts.Context({"cache_pool": {"total_bytes_limit": _CACHE}})
        opening = {
            name: self._open(name, _parsed(self.path, f"{name}/zarr.json", read), context)
            for name in (*about["variables"], *about["coordinates"])
        }
        self._arrays = {name: future.result() for name, future in opening.items()}
        self.variables = {name: _variable(name, self._arrays[name]) for name in about["variables"]}
        waiting = {name: self._arrays.pop(name).read() for name in about["coordinates"]}
        self.coordinates = {name: self._result(future) for name, future in waiting.items()}

    def __len__(self) -> int:
        return self._num_samples

    def normaliser(self, variable: str, *, delta: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(mean, std) of a variable, or of its one-step differences, each (c, 1, …) to broadcast over (c, *s).

        A component that never changes has std 1 here, so that dividing by it is safe.
        """
        figures, suffix = self.statistics[self._names([variable])[0]], "_delta" if delta else ""
        if "mean" + suffix not in figures:
            raise ValueError(f"{variable} of {self.name} does not evolve: it has no one-step differences.")
        column = (-1,) + (1,) * sum(axis not in ("t", "component") for axis in self.variables[variable].axes)
        mean, std = (np.asarray(figures[kind + suffix]).reshape(column) for kind in ("mean", "std"))
        return mean, np.where(std > 0, std, 1.0)

    def _start(self, indices: np.ndarray, names: tuple[str, ...], frames: Frames) -> Callable[[], Arrays]:
        def begin(name):
            array = self._arrays[name]
            if frames is None or not self.variables[name].evolving:
                return array.oindex[indices].read()
            return array.oindex[indices, frames].read()

        begun = {name: begin(name) for name in names}
        return lambda: {name: self._result(future) for name, future in begun.items()}

    def _open(self, name, metadata, context):
        """The array, without reading its metadata again: what was checked is what is used."""
        spec = {
            "driver": "zarr3",
            "metadata": metadata,
            "assume_metadata": True,
            "fill_missing_data_reads": False,
            "recheck_cached_data": False,
        }
        return ts.open(spec, kvstore=self._store / f"{name}/", context=context, open=True, read=True)

    def _result(self, future):
        try:
            return future.result()
        except ValueError as error:
            found = re.search(r'"([^"]*/c/[0-9/]+)"', str(error))
            file = found.group(1) if found else f"a chunk of {self.path}"
            if "NOT_FOUND" in str(error):
                reason = "is missing"
            elif any(status in str(error) for status in _OF_THE_STORE):
                reason = f"cannot be read ({str(error).splitlines()[0][:200]})"
            else:
                reason = "is damaged (its checksum does not fit)"
            raise DatasetError(f"{file} {reason}; {self._repair}") from error

    @property
    def _repair(self):
        return f"run `lagrangian-ml verify {shlex.quote(self.path)}`, which says how to regenerate it."

    def _lost(self, name):
        raise DatasetError(f"{self.path}/{name} is missing, or the manifest does not list it; {self._repair}")

    def _read(self, name):
        found = self._store.read(name).result()
        return found.value if found.state == "value" else self._lost(name)

    def _checked_files(self):
        """({small file: its bytes}, the lines of the manifest)."""
        found = self._store.read(manifest.NAME).result()
        if found.state != "value":
            raise DatasetError(missing_manifest(self.path, self._store.read("recipe.yaml").result().state == "value"))
        lines, whole = manifest.parse(found.value)
        if not whole:
            raise DatasetError(f"{self.path}/{manifest.NAME} has changed since it was written; {self._repair}")
        if lines[0].get("version") != manifest.VERSION:
            raise DatasetError(
                f"{self.path} has the version {lines[0].get('version')} of the format; update this package."
            )
        small = [line.get("files", {}) for line in lines if "shard" not in line]
        listed = {name: entry for files in small for name, entry in files.items()}
        begun = {name: self._store.read(name) for name in listed if not name.startswith("figures/")}
        files = {}
        for name, future in begun.items():
            found = future.result()
            files[name] = found.value if found.state == "value" else self._lost(name)
            if manifest.describe(files[name]) != listed[name]:
                raise DatasetError(f"{self.path}/{name} has changed since it was written; {self._repair}")
        return files, lines


def missing_manifest(path: str | Path, begun: bool) -> str:
    """What to tell of a folder without a manifest."""
    if begun:
        command = f"lagrangian-ml generate --out {shlex.quote(str(path))}"
        return f"{path} is unfinished: it has no {manifest.NAME}. `{command}` goes on with it."
    return f"{path} holds no data set: there is neither {manifest.NAME} nor recipe.yaml in it."


def open_store(path: str | Path | ts.KvStore) -> ts.KvStore:
    """The folder or URL (`gs://bucket/folder`, `memory://…`) as a key-value store."""
    if isinstance(path, ts.KvStore):
        return path
    text = str(path)
    if "://" in text:
        return ts.KvStore.open(text.rstrip("/") + "/").result()
    return ts.KvStore.open({"driver": "file", "path": f"{Path(text).absolute()}/"}).result()


def _parsed(path, name, read) -> dict[str, Any]:
    try:
        return json.loads(read(name))
    except ValueError as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path}/{name} is no JSON: {error}.") from None


def _ends(end):
    return (end, end) if isinstance(end, str) else tuple(end)


def _variable(name, array: ts.TensorStore) -> Variable:
    metadata: Mapping[str, Any] = array.spec().to_json()["metadata"]
    axes, about = metadata["dimension_names"][1:], metadata["attributes"]
    return Variable(name, tuple(array.shape[1:]), tuple(axes), about["kind"], "t" in axes)
