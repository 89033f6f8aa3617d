"""Small data sets with known values, written here by hand in the layout of data_gen: what its readers are tested on."""

import json
from pathlib import Path

import numpy as np
import tensorstore as ts

from data_gen import manifest, statistics

SEED, SHARD = 7, 4
CRC = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
RECIPE = "_target_: data_gen.recipe.Evolution\nequation:\n  viscosity: 0.01\n"


def values(shape, seed=0, dtype="float32"):
    """Smooth in the last axes, different in every sample."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape)
    for axis in range(1, len(shape)):
        if shape[axis] > 3:
            noise = noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)
    return noise.astype(dtype)


# name: ({variable: (values, kind)}, axes of space); evolving where there is an axis t
def burgers(n=10):
    return {"u": (values((n, 6, 1, 16)), "scalar", "tcx")}, {"parameters": {"viscosity": 0.01}}


def darcy(n=6):
    a = np.where(values((n, 1, 8, 8)) > 0, 12, 3).astype("float32")
    return {"a": (a, "scalar", "cxy"), "p": (values((n, 1, 8, 8), 1), "scalar", "cxy")}, {"boundary": ["wall", "wall"]}


def euler(n=5, dim=1):
    space = "xyz"[:dim]
    s = (12,) if dim == 1 else (6, 8)
    fields = {"density": "scalar", "velocity": "vector", "pressure": "scalar"}
    return {
        name: (values((n, 4, dim if kind == "vector" else 1, *s), i), kind, "tc" + space)
        for i, (name, kind) in enumerate(fields.items())
    }, {"boundary": [["open", "wall"]] + ["periodic"] * (dim - 1), "parameters": {"gamma": 1.4}}


def mixed(n=5):
    """An evolving field with a steady one beside it, in double precision."""
    return {
        "u": (values((n, 3, 1, 8), 2, "float64"), "scalar", "tcx"),
        "a": (values((n, 1, 8), 3, "float64"), "scalar", "cx"),
    }, {}


CONTENTS = {"burgers": burgers, "darcy": darcy, "euler": euler, "euler 2-D": lambda: euler(dim=2), "mixed": mixed}
NAMES = {"c": "component"}


def write(directory: Path, content: str) -> dict[str, np.ndarray]:
    """Write the data set and return its arrays, {variable: (n, [t,] c, *s)}."""
    fields, about = CONTENTS[content]()
    directory.mkdir(parents=True)
    arrays = {name: array for name, (array, _, _) in fields.items()}
    sizes = {axis: size for array, _, axes in fields.values() for axis, size in zip(axes, array.shape[1:])}
    coordinates = {axis: np.linspace(0, 1, n, endpoint=False) for axis, n in sizes.items() if axis != "c"}
    n = len(next(iter(arrays.values())))
    for name, (array, kind, axes) in fields.items():
        _write_array(directory / name, array, ["sample", *(NAMES.get(a, a) for a in axes)], {"kind": kind})
    for axis, points in coordinates.items():
        _write_coordinate(directory / axis, points, axis)
    space = [axis for axis in coordinates if axis != "t"]
    attributes = {
        "format": manifest.FORMAT,
        "version": 1,
        "name": content.replace(" ", "_"),
        "num_samples": n,
        "seed": SEED,
        "variables": list(arrays),
        "coordinates": list(coordinates),
        "boundary": ["periodic"] * len(space),
        "parameters": {},
    } | about
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    (directory / "zarr.json").write_text(json.dumps(group))
    (directory / "recipe.yaml").write_text(RECIPE)
    evolving = [name for name, (_, _, axes) in fields.items() if "t" in axes]
    moments = [
        statistics.of_samples({name: a[i : i + SHARD] for name, a in arrays.items()}, evolving)
        for i in range(0, n, SHARD)
    ]
    summary = statistics.summarise(statistics.merge(moments))
    (directory / "statistics.json").write_text(statistics.to_json(summary))
    write_manifest(directory, n, arrays, moments)
    return arrays


def write_manifest(directory, n, arrays, moments):
    about = {"format": manifest.FORMAT, "version": 1, "num_samples": n, "seed": SEED, "num_shards": len(moments)}
    files = {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}
    entries = {name: manifest.describe(content) for name, content in files.items() if name != manifest.NAME}
    shards = []
    for k, moment in enumerate(moments):
        names = [name for name in entries if name.startswith(tuple(f"{variable}/c/{k}/" for variable in arrays))]
        shards.append({"shard": k, "files": {name: entries.pop(name) for name in sorted(names)}, "moments": moment})
    manifest.write(directory, about, shards, entries)


def _write_array(path, array, axes, attributes):
    inner = [1, *array.shape[1:]]
    sharding = {"chunk_shape": inner, "codecs": CRC, "index_codecs": CRC, "index_location": "end"}
    codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    store = _create(path, array, [SHARD, *array.shape[1:]], codecs, axes, attributes)
    for i in range(0, len(array), SHARD):
        store[i : min(i + SHARD, len(array))].write(array[i : i + SHARD]).result()


def _write_coordinate(path, points, axis):
    _create(path, points, [len(points)], CRC, [axis], {}).write(points).result()


def _create(path, array, chunks, codecs, axes, attributes):
    grid = {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}
    metadata = {
        "shape": list(array.shape),
        "data_type": str(array.dtype),
        "chunk_grid": grid,
        "codecs": codecs,
        "dimension_names": axes,
        "attributes": attributes,
    }
    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path}/"}, "metadata": metadata}
    return ts.open(spec | {"store_data_equal_to_fill_value": True}, create=True).result()
