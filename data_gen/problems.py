"""Problems of operator learning from data sets, for the configs of runs: what is missing is generated at first use.

A data set is named by its recipe and what differs from it, as in `lagrangian-ml generate`; it is made once, in a
folder that belongs to exactly this recipe and seed, and extended where a run asks for more samples.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from lagrangian_ml.config import ConfigError, build_group, load_config
from lagrangian_ml.config.folders import DATASET
from lagrangian_ml.operators import OperatorProblem, Pairs, TrajectoryProblem

from . import manifest
from .command import differences, spell
from .read import Dataset
from .stored import strided_grid
from .target import read_recipe


def pairs(
    recipe: str,
    *,
    inputs: str = "u",
    outputs: str = "u",
    input_frames: tuple[int, ...] = (0,),
    output_frames: tuple[int, ...] = (-1,),
    in_time: bool = False,
    num_train: int = 1000,
    num_validation: int = 100,
    num_test: int = 200,
    stride: int = 1,
    test_strides: tuple[int, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    path: str | None = None,
) -> OperatorProblem:
    """Inputs and outputs of one data set: the first samples are for training, then those for validation and test.

    Args:
        recipe: its name, as in `lagrangian-ml generate dataset=NAME`.
        inputs, outputs: variables of the recipe.
        input_frames, output_frames: of what evolves, these frames, as components one after the other.
        in_time: the output frames are an axis of the output, (c, t, *s), and not components.
        stride: every stride-th point of every axis is used.
        test_strides: the test samples at these strides; by default as in training.
        settings: what differs from the recipe, such as {"equation": {"viscosity": 0.01}}.
        seed: of the data set.
        path: the folder; by default data/ and a name that belongs to the recipe, its settings and the seed.

    Raises:
        ValueError: for a variable, frame or number that does not exist, and a folder with another data set.
    """
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    data = prepare(recipe, settings or {}, sum(_checked(counts)), seed, path)
    strides = tuple(test_strides or (stride,))

    def read(start, stop, stride):
        v = _values(data, inputs, input_frames, start, stop, stride)
        u = _values(data, outputs, output_frames, start, stop, stride)
        evolving = data.variables[outputs].evolving
        u = jnp.moveaxis(u, 1, 2) if in_time and evolving else _as_components(u, evolving)
        return Pairs(_as_components(v, data.variables[inputs].evolving), u)

    first_test = num_train + num_validation
    tests = {}
    for each in strides if num_test else ():
        test = read(first_test, first_test + num_test, each)
        tests["test" if each == stride else f"test_{test.inputs.shape[-1]}"] = test
    train = read(0, num_train, stride)
    validation = read(num_train, first_test, stride) if num_validation else None
    built = build_group(_config(recipe, settings or {}, seed, 1), "dataset")
    times, evolves = built.times, data.variables[outputs].evolving and tuple(input_frames) == (0,)
    return OperatorProblem(
        train,
        validation,
        tests,
        getattr(built, "equation", None),
        strided_grid(built.stored_grid, stride),
        tuple(float(times[frame]) for frame in output_frames) if evolves and times[0] == 0 else None,
        data.name,
    )


def trajectories(
    recipe: str,
    *,
    variable: str = "u",
    num_train: int = 50,
    num_validation: int = 10,
    num_test: int = 30,
    train_frames: int | None = None,
    stride: int = 1,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    path: str | None = None,
) -> TrajectoryProblem:
    """Trajectories of one data set, split as in `pairs`; training has the first `train_frames` frames of its own.

    Raises:
        ValueError: as `pairs`.
    """
    counts = {"train": num_train, "validation": num_validation, "test": num_test}
    data = prepare(recipe, settings or {}, sum(_checked(counts)), seed, path)
    if not data.variables[data._names([variable])[0]].evolving:
        raise ValueError(f"{variable} of {recipe} does not evolve: it has no trajectories.")
    ends = np.cumsum([0, *counts.values()])
    read = lambda k: _values(data, variable, None, ends[k], ends[k + 1], stride)
    train = read(0)
    if train_frames is not None and not 2 <= train_frames <= train.shape[1]:
        raise ValueError(f"train_frames={train_frames} must be 2 to {train.shape[1]}.")
    times = build_group(_config(recipe, settings or {}, seed, 1), "dataset").times
    return TrajectoryProblem(
        train[:, :train_frames],
        read(1) if num_validation else None,
        {"test": read(2)} if num_test else {},
        float(times[1] - times[0]),
        data.name,
    )


def multitask(tasks: Mapping[str, OperatorProblem], only: tuple[str, ...] | None = None) -> OperatorProblem:
    """Several problems in one: the inputs get one more component a task, 1 everywhere for their own and 0 for others.

    Samples of the tasks alternate; every test set keeps its name, with that of the task in front. With `only` these
    tasks are left, their codes the same: what an operator of one task would have learned.

    Raises:
        ValueError: unless all have the same shapes and numbers of samples, and `only` names some of them.
    """
    chosen = tuple(tasks) if only is None else only
    if not chosen or set(chosen) - set(tasks):
        raise ValueError(f"only={list(chosen)}: give some of the tasks {', '.join(tasks)}.")
    coded = {name: _coded(tasks[name], k, len(tasks)) for k, name in enumerate(tasks) if name in chosen}
    if len({(problem.train.shapes, len(problem.train)) for problem in coded.values()}) != 1:
        found = {name: (problem.train.shapes, len(problem.train)) for name, problem in tasks.items()}
        raise ValueError(f"tasks: shapes and numbers of samples must agree; they are {found}.")
    merge = lambda parts: Pairs(*(jnp.stack(a, axis=1).reshape(-1, *a[0].shape[1:]) for a in zip(*parts, strict=True)))
    each = lambda kind: [(getattr(p, kind).inputs, getattr(p, kind).outputs) for p in coded.values()]
    validated = all(problem.validation is not None for problem in coded.values())
    tests = {f"{name}_{kind}": test for name, problem in coded.items() for kind, test in problem.test.items()}
    return OperatorProblem(
        merge(each("train")),
        merge(each("validation")) if validated else None,
        tests,
        data=", ".join(problem.data for problem in coded.values()),
    )


def _coded(problem, number, count):
    def code(pairs):
        codes = jnp.zeros((len(pairs), count, *pairs.inputs.shape[2:]), pairs.inputs.dtype).at[:, number].set(1.0)
        return Pairs(jnp.concatenate([pairs.inputs, codes], axis=1), pairs.outputs)

    validation = None if problem.validation is None else code(problem.validation)
    return replace(
        problem,
        train=code(problem.train),
        validation=validation,
        test={name: code(test) for name, test in problem.test.items()},
    )


def prepare(recipe: str, settings: Mapping[str, Any], num_samples: int, seed: int, path: str | None) -> Dataset:
    """The data set with at least so many samples, generated or extended if need be.

    Raises:
        ValueError: for an unknown recipe or setting, a folder that holds another data set, and a failed generation.
    """
    wanted = _config(recipe, settings, seed, num_samples)
    name = f"{recipe}-{manifest.digest({'dataset': wanted['dataset'], 'seed': seed})[:8]}"
    folder = Path(path or Path("data") / name)
    stored = read_recipe(folder) if folder.is_dir() else None
    if stored is not None:
        about = lambda config: {name: config[name] for name in ("dataset", "seed")}
        other = differences(about(stored), about(wanted))
        if other:
            raise ValueError(
                f"{folder} holds another data set than {recipe} with these settings: {other[0]}. Give another "
                "problem.path, or the settings that it was made with."
            )
    if _lacks(folder, stored, num_samples):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.with_name(f".{folder.name}.lock"), "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another run that makes it is waited for
            stored = read_recipe(folder) if folder.is_dir() else None
            if _lacks(folder, stored, num_samples):
                _generate(recipe, settings, max(num_samples, (stored or wanted)["num_samples"]), seed, folder)
    return Dataset(folder)


def _lacks(folder, stored, num_samples):
    return stored is None or stored["num_samples"] < num_samples or not (folder / manifest.NAME).exists()


def _generate(recipe, settings, num_samples, seed, folder):
    """By a process of its own: it computes in float64, and with as many workers as there are cores."""
    words = [*_overrides(recipe, settings, seed, num_samples), "--out", str(folder)]
    print(f"generating {num_samples} samples of {recipe} in {folder}", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "data_gen", "generate", *words], stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise ValueError(f"the data set {folder} could not be made (see above); the same run goes on with it.")


def _overrides(recipe, settings, seed, num_samples) -> list[str]:
    changes = [f"dataset.{key}={spell(value)}" for key, value in _flat(settings)]
    return [f"dataset={recipe}", *changes, f"seed={seed}", f"num_samples={num_samples}"]


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and "_target_" not in value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _config(recipe, settings, seed, num_samples) -> dict[str, Any]:
    try:
        return load_config(_overrides(recipe, settings, seed, num_samples), root=DATASET)
    except ConfigError as error:
        raise ValueError(f"recipe={recipe}: {error}") from error


def _checked(counts: Mapping[str, int]) -> list[int]:
    for name, count in counts.items():
        least = int(name == "train")
        if count < least:
            raise ValueError(f"num_{name}={count} must be at least {least}: an empty split has nothing to say.")
    return list(counts.values())


def _as_components(values, evolving):
    """(n, t, c, *s) as (n, t c, *s)."""
    return values.reshape(values.shape[0], -1, *values.shape[3:]) if evolving else values


def _values(data: Dataset, name, frames, start, stop, stride):
    variable = data.variables[data._names([name])[0]]
    dim = len(variable.axes) - variable.evolving - 1
    if stride < 1 or any(n % stride for n in variable.shape[-dim:]):
        raise ValueError(f"stride={stride} must divide the numbers of points {variable.shape[-dim:]} of {data.name}.")
    try:
        values = data.read(range(start, stop), [name], frames if variable.evolving else None)[name]
    except IndexError as error:
        raise ValueError(f"frames: {error}") from error
    return jnp.asarray(values[(..., *(slice(None, None, stride),) * dim)], jnp.result_type(float))
