"""The characteristics of a flow map, over the solution that they carry: x over t in 1-D, paths in the plane in 2-D."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ..core import FlowMap, Samples
from .run import save_figure
from .style import INK, new_figure, styled, value_scale
from .views import plane

_TIMES = 101


@styled
def characteristics_figure(
    samples: Samples, prediction: Float[Array | np.ndarray, "*n c"], flow: FlowMap, *, title: str = ""
) -> Figure | None:
    """Paths φ(·, X) of labels X on a regular grid; None above two dimensions."""
    point, dim = samples.point, samples.point.x.shape[-1]
    if dim > 2 or point.t is None:
        return None
    lower, upper = (np.asarray(f(point.x, axis=0)) for f in (np.min, np.max))
    times = jnp.linspace(0.0, float(np.max(point.t)), _TIMES)
    axes = [a + (b - a) * (np.arange(m) + 0.5) / m for a, b, m in zip(lower, upper, _labels(dim), strict=True)]
    labels = jnp.asarray(np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=-1))
    paths = np.asarray(_paths(flow, times, labels))
    return (
        _along_time(samples, prediction, np.asarray(times), paths, title)
        if dim == 1
        else _in_plane(paths, lower, upper, title)
    )


def save_characteristics(
    title: str, samples: Samples, prediction: Float[Array | np.ndarray, "*n c"], flow: FlowMap, directory: Path | str
) -> list[Path]:
    """Writes the figure as characteristics.png and .pdf; returns the paths, none if there is no figure."""
    figure = characteristics_figure(samples, prediction, flow, title=title)
    stem = Path(directory) / "characteristics"
    return [] if figure is None else save_figure(figure, stem, f"{title}: characteristics")


def _labels(dim):
    return (18,) if dim == 1 else (9, 9)


@eqx.filter_jit
def _paths(flow, times, labels):
    """(labels, times, d)"""
    of_label = lambda X: jax.vmap(lambda t: flow.forward(t, X)[0])(times)
    return jax.vmap(of_label)(labels)


def _along_time(samples, prediction, times, paths, title):
    view, lower, upper = plane(samples, prediction), np.min(samples.point.x), np.max(samples.point.x)
    fig = new_figure(3.0, title, width=4.4)
    ax = fig.subplots()
    if view is not None and view.gridded:
        u, (norm, colours) = view.prediction[0].T, value_scale(view.prediction[0])
        image = ax.pcolormesh(
            view.horizontal, view.vertical, u, norm=norm, cmap=colours, shading="gouraud", rasterized=True
        )
        fig.colorbar(image, ax=ax, pad=0.02, label=r"$\hat{u}$")
    for path in _copies(paths[:, :, 0], float(lower), float(upper)):
        ax.plot(times, path, color=INK, lw=0.7, alpha=0.8)
    ax.set(xlim=(times[0], times[-1]), ylim=(lower, upper), xlabel="$t$", ylabel="$x$")
    ax.set_title(r"characteristics $\varphi(t, X)$ over $\hat{u}$")
    return fig


def _copies(x, lower, upper):
    """Paths (labels, times) as they are seen in the interval: those that leave it, on periodic axes, come in again.

    The faster they go round the fewer of them are shown.
    """
    length = upper - lower
    turns = np.arange(np.floor((x.min() - lower) / length), np.ceil((x.max() - upper) / length) + 1)
    some = x[:: max(1, len(turns) // 2)]
    shifted = (some[None] - length * turns[:, None, None]).reshape(-1, x.shape[1])
    inside = (shifted > lower) & (shifted < upper)
    return shifted[inside.any(axis=1)]


def _in_plane(paths, lower, upper, title):
    fig = new_figure(3.6, title, width=4.2)
    ax = fig.subplots()
    for path in paths:
        segments = np.stack([path[:-1], path[1:]], axis=1)
        lines = LineCollection(list(segments), cmap="viridis", linewidths=0.9)
        lines.set_array(np.linspace(0, 1, len(segments)))
        ax.add_collection(lines)
    ax.plot(*paths[:, 0].T, ".", color=INK, ms=3)
    ax.set(xlim=(lower[0], upper[0]), ylim=(lower[1], upper[1]), aspect="equal", xlabel="$x$", ylabel="$y$")
    ax.set_title("paths of particles, from their labels (dots)")
    return fig
