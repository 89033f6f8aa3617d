"""u along x at a few times: the prediction over the reference, with the pointwise error below on a log axis."""

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from ..core import Samples
from .style import COLOURS, ERROR, INK, WIDTH, new_figure, styled
from .views import Line, lines


@styled
def slices_figure(samples: Samples, prediction: Float[Array | np.ndarray, "*n c"], *, title: str = "") -> Figure | None:
    """Curves at a quarter, half and the end of the time (steady: at three heights y); None if there is no line."""
    curves = lines(samples, prediction)
    return draw_lines(curves, title) if curves else None


def draw_lines(curves: list[Line], title: str) -> Figure:
    """One column a line, under the style in force."""
    has_truth = curves[0].truth is not None
    ratios = [2.2, 1.0] if has_truth else [2.2]
    width = WIDTH if len(curves) > 1 else 3.6
    fig = new_figure(1.0 + sum(ratios) * 0.8, title, width=width)
    axes = fig.subplots(len(ratios), len(curves), sharex=True, sharey="row", squeeze=False, height_ratios=ratios)
    for column, line in enumerate(curves):
        _values(axes[0, column], line)
        axes[0, column].set_title(line.label)
        if has_truth:
            _error(axes[1, column], line)
        axes[-1, column].set_xlabel(f"${line.name}$")
    axes[0, 0].set_ylabel("$u$")
    if has_truth:
        axes[1, 0].set_ylabel(r"$|\hat{u} - u|$")
        _log_axis(axes[1, 0], [np.abs(line.prediction - line.truth) for line in curves])
    fig.align_ylabels(axes[:, 0])
    if has_truth or curves[0].prediction.shape[1] > 1:
        axes[0, 0].legend(loc="best")
    return fig


def _values(ax, line: Line):
    components = line.prediction.shape[1]
    for c in range(min(components, len(COLOURS))):
        name = f"$u_{c + 1}$" if components > 1 else ""
        if line.truth is not None:
            ax.plot(line.x, line.truth[:, c], color=INK, lw=2.6, alpha=0.28, label=_label("reference", c, name))
        style = "-" if line.truth is None else (0, (3.2, 1.8))
        ax.plot(line.x, line.prediction[:, c], color=COLOURS[c], ls=style, label=name or "solution")


def _label(word, component, name):
    return word if component == 0 or not name else None


def _error(ax, line: Line):
    error = np.abs(line.prediction - line.truth)
    for c in range(min(error.shape[1], len(COLOURS))):
        ax.plot(line.x, error[:, c], color=ERROR if error.shape[1] == 1 else COLOURS[c], lw=0.9)


def _log_axis(ax, errors):
    """A log axis over the decades that hold the error, five at most: its zeros would take the axis to 1e-20."""
    values = np.concatenate([e.ravel() for e in errors])
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return
    high = values.max()
    low = max(np.percentile(values, 4), high * 1e-5)
    ax.set_yscale("log")
    ax.set_ylim(min(low, high / 30) / 1.5, 2 * high)
    ax.yaxis.set_major_locator(LogLocator(numticks=4))
    ax.yaxis.set_minor_formatter(NullFormatter())
