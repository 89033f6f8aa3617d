"""Exports read back exactly, pass the checks of the format's own tools, and are whole or absent; readers are strict."""

import json

import h5py
import numpy as np
import pytest
import toy_datasets as toy
import yaml

from data_gen.feed import source
from data_gen.formats import export, open_file
from data_gen.formats import hdf5 as shared
from data_gen.read import Dataset, DatasetError

NAMES = {"well": ["all.hdf5"], "pdebench": ["arrays.hdf5", "groups.h5"]}
TABLE = [(content, format, name) for content in toy.CONTENTS for format, names in NAMES.items() for name in names]
UNFIT = {("mixed", "arrays.hdf5"), ("mixed", "groups.h5")}
FITTING = [row for row in TABLE if (row[0], row[2]) not in UNFIT]


def made(tmp_path, content):
    """(the data set, its arrays in single precision)"""
    arrays = toy.write(tmp_path / "set", content)
    return Dataset(tmp_path / "set"), {name: array.astype("float32") for name, array in arrays.items()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32


@pytest.mark.parametrize("content, format, name", FITTING)
def test_an_export_reads_back_exactly(tmp_path, content, format, name):
    data, arrays = made(tmp_path, content)
    assert export(data, format, tmp_path / name) == [tmp_path / name]
    file = open_file(tmp_path / name)
    assert (file.format, file.name, len(file)) == (format, data.name, len(data))
    assert file.parameters == data.parameters and file.variables == data.variables
    same(file.read(range(len(data))), arrays)
    for axis, points in data.coordinates.items():
        np.testing.assert_array_equal(file.coordinates[axis], points.astype("float32"))
    for frames in (slice(1, 3), [2, 0]):
        expected = {k: a[[3, 0]][:, frames] if data.variables[k].evolving else a[[3, 0]] for k, a in arrays.items()}
        if "t" in data.coordinates:
            same(file.read([3, 0], frames=frames), expected)
    if format == "well":
        assert file.boundary == data.boundary


@pytest.mark.parametrize("content, format, name", FITTING[:3])
def test_a_file_is_read_in_batches_like_a_data_set(tmp_path, content, format, name):
    data, _ = made(tmp_path, content)
    export(tmp_path / "set", format, tmp_path / name)
    for found, expected in zip(open_file(tmp_path / name).batches(4, seed=3), data.batches(4, seed=3), strict=True):
        same(found, expected)
    assert source(tmp_path / name, 4).num_samples == len(data)


# The Well's own rules, restated from docs/data_format.md and scripts/check_thewell_formatting.py


def check_node(file, node, expected_shape, *, rank=None):
    for attribute in ("sample_varying", "time_varying"):
        assert isinstance(node.attrs[attribute], bool | np.bool_)
    lead = [int(file.attrs["n_trajectories"])] * int(node.attrs["sample_varying"])
    lead += [len(file["dimensions/time"])] * int(node.attrs["time_varying"])
    if rank is not None:
        varying = node.attrs["dim_varying"]
        assert len(varying) == file.attrs["n_spatial_dims"]
        sizes = [len(file["dimensions"][dim]) for dim in file["dimensions"].attrs["spatial_dims"]]
        expected_shape = [n for n, varies in zip(sizes, varying) if varies] + [len(sizes)] * rank
    array = node if isinstance(node, h5py.Dataset) else node["mask"]
    assert list(array.shape) == lead + list(expected_shape)
    assert array.dtype == (np.float32 if array is node else bool)


def check_well(path):
    with h5py.File(path, "r") as file:
        for name in ("dataset_name", "grid_type"):
            assert isinstance(file.attrs[name], str)
        for name in ("n_spatial_dims", "n_trajectories"):
            assert isinstance(file.attrs[name], int | np.integer)
        for name in file.attrs["simulation_parameters"]:
            assert isinstance(name, str) and name in file.attrs and name in file["scalars"]
        dims = file["dimensions"].attrs["spatial_dims"]
        assert len(dims) == file.attrs["n_spatial_dims"] and all(isinstance(dim, str) for dim in dims)
        check_node(file, file["dimensions/time"], [])
        for dim in dims:  # their own length is not stated anywhere else
            check_node(file, file["dimensions"][dim], file["dimensions"][dim].shape)
            assert file["dimensions"][dim].ndim == 1
        for rank in range(3):
            group = file[f"t{rank}_fields"]
            assert set(group) == set(group.attrs["field_names"])
            for field in group.attrs["field_names"]:
                check_node(file, group[field], None, rank=rank)
        assert set(file["scalars"]) == set(file["scalars"].attrs["field_names"])
        for scalar in file["scalars"].values():
            check_node(file, scalar, [])
        for name, condition in file["boundary_conditions"].items():
            assert condition.attrs["bc_type"] in ("PERIODIC", "WALL", "OPEN")
            assert condition.attrs["bc_type"].lower() in name
            assert all(
                isinstance(dim, str) and dim in dims and dim in name for dim in condition.attrs["associated_dims"]
            )
            assert isinstance(condition.attrs["associated_fields"], np.ndarray)
            check_node(file, condition, [len(file["dimensions"][dim]) for dim in condition.attrs["associated_dims"]])


@pytest.mark.parametrize("content", toy.CONTENTS)
def test_an_export_for_the_well_keeps_its_rules(tmp_path, content):
    data, arrays = made(tmp_path, content)
    files = export(data, "well", tmp_path / "well")
    parts = {path.parent.name: path for path in files if path.suffix == ".hdf5"}
    assert list(parts) == ["test", "train", "valid"] and {path.name for path in parts.values()} == {f"{data.name}.hdf5"}
    read = {part: open_file(path).read(range(len(open_file(path)))) for part, path in parts.items()}
    for path in parts.values():
        check_well(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.concatenate([read[p][name] for p in ("train", "valid", "test")]), array)
    stats = yaml.safe_load((tmp_path / "well" / "stats.yaml").read_text())
    assert set(stats) == {"mean", "std", "rms", "mean_delta", "std_delta", "rms_delta"}
    for name, variable in data.variables.items():
        values = read["train"][name].astype(float)
        parts = {"": values} | ({"_delta": np.diff(values, axis=1)} if variable.evolving else {})
        for suffix, part in parts.items():
            part = np.moveaxis(part, 1 + variable.axes.index("component"), -1).reshape(
                -1, len(np.atleast_1d(stats["mean"][name]))
            )
            for figure, wanted in (("mean", part.mean(0)), ("std", part.std(0)), ("rms", np.sqrt((part**2).mean(0)))):
                found = stats[figure + suffix][name]
                assert isinstance(found, float) == (variable.kind == "scalar")
                np.testing.assert_allclose(np.atleast_1d(found), wanted, rtol=1e-12, atol=1e-14)
    about = yaml.safe_load((tmp_path / "well" / f"{data.name}.yaml").read_text())
    assert about["spatial_resolution"] == [len(data.coordinates[axis]) for axis in "xyz" if axis in data.coordinates]


# Files of others, made by hand as their generators make them


def numbers(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype("float32")


def write_file(path, arrays, **attributes):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.attrs.update(attributes)


COORDINATES = {"x-coordinate": np.arange(8.0), "t-coordinate": np.arange(6.0)}  # one time more than frames


def test_pdebench_scalar_arrays_are_read(tmp_path):
    u = numbers(3, 5, 8)
    write_file(tmp_path / "1D_Advection_Sols_beta0.4.hdf5", {"tensor": u, **COORDINATES}, beta=0.4)
    file = open_file(tmp_path / "1D_Advection_Sols_beta0.4.hdf5")
    same(file.read([0, 1, 2]), {"tensor": u[:, :, None]})
    assert file.parameters == {"beta": 0.4} and len(file.coordinates["t"]) == 5
    assert file.name == "1D_Advection_Sols_beta0.4"


def test_pdebench_darcy_flow_is_read(tmp_path):
    nu, p = numbers(3, 6, 8), numbers(3, 1, 6, 8)
    places = {"x-coordinate": np.arange(6.0), "y-coordinate": np.arange(8.0)}
    write_file(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5", {"nu": nu, "tensor": p, **places}, beta=1.0)
    file = open_file(tmp_path / "2D_DarcyFlow_beta1.0_Train.hdf5")
    same(file.read(range(3)), {"nu": nu[:, None], "tensor": p})
    assert not any(variable.evolving for variable in file.variables.values()) and set(file.coordinates) == {"x", "y"}


def test_pdebench_fluids_are_read(tmp_path):
    arrays = {name: numbers(2, 5, 6, 8) + i for i, name in enumerate(("density", "pressure", "Vx", "Vy"))}
    places = {"x-coordinate": np.arange(6.0), "y-coordinate": np.arange(8.0), "t-coordinate": np.arange(6.0)}
    write_file(tmp_path / "2D_CFD.hdf5", arrays | places, M=0.1, eta=0.01, zeta=0.01)
    file = open_file(tmp_path / "2D_CFD.hdf5")
    velocity = np.stack([arrays["Vx"], arrays["Vy"]], axis=2)
    expected = {"density": arrays["density"][:, :, None], "pressure": arrays["pressure"][:, :, None]}
    same(file.read([0, 1]), expected | {"velocity": velocity})
    assert file.variables["velocity"].kind == "vector"


def write_groups(path, data, grid, names=None):
    arrays = {}
    for name, sample in zip(names or [f"{i:04d}" for i in range(len(data))], data, strict=True):
        arrays |= {f"{name}/data": sample} | {f"{name}/grid/{axis}": points for axis, points in grid.items()}
    write_file(path, arrays)


def test_pdebench_groups_are_read_whatever_the_file_is_called(tmp_path):
    data, grid = numbers(3, 5, 6, 8, 2), {"t": np.arange(5.0), "x": np.arange(6.0), "y": np.arange(8.0)}
    for name in ("2D_diff-react_NA_NA.h5", "renamed.hdf5", "renamed"):
        write_groups(tmp_path / name, data, grid, ["0002", "10000", "0000"])
        file = open_file(tmp_path / name)
        order = [2, 0, 1]  # by number
        same(file.read([0, 1, 2]), {f"data_{c}": data[order][..., c][:, :, None] for c in range(2)})


def test_fields_of_the_well_that_do_not_vary_are_repeated(tmp_path):
    """A vector, a constant coefficient of one axis for all trajectories, a tensor, and a scalar of time."""
    n, t, x, y = 2, 3, 4, 5
    velocity, profile, stress, force = numbers(n, t, x, y, 2), numbers(y), numbers(n, t, x, y, 2, 2), numbers(t)
    with h5py.File(tmp_path / "any.hdf5", "w") as file:
        about = {"dataset_name": "toy", "grid_type": "cartesian", "n_spatial_dims": 2, "n_trajectories": n}
        file.attrs.update({**about, "simulation_parameters": ["Re"], "Re": 100.0})
        for name, size in (("time", t), ("theta", x), ("y", y)):
            file[f"dimensions/{name}"] = np.arange(size, dtype="float32")
            file[f"dimensions/{name}"].attrs["sample_varying"] = False
        file["dimensions"].attrs["spatial_dims"] = ["theta", "y"]
        fields = {
            "t0_fields/profile": (profile, [False, True], False, False),
            "t1_fields/velocity": (velocity, [True, True], True, True),
            "t2_fields/stress": (stress, [True, True], True, True),
            "scalars/force": (force, [], False, True),
        }
        for path, (values, dims, samples, time) in fields.items():
            file[path] = values
            file[path].attrs.update({"dim_varying": dims, "sample_varying": samples, "time_varying": time})
            file[path].parent.attrs["field_names"] = [path.split("/")[1]]
        mask = np.array([True, False, False, True])
        file["boundary_conditions/theta_wall/mask"] = mask
        file["boundary_conditions/theta_wall"].attrs.update({"associated_dims": ["theta"], "bc_type": "WALL"})
    file = open_file(tmp_path / "any.hdf5")
    expected = {
        "profile": np.broadcast_to(profile, (n, 1, x, y)),
        "velocity": np.moveaxis(velocity, -1, 2),
        "stress": np.moveaxis(stress.reshape(n, t, x, y, 4), -1, 2),
        "force": np.broadcast_to(force[:, None], (n, t, 1)),
    }
    same(file.read([0, 1]), expected)
    same(
        file.read([1], frames=[2, 0], variables=["force", "stress"]),
        {k: expected[k][1:, [2, 0]] for k in ("force", "stress")},
    )
    assert file.parameters == {"Re": 100.0} and file.boundary == (("wall", "wall"), ("open", "open"))


# What is refused


@pytest.mark.parametrize(
    "content, format, name, message",
    [
        ("mixed", "pdebench", "out.hdf5", r"holds u, a; .* NAME.h5, or for --format well"),
        ("mixed", "pdebench", "out.h5", "steady variables beside evolving ones"),
        ("burgers", "pdebench", "out", "NAME.hdf5 .* or NAME.h5"),
        ("burgers", "netcdf", "out.nc", "choose pdebench or well"),
        ("burgers", "well", "set", "exists; remove it"),
        ("burgers", "pdebench", "there.h5", "exists; remove it"),
    ],
)
def test_an_export_that_cannot_be_is_refused_and_leaves_nothing(tmp_path, content, format, name, message):
    data, _ = made(tmp_path, content)
    (tmp_path / "there.h5").write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=message):
        export(data, format, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before and (tmp_path / "there.h5").read_text() == "precious"


@pytest.mark.parametrize("format, name", [("well", "well"), ("well", "all.hdf5"), ("pdebench", "groups.h5")])
def test_an_export_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch, format, name):
    data, _ = made(tmp_path, "burgers")
    monkeypatch.setattr(shared, "_BLOCK", 1)  # a sample at a time
    read = data.read
    monkeypatch.setattr(data, "read", lambda part: fail() if 7 in part else read(part))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match="No space left"):
        export(data, format, tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


def fail():
    raise OSError(28, "No space left on device")


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(*names):
    def harm(path):
        with h5py.File(path, "a") as file:
            for name in names:
                del file[name]

    return harm


def shortened(name):
    def harm(path):
        with h5py.File(path, "a") as file:
            values, attributes = file[name][..., :-1], dict(file[name].attrs)
            del file[name]
            file.create_dataset(name, data=values).attrs.update(attributes)

    return harm


@pytest.mark.parametrize(
    "format, name, harm, message",
    [
        ("pdebench", "a.hdf5", lambda path: path.unlink(), "there is no file .*a.hdf5"),
        ("pdebench", "a.hdf5", lambda path: path.write_text("x,u\n0,1\n"), "a.hdf5 is no HDF5 file"),
        ("pdebench", "a.hdf5", cut, "a.hdf5 is damaged"),
        ("pdebench", "a.hdf5", without("tensor"), "in neither format: it holds t-coordinate, x-coordinate"),
        ("pdebench", "a.hdf5", without("x-coordinate"), r"/tensor .* expected \(n, t, x\)"),
        (
            "pdebench",
            "a.hdf5",
            shortened("x-coordinate"),
            r"/tensor .* has the shape \(10, 6, 16\); expected \(10, 6, 15\)",
        ),
        ("pdebench", "a.h5", without("0003/data"), "a.h5 has 9 samples; 10 were written"),
        ("pdebench", "a.h5", without("0003/grid", "0000/grid"), "a.h5 is damaged, or another kind"),
        ("pdebench", "a.h5", shortened("0003/data"), r"/0003/data of .*a.h5 has the shape"),
        ("well", "w.hdf5", without("dimensions"), "in neither format"),
        ("well", "w.hdf5", without("dimensions/time"), "w.hdf5 is damaged, or another kind"),
        ("well", "w.hdf5", without("t0_fields/u"), "w.hdf5 is damaged, or another kind"),
        ("well", "w.hdf5", shortened("t0_fields/u"), r"t0_fields/u of .*w.hdf5 is \(10, 6, 15\); its attributes say"),
    ],
)
def test_a_damaged_or_foreign_file_is_named(tmp_path, format, name, harm, message):
    data, _ = made(tmp_path, "burgers")
    export(data, format, tmp_path / name)
    harm(tmp_path / name)
    with pytest.raises(DatasetError, match=message):
        open_file(tmp_path / name)


@pytest.mark.parametrize("format, name", [("pdebench", "a.hdf5"), ("pdebench", "a.h5"), ("well", "w.hdf5")])
def test_no_flipped_bit_of_an_export_changes_a_number(tmp_path, format, name):
    data, arrays = made(tmp_path, "burgers")
    path = tmp_path / name
    export(data, format, path)
    content = path.read_bytes()
    coordinates = {axis: points.astype("float32") for axis, points in data.coordinates.items()}
    rng, raised = np.random.default_rng(0), 0
    for bit in rng.integers(8 * len(content), size=300):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            file = open_file(path)
            found, points = file.read(range(len(file))), file.coordinates
            file.close()
        except DatasetError as error:
            raised += str(path) in str(error)
            continue
        assert len(found) == 1 and all(
            np.array_equal(*pair) for pair in zip(found.values(), arrays.values(), strict=True)
        )
        assert all(np.array_equal(points[axis], coordinates[axis]) for axis in coordinates)
    assert raised > 50  # what is not covered is space that nobody uses, and names


def test_the_names_of_variables_are_kept_where_pdebench_has_none(tmp_path):
    data, _ = made(tmp_path, "euler 2-D")
    export(data, "pdebench", tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert json.loads(file.attrs["variables"]) == {"density": "scalar", "velocity": "vector", "pressure": "scalar"}
        assert file["0003/data"].shape == (4, 6, 8, 4) and file["0003"].attrs["config"] == toy.RECIPE
