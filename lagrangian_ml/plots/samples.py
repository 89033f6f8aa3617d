"""A contact sheet: what a few samples of a data set look like, on colour scales that all of them share."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from .style import INK, PREDICTION, new_figure, styled, value_scale

_COLUMNS, _ROWS = 4, 4
_CURVES = 6  # a record of so few frames on a line is drawn as curves, a longer one as an image over (x, t)


@styled
def samples_figure(
    fields: Mapping[str, np.ndarray],
    coordinates: Mapping[str, np.ndarray],
    *,
    labels: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Panels of every sample side by side; a row has as many samples as fit.

    `fields` are {name: (n, [t,] *s)}, `coordinates` {axis: (m,)} of the axes t, x, y, z that they have. On a line a
    field is an image over (x, t), or its curves if there are few; on a plane a steady field is one image, and the
    only field of a record four, from the first frame to the last, of more than one field the last only. Of a third
    axis the middle is shown. ValueError if there are no samples.
    """
    space = [axis for axis in coordinates if axis != "t"]
    panels = _panels(fields, coordinates, space)
    n = len(next(iter(fields.values()))) if fields else 0
    if not n:
        raise ValueError("there are no samples to draw.")
    width = len(panels)
    abreast = max(1, _COLUMNS // width)
    rows = min(_ROWS, -(-n // abreast))
    abreast = min(abreast, n)
    columns = abreast * width
    square = len(space) > 1
    tall = np.clip(np.ptp(coordinates[space[1]]) / (np.ptp(coordinates[space[0]]) or 1), 0.4, 2.0) if square else 0.9
    fig = new_figure((1.5 * tall + 0.2) * rows + 1.4, title, width=1.75 * max(2, columns) + 0.4)
    places = fig.add_gridspec(rows + 1, columns, height_ratios=[*[1.0] * rows, 0.07])
    axes = np.array([[fig.add_subplot(places[row, column]) for column in range(columns)] for row in range(rows)])
    drawn = {name: [frame for other, frame, _ in panels if other == name] for name in fields}
    shown = lambda values, frames: values if frames == [None] else values[:, frames]
    scales = {name: value_scale(np.asarray(shown(values, drawn[name]), float)) for name, values in fields.items()}
    images = {}
    for place in range(rows * abreast):
        row, left = place // abreast, place % abreast * width
        for i, (name, frame, told) in enumerate(panels):
            ax = axes[row, left + i]
            if place >= n:
                ax.set_axis_off()
                continue
            values = np.asarray(fields[name][place], float)
            image = _draw(ax, values if frame is None else values[frame], coordinates, space, scales[name])
            images[name] = image
            if row == 0 and width > 1:
                ax.set_title(told)
            if i == 0 and labels:
                ax.text(0.04, 0.95, labels[place], transform=ax.transAxes, va="top", fontsize=7, color=INK, bbox=_BOX)
    _name_axes(axes, panels, coordinates, space, fields)
    bars = {name: image for name, image in images.items() if image is not None}
    for i, (name, image) in enumerate(bars.items()):
        first, stop = (columns * k // len(bars) for k in (i, i + 1))
        ax = fig.add_subplot(places[rows, first:stop])
        fig.colorbar(image, cax=ax, orientation="horizontal", label=name.replace("_", " ")).ax.tick_params(labelsize=7)
    return fig


_BOX = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.0}


def _panels(fields, coordinates, space):
    """(field, frame or None for all of it, title) of the panels of one sample."""
    panels = []
    for name, values in fields.items():
        evolving = values.ndim - 1 > len(space)
        label = name.replace("_", " ")
        if not evolving or len(space) == 1:
            panels.append((name, None, label))
            continue
        last = values.shape[1] - 1
        frames = np.unique(np.linspace(0, last, 4).round().astype(int)) if len(fields) == 1 else [last]
        panels += [(name, int(k), f"{label}, $t = {coordinates['t'][k]:.5g}$") for k in frames]
    return panels


def _draw(ax, values, coordinates, space, scale):
    """One panel; returns the image, or None for curves."""
    norm, colours = scale
    x = coordinates[space[0]]
    if len(space) == 1 and (values.ndim == 1 or len(values) <= _CURVES):
        curves = np.atleast_2d(values)
        for k, curve in enumerate(curves):
            ax.plot(
                x, curve, color=PREDICTION, lw=0.9, alpha=1.0 if len(curves) == 1 else 0.35 + 0.65 * k / len(curves)
            )
        ax.set(xlim=(x[0], x[-1]) if len(x) > 1 else None)
        return None
    across = coordinates["t"] if len(space) == 1 else coordinates[space[1]]
    if len(space) == 1:
        values = values.T
    for axis in range(2, len(space)):
        values = np.take(values, values.shape[axis] // 2, axis=axis)
    if len(space) > 1:
        ax.set_aspect("equal")
    return ax.pcolormesh(x, across, values.T, norm=norm, cmap=colours, shading="nearest", rasterized=True)


def _name_axes(axes, panels, coordinates, space, fields):
    """Names of the axes at the left and the bottom; the inner ticks are left out."""
    for row, line in enumerate(axes):
        for column, ax in enumerate(line):
            values = fields[panels[column % len(panels)][0]]
            image = len(space) > 1 or (values.ndim == 3 and values.shape[1] > _CURVES)
            if row == len(axes) - 1:
                ax.set_xlabel(f"${space[0]}$")
            else:
                ax.tick_params(labelbottom=False)
            if not image:
                ax.tick_params(labelsize=6)
            elif column == 0:
                ax.set_ylabel(f"${space[1] if len(space) > 1 else 't'}$", rotation=0)
            else:
                ax.tick_params(labelleft=False)
