"""Fields of finite-time Lyapunov exponents with their ridges, forward above backward."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from .run import save_figure
from .style import ERROR, INK, new_figure, styled

_KINDS = {True: "forward, ridges repel", False: "backward, ridges attract"}
Exponents = Mapping[float, tuple[Float[Array | np.ndarray, "nx ny"], Float[Array | np.ndarray, "n 2"]]]


@styled
def ftle_figure(
    fields: Exponents,
    axes: tuple[Float[Array | np.ndarray, " nx"], Float[Array | np.ndarray, " ny"]],
    start: float | int,
    *,
    title: str = "",
) -> Figure:
    """{T: (exponents (nx, ny), points of ridges (n, 2))} at the time `start`, a row for each duration T."""
    x, y = (np.asarray(axis, float) for axis in axes)
    tall = np.clip(np.ptp(y) / np.ptp(x), 0.3, 1.5)
    fig = new_figure(len(fields) * (3.9 * tall + 0.3) + 0.5, title, width=4.9, layout="compressed")
    panels = fig.subplots(len(fields), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (duration, (values, points)) in zip(panels, fields.items()):
        image = ax.pcolormesh(x, y, np.asarray(values, float).T, cmap="Greys", shading="nearest", rasterized=True)
        colour = ERROR if duration > 0 else "#0072B2"
        ax.plot(*np.asarray(points, float).T, ".", ms=2.0, mew=0, color=colour)
        ax.set_title(f"exponent at $t = {start:g}$, $T = {duration:g}$: {_KINDS[duration > 0]}", color=INK)
        ax.set(ylabel="$y$", aspect="equal")
        fig.colorbar(image, ax=ax, pad=0.02, extend="max")
    panels[-1].set_xlabel("$x$")
    return fig


def save_ftle_figure(
    fields: Exponents,
    axes: tuple[Float[Array | np.ndarray, " nx"], Float[Array | np.ndarray, " ny"]],
    start: float | int,
    stem: Path | str,
    *,
    title: str = "",
) -> list[Path]:
    """`ftle_figure` as .png and .pdf; returns the paths."""
    return save_figure(ftle_figure(fields, axes, start, title=title), Path(stem), f"{title}: ftle")
