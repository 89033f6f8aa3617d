"""What `lagrangian-ml verify`, `info` and `export` do and print; `generate` has a file of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lagrangian_ml.config import ConfigError

from .read import Dataset
from .store import SampleStore
from .verify import verify as find_damage


def verify(path: str) -> int:
    """Print what is wrong with a data set and how to repair it; 0 if nothing is, else 1."""
    with _told():
        findings = find_damage(path)
    if findings.sound:
        print(f"{path} is sound: {findings.num_files} files, {findings.num_shards} shards, all as the manifest says.")
        return 0
    for told in findings.damaged:
        print(f"damaged: {told}")
    for name in findings.foreign:
        print(f"foreign: {name} is not of this data set; move it away, or delete it")
    if findings.damaged:
        then = "Then this command" if findings.foreign else "This command"
        print(f"{then} makes anew what is damaged, and no other shard:\n  {findings.command}")
    return 1


def info(path: str) -> int:
    """Print what a data set, or an HDF5 file of others, holds, and how far its numbers can be trusted."""
    with _told():
        store = _opened(path)
        rows = [*_contents(store), *(_quality(store) if isinstance(store, Dataset) else ())]
    width = max(len(name) for name, _ in rows)
    for name, told in rows:
        print(f"{name:<{width}}  {told}".rstrip())
    return 0


def export(path: str, format: str, out: str) -> int:
    """Write a data set in a format of others; prints the files."""
    from . import formats

    with _told():
        for file in formats.export(path, format, out):
            print(file)
    return 0


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Mistakes and damage as a ConfigError, whose message is all that is shown."""
    try:
        yield
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"{error.filename or 'the file'} cannot be written or read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _opened(path) -> SampleStore:
    if not Path(path).is_file():
        return Dataset(path)
    from .formats import open_file

    return open_file(path)


def _contents(store: SampleStore) -> Iterator[tuple[str, str]]:
    yield "name", store.name
    if isinstance(store, Dataset):
        yield "command", store.command
        yield "seed", str(store.seed)
        shards = [line for line in store.manifest if "shard" in line]
        size = sum(file["size"] for line in store.manifest for file in line.get("files", {}).values())
        yield "size", f"{readable(size)} in {len(shards)} shard{'s' if len(shards) != 1 else ''}"
    yield "samples", str(len(store))
    for name, variable in store.variables.items():
        axes = ", ".join(f"{axis} {n}" for axis, n in zip(variable.axes, variable.shape, strict=True))
        yield name, f"{variable.kind}: {axes}"
    for axis, values in store.coordinates.items():
        yield axis, f"{values[0]:.6g} … {values[-1]:.6g}"
    if store.parameters:
        yield "parameters", ", ".join(f"{name} = {value:.6g}" for name, value in store.parameters.items())
    if store.boundary:
        ends = [low if low == high else f"{low} | {high}" for low, high in store.boundary]
        yield "boundary", ", ".join(ends)


def _quality(store: Dataset) -> Iterator[tuple[str, str]]:
    """The worst of all shards."""
    shards = [line for line in store.manifest if "shard" in line]
    found = [line["quality"] for line in shards if "quality" in line]
    for name, figures in store.statistics.items():
        pairs = [f"{mean:.4g} ± {std:.4g}" for mean, std in zip(figures["mean"], figures["std"], strict=True)]
        yield f"mean of {name}", ", ".join(pairs)
    if not found:
        return
    worst = lambda values: f"{max(values):.3g}"
    bound, largest = found[0]["courant_bound"], max(quality["max_courant"] for quality in found)
    limited = bound is not None and largest > 0
    yield (
        "largest Courant number",
        f"{largest:.3g} of at most {bound:.3g}" if limited else "no velocity limits the step",
    )
    yield "spectrum tail", worst(quality["spectrum_tail"] for quality in found)
    for name in store.variables:
        if name in found[0]["mean_drift"]:
            yield f"drift of mean {name}", worst(quality["mean_drift"][name] for quality in found)
        for frame in found[0]["step_error"].get(name, ()):
            errors = worst(quality["step_error"][name][frame] for quality in found)
            yield f"step error of {name}", f"{errors} ({frame} frame)" if frame != "all" else errors
    rejected = {cause: sum(quality["rejected"][cause] for quality in found) for cause in found[0]["rejected"]}
    redrawn = sum(len(line["redrawn"]) for line in shards)
    causes = ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in rejected.items())
    yield "redrawn samples", f"{redrawn} (draws rejected: {causes})"


def readable(size: float) -> str:
    """A number of bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
