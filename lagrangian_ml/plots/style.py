"""One look for all figures: a serif face that ships with matplotlib, thin axes, colours that survive colour blindness.

Line colours are Okabe and Ito's; values use RdBu (signed) or viridis, errors magma. Figures are made with the
object-oriented interface and drawn by Agg or the PDF writer, so they work without a display and inside threads.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

WIDTH = 7.0  # inches, a full text width
INK, MUTED = "#1a1a1a", "#767676"
PREDICTION, ERROR, OTHER = "#0072B2", "#D55E00", "#009E73"
COLOURS = (PREDICTION, ERROR, OTHER, "#CC79A7")  # of components; more than these are not drawn
_OF_THE_SESSION = {"backend", "backend_fallback", "interactive", "toolbar", "timezone", "savefig.directory"}
_DECADES = 5  # of error shown below its maximum


def style() -> dict[str, Any]:
    """The matplotlib settings of all figures, for `matplotlib.rc_context(style())`."""
    return {
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "font.size": 9,
        "axes.labelsize": 9,
        "axes.titlesize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "legend.handlelength": 1.8,
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 3,
        "ytick.major.size": 3,
        "xtick.minor.size": 1.6,
        "ytick.minor.size": 1.6,
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "axes.formatter.use_mathtext": True,
        "axes.formatter.limits": (-3, 4),
        "figure.dpi": 100,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,
    }


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """`draw` under `style()` and matplotlib's defaults, whatever its configuration files say; all is restored after."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        defaults = {name: value for name, value in mpl.rcParamsDefault.items() if name not in _OF_THE_SESSION}
        settings: Any = defaults | style()  # matplotlib types the keys as literals
        with mpl.rc_context(settings):
            return draw(*args, **kwargs)

    return wrapped


def new_figure(height: float, title: str = "", *, width: float = WIDTH, layout: Any = "constrained") -> Figure:
    """An empty figure of this size in inches; `title` names the preset that made it in a small footer."""
    fig = Figure(figsize=(width, height), layout=layout)
    if title:
        fig.supxlabel(title, x=0.995, ha="right", fontsize=6.5, color=MUTED, parse_math=False)
    return fig


def blank(ax: Any, message: str) -> None:
    """An empty panel that says why it is empty."""
    ax.text(0.5, 0.5, message, transform=ax.transAxes, ha="center", va="center", color=MUTED)


def value_scale(values: np.ndarray) -> tuple[Normalize, str]:
    """(norm, colour map) of a solution: symmetric about zero if it takes both signs in earnest."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    if low < 0 < high and min(-low, high) > 0.2 * max(-low, high):
        bound = max(-low, high)
        return Normalize(-bound, bound), "RdBu_r"
    if not high > low:
        pad = 0.5 * abs(low) or 0.5
        low, high = low - pad, high + pad
    return Normalize(low, high), "viridis"


def error_scale(error: np.ndarray) -> Normalize:
    """The norm of a pointwise |error|: logarithmic over the decades that most points fill, five at most."""
    positive = error[np.isfinite(error) & (error > 0)]
    if not positive.size:
        return Normalize(0.0, 1.0)
    high = positive.max()
    low = max(np.percentile(positive, 2), high * 10.0**-_DECADES)
    return LogNorm(min(low, high / 10), high)
