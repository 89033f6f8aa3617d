"""The Well's HDF5 files (Ohana et al., NeurIPS 2024, arXiv:2412.00568), as its `docs/data_format.md` states them.

A file holds `dimensions`, `boundary_conditions`, `scalars` and the fields by their rank: `t0_fields` (n, t, *s),
`t1_fields` (n, t, *s, d), `t2_fields` (n, t, *s, d, d), all float32; what does not vary in an axis lacks it. A data
set is a folder with `data/{train,valid,test}` and `stats.yaml` of the training samples; we divide by index 8 : 1 : 1.
"""

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from .. import statistics
from ..read import DatasetError
from ..recipe import Variable
from ..store import SampleStore
from .hdf5 import Contents, at, blocks, components_first, components_last, create, create_axis, taken, written

_FIELDS = ("t0_fields", "t1_fields", "t2_fields")
_KINDS = ("scalar", "vector", "tensor")


def export(store: SampleStore, out: Path) -> list[Path]:
    """Write one file NAME.hdf5, or a folder with the three parts; see `formats.export`."""
    if out.suffix in (".hdf5", ".h5"):
        with written(out) as file:
            _write(file, store, range(len(store)))
        return [out]
    if out.exists():
        raise ValueError(f"{out} exists; remove it, or export to another name.")
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        for part, samples in _parts(len(store)).items():
            with written(temporary / "data" / part / f"{store.name}.hdf5") as file:
                moments = _write(file, store, samples)
            if part == "train":
                _dump(temporary / "stats.yaml", _stats(store, statistics.summarise(moments)))
        _dump(temporary / f"{store.name}.yaml", _about(store))
        os.replace(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(path for path in out.rglob("*") if path.is_file())


def recognises(file: h5py.File) -> bool:
    return "dimensions" in file and any(group in file for group in _FIELDS)


def contents(file: Any, name: str) -> Contents:
    """What a file holds. DatasetError if its arrays do not fit its attributes."""
    axes = [str(axis) for axis in file["dimensions"].attrs["spatial_dims"]]
    coordinates = {axis: np.asarray(file["dimensions"][axis], float) for axis in axes}
    times = file["dimensions"]["time"]
    if times.attrs["sample_varying"]:
        raise DatasetError(f"{file.filename} has other times in every trajectory, which cannot be read here.")
    coordinates["t"] = np.asarray(times, float)
    n = int(file.attrs["n_trajectories"])
    fields = {}
    for rank, group in enumerate(_FIELDS):
        for field in file[group].attrs["field_names"] if group in file else ():
            fields[str(field)] = _field(file[group][field], rank, axes, coordinates, n)
    parameters = {str(key): float(file.attrs[key]) for key in file.attrs["simulation_parameters"]}
    for scalar in file["scalars"].attrs["field_names"] if "scalars" in file else ():
        varies = file["scalars"][scalar].attrs
        if varies["sample_varying"] or varies["time_varying"]:
            fields[str(scalar)] = _field(file["scalars"][scalar], 0, [], coordinates, n)
    if not any(variable.evolving for variable, _ in fields.values()):
        del coordinates["t"]
    return Contents(str(file.attrs["dataset_name"]), n, fields, coordinates, parameters, _boundary(file, axes))


# Writing


def _parts(n):
    """{part: samples}; the last two have at least one sample each where there are three."""
    tenth = max(1, n // 10) if n > 2 else 0
    parts = {"train": range(n - 2 * tenth), "valid": range(n - 2 * tenth, n - tenth), "test": range(n - tenth, n)}
    return {part: samples for part, samples in parts.items() if samples}


def _write(file, store, samples):
    """Write these samples; returns their moments."""
    space = [axis for axis in store.coordinates if axis != "t"]
    about = {"dataset_name": store.name, "grid_type": "cartesian", "n_spatial_dims": len(space)}
    file.attrs.update({**about, "n_trajectories": len(samples)})
    file.attrs["simulation_parameters"] = _names(store.parameters)
    file.attrs.update({name: float(value) for name, value in store.parameters.items()})
    _write_dimensions(file.create_group("dimensions"), store, space)
    _write_boundary(file.create_group("boundary_conditions"), store, space)
    scalars = file.create_group("scalars")
    scalars.attrs["field_names"] = _names(store.parameters)
    for name, value in store.parameters.items():
        _varies(scalars.create_dataset(name, data=np.float32(value)), samples=False, time=False)
    fields = _create_fields(file, store, len(samples), space)
    moments = []
    for part, arrays in blocks(store, samples):
        for name, array in fields.items():
            values = components_last(arrays[name], store.variables[name])
            array[part.start - samples.start : part.stop - samples.start] = values.reshape(len(part), *array.shape[1:])
        single = {name: values.astype(np.float32) for name, values in arrays.items()}
        moments.append(statistics.of_samples(single, [v.name for v in store.variables.values() if v.evolving]))
    return statistics.merge(moments)


def _create_fields(file, store, n, space):
    fields = {}
    groups = [file.create_group(group) for group in _FIELDS]
    for group, kind in zip(groups, _KINDS, strict=True):
        names = [name for name, variable in store.variables.items() if variable.kind == kind]
        group.attrs["field_names"] = _names(names)
        for name in names:
            variable = store.variables[name]
            sizes = [size for size, axis in zip(variable.shape, variable.axes, strict=True) if axis != "component"]
            tensor = (len(space),) * _KINDS.index(kind)
            fields[name] = _varies(create(group, name, (n, *sizes, *tensor), 1), samples=True, time=variable.evolving)
            fields[name].attrs["dim_varying"] = [True] * len(space)
            if kind == "tensor":
                fields[name].attrs.update({"symmetric": False, "antisymmetric": False})
    return fields


def _write_dimensions(group, store, space):
    group.attrs["spatial_dims"] = _names(space)
    _varies(create_axis(group, "time", store.coordinates.get("t", np.zeros(1))), samples=False, time=True)
    for axis in space:
        _varies(create_axis(group, axis, store.coordinates[axis]), samples=False, time=False)


def _write_boundary(group, store, space):
    """A group for each kind of end of each axis, with a mask of the points next to it."""
    for axis, ends in zip(space, _ends(store), strict=True):
        for kind in sorted(set(ends)):
            condition = _varies(group.create_group(f"{axis}_{kind}"), samples=False, time=False)
            condition.attrs["bc_type"] = kind.upper()
            condition.attrs["associated_dims"], condition.attrs["associated_fields"] = _names([axis]), _names([])
            mask = np.zeros(len(store.coordinates[axis]), bool)
            mask[0] |= ends[0] == kind
            mask[-1] |= ends[1] == kind
            condition.create_dataset("mask", data=mask, chunks=mask.shape, fletcher32=True)
            condition.create_dataset("values", (0,), np.float32)  # a kind of end sets no values


def _ends(store):
    """What is at both ends of every axis; open where nobody knows."""
    return store.boundary or (("open", "open"),) * sum(axis != "t" for axis in store.coordinates)


def _varies(node, *, samples, time):
    node.attrs.update({"sample_varying": samples, "time_varying": time})
    return node


def _names(names):
    return np.array(list(names), dtype=h5py.string_dtype())


def _dump(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=True), encoding="utf-8")


def _stats(store, summary):
    """{figure: {field: a number if it is a scalar, else a list over components}}."""
    plain = lambda name, values: values[0] if store.variables[name].kind == "scalar" else values
    figures = [kind + suffix for suffix in ("", "_delta") for kind in ("mean", "std", "rms")]
    return {
        figure: {name: plain(name, entry[figure]) for name, entry in summary.items() if figure in entry}
        for figure in figures
    }


def _about(store):
    """What The Well's own readers would say of the validation part."""
    space = [axis for axis in store.coordinates if axis != "t"]
    names = {kind: {0: [], 1: [], 2: []} for kind in ("field_names", "constant_field_names")}
    for name, variable in store.variables.items():
        rank = _KINDS.index(variable.kind)
        indices = map("".join, itertools.product(space, repeat=rank))
        listed = names["field_names" if variable.evolving else "constant_field_names"][rank]
        listed += [f"{name}_{index}" if rank else name for index in indices]
    parts = _parts(len(store))
    return {
        "dataset_name": store.name,
        "grid_type": "cartesian",
        "n_spatial_dims": len(space),
        "spatial_resolution": [len(store.coordinates[axis]) for axis in space],
        "scalar_names": [],
        "constant_scalar_names": list(store.parameters),
        **names,
        "boundary_condition_types": sorted({end.upper() for ends in _ends(store) for end in ends}),
        "n_files": 1,
        "n_trajectories_per_file": [len(parts.get("valid", parts["train"]))],
        "n_steps_per_trajectory": [len(store.coordinates.get("t", [0]))],
    }


# Reading


def _field(array, rank, axes, coordinates, n):
    """(Variable, read) of one field: what it does not vary in is repeated, so that every sample has the full shape."""
    samples, evolving = bool(array.attrs["sample_varying"]), bool(array.attrs["time_varying"])
    dims = array.attrs.get("dim_varying", [True] * len(axes))
    times = (len(coordinates["t"]),) if evolving else ()
    space = tuple(len(coordinates[axis]) for axis in axes)
    thin = tuple(size if varies else 1 for size, varies in zip(space, dims, strict=True))
    tensor = (len(axes),) * rank
    there = [size for size, varies in zip(space, dims, strict=True) if varies]
    stored = (*([n] * samples), *times, *there, *tensor)
    if array.shape != stored:
        raise DatasetError(f"{array.name} of {array.file.filename} is {array.shape}; its attributes say {stored}.")
    width = len(axes) ** rank
    variable = Variable(
        array.name.rpartition("/")[2],
        (*times, width, *space),
        (*(("t",) if evolving else ()), "component", *axes),
        _KINDS[rank],  # pyright: ignore[reportArgumentType]  (recipes have no tensors)
        evolving,
    )

    def read(index, frames):
        where = at(index, frames) if samples else at(index, frames)[1:]
        values = taken(array[where] if where else array[()], frames)
        values = values.reshape(*values.shape[: len(times)], *thin, width)
        return components_first(np.broadcast_to(values, (*values.shape[: len(times)], *space, width)), evolving)

    return variable, read


def _boundary(file, axes):
    """What the masks say of both ends of every axis; an end that none of them names is open."""
    ends = {axis: ["open", "open"] for axis in axes}
    for condition in file["boundary_conditions"].values() if "boundary_conditions" in file else ():
        dims = [str(dim) for dim in np.atleast_1d(condition.attrs["associated_dims"])]
        mask = np.asarray(condition["mask"])
        if len(dims) == 1 and dims[0] in ends and mask.ndim == 1:
            for side, there in ((0, mask[0]), (1, mask[-1])):
                if there:
                    ends[dims[0]][side] = str(condition.attrs["bc_type"]).lower()
    return tuple((lower, upper) for lower, upper in ends.values())
