"""How far the generation of a data set is, on stderr: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Any

PLAIN_SECONDS = 5.0  # at most one plain line in this time


class Progress:
    """Counts samples. A context manager."""

    def __init__(self, samples: int, shards: int, *, live: bool | None = None):
        self._total, self._shards = samples, shards
        self._done, self._shards_done = 0, 0
        self._live = sys.stderr.isatty() if live is None else live
        self._begun, self._printed, self._bar = time.perf_counter(), -PLAIN_SECONDS, None
        self._first: tuple[int, float] | None = None  # the first samples, and when: compiling is no measure

    def __enter__(self):
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = MofNCompleteColumn(), BarColumn(bar_width=20), TimeRemainingColumn(compact=True)
            self._bar = Bar(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
            self._task: Any = self._bar.add_task("compiling", total=self._total)
            self._bar.start()
        else:
            print(f"compiling; then {self._total} samples in {self._shards} shards", file=sys.stderr, flush=True)
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def add(self, samples: int, shards: int = 0) -> None:
        """So many samples, or shards, are finished."""
        self._done, self._shards_done = self._done + samples, self._shards_done + shards
        now = time.perf_counter()
        self._first = self._first or (self._done, now)
        told = f"{self._shards_done}/{self._shards} shards"
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, description=told)
        elif now - self._printed >= PLAIN_SECONDS or (shards and self._shards_done == self._shards):
            self._printed = now
            left = (now - self._first[1]) * (self._total - self._done) / max(1, self._done - self._first[0])
            rest = f"{left:.0f} s left" if self._done < self._total else "the last shards are judged"
            times = f"{now - self._begun:.0f} s, {rest if self._shards_done < self._shards else 'done'}"
            print(f"samples {self._done}/{self._total}  {told}  {times}", file=sys.stderr, flush=True)
