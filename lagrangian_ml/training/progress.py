"""What a person sees of a run, on stderr: a live line in a terminal, a plain line now and then elsewhere."""

import sys
import time
from typing import Any

from .state import FitState

PLAIN_SECONDS = 5.0  # at most one plain line in this time
SHOWN = {"loss": "loss", "fresh_rms": "fresh residual", "relative_l2": "error"}


class Progress:
    """A callback of `fit`, and with `update` its `watch`; use as a context manager."""

    def __init__(self, num_steps: int, every: int, *, start: int = 0, live: bool | None = None):
        self.num_steps, self.every, self._start = num_steps, every, start
        self._first: tuple[int, float] | None = None  # the first step seen, and when: compiling is no measure
        self._live = sys.stderr.isatty() if live is None else live
        self._shown, self._printed, self._begun = "compiling", -PLAIN_SECONDS, time.perf_counter()
        self._bar: Any = None

    def __enter__(self):
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            time_left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)
            columns = MofNCompleteColumn(), BarColumn(bar_width=10), time_left, TextColumn("{task.description}")
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(self._shown, total=self.num_steps, completed=self._start)
            self._bar.start()
        else:
            print(f"compiling; then steps {self._start} to {self.num_steps}", file=sys.stderr, flush=True)
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, info: dict) -> None:
        """Show a step and its loss between records."""
        self._first = self._first or (step, time.perf_counter())
        if self._bar is not None:
            text = f"loss {info['loss']:.1e}" if self._shown == "compiling" and "loss" in info else self._shown
            self._bar.update(self._task, completed=step, description=text)

    def __call__(self, state: FitState, record: dict) -> None:
        self._shown = "  ".join(f"{label} {record[name]:.1e}" for name, label in SHOWN.items() if name in record)
        now, step = time.perf_counter(), record["step"]
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=self._shown)
        elif now - self._printed >= PLAIN_SECONDS or step == self.num_steps:
            self._printed = now
            first, since = self._first or (self._start, self._begun)
            left = (now - since) * (self.num_steps - step) / max(1, step - first)
            times = f"{now - self._begun:.0f} s, {left:.0f} s left"
            print(f"step {step}/{self.num_steps}  {self._shown}  {times}", file=sys.stderr, flush=True)
