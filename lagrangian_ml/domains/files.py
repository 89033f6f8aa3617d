"""Known solutions from `.npz` files of others, checked against the problem that they belong to.

A file holds a grid, `x` (or `x, y, …`), `t` and `u` as (t, x, …[, c]), or scattered points, `x` (n, d), `t` (n,)
and `u` (n, c); steady problems have no `t`. Files are looked for where the path says, then in the folder that the
environment variable LAGRANGIAN_ML_REFERENCE_DATA names. Pickled objects are never loaded.
"""

import io
import math
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from ..core import Point, Problem, Samples

FOLDER = "LAGRANGIAN_ML_REFERENCE_DATA"
_AXES = "xyz"
_SLACK = 1e-5  # of the extent: files in single precision overstep a domain by rounding


def write_atomically(path: Path, content: str | bytes) -> None:
    """Either the old or the new content is there, whatever happens in between, and it is on the disk after."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """An .npz file, whole or not at all."""
    content = io.BytesIO()
    named: Any = {name: np.asarray(array) for name, array in arrays.items()}  # numpy types the names as its options
    np.savez_compressed(content, **named)
    write_atomically(path, content.getvalue())


def find_file(path: str | Path) -> Path:
    """The path itself if there is such a file, else the one in the folder of reference data. FileNotFoundError."""
    folder = os.environ.get(FOLDER)
    candidates = [Path(path)]
    if folder and not Path(path).is_absolute():
        candidates += [Path(folder) / path, Path(folder) / f"{path}.npz"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = " or ".join(str(candidate) for candidate in candidates[:2])
    hint = "" if folder else f" A bare name is also looked for in the folder named by ${FOLDER}."
    raise FileNotFoundError(f"there is no file {places}.{hint}")


def read_samples(path: str | Path, problem: Problem) -> Samples:
    """The samples of a file, in the default float type.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and the array, if it is unreadable, incomplete, of the wrong shape, not finite,
            or has a point outside the domain or the time of the problem.
    """
    file = find_file(path)
    needed, arrays = _load(file, problem)
    try:
        samples = _scattered(arrays, problem) or _gridded(arrays, needed, problem)
        _check_inside(samples, problem)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return samples


def read_arrays(file: str | Path, needed: Sequence[str]) -> dict[str, np.ndarray]:
    """The real, finite arrays of these names in an .npz file. ValueError, naming the file, for any other content."""
    return _read(Path(file), lambda archive: needed)


def _load(file, problem):
    dim, steady = problem.domain.dim, problem.horizon is None

    def needed(archive):
        grid = "x" in archive.files and archive["x"].ndim == 1 and dim > 1  # an axis array a dimension
        return [*(() if steady else ("t",)), "x", *(_AXES[1:dim] if grid else ()), "u"]

    arrays = _read(file, needed)
    return list(arrays), arrays


def _read(file, choose):
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise ValueError("it is one array, not an .npz archive")
        with loaded as archive:
            needed = list(choose(archive))
            missing = [name for name in needed if name not in archive.files]
            if missing:
                held = ", ".join(sorted(archive.files)) or "none"
                raise ValueError(
                    f"the array {', '.join(missing)} is missing; it holds {held}, needed are {', '.join(needed)}"
                )
            return {name: _real(name, archive[name]) for name in needed}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        reason = "it is no .npz file, or holds Python objects" if "pickle" in str(error) else str(error).rstrip(".")
        raise ValueError(f"{file} cannot be used as samples: {reason}.") from error


def _real(name, array):
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is an array of {array.dtype}; real numbers are needed")
    if array.size == 0:
        raise ValueError(f"{name} {array.shape} is empty")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name} has {int((~finite).sum())} entries that are not finite, first {name}{list(first)}={array[first]}"
        )
    return array


def _shape_error(name, array, expected):
    return ValueError(f"{name} has the shape {array.shape}; expected {expected}.")


def _scattered(arrays, problem):
    """Samples at separate points, or None if the arrays are those of a grid."""
    x, t, u = arrays["x"], arrays.get("t"), arrays["u"]
    dim, c = problem.domain.dim, problem.equation.num_components
    if x.ndim == 1 and dim == 1 and t is not None and t.shape == x.shape and u.shape in {(x.size,), (x.size, c)}:
        x = x[:, None]  # in one dimension separate points may come without their axis
    if x.ndim == 1:
        return None
    if x.ndim != 2 or x.shape[1] != dim:
        raise _shape_error("x", x, f"(n, {dim}) for scattered points, or {_AXES[0]} (n,) for a grid")
    n = x.shape[0]
    if t is not None and t.shape != (n,):
        raise _shape_error("t", t, f"({n},), a time for each of the {n} points")
    if u.shape not in {(n, c)} | ({(n,)} if c == 1 else set()):
        raise _shape_error("u", u, f"({n}, {c})")
    return _samples(x, t, u.reshape(n, c), None)


def _gridded(arrays, needed, problem):
    axes, c = needed[:-1], problem.equation.num_components
    for name in axes:
        if arrays[name].ndim != 1:
            raise _shape_error(name, arrays[name], "(n,), one axis of a grid")
    shape = tuple(arrays[name].size for name in axes)
    u = arrays["u"]
    if u.shape not in {(*shape, c)} | ({shape} if c == 1 else set()):
        expected = f"{shape if c == 1 else (*shape, c)} = ({', '.join(axes)}{'' if c == 1 else ', c'})"
        raise _shape_error("u", u, expected)
    mesh = dict(zip(axes, np.meshgrid(*(arrays[name] for name in axes), indexing="ij"), strict=True))
    x = np.stack([mesh[name].ravel() for name in axes if name != "t"], axis=-1)
    t = mesh["t"].ravel() if "t" in mesh else None
    return _samples(x, t, u.reshape(math.prod(shape), c), shape)


def _samples(x, t, u, grid):
    dtype = jnp.result_type(float)
    return Samples(
        Point(jnp.asarray(x, dtype), None if t is None else jnp.asarray(t, dtype)), jnp.asarray(u, dtype), grid
    )


def _check_inside(samples, problem):
    """Refuse points beyond the domain or the time: there the solution is not known to the model."""
    x, t = np.asarray(samples.point.x), samples.point.t
    lower, upper = (np.asarray(corner) for corner in problem.domain.bounds)
    slack = _SLACK * (upper - lower)
    clipped = np.clip(x, lower, upper)
    near = (np.abs(clipped - x) <= slack).all(axis=1)
    centre = (lower + upper) / 2
    contains = jax.vmap(problem.domain.contains)
    nudged = jnp.asarray(clipped + _SLACK * (centre - clipped), samples.point.x.dtype)
    inside = near & (np.asarray(contains(jnp.asarray(clipped, nudged.dtype))) | np.asarray(contains(nudged)))
    if not inside.all():
        first = int(np.argmin(inside))
        raise ValueError(
            f"x has {int((~inside).sum())} points outside the domain, first {x[first].tolist()}; "
            f"the domain lies within {lower.tolist()} … {upper.tolist()}."
        )
    if t is not None:
        t = np.asarray(t)
        horizon = float(problem.horizon)
        outside = (t < -_SLACK * horizon) | (t > horizon * (1 + _SLACK))
        if outside.any():
            raise ValueError(
                f"t has {int(outside.sum())} times outside [0, {horizon:g}], first t={t[int(np.argmax(outside))]:g}."
            )
