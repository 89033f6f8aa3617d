"""The files of a data set in zarr v3: sharded arrays, coordinates, and the group above them.

TensorStore encodes in memory; the bytes are then written under a temporary name, brought to the disk, and renamed. A
shard file is thus whole or absent, its SHA-256 sum is that of what was encoded, and a full disk is an OSError.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts

from .manifest import FORMAT, PENDING, VERSION, Entry, canonical, describe, write_atomically
from .recipe import AXES, Recipe, Variable

FRAMES_PER_CHUNK, WHOLE_FRAMES = 16, 64  # longer records are cut into chunks of so many frames
SHARD_BYTES, SHARD_SAMPLES = 128 * 2**20, 256
_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_PLAIN = [_BYTES, {"name": "crc32c"}]


@dataclass(frozen=True)
class Plan:
    """How many samples there are, and how many stand in one shard."""

    num_samples: int
    shard_size: int

    @property
    def num_shards(self) -> int:
        return -(-self.num_samples // self.shard_size)

    def samples(self, shard: int) -> range:
        """The indices of the samples in a shard."""
        return range(shard * self.shard_size, min((shard + 1) * self.shard_size, self.num_samples))


def sample_bytes(recipe: Recipe) -> int:
    """The bytes of one sample, all variables together."""
    return sum(math.prod(variable.shape) for variable in recipe.variables) * np.dtype(recipe.dtype).itemsize


def choose_shard_size(recipe: Recipe) -> int:
    """Samples a shard: whole blocks, at most 256 samples and about 128 MB, so that the recipe alone decides it."""
    fitting = min(SHARD_SAMPLES, SHARD_BYTES // sample_bytes(recipe))
    return max(1, fitting // recipe.block) * recipe.block


def shard_files(recipe: Recipe, shard: int) -> dict[str, str]:
    """The path of every variable's file of a shard, within the data set."""
    return {v.name: f"{v.name}/c/{shard}" + "/0" * len(v.shape) for v in recipe.variables}


def write_shard(
    directory: Path, recipe: Recipe, plan: Plan, shard: int, arrays: Mapping[str, np.ndarray], tag: str
) -> dict[str, Entry]:
    """Write the files of a shard from its samples {name: (m, *shape)}; returns what the manifest says of them."""
    files, samples = {}, plan.samples(shard)
    for variable in recipe.variables:
        metadata = _sharded(variable, plan, recipe.dtype)
        key = shard_files(recipe, shard)[variable.name]
        content = _encode(metadata, samples, arrays[variable.name])[key.partition("/")[2]]
        files[key] = describe(content)
        (directory / key).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / key, content, temporary(directory, shard, tag))
    return files


def temporary(directory: Path, shard: int, tag: str) -> Path:
    """Where a shard's file is written before it gets its name; `tag` tells the processes that share a folder apart."""
    return directory / PENDING / f"{shard:06d}.{tag}.tmp"


def array_metadata(recipe: Recipe, plan: Plan) -> dict[str, bytes]:
    """{path: content} of the zarr.json of every variable, and of all of every coordinate."""
    files = {}
    for variable in recipe.variables:
        metadata = _sharded(variable, plan, recipe.dtype)
        files[f"{variable.name}/zarr.json"] = _encode(metadata, range(0), None)["zarr.json"]
    for name, values in coordinates(recipe).items():
        files |= {f"{name}/{key}": content for key, content in _encode(_whole(name, values), None, values).items()}
    return files


def coordinates(recipe: Recipe) -> dict[str, np.ndarray]:
    """Times and places of what is stored."""
    grid, times = recipe.stored_grid, recipe.times
    found = {} if times is None else {"t": np.asarray(times, np.float64)}
    return found | {AXES[i]: np.asarray(grid.axis(i), np.float64) for i in range(grid.dim)}


def group_metadata(recipe: Recipe, attributes: Mapping[str, Any]) -> bytes:
    """The zarr.json of the group; `attributes` are added to the names of variables and coordinates."""
    about = {"format": FORMAT, "version": VERSION, "variables": [v.name for v in recipe.variables]}
    about |= {"coordinates": list(coordinates(recipe)), **attributes}
    return canonical({"zarr_format": 3, "node_type": "group", "attributes": about}).encode()


def _sharded(variable: Variable, plan: Plan, dtype: str):
    shape = list(variable.shape)
    inner, outer = list(shape), list(shape)
    if variable.evolving and shape[0] > WHOLE_FRAMES:
        inner[0] = FRAMES_PER_CHUNK
        outer[0] = -(-shape[0] // FRAMES_PER_CHUNK) * FRAMES_PER_CHUNK
    sharding = {"chunk_shape": [1, *inner], "codecs": _PLAIN, "index_codecs": _PLAIN, "index_location": "end"}
    return _metadata(
        [plan.num_samples, *shape],
        [plan.shard_size, *outer],
        dtype,
        ["sample", *variable.axes],
        {"kind": variable.kind, "evolving": variable.evolving},
        [{"name": "sharding_indexed", "configuration": sharding}],
    )


def _whole(name, values):
    return _metadata(values.shape, values.shape, str(values.dtype), [name], {}, _PLAIN)


def _metadata(shape: Sequence[int], chunk: Sequence[int], dtype, axes, attributes, codecs) -> dict[str, Any]:
    return {
        "shape": list(shape),
        "data_type": dtype,
        "dimension_names": axes,
        "attributes": attributes,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default"},
        "fill_value": 0.0,
        "codecs": codecs,
    }


def _encode(metadata, samples: range | None, values: np.ndarray | None) -> dict[str, bytes]:
    """{key: content} of an array that holds the values at these samples only, or everywhere if they are None."""
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "memory"},
        "metadata": metadata,
        "store_data_equal_to_fill_value": True,  # a chunk that is missing is then always damage
    }
    store = ts.open(spec, create=True, context=ts.Context()).result()
    if values is not None:
        (store if samples is None else store[samples.start : samples.stop]).write(values).result()
    kvstore = store.kvstore
    assert kvstore is not None
    return {key.decode(): kvstore.read(key).result().value for key in kvstore.list().result()}
