"""Samples of an operator, each a column: input, output with the prediction over it, and the error below."""

from pathlib import Path

import numpy as np
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from .run import save_figure
from .style import COLOURS, ERROR, INK, WIDTH, blank, error_scale, new_figure, styled, value_scale

Values = Float[Array | np.ndarray, "..."]  # (n, c, *s)


def save_operator_figures(
    inputs: Values, outputs: Values, prediction: Values, directory: Path, *, title: str = ""
) -> list[Path]:
    """Writes samples.png and samples.pdf; returns the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    figure = operator_figure(inputs, outputs, prediction, title=title)
    return save_figure(figure, directory / "samples", f"{title}: samples")


@styled
def operator_figure(inputs: Values, outputs: Values, prediction: Values, *, title: str = "") -> Figure:
    """Up to three samples: curves in one dimension, images in two. The first component of the input, and the last of
    the output, the latest where components are times. A note instead in more dimensions."""
    inputs, outputs, prediction = (np.asarray(a)[:3] for a in (inputs, outputs, prediction))
    if outputs.ndim == 3:
        return _curves(inputs, outputs, prediction, title)
    if outputs.ndim == 4:
        return _images(inputs, outputs, prediction, title)
    fig = new_figure(1.5, title)
    blank(fig.subplots(), f"samples of {outputs.ndim - 2} dimensions are not drawn")
    return fig


def _curves(inputs, outputs, prediction, title):
    count = len(inputs)
    fig = new_figure(4.2, title, width=WIDTH if count > 1 else 3.6)
    axes = fig.subplots(3, count, sharex=True, sharey="row", squeeze=False, height_ratios=[1.2, 1.8, 1.0])
    for column in range(count):
        top, middle, bottom = axes[:, column]
        x_in, x_out = (np.arange(a.shape[-1]) / a.shape[-1] for a in (inputs, outputs))
        top.plot(x_in, inputs[column, 0], color=COLOURS[2])
        top.set_title(f"sample {column + 1}")
        middle.plot(x_out, outputs[column, -1], color=INK, lw=2.6, alpha=0.28, label="reference")
        middle.plot(x_out, prediction[column, -1], color=COLOURS[0], ls=(0, (3.2, 1.8)), label="prediction")
        bottom.plot(x_out, np.abs(prediction - outputs)[column, -1], color=ERROR, lw=0.9)
        bottom.set_xlabel("$x$ (share of the domain)")
    for ax, label in zip(axes[:, 0], ("input $v$", "output $u$", r"$|\hat{u} - u|$"), strict=True):
        ax.set_ylabel(label)
    axes[1, 0].legend(loc="best")
    _decades(axes[2, 0], np.abs(prediction - outputs)[:, -1])
    fig.align_ylabels(axes[:, 0])
    return fig


def _decades(ax, errors):
    """A log axis over the decades that hold the errors, four at most: zeros would take it to 1e-20."""
    positive = errors[np.isfinite(errors) & (errors > 0)]
    if positive.size:
        high = positive.max()
        ax.set_yscale("log")
        ax.set_ylim(max(np.percentile(positive, 4), high * 1e-4) / 1.5, 2 * high)


def _images(inputs, outputs, prediction, title):
    """Rows of samples; the first axis of the output to the right, the second up."""
    count = len(inputs)
    fig = new_figure(1.75 * count + 0.4, title)
    axes = fig.subplots(count, 4, squeeze=False)
    for row in range(count):
        error = np.abs(prediction[row, -1] - outputs[row, -1])
        scale = value_scale(outputs[row, -1])
        panels = [
            (inputs[row, 0], *value_scale(inputs[row, 0])),
            (outputs[row, -1], *scale),
            (prediction[row, -1], *scale),
            (error, error_scale(error), "magma"),
        ]
        for ax, (values, norm, colours) in zip(axes[row], panels, strict=True):
            if values.ndim == 1:  # an input on a line, its output in space and time
                ax.plot(np.arange(values.size) / values.size, values, color=COLOURS[2])
                continue
            image = ax.imshow(values.T, origin="lower", norm=norm, cmap=colours, extent=(0, 1, 0, 1), rasterized=True)
            ax.set(xticks=[], yticks=[])
            fig.colorbar(image, ax=ax, pad=0.02, shrink=0.85)
        axes[row, 0].set_ylabel(f"sample {row + 1}")
    for ax, label in zip(
        axes[0], ("input $v$", "reference $u$", r"prediction $\hat{u}$", r"$|\hat{u} - u|$"), strict=True
    ):
        ax.set_title(label)
    return fig
