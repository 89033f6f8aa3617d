"""The verb `fit`: steps of an optimizer on batches of a source, in compiled chunks, callbacks between them."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Key

from ..core import Objective, Source
from .chunk import compile_chunk
from .state import DivergedError, FitResult, FitState, as_optimizer, begin, own

CHUNK_SECONDS = 2.0  # a signal waits no longer than about this


@runtime_checkable
class Callback(Protocol):
    """Called after every `every` steps and at the end, between steps; it may add scalars to the record.

    The arrays of the state are overwritten by the next step: copy what is to be kept.
    """

    every: int

    def __call__(self, state: FitState, record: dict) -> None: ...


def fit(
    model: Any,
    objective: Objective,
    source: Source,
    optimizer: Any,
    *,
    num_steps: int,
    key: Key[Array, ""],
    callbacks: Sequence[Callback] = (),
    mesh: jax.sharding.Mesh | None = None,
    log_every: int = 100,
    state: FitState | None = None,
    watch: Callable[[int, dict], bool] | None = None,
) -> FitResult:
    """Minimise the objective by `num_steps` steps of an optimizer (ours, or any optax transformation).

    `history` has a record {step, seconds, loss, …} every `log_every` steps, after every callback and at the end.
    `state` continues an earlier fit up to `num_steps` in all; `watch(step, info)` runs at least every few seconds
    between steps and ends the fit there by returning True. With a mesh the samples are shared out over its devices.

    Raises:
        DivergedError: at the first step whose loss or model is not finite; it carries the last sound state.
    """
    intervals = [log_every, *(callback.every for callback in callbacks)]
    if num_steps < 0 or min(intervals) < 1:
        raise ValueError(f"num_steps={num_steps} must be at least 0 and the intervals {intervals} at least 1.")
    clock, history, optimizer = Stopwatch(), [], as_optimizer(optimizer)
    with clock("compile"):
        state = begin(model, source, optimizer, key=key, objective=objective) if state is None else own(state)
        step, chunk = int(state.step), 1
        if step < num_steps:
            state, advance = compile_chunk(state, objective, source, optimizer, mesh)
    while step < num_steps:
        due = min(num_steps, *(step - step % every + every for every in intervals))
        first = step
        with clock("run") as elapsed:
            state, info, not_finite = advance(state, min(due, step + chunk))
            step = int(state.step)
        if not_finite:
            raise DivergedError(step + 1, not_finite, state, history)
        chunk = max(1, min(8 * chunk, int(CHUNK_SECONDS * (step - first) / elapsed())))
        if step == due:
            record = {"step": step, "seconds": clock.seconds["run"], **info}
            with clock("evaluate"):
                for callback in callbacks:
                    if step % callback.every == 0 or step == num_steps:
                        callback(state, record)
            history.append(record)
        if watch is not None and watch(step, info):
            break
    return FitResult(state.model, state, history, clock.seconds)


class Stopwatch:
    """Seconds by name: `with clock("run") as elapsed: …` adds to `clock.seconds["run"]`."""

    def __init__(self):
        self.seconds = {"compile": 0.0, "run": 0.0, "evaluate": 0.0}

    @contextlib.contextmanager
    def __call__(self, name):
        start, stop = time.perf_counter(), None
        try:
            yield lambda: (time.perf_counter() if stop is None else stop) - start
        finally:
            stop = time.perf_counter()
            self.seconds[name] += stop - start
