"""The end of a data set: metadata, coordinates, statistics, a figure, and the manifest that makes it complete."""

import os
import shutil
import warnings
from collections.abc import Mapping
from typing import Any

from lagrangian_ml.core.walls import NamedWall

from . import manifest, statistics, write
from .manifest import Entry
from .target import Target


def assemble(target: Target, solver: Any, shards: Mapping[int, Entry]) -> None:
    """Complete a data set all of whose shards are there; `solver` is that of the recipe, whose walls are told."""
    directory = target.directory
    temporary = directory / manifest.PENDING / f"assemble.{os.getpid()}.tmp"
    moments = statistics.merge(shards[n]["moments"] for n in sorted(shards))
    files = write.array_metadata(target.recipe, target.plan)
    files["zarr.json"] = write.group_metadata(target.recipe, _attributes(target, solver))
    files["statistics.json"] = statistics.to_json(statistics.summarise(moments)).encode()
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        manifest.write_atomically(directory / name, content, temporary)
    files["recipe.yaml"] = target.recipe_text
    entries = {name: manifest.describe(content) for name, content in files.items()}
    entries |= _figure(directory, temporary)
    manifest.write(directory, target.header, shards.values(), entries, temporary)
    shutil.rmtree(directory / manifest.PENDING, ignore_errors=True)


def _figure(directory, temporary) -> dict[str, Entry]:
    """The contact sheet; a data set without it is complete too."""
    try:
        from .figures import NAME, draw_samples

        content = draw_samples(directory)
    except Exception as error:  # whatever the fonts or the graphics library of this machine lack
        warnings.warn(f"no figure was drawn ({type(error).__name__}: {error}); the data set is complete", stacklevel=2)
        return {}
    (directory / NAME).parent.mkdir(exist_ok=True)
    manifest.write_atomically(directory / NAME, content, temporary)
    return {NAME: manifest.describe(content)}


def _attributes(target: Target, solver: Any) -> dict[str, Any]:
    """What the group says of the data set, for readers and exchange formats."""
    config = target.config
    return {
        "name": config["name"],
        "command": target.command,
        "recipe": target.identity,
        "num_samples": target.plan.num_samples,
        "seed": config["seed"],
        "boundary": boundary_kinds(solver, target.recipe.stored_grid.dim),
        "parameters": parameters(config["dataset"]),
    }


def boundary_kinds(solver: Any, dim: int) -> list[Any]:
    """Of each axis "periodic", or what its (low, high) ends are: "wall" or "open"."""
    basis, walls = getattr(solver, "basis", None), getattr(solver, "walls", None)
    if basis is not None:
        return [["wall", "wall"] if axis.basis in ("sin", "cos") else "periodic" for axis in basis.axes]
    if not isinstance(walls, tuple):
        return ["periodic"] * dim
    kind = lambda wall: "open" if isinstance(wall, NamedWall) and wall.name == "outflow" else "wall"
    return ["periodic" if pair is None else [kind(wall) for wall in pair] for pair in walls]


def parameters(node: Mapping[str, Any]) -> dict[str, float]:
    """The plain numbers of the equation, by name, or those of the recipe itself if it has none."""
    owner = node.get("equation") or {name: node[name] for name in ("velocity", "source") if name in node}
    found = {}
    for name, value in owner.items():
        entries = value if isinstance(value, list) else [value]
        if all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in entries):
            names = [name] if len(entries) == 1 else [f"{name}_{i}" for i in range(len(entries))]
            found |= dict(zip(names, map(float, entries), strict=True))
    return found
