"""A fit inside a run directory: checkpoints, records, progress and signals around `fit`."""

import contextlib
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Key

from .checkpoints import Checkpoints
from .evaluation import Evaluation
from .loop import Stopwatch, fit
from .progress import Progress
from .record import RunDirectory
from .signals import Signals
from .state import DivergedError, FitResult, FitState, begin, num_parameters
from .task import Task


@dataclass(frozen=True)
class Trainer:
    """How long to train, and how often to log (residual, error) and to save; `keep` checkpoints are kept."""

    num_steps: int = 1000
    log_every: int = 100
    checkpoint_every: int = 500
    keep: int = 2

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"trainer.{field.name}={value!r}; it must be a whole number, at least 1.")


class Interrupted(SystemExit):
    """A signal ended the run; the process exits with `code` (130 or 143), `reason` says what was saved."""

    def __init__(self, code: int, reason: str):
        super().__init__(code)
        self.reason = reason


class UsedError(ValueError):
    """The directory holds another run already."""


def run_task(
    task: Task,
    optimizer: Any,
    trainer: Trainer,
    *,
    key: Key[Array, ""],
    directory: str | Path,
    mesh: jax.sharding.Mesh | None = None,
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    config: str | None = None,
) -> FitResult:
    """Run a task to its end in a run directory, or resume it from the newest sound checkpoint.

    Writes metrics.jsonl, checkpoints/, STATUS, environment.json, figures/ (`task.figures`) and summary.json
    {**about, status, steps, num_parameters, seconds, errors}; `about` holds what only the caller knows, such as
    {"experiment": …, "seed": …}, and goes into environment.json and summary.json. Progress goes to stderr.
    A task without terms or an optimizer of its own has nothing to train: it is judged and shown at step 0.
    `history` and the seconds of `run` include the part before a resume. `config` is the text for config.yaml; it is
    taken away again where the very first step is refused by a ValueError, so that the directory stays free.

    Raises:
        UsedError: (a ValueError) if not resuming and the directory holds a run already.
        RuntimeError: if a run is active in the directory.
        OSError: if config.yaml, summary.json or the final state cannot be written.
        DivergedError: at a step that is not finite (STATUS failed, last sound state saved).
        Interrupted: (a SystemExit) after SIGTERM or SIGINT; a second signal ends the process at once.
    """
    run, about, clock = RunDirectory(directory), dict(about or {}), Stopwatch()
    optimizer = task.optimizer or optimizer
    with run.locked(), Checkpoints(run.checkpoints, keep=trainer.keep) as checkpoints, Signals() as signals:
        if not resume and (checkpoints.steps() or (config is not None and run.config.exists())):
            raise UsedError(f"{run.path} holds a run already; resume it, or choose another run directory.")
        with clock("compile"):
            state = begin(task.model, task.source, optimizer, key=key, objective=task.objective)
            state = _restored(checkpoints, state) if resume else state
        with _stored(run, config, new=not resume), _status(run):
            run.cut(int(state.step))
            run.write_environment(**about)
            history = run.records()
            try:
                result = _fit(task, optimizer, trainer, state, mesh, run, checkpoints, signals, history)
            except DivergedError as error:
                checkpoints.save(error.state)
                raise
            if signals.received is not None and int(result.state.step) < trainer.num_steps:
                raise _interrupted(signals.received, result.state, checkpoints, run)
            with clock("evaluate"):
                errors = task.errors(result.model) | task.test_errors(result.model)
                errors = {name: float(error) for name, error in errors.items()}
                _draw(task, result.model, history, run.figures, str(about.get("experiment") or ""))
            seconds = {name: result.seconds[name] + clock.seconds[name] for name in result.seconds}
            seconds["run"] = history[-1]["seconds"] if history else seconds["run"]
            summary = {"status": "finished", "steps": int(result.state.step), "seconds": seconds, "errors": errors}
            saved = checkpoints.save(result.state)
            summary = about | summary | {"num_parameters": num_parameters(task.model)}
            run.write_json("summary.json", summary, needed=True)
            if not saved:
                raise OSError(f"the final state could not be saved in {run.checkpoints}; make room and resume.")
    return result._replace(history=history, seconds=seconds)


def _interrupted(number, state, checkpoints, run):
    """Save the state, and say from where a resume goes on, which on a full disk is an earlier step."""
    saved, step = checkpoints.save(state), int(state.step)
    reason = f"stopped by signal {number} at step {step}"
    reason += "" if saved else ", which could not be saved"
    reason += f"; resume continues from step {checkpoints.newest}"
    print(f"{run.path}: {reason}", file=sys.stderr)
    return Interrupted(128 + number, reason)


@contextlib.contextmanager
def _stored(run, config, *, new):
    """config.yaml is there, but where a new run ends in a ValueError before anything was trained."""
    if config is not None:
        run.write_text(run.config.name, config, needed=True)
    try:
        yield
    except (ValueError, ArithmeticError):
        if config is not None and new and not run.records() and not Checkpoints(run.checkpoints).steps():
            run.config.unlink(missing_ok=True)
        raise


def _draw(task, model, history, directory, title):
    """The figures of a run; without them it is still complete."""
    try:
        directory.mkdir(exist_ok=True)
        task.figures(model, history, directory, title)
    except Exception as error:
        warnings.warn(f"the figures could not be drawn in {directory}: {error}", stacklevel=2)


def restore_state(task: Task, optimizer: Any, directory: str | Path) -> FitState:
    """The newest sound state of a run; the directory is only read. FileNotFoundError if it has no checkpoint."""
    checkpoints = Checkpoints(RunDirectory(directory).checkpoints)
    optimizer, key = task.optimizer or optimizer, jax.random.key(0)
    state = checkpoints.restore(begin(task.model, task.source, optimizer, key=key, objective=task.objective))
    if state is None:
        raise FileNotFoundError(f"{checkpoints.directory} holds no complete checkpoint; let the run reach its first.")
    return state


def restore_model(task: Task, optimizer: Any, directory: str | Path) -> Any:
    """The trained model of a run, from its newest sound checkpoint (one is always saved at the end)."""
    return restore_state(task, optimizer, directory).model


@dataclass
class Every:
    """`action(state, record)` as a callback of `fit`."""

    every: int
    action: Callable[[FitState, dict], Any]

    def __call__(self, state: FitState, record: dict) -> None:
        self.action(state, record)


def _fit(task, optimizer, trainer, state, mesh, run, checkpoints, signals, history):
    """The fit with its callbacks; the records are written, and added to `history`. Without terms there are no steps."""
    if not task.objective and task.optimizer is None:
        return fit(task.model, task.objective, task.source, optimizer, num_steps=0, key=state.key, state=state)
    before = history[-1]["seconds"] if history else 0.0

    def log(state, record):
        record["seconds"] += before
        run.append(record)
        history.append(record)

    with Progress(trainer.num_steps, trainer.log_every, start=int(state.step)) as progress:
        callbacks = [
            Evaluation(task, trainer.log_every),
            Every(trainer.log_every, log),
            progress,
            Every(trainer.checkpoint_every, lambda state, record: checkpoints.save(state)),
        ]
        return fit(
            task.model,
            task.objective,
            task.source,
            optimizer,
            num_steps=trainer.num_steps,
            key=state.key,
            callbacks=callbacks,
            mesh=mesh,
            log_every=trainer.log_every,
            state=state,
            watch=lambda step, info: progress.update(step, info) or signals.received is not None,
        )


def _restored(checkpoints, template):
    state = checkpoints.restore(template)
    if state is None:
        warnings.warn(f"{checkpoints.directory} holds no complete checkpoint; starting at step 0.", stacklevel=3)
    return template if state is None else state


@contextlib.contextmanager
def _status(run):
    """STATUS says how the block ended."""
    run.write_status("running")
    try:
        yield
    except Interrupted as stop:
        run.write_status("interrupted", stop.reason)
        raise
    except BaseException as error:
        run.write_status("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    run.write_status("finished")
