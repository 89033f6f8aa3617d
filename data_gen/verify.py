"""`lagrangian-ml verify`: whether a data set is, byte for byte, what was written, and how to repair it."""

import concurrent.futures
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tensorstore as ts

from . import manifest
from .read import DatasetError, missing_manifest, open_store
from .target import parse_recipe

_READ_AHEAD = 4  # files that are in memory at once


@dataclass
class Findings:
    """What is wrong with a data set, as sentences; nothing if it is sound."""

    path: str
    num_files: int = 0
    num_shards: int = 0
    damaged: list[str] = field(default_factory=list)  # "u/c/3/0/0/0 has changed (samples 48 … 63)"
    foreign: list[str] = field(default_factory=list)
    command: str | None = None  # what repairs it

    @property
    def sound(self) -> bool:
        return not self.damaged and not self.foreign


def verify(path: str | Path) -> Findings:
    """Compare every file of a data set with its manifest: sizes, SHA-256 sums, what is missing and what is foreign.

    Raises:
        DatasetError: if there is no data set, or one that is unfinished.
    """
    if Path(path).is_file():
        raise DatasetError(f"{path} is a file; a data set is a folder.")
    store, findings = open_store(path), Findings(str(path))
    present = {name for key in store.list().result() if not _is_hidden(name := key.decode())}
    if manifest.NAME not in present:
        raise DatasetError(missing_manifest(path, "recipe.yaml" in present))
    entries, whole = manifest.parse(_content(store, manifest.NAME))
    if not whole:
        findings.damaged.append(f"{manifest.NAME} has changed; what its damaged lines were of is made anew")
    expected, samples = {}, {}
    for entry in entries:
        expected |= entry.get("files", {})
        if "samples" in entry:
            first, last = entry["samples"]
            samples |= dict.fromkeys(entry["files"], f"samples {first} … {last - 1}")
    findings.num_files, findings.num_shards = len(expected) + 1, sum("shard" in entry for entry in entries)

    def check(name: str) -> str | None:
        if name not in present:
            return "is missing"
        if manifest.describe(_content(store, name)) != expected[name]:
            return "has changed"
        return None

    with concurrent.futures.ThreadPoolExecutor(_READ_AHEAD) as pool:
        for name, wrong in zip(expected, pool.map(check, expected), strict=True):
            if wrong is not None:
                told = f" ({samples[name]})" if name in samples else ""
                findings.damaged.append(f"{name} {wrong}{told}")
    findings.foreign = sorted(present - set(expected) - {manifest.NAME}) if whole else []
    if not findings.sound:
        findings.command = _command(store, path, present, expected)
    return findings


def _command(store: ts.KvStore, path, present, expected: Mapping[str, manifest.Entry]) -> str:
    """`generate --out DIR` if recipe.yaml is sound; else as zarr.json spells it, or as much of it as is known."""
    where = f"--out {shlex.quote(str(path))}"
    if "recipe.yaml" in present and parse_recipe(_content(store, "recipe.yaml")) is not None:
        return f"lagrangian-ml generate {where}"
    spelled = "lagrangian-ml generate dataset=… num_samples=… seed=… --out DIR"
    about = _content(store, "zarr.json")
    if manifest.describe(about) == expected.get("zarr.json"):
        spelled = json.loads(about)["attributes"].get("command", spelled)
    return spelled.removesuffix("--out DIR") + where


def _content(store: ts.KvStore, name: str) -> bytes:
    found = store.read(name).result()
    return found.value if found.state == "value" else b""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split(os.sep))
