"""All figures of a run, written as PNG for the screen and as PDF for the paper."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from ..core import Samples
from .history import history_figure
from .slices import slices_figure
from .solution import solution_figure
from .style import styled


def save_run_figures(
    title: str,
    samples: Samples | None,
    prediction: Float[Array | np.ndarray, "*n c"] | None,
    history: Sequence[Mapping[str, Any]],
    directory: Path | str,
) -> list[Path]:
    """Writes solution, slices and history as .png (300 dpi) and .pdf; returns the paths, figures that apply only.

    `title` is the preset, named in every footer and in the metadata. `samples` with u = NaN have no reference.
    The bytes depend on the data alone: no dates are stored.
    """
    figures = {}
    if samples is not None and prediction is not None:
        figures["solution"] = solution_figure(samples, prediction, title=title)
        figures["slices"] = slices_figure(samples, prediction, title=title)
    figures["history"] = history_figure(history, title=title)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths += save_figure(figure, directory / name, f"{title}: {name}")
    return paths


@styled
def save_figure(figure: Figure, stem: Path, title: str, suffixes: Sequence[str] = (".png", ".pdf")) -> list[Path]:
    """Write a figure under a path without its suffix; the bytes do not depend on the time."""
    metadata = {".png": {"Title": title, "Software": None}, ".pdf": {"Title": title, "CreationDate": None}}
    paths = [stem.with_suffix(suffix) for suffix in suffixes]
    for path in paths:
        figure.savefig(path, metadata=metadata[path.suffix])
    return paths
