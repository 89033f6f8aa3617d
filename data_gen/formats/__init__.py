"""Exchange files of others: PDEBench's two layouts and The Well's, written and read with h5py alone."""

import importlib
from pathlib import Path

from ..read import Dataset, DatasetError
from ..store import SampleStore
from .hdf5 import FileStore, explained, opened

FORMATS = ("pdebench", "well")


def export(data: SampleStore | str | Path, format: str, out: str | Path) -> list[Path]:
    """Write a data set in another format, in single precision; returns the files.

    PDEBench: `out` is NAME.hdf5 (its layout of arrays) or NAME.h5 (a group a sample), as its readers go by the name.
    The Well: a folder, with data/{train,valid,test} and statistics, or one file NAME.hdf5. A file stands under its
    name only when it is whole; what exists is not overwritten.

    Raises:
        ValueError: for another format, a name that exists or does not fit, or contents that the format cannot hold.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format!r} is unknown; choose {' or '.join(FORMATS)}.")
    store = data if isinstance(data, SampleStore) else Dataset(data)
    return importlib.import_module(f".{format}", __name__).export(store, Path(out))


def open_file(path: str | Path) -> FileStore:
    """The samples of an HDF5 file in either format, told by its contents.

    Raises:
        DatasetError: (a ValueError) if the file is missing, damaged or of another kind.
    """
    from . import pdebench, well

    file = opened(path)
    try:
        with explained(Path(path)):
            for format, module in (("well", well), ("pdebench", pdebench)):
                if module.recognises(file):
                    return FileStore(Path(path), format, file, module.contents(file, Path(path).stem))
            found = ", ".join(sorted(file)[:8]) or "nothing"
    except DatasetError:
        file.close()
        raise
    file.close()
    raise DatasetError(
        f"{path} is in neither format: it holds {found}. PDEBench's files have `tensor`, `density` or groups with "
        "`data`; The Well's have `dimensions` and `t0_fields`."
    )
