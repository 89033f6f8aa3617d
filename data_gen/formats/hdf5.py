"""What both exchange formats share: an HDF5 file that is written whole or not at all, and samples read from one.

Files are written with checksums: Fletcher's sum over every chunk of the data, Jenkins' over the metadata of HDF5's
newer file versions. What others wrote often has neither, and then damage to its numbers cannot be seen.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..read import DatasetError
from ..recipe import Variable
from ..store import Arrays, Frames, SampleStore

_BLOCK = 2**26  # bytes that are copied at a time
Read = Callable[[int, Frames], np.ndarray]  # (sample, frames) -> ([t,] c, *s)


@dataclass(frozen=True)
class Contents:
    """What a format finds in a file."""

    name: str
    num_samples: int
    fields: Mapping[str, tuple[Variable, Read]]
    coordinates: Mapping[str, np.ndarray]
    parameters: Mapping[str, float]
    boundary: tuple[tuple[str, str], ...] = ()


class FileStore(SampleStore):
    """Samples of an HDF5 file, read one by one; `format` says in which layout they stand."""

    def __init__(self, path: Path, format: str, file: h5py.File, contents: Contents):
        self.path, self.format, self._file = path, format, file
        self.name, self._num_samples = contents.name, contents.num_samples
        self.coordinates, self.parameters = contents.coordinates, contents.parameters
        self.boundary = contents.boundary
        self.variables = {name: variable for name, (variable, _) in contents.fields.items()}
        self._reads = {name: read for name, (_, read) in contents.fields.items()}

    def __len__(self) -> int:
        return self._num_samples

    def close(self) -> None:
        self._file.close()

    def _start(self, indices: np.ndarray, names: tuple[str, ...], frames: Frames) -> Callable[[], Arrays]:
        def of(name):
            chosen = (frames if frames is not None else slice(None)) if self.variables[name].evolving else None
            samples = [self._reads[name](int(i), chosen) for i in (indices if len(indices) else [0])]
            return np.stack(samples)[: len(indices)]

        def arrays():
            with explained(self.path):
                return {name: of(name) for name in names}

        return arrays


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """What HDF5 says of a damaged file, as a `DatasetError` that names it."""
    try:
        yield
    except DatasetError:
        raise
    except (OSError, LookupError, RuntimeError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        raise DatasetError(f"{path} is damaged, or another kind of file ({told}).") from error
    except MemoryError as error:
        raise DatasetError(
            f"{path} says that it is larger than the memory; it is damaged, or no file for us."
        ) from error


def opened(path: str | Path) -> h5py.File:
    """The file for reading. DatasetError if there is none, or it is no HDF5 file."""
    if not Path(path).is_file():
        raise DatasetError(f"there is no file {path}.")
    if not h5py.is_hdf5(path):
        raise DatasetError(f"{path} is no HDF5 file.")
    with explained(Path(path)):
        file = h5py.File(path, "r")
        file.visititems_links(partial(_refuse_elsewhere, file))
        return file


def _refuse_elsewhere(file, name, link):
    """DatasetError for a link or an array whose contents are in another file: whose, the file's author would say."""
    if isinstance(link, h5py.ExternalLink):
        raise DatasetError(f"{file.filename}: {name} is a link to another file, which is not followed.")
    found = file.get(name) if isinstance(link, h5py.HardLink) else None
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise DatasetError(f"{file.filename}: the numbers of {name} are in other files, which are not read.")


@contextlib.contextmanager
def written(path: Path) -> Iterator[h5py.File]:
    """A new file, under its name only when all of it is on the disk. ValueError if there is one already."""
    if path.exists():
        raise ValueError(f"{path} exists; remove it, or export to another name.")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(temporary, "w", libver=("v110", "v110")) as file:
            yield file
        with open(temporary, "rb") as done:
            os.fsync(done.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def create(group: h5py.Group, name: str, shape: tuple[int, ...], whole: int = 0) -> h5py.Dataset:
    """A checksummed float32 array; a chunk holds one sample, all along the axes from `whole` on."""
    chunks = tuple(1 if axis < whole else n for axis, n in enumerate(shape))
    return group.create_dataset(name, shape, np.float32, chunks=chunks, fletcher32=True)


def create_axis(group: h5py.Group, name: str, values: np.ndarray) -> h5py.Dataset:
    """A checksummed float32 array with these values."""
    array = create(group, name, np.shape(values))
    array[...] = values
    return array


def blocks(store: SampleStore, indices: range) -> Iterator[tuple[range, Arrays]]:
    """The samples a few at a time, {variable: (n, [t,] c, *s)}."""
    size = sum(4 * int(np.prod(variable.shape)) for variable in store.variables.values())
    step = max(1, _BLOCK // size)
    for start in range(indices.start, indices.stop, step):
        part = range(start, min(start + step, indices.stop))
        yield part, store.read(part)


def components_last(array: np.ndarray, variable: Variable) -> np.ndarray:
    """(n, [t,] c, *s) as (n, [t,] *s, c), as both formats store vectors."""
    return np.moveaxis(array, 1 + variable.axes.index("component"), -1)


def components_first(array: np.ndarray, evolving: bool) -> np.ndarray:
    """([t,] *s, c) as ([t,] c, *s)."""
    return np.ascontiguousarray(np.moveaxis(array, -1, int(evolving)))


def at(index: int, frames: Frames) -> Any:
    """What to ask an HDF5 array (n, [t,] …) for; a list of frames comes after, HDF5 wants it sorted."""
    return (index, frames) if isinstance(frames, slice) else (index,)


def taken(array: np.ndarray, frames: Frames) -> np.ndarray:
    """The frames of ([t,] …), unless `at` took them."""
    return array if frames is None or isinstance(frames, slice) else array[frames]
