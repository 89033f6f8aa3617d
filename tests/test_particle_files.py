"""Particles as files and pictures: what is written is read back by small readers, pictures have their frames."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lagrangian_ml.linalg.components import Vector
from lagrangian_ml.particles.export import load_npz, save_npz, save_ply, save_vtk
from lagrangian_ml.plots import animate_particles, particles_figure, save_particle_stills


def particles(d, p=9):
    rng = np.random.default_rng(d)
    return SimpleNamespace(
        x=rng.uniform(size=(p, d)),
        v=rng.normal(size=(p, d)),
        F=np.eye(d) + 0.1 * rng.normal(size=(p, d, d)),
        mass=rng.uniform(size=p),
        material=np.arange(p, dtype=np.int32) % 3,
        alive=np.arange(p) != 4,
    )


def expected(state):
    """What viewers are shown: the living, in three dimensions and single precision."""
    alive, pad = state.alive, ((0, 0), (0, 3 - state.x.shape[1]))
    x, v = (np.pad(a, pad)[alive].astype(np.float32) for a in (state.x, state.v))
    return x, v, np.linalg.det(state.F)[alive].astype(np.float32), state.material[alive]


def read_vtk(path):
    """{name: array} of a legacy VTK file."""
    data, at, found = path.read_bytes(), 0, {}

    def line():
        nonlocal at
        end = data.index(b"\n", at)
        text, at = data[at:end].decode(), end + 1
        return text

    assert line() == "# vtk DataFile Version 3.0" and line().endswith("particles")
    binary = {"BINARY": True, "ASCII": False}[line()]
    assert line() == "DATASET POLYDATA"

    def numbers(rows, columns, kind):
        nonlocal at
        if not binary:
            return np.array([line().split() for _ in range(rows)], {"i": int, "f": float}[kind]).reshape(rows, columns)
        array = np.frombuffer(data, f">{kind}4", rows * columns, at).reshape(rows, columns)
        at += array.nbytes + 1
        return array

    while at < len(data):
        word, *rest = line().split()
        if word == "POINTS":
            n = int(rest[0])
            found[word] = numbers(n, 3, "f")
        elif word == "VERTICES":
            assert int(rest[1]) == 2 * n
            found[word] = numbers(n, 2, "i")
        elif word == "POINT_DATA":
            assert int(rest[0]) == n
        elif word == "VECTORS":
            found[rest[0]] = numbers(n, 3, "f")
        else:
            assert word == "SCALARS" and line() == "LOOKUP_TABLE default"
            found[rest[0]] = numbers(n, 1, rest[1][0])[:, 0]
    return found


def read_ply(path):
    header, body = path.read_bytes().split(b"end_header\n", 1)
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    fields = re.findall(r"property (\w+) (\w+)", header.decode())
    rows = np.frombuffer(body, [(name, {"int": "<i4", "float": "<f4"}[kind]) for kind, name in fields])
    assert len(rows) == int(re.search(r"element vertex (\d+)", header.decode())[1])
    return rows


@pytest.mark.parametrize("ascii", [False, True], ids=["binary", "ascii"])
@pytest.mark.parametrize("d", [2, 3])
def test_vtk_is_read_back(d, ascii, tmp_path):
    state = particles(d)
    found = read_vtk(save_vtk(tmp_path / "new" / "a.vtk", state, ascii=ascii))
    x, v, J, material = expected(state)
    np.testing.assert_array_equal(found["VERTICES"], [[1, i] for i in range(8)])
    for name, array in {"POINTS": x, "velocity": v, "J": J, "material": material}.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-7 if ascii else 0)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.vtk"]  # no temporary file is left


@pytest.mark.parametrize("d", [2, 3])
def test_ply_is_read_back(d, tmp_path):
    state = particles(d)
    rows = read_ply(save_ply(tmp_path / "a.ply", state))
    x, v, J, material = expected(state)
    assert rows.dtype.names == ("x", "y", "z", "vx", "vy", "vz", "J", "material")
    np.testing.assert_array_equal(np.stack([rows[name] for name in "xyz"], axis=1), x)
    np.testing.assert_array_equal(np.stack([rows[f"v{name}"] for name in "xyz"], axis=1), v)
    np.testing.assert_array_equal(rows["J"], J)
    np.testing.assert_array_equal(rows["material"], material)
    bare = read_ply(save_ply(tmp_path / "b.ply", SimpleNamespace(x=state.x)))
    assert bare.dtype.names == ("x", "y", "z") and len(bare) == 9


def test_npz_is_read_back_to_the_last_bit(tmp_path):
    state = particles(2)
    found = load_npz(save_npz(tmp_path / "a.npz", state, t=0.5))
    assert found.keys() == {*vars(state), "t"} and found["t"] == 0.5
    for name, array in vars(state).items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    history = SimpleNamespace(**{name: np.stack([array, array]) for name, array in vars(state).items()})
    found = load_npz(save_npz(tmp_path / "a.npz", history, t=[0.0, 1.0]))
    assert found["x"].shape == (2, 9, 2) and found["F"].shape == (2, 9, 2, 2) and found["t"].shape == (2,)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = save_ply(tmp_path / "a.ply", particles(2))
    old = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        save_ply(path, particles(3))
    assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]


def test_what_does_not_fit_in_a_file_is_told(tmp_path):
    state, p = particles(2), tmp_path
    several = SimpleNamespace(x=state.x[None])
    with pytest.raises(ValueError, match="one file for each time"):
        save_vtk(p / "a.vtk", several)
    with pytest.raises(ValueError, match="a.txt must end in .vtk"):
        save_vtk(p / "a.txt", state)
    with pytest.raises(ValueError, match="material has the shape"):
        save_ply(p / "a.ply", SimpleNamespace(x=state.x, material=np.zeros(3, int)))
    for save in (save_npz, save_vtk, save_ply):
        with pytest.raises(ValueError, match=r"give step.particles\(state\)"):
            save(p / "a", SimpleNamespace(x=Vector(state.x[:, 0], state.x[:, 1])))
    with pytest.raises(ValueError, match="particles need x"):
        save_npz(p / "a.npz", SimpleNamespace(v=state.v))
    with pytest.raises(ValueError, match=r"v has the shape .* begin with \(9,\)"):
        save_npz(p / "a.npz", SimpleNamespace(x=state.x, v=state.v[:3]))
    with pytest.raises(ValueError, match="t has the shape"):
        save_npz(p / "a.npz", state, t=[0.0, 1.0])
    with pytest.raises(ValueError, match="mass holds Python objects"):
        save_npz(p / "a.npz", SimpleNamespace(x=state.x, mass=np.array([None] * 9)))
    with pytest.raises(FileNotFoundError):
        load_npz(p / "none.npz")
    np.savez(p / "other.npz", y=np.zeros(3))
    np.savez(p / "pickled.npz", x=np.array([{}]))
    np.save(p / "array.npz.npy", np.zeros(3))
    (p / "text.npz").write_text("no archive")
    for name in ("other.npz", "pickled.npz", "array.npz.npy", "text.npz"):
        with pytest.raises(ValueError, match=name.replace(".", r"\.")):
            load_npz(p / name)


TIMES = np.linspace(0, 1, 3)


def frames(d, p=30):
    x = np.random.default_rng(0).uniform(0.2, 0.6, size=(p, d))
    return np.stack([x + 0.3 * t for t in TIMES])


def obstacle(x, t):
    return (x[0] - t) * (x[0] - t) + x[1] * x[1] - 0.04


@pytest.mark.parametrize(
    ("d", "look"),
    [
        (2, {"color_by": np.arange(30) % 3 - 1, "names": ("jelly", "water"), "obstacles": [obstacle]}),
        (2, {"color_by": np.linspace(-1, 1, 90).reshape(3, 30), "label": "signal", "box": ((0, 0), (1, 1))}),
        (3, {"targets": np.full((1, 3), 0.9), "up": 1, "max_points": 10}),
    ],
    ids=["materials", "signal", "space"],
)
@pytest.mark.filterwarnings("error")
def test_pictures_have_their_frames(d, look, tmp_path):
    moving = animate_particles(frames(d), TIMES, tmp_path / "new" / "a.gif", title="preset_1", **look)
    with Image.open(moving) as image:
        assert image.n_frames == 3
        first, last = (np.asarray((image.seek(k), image.convert("RGB"))[1], int) for k in (0, 2))
    assert np.abs(last - first).max() > 30  # it moves
    stills = save_particle_stills(frames(d), TIMES, tmp_path / "new" / "a", num_stills=2, **look)
    assert [path.suffix for path in stills] == [".png", ".pdf"] and all(path.stat().st_size > 1000 for path in stills)


def test_long_histories_are_thinned(tmp_path, monkeypatch):
    monkeypatch.setattr("lagrangian_ml.plots.particles._MAX_FRAMES", 4)
    many = np.linspace(0, 1, 200)
    path = animate_particles(np.zeros((200, 2, 2)) + many[:, None, None], many, tmp_path / "a.gif")
    with Image.open(path) as image:
        assert image.n_frames == 4


def test_what_does_not_fit_in_a_picture_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"expected \(t, p, 2\) or \(t, p, 3\)"):
        particles_figure(np.zeros((3, 5, 1)), TIMES)
    with pytest.raises(ValueError, match=r"color_by has the shape \(4,\)"):
        particles_figure(frames(2), TIMES, color_by=np.zeros(4))
    with pytest.raises(ValueError, match="in the plane only"):
        particles_figure(frames(3), TIMES, obstacles=[obstacle])
    with pytest.raises(ValueError, match=r"must end in .gif"):
        animate_particles(frames(2), TIMES, tmp_path / "a.png")
