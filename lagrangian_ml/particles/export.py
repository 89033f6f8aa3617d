"""Particles as files: .npz to go on computing, legacy VTK and PLY for viewers such as ParaView and Blender.

Whatever has an attribute `x` can be written; `v`, `F`, `material` … are added where there are any. Every file appears
complete or not at all. Pickled objects are neither written nor read.
"""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ..domains.files import write_atomically
from ..linalg.components import Vector

NAMES = ("x", "v", "C", "F", "volume", "mass", "material", "actuator", "alive", "plastic")
_TIME = "t"


def save_npz(path: Path | str, particles: Any, t: Any = None) -> Path:
    """Write all of a state, or of a history whose arrays begin with time, and its time or times `t`; returns the path.

    Raises:
        ValueError: if there is no x, or an array does not have its leading axes, or holds Python objects.
    """
    _refuse_state(particles)
    arrays: dict[str, Any] = {
        name: np.asarray(value) for name in NAMES if (value := getattr(particles, name, None)) is not None
    }
    if "x" not in arrays or arrays["x"].ndim not in (2, 3):
        raise ValueError(
            f"particles need x (p, d), or (t, p, d) for a history; got {_shape(arrays.get('x'))} of a "
            f"{type(particles).__name__}."
        )
    if t is not None:
        arrays[_TIME] = np.asarray(t)
    lead = arrays["x"].shape[:-1]
    for name, array in arrays.items():
        expected = lead[:-1] if name == _TIME else lead
        if array.shape[: len(expected)] != expected or (name == _TIME and array.ndim != len(expected)):
            raise ValueError(f"{name} has the shape {array.shape}; beside this x it must begin with {expected}.")
        if array.dtype.hasobject:
            raise ValueError(f"{name} holds Python objects: only numbers can be written.")
    content = io.BytesIO()
    np.savez(content, **arrays)
    return _write(path, ".npz", content.getvalue())


def load_npz(path: Path | str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The arrays of `save_npz` by name; `t` is among them if it was given.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no .npz file with an array x, or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files if name in (*NAMES, _TIME)}
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as particles: {error or 'it is no .npz file'}.") from error
    if "x" not in arrays:
        raise ValueError(f"{path} has no array x; it was not written by save_npz.")
    return arrays


def save_vtk(path: Path | str, particles: Any, *, ascii: bool = False) -> Path:
    """Write the living particles as points of a legacy VTK file, with velocity, J = det F and material.

    Returns the path. In fewer than three dimensions the rest is zero.
    Raises ValueError for a history: write one file for each time.
    """
    x, v, columns = _points(particles)
    n = len(x)
    body = [_vtk_header(n, ascii), b"POINTS %d float\n" % n, _numbers(x, ">f4", ascii)]
    vertices = np.stack([np.ones(n, int), np.arange(n)], axis=1)
    body += [b"VERTICES %d %d\n" % (n, 2 * n), _numbers(vertices, ">i4", ascii), b"POINT_DATA %d\n" % n]
    if v is not None:
        body += [b"VECTORS velocity float\n", _numbers(v, ">f4", ascii)]
    for name, column in columns.items():
        integer = column.dtype.kind in "iu"
        kind = "int" if integer else "float"
        body += [f"SCALARS {name} {kind} 1\nLOOKUP_TABLE default\n".encode()]
        body += [_numbers(column[:, None], ">i4" if integer else ">f4", ascii)]
    return _write(path, ".vtk", b"".join(body))


def save_ply(path: Path | str, particles: Any) -> Path:
    """Write the living particles as vertices x, y, z, vx, vy, vz, J, material of a binary PLY file; returns the path.

    In fewer than three dimensions the rest is zero.
    Raises ValueError for a history: write one file for each time.
    """
    x, v, columns = _points(particles)
    named = dict(zip("xyz", x.T)) | ({} if v is None else dict(zip(("vx", "vy", "vz"), v.T))) | columns
    rows = np.empty(len(x), [(name, "<i4" if column.dtype.kind in "iu" else "<f4") for name, column in named.items()])
    for name, column in named.items():
        rows[name] = column
    kinds = {"i": "int", "f": "float"}
    properties = "".join(f"property {kinds[rows.dtype[name].kind]} {name}\n" for name in named)
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(x)}\n{properties}end_header\n"
    return _write(path, ".ply", header.encode() + rows.tobytes())


def _refuse_state(particles):
    if isinstance(getattr(particles, "x", None), Vector):
        raise ValueError("this is the state of a stepper, in an order of its own; give step.particles(state).")


def _points(particles):
    """(x (n, 3), v (n, 3) or None, {"J": …, "material": …}) of the living particles."""
    _refuse_state(particles)
    x = np.asarray(getattr(particles, "x", None))
    if x.ndim != 2 or not 1 <= x.shape[1] <= 3:
        raise ValueError(
            f"a file for viewers holds the particles of one time, x (p, d) with d = 1, 2 or 3; got {_shape(x)}. "
            "Write one file for each time of a history."
        )
    alive = getattr(particles, "alive", None)
    rows = np.ones(len(x), bool) if alive is None else np.asarray(alive)
    given = {name: getattr(particles, name, None) for name in ("v", "F", "material")}
    found = {name: np.asarray(array) for name, array in given.items() if array is not None}
    for name, array in {**found, "alive": rows}.items():
        if array.shape[:1] != x.shape[:1]:
            raise ValueError(f"{name} has the shape {array.shape}; expected one entry for each of {len(x)} particles.")
    columns = {"J": np.linalg.det(found["F"].astype(float))[rows]} if "F" in found else {}
    if "material" in found:
        columns["material"] = found["material"][rows].astype(np.int32)
    return _spatial(x)[rows], _spatial(found["v"])[rows] if "v" in found else None, columns


def _spatial(a):
    return np.pad(a.astype(float), ((0, 0), (0, 3 - a.shape[1])))


def _shape(array):
    return "no array" if array is None or array.dtype == object else f"shape {array.shape}"


def _vtk_header(n, ascii):
    kind = b"ASCII" if ascii else b"BINARY"
    return b"# vtk DataFile Version 3.0\n%d particles\n%s\nDATASET POLYDATA\n" % (n, kind)


def _numbers(array, dtype, ascii):
    """Rows of numbers; binary ones are big-endian, as the format has it."""
    if not ascii:
        return array.astype(dtype).tobytes() + b"\n"
    text = io.StringIO()
    np.savetxt(text, array, fmt="%d" if dtype.endswith("i4") else "%.9g")
    return text.getvalue().encode()


def _write(path, suffix, content):
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"path={path.name} must end in {suffix}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path
