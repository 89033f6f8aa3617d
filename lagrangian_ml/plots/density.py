"""A density on its way: the learned one below the truth at equal times, and all figures of a run that learned it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from ..core import Samples
from .animation import animate
from .run import save_figure, save_run_figures
from .style import INK, PREDICTION, WIDTH, new_figure, styled, value_scale

NUM_TIMES = 5


@styled
def density_figure(
    samples: Samples, prediction: Float[Array | np.ndarray, "*n c"], *, title: str = ""
) -> Figure | None:
    """ρ, the first component, at five times: pictures in the (x, y) plane through the centre, curves in one dimension.

    None for samples that form no grid.
    """
    if samples.grid is None or samples.point.t is None:
        return None
    truth, found = (_planes(samples, u) for u in (samples.u, prediction))
    times = _times(samples)
    columns = np.unique(np.linspace(0, len(times) - 1, NUM_TIMES).round().astype(int))
    if truth.ndim == 2:
        return _curves(samples, truth, found, times, columns, title)
    rows = [("solution", found)] if np.isnan(truth).all() else [("reference", truth), ("solution", found)]
    fig = new_figure(0.5 + 1.35 * len(rows), title, layout="compressed")
    axes = fig.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    norm, colours = value_scale(rows[0][1])
    x, y = _axes(samples)
    for (name, values), line in zip(rows, axes, strict=True):
        for column, ax in zip(columns, line, strict=True):
            image = ax.pcolormesh(x, y, values[column].T, norm=norm, cmap=colours, shading="nearest", rasterized=True)
            ax.set_aspect("equal")
        line[0].set_ylabel(f"{name}\n$y$")
        fig.colorbar(image, ax=list(line), pad=0.01, label=r"$\rho$")
    for column, ax in zip(columns, axes[0], strict=True):
        ax.set_title(f"$t = {times[column]:.3g}$")
    for ax in axes[-1]:
        ax.set_xlabel("$x$")
    return fig


def _curves(samples, truth, found, times, columns, title):
    fig = new_figure(1.9, title, width=WIDTH)
    x = _axes(samples)[0]
    for column, ax in zip(columns, fig.subplots(1, len(columns), sharey=True, squeeze=False)[0], strict=True):
        ax.plot(x, truth[column], color=INK, lw=2.6, alpha=0.28, label="reference")
        ax.plot(x, found[column], color=PREDICTION, ls=(0, (3.2, 1.8)), label="solution")
        ax.set(title=f"$t = {times[column]:.3g}$", xlabel="$x$")
    fig.axes[0].set_ylabel(r"$\rho$")
    fig.axes[0].legend()
    return fig


def _planes(samples, u):
    """ρ (t, x[, y]) through the centre of a third axis."""
    rho = np.asarray(u, float)[:, 0].reshape(samples.grid)
    return rho[..., rho.shape[-1] // 2] if rho.ndim == 4 else rho


def _times(samples):
    return np.asarray(samples.point.t, float).reshape(samples.grid[0], -1)[:, 0]


def _axes(samples):
    x = np.asarray(samples.point.x, float)
    return [np.unique(x[:, i]) for i in range(min(2, x.shape[1]))]


def save_density_figures(
    title: str,
    samples: Samples,
    prediction: Float[Array | np.ndarray, "*n c"],
    history: Sequence[Mapping[str, Any]],
    directory: Path | str,
) -> list[Path]:
    """The figures of any run, and the density on its way: as `density`, and moving as `density.gif`."""
    paths = save_run_figures(title, samples, prediction, history, directory)
    figure = density_figure(samples, prediction, title=title)
    if figure is None:
        return paths
    paths += save_figure(figure, Path(directory) / "density", f"{title}: density")
    truth, found = (_planes(samples, u) for u in (samples.u, prediction))
    known = None if np.isnan(truth).all() else truth
    moving = {"values": found, "truth": known, "axes": _axes(samples), "label": "ρ", "title": title}
    return [*paths, animate(_times(samples), Path(directory) / "density.gif", **moving)]
