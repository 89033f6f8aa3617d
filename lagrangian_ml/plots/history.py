"""How a fit went: the error against the truth and the residuals, over the seconds that it took."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .style import COLOURS, ERROR, MUTED, OTHER, PREDICTION, blank, new_figure, styled

_MAX_POINTS = 4000
_DASHED, _DOTTED = (0, (3.2, 1.6)), (0, (1.2, 1.4))
_TRAINING = "rms residual, training points"
# key of the record: label, colour, line style, width
_SERIES = {
    "train_rms": (_TRAINING, PREDICTION, "-", 1.0),
    "fresh_rms": ("rms residual, fresh points", OTHER, _DASHED, 1.2),
    "relative_l2": ("relative $L_2$ error", ERROR, "-", 1.6),
    "distance": ("distance covered", ERROR, "-", 1.6),
    "target_distance": ("distance to the target", ERROR, "-", 1.6),
}
_RELATIVE = "_relative"  # ends the key of the relative error of a trained coefficient


@styled
def history_figure(history: Sequence[Mapping[str, Any]], *, title: str = "") -> Figure:
    """Logged records on a log axis against their "seconds" ("step" where no record has seconds).

    Shown are "train_rms" (√(2·loss) = √(Σ_terms weight · mean‖r‖²) where only "loss" is logged), "fresh_rms",
    "relative_l2" and "<coefficient>_relative". What is missing, not positive or not finite is left out.
    """
    fig = new_figure(2.6, title, width=4.6)
    ax = fig.subplots()
    clock = "seconds" if any("seconds" in record for record in history) else "step"
    drawn = [style[0] for key, style in _series(history) if _draw(ax, _values(history, clock, key), *style)]
    ax.set_xlabel("time of the fit (s)" if clock == "seconds" else "step")
    if not drawn:
        blank(ax, "nothing was logged")
        return fig
    ax.set_yscale("log")
    ax.set_ylabel("error, residual" if len(drawn) > 1 else drawn[0])
    ax.grid(axis="y", which="major", lw=0.4, color=MUTED, alpha=0.35)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none", facecolor="white")
    return fig


def _series(history):
    """[(key, style)] of what these records may hold."""
    known = {key for record in history for key in record}
    coefficients = sorted(key for key in known if key.endswith(_RELATIVE))
    series = dict(_SERIES)
    if "train_rms" not in known:
        series = {"loss": series.pop("train_rms")} | series
    for key in coefficients:
        series[key] = (f"relative error of {key.removesuffix(_RELATIVE)}", COLOURS[-1], _DOTTED, 1.4)
    return series.items()


def _values(history, clock, key):
    """(n, 2): when, and how much; the loss as a residual."""
    pairs = [(record[clock], record[key]) for record in history if _number(record, clock) and _number(record, key)]
    values = np.asarray(pairs, float).reshape(-1, 2)
    values = values[np.isfinite(values).all(axis=1) & (values[:, 1] > 0)]
    if key == "loss":
        values[:, 1] = np.sqrt(2 * values[:, 1])
    return values


def _draw(ax, values, label, colour, line_style, width):
    """Draws one series, with its last value in the legend; False if it has no point."""
    if not len(values):
        return False
    mantissa, exponent = f"{values[-1, 1]:.1e}".split("e")
    label = rf"{label}: ${mantissa}\times10^{{{int(exponent)}}}$"
    stride = -(-len(values) // _MAX_POINTS)
    t, value = np.concatenate([values[:-1:stride], values[-1:]]).T
    ax.plot(t, value, color=colour, ls=line_style, lw=width, marker="o" if len(t) < 3 else None, ms=4, label=label)
    return True


def _number(record, key):
    value = record.get(key)
    return isinstance(value, int | float | np.number) or getattr(value, "shape", None) == ()
