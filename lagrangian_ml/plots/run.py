"""All figures of a run, written as PNG for the screen and as PDF for the paper."""

import io
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
def save_figure(figure: Figure, stem: Path, title: str) -> list[Path]:
    """The figure as `stem`.png and .pdf, whose bytes depend on the figure alone; returns the paths."""
    paths = []
    for suffix, entries in _METADATA.items():
        paths.append(stem.with_suffix(suffix))
        figure.savefig(paths[-1], metadata={"Title": title} | entries)
    return paths


@styled
def png(figure: Figure, title: str) -> bytes:
    """A figure as the content of a PNG file, which depends on the figure alone."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Title": title} | _METADATA[".png"])
    return content.getvalue()


_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}  # no versions, no dates
