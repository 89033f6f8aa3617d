"""What training reads from: samples that are found by index, whatever file holds them."""

import abc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .order import num_batches, rows
from .recipe import Variable

Frames = slice | Sequence[int] | np.ndarray | None
Arrays = dict[str, np.ndarray]


class SampleStore(abc.ABC):
    """Samples by index: `store[i]`, `store.read([3, 1])`, `store.batches(32)`. A sample is {variable: ([t,] c, *s)}.

    Attributes:
        name: of the data set.
        variables: {name: Variable}, what every sample holds, with shapes and named axes.
        coordinates: {axis: (n,)} of the axes t, x, y, z, in float64.
        parameters: the numbers of the equation, such as {"viscosity": 0.01}.
        boundary: for every axis of space what is at its (lower, upper) end: "periodic", "wall" or "open".
    """

    name: str
    variables: Mapping[str, Variable]
    coordinates: Mapping[str, np.ndarray]
    parameters: Mapping[str, float]
    boundary: tuple[tuple[str, str], ...]

    @abc.abstractmethod
    def __len__(self) -> int: ...

    @abc.abstractmethod
    def _start(self, indices: np.ndarray, names: tuple[str, ...], frames: Frames) -> Callable[[], Arrays]:
        """Begin to read; the function waits for the arrays."""

    def read(self, indices: Sequence[int], variables: Sequence[str] | None = None, frames: Frames = None) -> Arrays:
        """{variable: (n, [t,] c, *s)} of these samples, in this order, at these frames of what evolves (None: all).

        Raises:
            IndexError: if a sample or a frame does not exist.
            ValueError: if a variable does not exist, or (a `DatasetError`) if what is stored is missing or damaged.
        """
        return self._start(self._indices(indices), self._names(variables), self._frames(frames))()

    def __getitem__(self, index: int) -> Arrays:
        return {name: array[0] for name, array in self.read([index]).items()}

    def batches(
        self,
        batch_size: int,
        *,
        seed: int = 0,
        epoch: int = 0,
        step: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        variables: Sequence[str] | None = None,
        frames: Frames = None,
        process_index: int = 0,
        process_count: int = 1,
        prefetch: int = 2,
    ) -> Iterator[Arrays]:
        """The batches of one epoch, from this step on; `prefetch` of them are read ahead.

        Seed, epoch and step say which samples come, so training resumes from those three numbers. Every process
        reads its part of each batch, (batch_size / process_count) samples; joined they are the batch of one process.

        Raises:
            ValueError: if the epoch has no batch or no such step, or a batch (but for a last one that is kept) has no
                even parts.
        """
        count = num_batches(len(self), batch_size, drop_last)
        if not 0 <= step <= count:
            raise ValueError(f"step={step} must lie in 0 … {count}: an epoch has {count} batches.")
        if not 0 <= process_index < process_count:
            raise ValueError(f"process_index={process_index} must lie in 0 … process_count − 1 = {process_count - 1}.")
        if drop_last and batch_size % process_count:
            raise ValueError(f"batch_size={batch_size} must be a multiple of process_count={process_count}.")
        parts: dict[str, Any] = {"seed": seed, "shuffle": shuffle, "process_index": process_index}
        names, frames = self._names(variables), self._frames(frames)

        def start(step):
            chosen = rows(len(self), batch_size, epoch, step, process_count=process_count, **parts)
            return self._start(chosen, names, frames)

        return _ahead(start, range(step, count), prefetch)

    def _indices(self, indices):
        chosen, n = np.asarray(indices, np.int64).reshape(-1), len(self)
        wrong = chosen[(chosen < -n) | (chosen >= n)]
        if wrong.size:
            raise IndexError(f"{self.name} has the samples 0 … {n - 1}; there is no sample {wrong[0]}.")
        return chosen % n

    def _names(self, variables):
        names = tuple(self.variables if variables is None else variables)
        unknown = [name for name in names if name not in self.variables]
        if unknown:
            raise ValueError(f"{self.name} has no variable {unknown[0]!r}; it has {', '.join(self.variables)}.")
        return names

    def _frames(self, frames):
        if frames is None or isinstance(frames, slice):
            return frames
        chosen, n = np.asarray(frames, np.int64).reshape(-1), len(self.coordinates.get("t", ()))
        wrong = chosen[(chosen < -n) | (chosen >= n)]
        if wrong.size:
            raise IndexError(f"{self.name} has {n} frames; there is no frame {wrong[0]}.")
        return chosen % n


def _ahead(start, steps, prefetch):
    """The results of `start` in the order of the steps, `prefetch` of them begun before they are asked for."""
    begun = deque()
    for step in steps:
        begun.append(start(step))
        if len(begun) > max(prefetch, 0):
            yield begun.popleft()()
    while begun:
        yield begun.popleft()()
