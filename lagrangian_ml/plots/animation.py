"""Moving pictures, written as GIF: a field on a grid in time, beside its truth if there is one, and moving particles.

A line is drawn as curves, a plane as images. All frames share one colour scale, that of the truth where there is one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from matplotlib.animation import PillowWriter

from .style import INK, PREDICTION, new_figure, styled, value_scale

_DPI = 100


@styled
def animate(
    times: Float[Array | np.ndarray, " t"],
    path: Path | str,
    *,
    values: Float[Array | np.ndarray, "..."] | None = None,
    axes: Sequence[Float[Array | np.ndarray, " _"]] = (),
    truth: Float[Array | np.ndarray, "..."] | None = None,
    positions: Float[Array | np.ndarray, "..."] | None = None,
    label: str = "",
    title: str = "",
    fps: int = 12,
) -> Path:
    """Write one frame for each of the times to `path`, a .gif, and return it.

    Args:
        times: shown above the frames.
        path: the file.
        values: the field at the times, (t, *s), on a line or a plane.
        axes: the coordinates along each axis of the grid.
        truth: (t, *s), drawn as a second row on a plane, as a pale line on a line.
        positions: (t, p, 2), particles in the plane, over the field or alone.
        label: names the field.
        title: names the preset in the footer.
        fps: frames a second.

    Raises:
        ValueError: if shapes do not fit, there is nothing to draw, or the file is not a .gif.
    """
    path = Path(path)
    if path.suffix != ".gif" or fps < 1:
        raise ValueError(f"path={path.name} must end in .gif, and fps={fps} be at least 1.")
    times = np.asarray(times, float)
    fields, places = _checked(len(times), values, axes, truth, positions)
    dim = len(fields[0].shape) - 1 if fields else 2
    draw = _curves if dim == 1 else _images
    fig, updates = draw(fields, [np.asarray(a, float) for a in axes], places, label, title)
    clock = fig.suptitle(_clock(times[np.argmax([len(_clock(t)) for t in times])]), fontsize=9)
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # the layout of the first frame stays: nothing jumps
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = PillowWriter(fps=fps)
    with writer.saving(fig, path, _DPI):
        for k, t in enumerate(times):
            clock.set_text(_clock(t))
            for update in updates:
                update(k)
            writer.grab_frame()
    return path


def _clock(t):
    return f"$t = {t:.4g}$"


def _checked(n, values, axes, truth, positions):
    """([values, truth] as far as given, positions) in double precision."""
    as_float = lambda a: None if a is None else np.asarray(a, float)
    values, truth, positions = map(as_float, (values, truth, positions))
    shape = (n, *(len(axis) for axis in axes))
    if n < 1 or (values is None and positions is None) or (values is None and truth is not None):
        raise ValueError(
            "an animation needs at least one time and values or positions; a truth needs values beside it."
        )
    for name, field in {"values": values, "truth": truth}.items():
        if field is not None and (field.shape != shape or len(shape) not in (2, 3)):
            raise ValueError(
                f"{name} has the shape {field.shape}; {n} times and axes of the lengths {shape[1:]} need {shape}, "
                "with one or two axes."
            )
    if positions is not None and (positions.ndim != 3 or positions.shape[::2] != (n, 2) or len(shape) == 2):
        raise ValueError(f"positions has the shape {positions.shape}; expected ({n}, p, 2), in the plane.")
    return [field for field in (values, truth) if field is not None], positions


def _curves(fields, axes, places, label, title):
    fig = new_figure(2.6, title, width=4.6)
    ax = fig.subplots()
    looks: list[dict[str, Any]] = [{"color": PREDICTION, "ls": (0, (3.2, 1.8)), "label": "solution", "zorder": 2}]
    if len(fields) == 1:
        looks = [{"color": PREDICTION}]
    looks.append({"color": INK, "lw": 2.6, "alpha": 0.28, "label": "reference", "zorder": 1})
    lines = [ax.plot(axes[0], field[0], **look)[0] for field, look in zip(fields, looks)]
    low, high = _range(fields[-1])
    ax.set(xlabel="$x$", ylabel=label or "$u$", xlim=_range(axes[0], 0.0), ylim=(low, high))
    if len(fields) > 1:
        ax.legend(loc="upper right")
    return fig, [lambda k, line=line, field=field: line.set_ydata(field[k]) for line, field in zip(lines, fields)]


def _images(fields, axes, places, label, title):
    rows = max(1, len(fields))
    bounds = [_range(a, 0.0) for a in axes] if axes else [_range(places[..., i]) for i in range(2)]
    tall = np.clip(np.ptp(bounds[1]) / np.ptp(bounds[0]), 0.3, 1.5)
    fig = new_figure(rows * (3.6 * tall + 0.25) + 0.75, title, width=4.6, layout="compressed")
    panels, updates = fig.subplots(rows, 1, sharex=True, squeeze=False)[:, 0], []
    norm, colours = value_scale(fields[-1]) if fields else (None, None)
    for ax, field, word in zip(panels, fields, ("solution", "reference")):
        image = ax.imshow(
            field[0].T,
            norm=norm,
            cmap=colours,
            origin="lower",
            extent=(*_edges(axes[0]), *_edges(axes[1])),
            aspect="equal",
        )
        updates.append(lambda k, image=image, field=field: image.set_data(field[k].T))
        if rows > 1:
            ax.set_title(word)
    if fields:
        fig.colorbar(image, ax=list(panels), label=label, pad=0.02)
    if places is not None:
        colour = "white" if fields else INK
        dots = panels[0].plot(*places[0].T, ".", ms=2.2, mew=0, color=colour, alpha=0.9)[0]
        updates.append(lambda k: dots.set_data(*places[k].T))
    for ax in panels:
        ax.set(ylabel="$y$", xlim=bounds[0], ylim=bounds[1], aspect="equal")
    panels[-1].set_xlabel("$x$")
    return fig, updates


def _edges(axis):
    """The outer edges of the cells around equispaced points."""
    half = 0.5 * (axis[-1] - axis[0]) / max(1, len(axis) - 1) or 0.5
    return axis[0] - half, axis[-1] + half


def _range(values: Any, pad: float = 0.05) -> tuple[float, float]:
    """The smallest and the largest finite value, with some room between; around one value, a unit."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    room = pad * (high - low) if high > low else 0.5
    return low - room, high + room
