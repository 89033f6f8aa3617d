"""`lagrangian-ml generate`: a data set from a recipe, by worker processes that each make whole shards.

A command that was ended, however it was, goes on when it is given again; a finished data set is checked, and only
what is damaged is made anew. Either way the same bytes come out.
"""

import errno
import math
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lagrangian_ml.config import ConfigError, Targets, build_group, complete, load_config
from lagrangian_ml.config.errors import listing
from lagrangian_ml.config.folders import DATASET
from lagrangian_ml.config.objects import call
from lagrangian_ml.training.precision import set_precision

from .assemble import assemble
from .command import spell_command
from .commands import readable
from .manifest import Entry
from .progress import Progress
from .shard import check
from .target import Target, read_recipe
from .work import WorkerDied, Workers
from .write import Plan, choose_shard_size, sample_bytes


class Stopped(Exception):
    """A signal came."""


def main(
    overrides: Sequence[str],
    out: str | Path | None,
    *,
    workers: int | None = None,
    shards: str | None = None,
    dry_run: bool = False,
    config_dirs: Sequence[str | Path] = (),
    modules: Sequence[str] = (),
) -> int:
    """Generate a data set, go on with it, or repair it; returns the exit code.

    Without overrides the data set is the one that `out` holds. `shards` is "i/n": make the shards i, i + n, … only.

    Raises:
        ConfigError: for a mistake in the recipe or of the folder, unstable steps, and a full disk.
    """
    if out is None and not dry_run:
        raise ConfigError("--out DIR is needed: where to write the data set.")
    if "://" in str(out or ""):
        raise ConfigError(
            f"--out {out}: data sets are written to local folders; copy a finished one to where it is read."
        )
    try:
        return _main(overrides, out, workers, shards, dry_run, config_dirs, modules)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written: {error.strerror or error}.{_advice(error.errno)}") from error


def _main(overrides, out, workers, shards, dry_run, config_dirs, modules) -> int:
    workers = _count_workers(workers)
    share, shares = _read_share(shards)
    dirs = [str(Path(folder).resolve()) for folder in config_dirs]
    config = _load(overrides, out, dirs, modules)
    recipe, solver = _build(config)
    target = _target(config, recipe, Path(out or "."), spell_command(config))
    mine = range(target.plan.num_shards)[share::shares]
    if dry_run:
        _print_plan(target, workers, mine)
        return 0
    target.check()
    missing = _missing(target, mine)
    if not missing and target.is_complete():
        checked = (
            "all as the manifest says" if shares == 1 else "this share as the manifest says; others were not checked"
        )
        print(f"{target.directory} is complete: {target.plan.num_samples} samples, {checked}.")
        return 0
    target.check_versions()
    return _make(target, solver, missing, workers, f"{share}-of-{shares}")


def _count_workers(workers):
    if workers is not None and workers < 1:
        raise ConfigError(f"--workers {workers}: give at least 1.")
    return workers or len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def _read_share(shards):
    """(i, n) of "i/n"."""
    words = ["0", "1"] if shards is None else shards.split("/")
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[0]) < int(words[1]):
        return int(words[0]), int(words[1])
    raise ConfigError(f"--shards {shards}: write i/n with 0 ≤ i < n, such as 0/4, 1/4, 2/4 and 3/4 on four machines.")


def _load(overrides, out, config_dirs, modules) -> dict[str, Any]:
    """The complete configuration; without overrides, that of the data set in `out`."""
    stored = read_recipe(Path(out)) if out is not None and not overrides else None
    if stored is None:
        return load_config(overrides, config_dirs=config_dirs, modules=modules, root=DATASET)
    missing = [name for name in stored["modules"] if name not in modules]
    if missing:
        raise ConfigError(
            f"{out} needs modules whose code would be executed: if you trust them, add "
            f"{' '.join(f'--module {name}' for name in missing)}. They are {listing(missing)}."
        )
    targets = Targets(stored["modules"])
    targets.import_modules()
    names = ("name", "modules", *DATASET.keys)
    return complete({name: stored[name] for name in names}, [], targets, DATASET)


def _build(config):
    """The recipe and its solver, after one sample was traced."""
    set_precision("float64")
    recipe = build_group(config, "dataset")
    if not hasattr(recipe, "variables"):
        raise ConfigError(f"dataset={type(recipe).__name__} is no recipe: give one of data_gen.recipe.")
    size, memory = 8 * recipe.block * sum(math.prod(v.shape) for v in recipe.variables), _memory()
    if size > memory:
        raise ConfigError(
            f"dataset: a block of {recipe.block} samples takes {readable(size)} in memory, and there are "
            f"{readable(memory)}: give a coarser grid, fewer frames, or a smaller dataset.block."
        )
    return recipe, call(check, "dataset", recipe, config["seed"])


def _memory() -> float:
    """Bytes of this machine's memory."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return math.inf


def _target(config, recipe, directory, command) -> Target:
    size = config["shard_size"] or choose_shard_size(recipe)
    if size % recipe.block:
        raise ConfigError(f"shard_size={size} must be a multiple of dataset.block={recipe.block}.")
    return Target(directory, config, command, recipe, Plan(config["num_samples"], size))


def _missing(target: Target, mine: Sequence[int]) -> list[int]:
    """Those of the shards that are not there, or not as they should be."""
    begun = len(target.finished(mine, check=False))
    if begun:
        print(f"checking {begun} of {len(mine)} shards that are there already", file=sys.stderr, flush=True)
    sound = target.finished(mine, check=True)
    if begun > len(sound):
        print(f"{begun - len(sound)} of them are damaged and made anew", file=sys.stderr, flush=True)
    return [shard for shard in mine if shard not in sound]


def _make(target: Target, solver: Any, missing: Sequence[int], workers: int, tag: str) -> int:
    is_new, left = not target.directory.exists(), 0
    try:
        with _Signals(), target.locked(tag):
            with target.alone():
                sound = target.finished(missing, check=True)  # by another process, in the meantime
                missing = [shard for shard in missing if shard not in sound]
                recorded = target.finished(missing, check=False)
                target.begin(missing)
            _run(target, missing, min(workers, len(missing)), tag)
            with target.alone():
                entries = target.finished(range(target.plan.num_shards), check=False)
                left = target.plan.num_shards - len(entries)
                _compare(recorded, entries)
                if not left and not target.is_complete():
                    assemble(target, solver, entries)
    except Stopped as signal_:
        print(f"stopped; {_standing(target)} the same command goes on.", file=sys.stderr)
        return 128 + signal_.args[0]
    except (ConfigError, OSError):
        if is_new:
            with target.alone():
                target.undo()
        raise
    if left:
        print(f"this share is finished; {left} of {target.plan.num_shards} shards are left to others.")
    print(target.directory)
    return 0


def _compare(recorded: Mapping[int, Entry], made: Mapping[int, Entry]) -> None:
    """Tell of shards that were repaired and are not what they were: another kind of processor rounds otherwise."""
    other = [n for n, entry in recorded.items() if n in made and made[n]["files"] != entry["files"]]
    if other:
        print(
            f"warning: the shards {listing(map(str, other))} are not byte for byte what they were: this machine "
            "computes the last bits in another way.",
            file=sys.stderr,
        )


def _run(target: Target, missing: Sequence[int], workers: int, tag: str) -> None:
    """Let workers make the shards."""
    if not missing:
        return
    setup = _setup(target, tag)
    samples = sum(len(target.plan.samples(shard)) for shard in missing)
    with Workers(workers, setup) as pool, Progress(samples, len(missing)) as progress:
        for message in pool.run([{"shard": shard} for shard in missing]):
            if "error" in message:
                raise _failure(target, message)
            progress.add(message.get("samples", 0), int("shard" in message))


def _setup(target: Target, tag: str, *, measure: bool = False) -> dict[str, Any]:
    about = {"directory": str(target.directory.resolve()), "shard_size": target.plan.shard_size}
    return about | {"config": target.config, "recipe": target.identity, "tag": tag, "measure": measure}


def _failure(target, message) -> Exception:
    """What a worker has told, as the exception it is."""
    if message["kind"] == "mistake":
        return ConfigError(message["error"])
    if message["kind"] == "disk":
        return ConfigError(
            f"--out {target.directory} cannot be written: {message['error']}.{_advice(message['errno'])} "
            f"{_standing(target)} the same command goes on."
        )
    return WorkerDied(f"a worker failed: {message['error']}; {_standing(target)} the same command goes on.")


def _advice(number: int | None) -> str:
    return " Make room." if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""


def _standing(target) -> str:
    done = len(target.finished(range(target.plan.num_shards), check=False))
    return f"{done} of {target.plan.num_shards} shards are finished;"


def _print_plan(target: Target, workers: int, mine: Sequence[int]) -> None:
    """What `--dry-run` shows: size, work and time."""
    recipe, plan = target.recipe, target.plan
    samples = sum(len(plan.samples(shard)) for shard in mine)
    updates, size = samples * recipe.num_updates, samples * sample_bytes(recipe)
    blocks = sum(math.ceil(len(plan.samples(shard)) / recipe.block) for shard in mine)
    workers = min(workers, len(mine))
    with Workers(1, _setup(target, "dry-run", measure=True)) as pool:
        for measured in pool.run([{}]):
            if "error" in measured:
                raise _failure(target, measured)
            work = blocks * recipe.block * recipe.num_updates * measured["update"]
            busiest = math.ceil(len(mine) / max(1, workers)) / max(1, len(mine))
            compiling = 2 * measured["compile"]
            seconds = compiling + work * busiest
    for variable in recipe.variables:
        axes = ", ".join(f"{name} {n}" for name, n in zip(variable.axes, variable.shape, strict=True))
        print(f"{variable.name:<16}{axes}; {recipe.dtype}")
    print(f"{'samples':<16}{samples} in {len(mine)} shards of {plan.shard_size}, {recipe.block} a block")
    print(f"{'size':<16}{readable(size)}, {readable(sample_bytes(recipe))} a sample")
    print(f"{'work':<16}{updates:.3g} cell-updates, {recipe.num_updates:.3g} a sample")
    print(f"{'time':<16}about {_duration(seconds)} with {workers} workers, {compiling:.0f} s of it to compile")
    print(f"{'command':<16}{target.command}")


def _duration(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class _Signals:
    """SIGINT, SIGTERM and SIGHUP become `Stopped`; a shard that is not finished is dropped. Inert in other threads."""

    def __enter__(self):
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) != signal.SIG_IGN:  # nohup and background jobs
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number, frame):
        for each in self._before:
            signal.signal(each, signal.SIG_IGN)  # the second must not leave workers behind
        raise Stopped(number)
