"""The manifest of a checkpoint: SHA-256 sums of every file and of every leaf of the state. Where it stands, the
step was saved completely; where its sums hold, what is read is what was saved, bit for bit.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..domains.files import write_atomically

NAME = "manifest.json"


class Damaged(Exception):
    """A checkpoint is not what was saved; the message names the file or leaf."""


def leaves(state: Any) -> dict[str, Any]:
    """The arrays of a state by their path, e.g. ".model.layers[0].weight"."""
    flat, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(state, eqx.is_array))
    return {jax.tree_util.keystr(path): leaf for path, leaf in flat}


def describe(leaf: Any) -> str:
    """Shape and type as shown and compared, e.g. "float64[20, 20]"."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def leaf_sums(state: Any) -> dict[str, list[str]]:
    """For every array its description and the SHA-256 sum of its bytes."""
    return {path: [describe(leaf), _sum(leaf)] for path, leaf in leaves(state).items()}


def write(directory: Path, state: Any) -> None:
    """Write the manifest of a finished step; its files are on the disk before the manifest is."""
    files = {name: _file_sum(directory / name, sync=True) for name in _files(directory)}
    content = {"files": files, "leaves": leaf_sums(state)}
    write_atomically(directory / NAME, json.dumps(content | {"sum": _json_sum(content)}))


def read(directory: Path) -> dict[str, list[str]]:
    """The leaf sums of a step whose files are all as they were saved.

    Raises:
        Damaged: naming the first file that is missing or has changed.
    """
    try:
        content = json.loads((directory / NAME).read_bytes())
        total = content.pop("sum")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{NAME} cannot be read ({type(error).__name__})") from None
    if total != _json_sum(content):
        raise Damaged(f"{NAME} has changed since it was written")
    for name, expected in content["files"].items():
        try:
            found = _file_sum(directory / name)
        except OSError as error:
            raise Damaged(f"{name} cannot be read ({error.strerror})") from None
        if found != expected:
            raise Damaged(f"{name} has changed since it was written")
    return content["leaves"]


def _files(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file() and p.name != NAME)


def _file_sum(path, sync=False):
    with open(path, "rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json_sum(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sum(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return hashlib.sha256(np.ascontiguousarray(leaf).reshape(-1).view(np.uint8).data).hexdigest()
