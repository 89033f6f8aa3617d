"""Batches of stored samples for `fit`: a `Source` that holds them in memory, or reads them as they are needed."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from lagrangian_ml.core import Batch, Objective

from .order import num_batches, shuffled
from .store import Frames, SampleStore

_IN_MEMORY = 2**30  # bytes of samples that are held in memory unless asked otherwise


class BatchSource(eqx.Module):
    """Batches without repetition in an epoch, the same for every term of the objective: {variable: (n, [t,] c, *s)}.

    The state is three numbers, (seed, epoch, step): the order is a function of them, so that a resumed run goes on
    with the samples that are due. What does not fill a batch at the end of an epoch is left out of it.
    """

    fetch: Any  # (rows (b,), rows of the next batch) -> {variable: (b, …)}
    num_samples: int = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    shuffle: bool = eqx.field(static=True)
    terms: tuple[str, ...] = eqx.field(static=True)

    def init(self, key: Key[Array, ""]) -> PyTree:
        zero = jnp.zeros((), jnp.int32)
        return {"seed": jax.random.bits(key, dtype=jnp.uint32), "epoch": zero, "step": zero}

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        step = state["step"] + 1
        over = step == num_batches(self.num_samples, self.batch_size, drop_last=True)
        following = {**state, "epoch": state["epoch"] + over, "step": jnp.where(over, 0, step)}
        batch = self.fetch(self._rows(state), self._rows(following))
        return {term: batch for term in self.terms if term in objective}, following

    def _rows(self, state):
        positions = state["step"] * self.batch_size + jnp.arange(self.batch_size, dtype=jnp.int32)
        if self.shuffle:
            positions = shuffled(positions, self.num_samples, state["seed"], state["epoch"], jnp)
        return positions.astype(jnp.int32)


class _Memory(eqx.Module):
    """All samples, as arrays on the device."""

    arrays: dict[str, Array]

    def __call__(self, rows, next_rows):
        return jax.tree.map(lambda a: a[rows], self.arrays)


class _Disk(eqx.Module):
    """Samples read by the host in the middle of a compiled step; those of the next step are read ahead."""

    reader: Any = eqx.field(static=True)  # the host's function, equal only to itself
    shapes: tuple[tuple[str, tuple[int, ...], str], ...] = eqx.field(static=True)

    def __call__(self, rows, next_rows):
        shapes = {name: jax.ShapeDtypeStruct(rows.shape + shape, dtype) for name, shape, dtype in self.shapes}
        return jax.pure_callback(self.reader, shapes, rows, next_rows)


class _Reader:
    """`reader(rows, next_rows)` on the host. No JAX in here: its threads wait for this function."""

    def __init__(self, store: SampleStore, names: tuple[str, ...], frames: Frames, dtypes: dict[str, Any]):
        self._start = lambda rows: store._start(rows.astype(np.int64), names, frames)
        self._dtypes, self._ahead, self._lock = dtypes, {}, threading.Lock()

    def __call__(self, rows, next_rows):
        rows, next_rows = np.asarray(rows), np.asarray(next_rows)
        with self._lock:
            begun = self._ahead.pop(rows.tobytes(), None) or self._start(rows)
            self._ahead = {next_rows.tobytes(): self._start(next_rows)}
        return {name: array.astype(self._dtypes[name], copy=False) for name, array in begun().items()}


def source(
    data: SampleStore | str | Path,
    batch_size: int,
    *,
    variables: Sequence[str] | None = None,
    frames: Frames = None,
    shuffle: bool = True,
    in_memory: bool | None = None,
    terms: Sequence[str] = ("data",),
) -> BatchSource:
    """A source for `fit` from a data set, an HDF5 file, or the path of one.

    Every sample of a batch is a dict of arrays, {variable: ([t,] c, *s)}, in the stored precision (float64 becomes
    float32 where JAX has no doubles). Up to 1 GiB is held in memory unless `in_memory` says otherwise; more is read
    from disk by a host callback in the compiled step, which needs a mesh of one process.

    Raises:
        ValueError: if there is no such variable, or fewer samples than one batch.
    """
    store = data if isinstance(data, SampleStore) else _opened(data)
    num_batches(len(store), batch_size, drop_last=True)
    names = store._names(variables)
    frames = store._frames(frames)
    first = store.read([0], names, frames)
    dtypes = {name: jax.dtypes.canonicalize_dtype(array.dtype) for name, array in first.items()}
    if in_memory is None:
        in_memory = len(store) * sum(array.nbytes for array in first.values()) <= _IN_MEMORY
    if in_memory:
        arrays = store.read(range(len(store)), names, frames)
        fetch = _Memory({name: jnp.asarray(array, dtypes[name]) for name, array in arrays.items()})
    else:
        shapes = tuple((name, array.shape[1:], str(dtypes[name])) for name, array in first.items())
        fetch = _Disk(_Reader(store, names, frames, dtypes), shapes)
    return BatchSource(fetch, len(store), batch_size, shuffle, tuple(terms))


def _opened(path):
    from .formats import open_file
    from .read import Dataset

    return open_file(path) if Path(path).is_file() else Dataset(path)
