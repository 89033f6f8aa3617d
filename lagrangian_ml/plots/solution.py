"""The picture of a solution: prediction, reference and pointwise error side by side on shared axes.

Prediction and reference share one colour scale, that of the reference; the error has a logarithmic one.
"""

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from ..core import Samples
from .slices import draw_lines
from .style import COLOURS, MUTED, WIDTH, blank, error_scale, new_figure, styled, value_scale
from .views import Plane, lines, plane, split


@styled
def solution_figure(samples: Samples, prediction: Float[Array | np.ndarray, "*n c"], *, title: str = "") -> Figure:
    """Solution, reference and |error|, a row for each component (four at most); the solution alone without a truth.

    One-dimensional samples become curves; scattered ones above two dimensions, predictions against the truth.
    """
    found = plane(samples, prediction)
    if found is None:
        curves = lines(samples, prediction)
        return draw_lines(curves, title) if curves else _against_truth(samples, prediction, title)
    scattered_far = not found.gridded and samples.point.x.shape[-1] > 2
    if scattered_far and found.truth is not None:
        return _against_truth(samples, prediction, title)
    return _panels(found, title)


def _panels(view: Plane, title):
    rows = min(len(view.prediction), len(COLOURS))
    columns = 1 if view.truth is None else 3
    square = "t" not in view.names
    width, panel = (WIDTH, 1.7) if columns == 3 else (3.6, 2.6)  # inches of the figure and of one panel
    tall = np.clip(np.ptp(view.vertical) / (np.ptp(view.horizontal) or 1.0), 0.3, 2.0) if square else 0.85
    layout = "compressed" if square else "constrained"
    fig = new_figure(rows * (panel * tall + 0.35) + 0.5, title, width=width, layout=layout)
    axes = fig.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for row in range(rows):
        _row(fig, axes[row], view, row, "u" if rows == 1 else f"u_{row + 1}")
    for ax in axes.flat:
        ax.set(xlim=_limits(view.horizontal), ylim=_limits(view.vertical))
        if square:
            ax.set_aspect("equal")
    for ax in axes[-1]:
        ax.set_xlabel(f"${view.names[0]}$")
    for ax in axes[:, 0]:
        ax.set_ylabel(f"${view.names[1]}$", rotation=0 if len(view.names[1]) == 1 else 90)
    return fig


def _row(fig, axes, view: Plane, component, symbol):
    u = view.prediction[component]
    truth = None if view.truth is None else view.truth[component]
    norm, colours = value_scale(u if truth is None else truth)
    where = f", {view.fixed}" if view.fixed else ""
    image = _paint(axes[0], view, u, norm, colours)
    axes[0].set_title(rf"solution $\hat{{{symbol[0]}}}{symbol[1:]}$" + where)
    if truth is None:
        fig.colorbar(image, ax=axes[0], pad=0.02)
        return
    image = _paint(axes[1], view, truth, norm, colours)
    axes[1].set_title(f"reference ${symbol}$" + where)
    fig.colorbar(image, ax=axes[1], pad=0.03)
    error = np.abs(u - truth)
    norm = error_scale(error)
    image = _paint(axes[2], view, np.maximum(error, norm.vmin or 0.0), norm, "magma")
    axes[2].set_title(rf"$|\hat{{{symbol[0]}}}{symbol[1:]} - {symbol}|$" + where)
    fig.colorbar(image, ax=axes[2], pad=0.03, extend="min")


def _paint(ax, view: Plane, values, norm, colours):
    values = np.ma.masked_invalid(values)
    ax.set_facecolor("#d9d9d9")  # shows through where values are not finite
    if view.gridded:
        return ax.pcolormesh(
            view.horizontal, view.vertical, values.T, norm=norm, cmap=colours, shading="nearest", rasterized=True
        )
    ax.set_facecolor("white")
    size = np.clip(6000 / values.size, 1.0, 12.0)
    return ax.scatter(view.horizontal, view.vertical, c=values, s=size, norm=norm, cmap=colours, lw=0, rasterized=True)


def _limits(values):
    low, high = np.min(values), np.max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _against_truth(samples, prediction, title):
    """û against u at all points: what can be shown of a function of many variables."""
    u, truth = (None if a is None else a.reshape(-1, a.shape[-1]) for a in split(samples, prediction))
    fig = new_figure(3.3, title, width=3.2, layout="compressed")
    ax = fig.subplots()
    if u is None or truth is None:
        blank(ax, "one point, no reference")
        return fig
    keep = slice(None, None, -(-len(u) // 20000))
    for c in range(min(u.shape[1], len(COLOURS))):
        label = f"$u_{c + 1}$" if u.shape[1] > 1 else None
        ax.plot(truth[keep, c], u[keep, c], ".", ms=2, color=COLOURS[c], alpha=0.5, mew=0, label=label, rasterized=True)
    ax.axline((0, 0), slope=1, color=MUTED, lw=0.7, zorder=0)
    finite = truth[np.isfinite(truth)]
    low, high = _limits(finite)
    pad = 0.04 * (high - low)
    ax.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect="equal")
    ax.set(xlabel="reference $u$", ylabel=r"solution $\hat{u}$")
    if u.shape[1] > 1:
        ax.legend(markerscale=4)
    return fig
