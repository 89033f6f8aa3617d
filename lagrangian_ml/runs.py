"""What the commands do with a complete configuration: run, resume and evaluate, and `load_run` for Python.

The run directory's config.yaml alone rebuilds everything; Hydra is not needed for it. Mistakes of the user are
`ConfigError`s and come before any training.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Inexact

from .config import ConfigError, Targets, build, complete, parse_override, read_config, to_yaml
from .config.folders import refuse_used, run_config
from .config.objects import MISTAKES, Parts, call
from .core import Point
from .domains.files import find_file, read_samples, write_arrays
from .metrics import errors, evaluate_field
from .training import Checkpoints, RunDirectory, Task, begin, restore_model, run_task, set_precision


@dataclass(frozen=True)
class Run:
    """A trained model with its problem. `predict` is its solution at many points, `field` at one, if it is one."""

    model: Any
    problem: Any  # of the kind of its method, such as core.Problem
    field: Any
    config: dict[str, Any]
    summary: dict[str, Any]
    path: Path

    def predict(self, *point: ArrayLike) -> Inexact[Array, "n c"]:
        """u at n points: `predict(t, x)` with t a number or (n,), or `predict(x)` if steady; x (n, d), (n,) in 1-D.

        Raises:
            ValueError: if there is a t too many or too few, or if the shapes do not fit.
        """
        _require_field(self)
        steady, dim = self.problem.horizon is None, self.problem.domain.dim
        if len(point) != (1 if steady else 2):
            raise ValueError(f"predict takes {'x: the problem is steady' if steady else 't and x'}.")
        dtype = jnp.result_type(float)
        x = jnp.asarray(point[-1], dtype)
        x = x.reshape(-1, 1) if dim == 1 and x.ndim < 2 else x
        if x.ndim != 2 or x.shape[1] != dim:
            raise ValueError(f"x has the shape {jnp.shape(point[-1])}; expected (n, {dim}).")
        t = None if steady else jnp.asarray(point[0], dtype)
        if t is not None and t.shape not in {(), (x.shape[0],)}:
            raise ValueError(f"t has the shape {t.shape}; expected a number or ({x.shape[0]},), as many as x.")
        return evaluate_field(self.field, Point(x, None if t is None else jnp.broadcast_to(t, x.shape[:1])))


def _require_field(run):
    if run.field is None:
        raise ValueError(
            f"the solution of {run.config['experiment']} is no field of t and x: use load_run(…).model, and the files "
            f"in {run.path / 'figures'}."
        )


@dataclass(frozen=True)
class Prepared:
    """The objects of a configuration, ready to be fitted."""

    parts: Parts
    task: Task


def prepare(config: dict[str, Any]) -> Prepared:
    """Build everything that a run needs, in its precision. ConfigError if a constructor refuses its arguments."""
    call(set_precision, "precision", config["precision"])
    parts = build(config)
    task = call(parts.method, "method", parts.problem, parts.model, parts.source, key=parts.key("method"))
    # A method that cannot work here, such as a second-order one in float32, says so before any training.
    optimizer = task.optimizer or parts.optimizer
    begun = lambda key: begin(task.model, task.source, optimizer, key=key, objective=task.objective)
    call(eqx.filter_eval_shape, "optimizer", begun, parts.key("fit"))
    return Prepared(parts, task)


def start(config: dict[str, Any], run_dir: str | Path | None = None) -> Path:
    """Run a complete configuration in a new run directory; returns its path."""
    if run_dir is not None:
        refuse_used(run_dir)
    prepared = prepare(config)
    path = _make_directory(config["experiment"], run_dir)
    _header(config, prepared, path)
    try:
        _run(config, prepared, path, to_yaml(config), resume=False)
    except (ValueError, ArithmeticError, OSError) as error:
        if RunDirectory(path).config.exists():
            raise
        raise ConfigError(str(error)) from error  # no step was done, and the directory may be used again
    return path


def resume(path: str | Path, overrides: Sequence[str] = (), *, modules: Sequence[str] = ()) -> Path:
    """Go on with a run from its newest sound checkpoint; `trainer.num_steps=…` may extend it."""
    directory, config = open_run(path, modules)
    changed = _with_overrides(config, overrides)
    goal, saved = changed["trainer"]["num_steps"], max(Checkpoints(directory.checkpoints).steps(), default=0)
    if saved > goal:
        raise ConfigError(f"trainer.num_steps={goal}: {path} has {saved} steps already; give more.")
    if directory.status()[0] == "finished" and saved == goal:
        print(f"{path} is finished: {saved} steps. Give trainer.num_steps=… to extend it.")
        return directory.path
    prepared = prepare(changed)
    if directory.status()[0] == "finished" and not (prepared.task.objective or prepared.task.optimizer):
        print(f"{path} is finished: there was nothing to train.")
        return directory.path
    _header(changed, prepared, directory.path)
    _run(changed, prepared, directory.path, to_yaml(changed) if changed != config else None, resume=True)
    return directory.path


def evaluate(
    path: str | Path, reference: str | Path, *, out: str | Path | None = None, modules: Sequence[str] = ()
) -> dict[str, float]:
    """The errors of a run against the arrays of a file; also written to the run's evaluation.json.

    With `out` the arrays of the file and the prediction are written there, an .npz file.
    """
    if out is not None and (Path(out).exists() or Path(out).suffix != ".npz"):
        raise ConfigError(f"--out {out}: name an .npz file that does not exist.")
    try:
        file = find_file(reference)  # before the run is rebuilt, which takes seconds
        run, prepared = _rebuild(path, modules)
        against = prepared.task.against or (lambda model, file: _against_samples(run, file))
        found, arrays = against(run.model, file)
    except ConfigError:
        raise
    except MISTAKES as error:
        raise ConfigError(f"--reference: {error}") from error
    content = {"reference": str(reference), "num_points": len(next(iter(arrays.values()))), "errors": found}
    RunDirectory(run.path).write_json("evaluation.json", content)
    if out is not None:
        try:
            write_arrays(Path(out), arrays)
        except OSError as error:
            raise ConfigError(f"--out {out} cannot be written: {error.strerror or error}.") from error
    return found


def _against_samples(run, file):
    _require_field(run)
    samples = read_samples(file, run.problem)
    prediction = evaluate_field(run.field, samples.point)
    t = {} if samples.point.t is None else {"t": samples.point.t}
    return errors(run.field, samples), {"x": samples.point.x, **t, "u": samples.u, "prediction": prediction}


def load_run(path: str | Path, *, modules: Sequence[str] = ()) -> Run:
    """The trained model of a run directory, from its newest sound checkpoint. Sets the precision of the run.

    `modules` names the modules of the user that the run was made with; they are imported, so their code is run.

    Raises:
        ConfigError: if the directory is not that of a run, has no checkpoint yet, or needs a module that is not named.
    """
    return _rebuild(path, modules)[0]


def _rebuild(path, modules) -> tuple[Run, Prepared]:
    directory, config = open_run(path, modules)
    prepared = prepare(config)
    try:
        model = restore_model(prepared.task, prepared.parts.optimizer, directory.path)
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    field = None if prepared.task.field is None else prepared.task.field(model)
    summary = directory.read_json("summary.json")
    return Run(model, prepared.parts.problem, field, config, summary, directory.path), prepared


def open_run(path: str | Path, modules: Sequence[str] = ()) -> tuple[RunDirectory, dict[str, Any]]:
    """A run directory and its configuration. ConfigError if it is none, or needs a module that is not named."""
    config = read_config(run_config(path))
    _check_modules(config.get("modules") or [], modules)
    targets = Targets(list(dict.fromkeys(modules)))
    targets.import_modules()
    return RunDirectory(path), complete(config, [], targets)


def _with_overrides(config, overrides):
    values = [parse_override(text) for text in overrides]
    for key, value in values:
        if not key.startswith(("trainer.", "mesh.")):
            raise ConfigError(f"{key}={value}: a resumed run is what it was; only trainer.… and mesh.… may change.")
    return complete(config, values, Targets(config.get("modules") or ())) if values else config


def _check_modules(recorded, named):
    """ConfigError if a stored configuration needs modules that are not named again: they would be executed.

    A run directory may come from somebody else, who may also have put a module beside it.
    """
    if not isinstance(recorded, list) or not all(isinstance(name, str) for name in recorded):
        raise ConfigError(f"modules={recorded!r} in the stored configuration: expected a list of names.")
    missing = [name for name in recorded if name not in named]
    if missing:
        raise ConfigError(
            f"this run needs {'the modules' if len(missing) > 1 else 'the module'} {', '.join(missing)}, whose code "
            f"would be executed; if you trust it, add {' '.join(f'--module {name}' for name in missing)} "
            f"(in Python modules={[*named, *missing]})."
        )


def _make_directory(experiment, run_dir):
    """The run directory, made here: a new one under runs/ unless it was named."""
    base = Path(run_dir) if run_dir is not None else Path("runs") / experiment / time.strftime("%Y-%m-%d_%H-%M-%S")
    path, number = base, 1
    while True:
        try:
            path.mkdir(parents=True, exist_ok=run_dir is not None)
            probe = path / ".lock"
            probe.touch()
            return path
        except FileExistsError:
            path, number = base.with_name(f"{base.name}_{number + 1}"), number + 1
        except OSError as error:
            raise ConfigError(f"the run directory {path} cannot be written: {error.strerror}.") from error


def _run(config, prepared, path, text, *, resume):
    parts = prepared.parts
    about = {"experiment": config["experiment"], "seed": config["seed"], "precision": config["precision"]}
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in config.get("modules") or ()}
    run_task(
        prepared.task,
        parts.optimizer,
        parts.trainer,
        key=parts.key("fit"),
        directory=path,
        mesh=parts.mesh,
        resume=resume,
        about=about | ({"modules": files} if files else {}),
        config=text,
    )


def _header(config, prepared, path):
    name = lambda thing: type(thing).__name__
    target = lambda group: str(config[group]["_target_"]).rpartition(".")[2]
    devices = jax.devices()
    trained = f", {target('optimizer')}" if prepared.task.objective else ""
    problem = prepared.parts.problem
    solved = name(problem.equation) if getattr(problem, "equation", None) else target("problem")
    print(
        f"{config['experiment']}: {solved} by {target('method')}, {target('model')}"
        f"{trained}\n{config['precision']}, {len(devices)} × {devices[0].device_kind}, "
        f"seed {config['seed']}, {path}",
        flush=True,
    )
