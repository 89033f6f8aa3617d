"""PDEBench's HDF5 files (Takamoto et al., NeurIPS 2022, arXiv:2210.07182), in the two layouts that its readers know.

Arrays, NAME.hdf5: `tensor` (n, t, *s), for Darcy flow `tensor` (n, 1, *s) with `nu` (n, *s), or `density`, `pressure`,
`Vx`, `Vy`, `Vz` (n, t, *s); `x-coordinate` …, and `t-coordinate` with one entry more than there are frames.
Groups, NAME.h5: for every sample a group 0000, 0001, … with `data` (t, *s, c), `grid/x` …, `grid/t`, and its
configuration as the attribute `config`. What is ours: the names of variables and the equation's numbers, as
attributes that its readers do not look at. Layouts are told apart by what is in a file, never by its name.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..read import DatasetError
from ..recipe import AXES, Variable
from ..store import SampleStore
from .hdf5 import Contents, at, blocks, components_first, components_last, create, create_axis, taken, written

_FLUID = ("density", "pressure")
_VELOCITY = ("Vx", "Vy", "Vz")


def export(store: SampleStore, out: Path) -> list[Path]:
    """Write NAME.hdf5 or NAME.h5; see `formats.export`."""
    writers = {".hdf5": _write_arrays, ".h5": _write_groups}
    if out.suffix not in writers:
        raise ValueError(f"{out}: PDEBench's files are called NAME.hdf5 (arrays) or NAME.h5 (a group a sample).")
    plan = _plan(store) if out.suffix == ".hdf5" else _one_table(store)
    with written(out) as file:
        file.attrs.update({"name": store.name, **store.parameters})
        writers[out.suffix](store, file, plan)
    return [out]


def recognises(file: h5py.File) -> bool:
    return "tensor" in file or "density" in file or bool(_groups(file))


def contents(file: h5py.File, name: str) -> Contents:
    """What a file holds. DatasetError if its arrays do not fit together."""
    numbers = {key: float(value) for key, value in file.attrs.items() if key != "num_samples" and _is_number(value)}
    about = {"name": str(file.attrs.get("name", name)), "parameters": numbers}
    return _read_groups(file, about) if _groups(file) else _read_arrays(file, about)


# Arrays


def _plan(store):
    """{array of the file: (variable, component)}. ValueError if this layout has no place for the variables."""
    variables = list(store.variables.values())
    evolving = {variable.evolving for variable in variables}
    width = lambda variable: variable.shape[variable.axes.index("component")]
    names = {variable.name for variable in variables}
    if "density" in names and names <= {*_FLUID, "velocity"} and evolving == {True}:
        plan = {name: (name, 0) for name in _FLUID if name in names}
        components = range(width(store.variables["velocity"])) if "velocity" in names else ()
        return plan | {_VELOCITY[c]: ("velocity", c) for c in components}
    if [width(variable) for variable in variables] == [1] and evolving == {True}:
        return {"tensor": (variables[0].name, 0)}
    if [width(variable) for variable in variables] == [1, 1] and evolving == {False}:
        return {"nu": (variables[0].name, 0), "tensor": (variables[1].name, 0)}
    raise ValueError(
        f"{store.name} holds {', '.join(store.variables)}; NAME.hdf5 has a place for one evolving scalar, for a steady "
        "scalar and its solution, or for density, velocity and pressure. Export to NAME.h5, or for --format well."
    )


def _write_arrays(store, file, plan):
    n, arrays = len(store), {}
    for array, (name, _) in plan.items():
        variable = store.variables[name]
        shape = [size for size, axis in zip(variable.shape, variable.axes, strict=True) if axis != "component"]
        lead = () if variable.evolving or array == "nu" else (1,)
        arrays[array] = create(file, array, (n, *lead, *shape), 1)
        arrays[array].attrs["variable"] = name
    for axis, points in store.coordinates.items():
        create_axis(file, f"{axis}-coordinate", _one_more(points) if axis == "t" else points)
    for part, samples in blocks(store, range(n)):
        for array, (name, component) in plan.items():
            values = components_last(samples[name], store.variables[name])[..., component]
            arrays[array][part.start : part.stop] = values.reshape(len(part), *arrays[array].shape[1:])


def _one_more(times):
    """t-coordinate ends one step after the last frame."""
    return np.append(times, 2 * times[-1] - times[-2] if len(times) > 1 else times[-1] + 1)


def _read_arrays(file, about):
    axes = [axis for axis in AXES if f"{axis}-coordinate" in file]
    main = file["tensor" if "tensor" in file else "density"]
    if not axes or main.ndim != 2 + len(axes):
        raise _misfit(file, main, f"(n, t, {', '.join(axes) or 'x'}), with a coordinate for every axis of space")
    evolving = "nu" not in file and "t-coordinate" in file
    coordinates = {axis: np.asarray(file[f"{axis}-coordinate"], float) for axis in axes}
    if evolving:
        coordinates["t"] = np.asarray(file["t-coordinate"], float)[: main.shape[1]]
    space = tuple(len(coordinates[axis]) for axis in axes)
    known = [["nu"], ["tensor"]] if "tensor" in file else [*([name] for name in _FLUID), list(_VELOCITY)]
    fields = {}
    for arrays in ([file[name] for name in names if name in file] for names in known):
        for array in arrays:
            lead = () if array.name == "/nu" else (len(coordinates["t"]) if evolving else 1,)
            if array.shape != (len(main), *lead, *space):
                raise _misfit(file, array, (len(main), *lead, *space))
        if arrays:
            variable, read = _field(arrays, evolving, axes)
            fields[variable.name] = variable, read
    return Contents(num_samples=len(main), fields=fields, coordinates=coordinates, **about)


def _misfit(file, array, expected):
    return DatasetError(f"{array.name} of {file.filename} has the shape {array.shape}; expected {expected}.")


def _field(arrays, evolving, axes):
    """(Variable, read) of the components of one variable."""
    vector = arrays[0].name in {f"/{v}" for v in _VELOCITY}
    name = str(arrays[0].attrs.get("variable", "velocity" if vector else arrays[0].name.strip("/")))
    space = arrays[0].shape[-len(axes) :]
    time = (arrays[0].shape[1],) if evolving else ()
    shape, named = (*time, len(arrays), *space), (*(["t"] * evolving), "component", *axes)

    def read(index, frames):
        parts = [taken(array[at(index, frames)], frames) for array in arrays]
        return np.stack([part.reshape(part.shape[: len(time)] + space) for part in parts], axis=len(time))

    return Variable(name, shape, named, "vector" if vector else "scalar", evolving), read


# Groups


def _one_table(store):
    """The variables in their order: they must all evolve, or all be steady, to stand in one array."""
    if len({variable.evolving for variable in store.variables.values()}) > 1:
        raise ValueError(f"{store.name} has steady variables beside evolving ones, which PDEBench's files cannot hold.")
    return list(store.variables)


def _write_groups(store, file, names):
    file.attrs["num_samples"] = len(store)
    file.attrs["variables"] = json.dumps({name: store.variables[name].kind for name in names})
    config, digits = getattr(store, "recipe", ""), max(4, len(str(len(store) - 1)))
    for part, samples in blocks(store, range(len(store))):
        for k, index in enumerate(part):
            group = file.create_group(f"{index:0{digits}d}")
            group.attrs["config"] = config
            fields = [components_last(samples[name][k : k + 1], store.variables[name])[0] for name in names]
            if "t" not in store.coordinates:
                fields = [field[None] for field in fields]
            create_axis(group, "data", np.concatenate(fields, axis=-1))
            for axis, points in store.coordinates.items():
                create_axis(group, f"grid/{axis}", points)


def _groups(file):
    names = [name for name in file if name.isdigit() and isinstance(file[name], h5py.Group) and "data" in file[name]]
    return sorted(names, key=int)


def _read_groups(file, about):
    groups = _groups(file)
    if len(groups) != file.attrs.get("num_samples", len(groups)):
        raise DatasetError(f"{file.filename} has {len(groups)} samples; {file.attrs['num_samples']} were written.")
    grid = file[groups[0]]["grid"]
    evolving, axes = "t" in grid, [axis for axis in AXES if axis in grid]
    coordinates = {axis: np.asarray(grid[axis], float) for axis in [*axes, *(["t"] * evolving)]}
    shape = file[groups[0]]["data"].shape
    expected = (len(coordinates["t"]) if evolving else 1, *(len(coordinates[axis]) for axis in axes))
    different = [name for name in groups if file[name]["data"].shape != shape]
    if shape[:-1] != expected or different:
        wrong = (different or groups)[0]
        raise _misfit(file, file[wrong]["data"], (*expected, shape[-1]))
    fields, start = {}, 0
    for name, kind in _named(file, shape[-1]).items():
        width = len(axes) if kind == "vector" else 1
        named = (*(["t"] * evolving), "component", *axes)
        variable = Variable(name, (*expected[: int(evolving)], width, *expected[1:]), named, kind, evolving)
        fields[name] = variable, _group_reader(file, groups, slice(start, start + width), evolving)
        start += width
    if start != shape[-1]:
        raise DatasetError(f"{file.filename} has {shape[-1]} components; its attribute `variables` names {start}.")
    return Contents(num_samples=len(groups), fields=fields, coordinates=coordinates, **about)


def _group_reader(file, groups, components, evolving):
    def read(index, frames):
        data = file[groups[index]]["data"][..., components]
        return components_first(data[frames] if evolving else data[0], evolving)

    return read


def _named(file, num_components) -> dict[str, Any]:
    if "variables" in file.attrs:
        return json.loads(str(file.attrs["variables"]))
    return {f"data_{c}" if num_components > 1 else "data": "scalar" for c in range(num_components)}


def _is_number(value):
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
