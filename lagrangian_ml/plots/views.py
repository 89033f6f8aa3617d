"""What of a set of samples fits on paper: a plane, a few lines, or the predictions against the truth.

Evolving problems in one dimension show the (t, x) plane; in more, the (x, y) plane at the last time through the
centre of the other axes. Arrays here are NumPy's, and a truth that is NaN everywhere is no truth.
"""

from dataclasses import dataclass

import numpy as np

from ..core import Samples


@dataclass(frozen=True)
class Plane:
    """Values (c, h, v) over two axes, or (c, n) at scattered points; `fixed` says where the other axes are held."""

    names: tuple[str, str]
    horizontal: np.ndarray
    vertical: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None
    gridded: bool
    fixed: str = ""


@dataclass(frozen=True)
class Line:
    """Values (n, c) along the coordinate `name`, at the place `label`."""

    name: str
    x: np.ndarray
    prediction: np.ndarray
    truth: np.ndarray | None
    label: str


def split(samples: Samples, prediction) -> tuple[np.ndarray, np.ndarray | None]:
    """(prediction, truth), (*grid, c) or (n, c) in double precision; ValueError if their shapes differ."""
    truth = np.asarray(samples.u, float)
    prediction = np.asarray(prediction, float)
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and samples {truth.shape} need the same shape (*n, c).")
    shape = (*(samples.grid or (-1,)), truth.shape[-1])
    return prediction.reshape(shape), truth.reshape(shape) if np.isfinite(truth).any() else None


def plane(samples: Samples, prediction) -> Plane | None:
    """The plane to show, or None if the samples have no two axes worth a picture."""
    u, truth = split(samples, prediction)
    if samples.grid is None:
        return _scattered_plane(samples, u, truth)
    axes = _axes(samples)
    evolving = samples.point.t is not None
    shown = [0, 1] if len(axes) == 2 or not evolving else [1, 2]
    if len(axes) < 2 or min(len(axes[i][1]) for i in shown) < 2:
        return None
    index, fixed = _hold(axes, shown, evolving)
    u = np.moveaxis(u[index], -1, 0)
    truth = None if truth is None else np.moveaxis(truth[index], -1, 0)
    (first, h), (second, v) = (axes[i] for i in shown)
    return Plane((first, second), h, v, u, truth, True, fixed)


def lines(samples: Samples, prediction, num_lines: int = 3) -> list[Line]:
    """u along x at a quarter, half and the end of the time; steady, at that many heights in y; [] if scattered."""
    u, truth = split(samples, prediction)
    if samples.grid is None:
        return _scattered_line(samples, u, truth)
    axes = _axes(samples)
    evolving = samples.point.t is not None
    along = 1 if evolving else 0
    if len(axes) <= along or len(axes[along][1]) < 2:
        return []
    across = 0 if evolving else 1
    places = [None]
    if across < len(axes) and len(axes[across][1]) > 1:
        places = _places(axes[across][1], num_lines, to_the_end=evolving)
    found = []
    for place in places:
        index, label = _hold(axes, [along], evolving, {} if place is None else {across: place})
        found.append(Line(*axes[along], u[index], None if truth is None else truth[index], label))
    return found


def _axes(samples):
    """[(name, coordinates)] of a grid in C order, time first."""
    shape = samples.grid
    x = np.asarray(samples.point.x, float).reshape(*shape, -1)
    offset = 0 if samples.point.t is None else 1
    line = lambda a, axis: np.moveaxis(a, axis, 0).reshape(shape[axis], -1)[:, 0]
    axes = [(name, line(x[..., i], i + offset)) for i, name in enumerate(_names(x.shape[-1]))]
    if offset:
        axes.insert(0, ("t", line(np.asarray(samples.point.t, float).reshape(shape), 0)))
    return axes


def _names(d):
    return list("xyz"[:d]) if d <= 3 else [f"x_{{{i + 1}}}" for i in range(d)]


def _hold(axes, shown, evolving, held=None):
    """(index, words) that hold every axis not shown: where `held` says, else time at its end, space at its centre."""
    index, words = [], []
    for i, (name, values) in enumerate(axes):
        if i in shown:
            index.append(slice(None))
            continue
        place = (held or {}).get(i, len(values) - 1 if evolving and i == 0 else len(values) // 2)
        index.append(place)
        words.append(f"${name} = {values[place]:.3g}$")
    return tuple(index), ", ".join(words)


def _places(values, num_lines, to_the_end):
    start, stop = values[0], values[-1]
    fractions = (0.5 ** np.arange(num_lines))[::-1] if to_the_end else np.arange(1, num_lines + 1) / (num_lines + 1)
    nearest = [int(np.argmin(np.abs(values - (start + f * (stop - start))))) for f in fractions]
    return sorted(set(nearest))


def _scattered_plane(samples, u, truth):
    t, x = samples.point.t, np.asarray(samples.point.x, float).reshape(len(u), -1)
    d, fixed, keep = x.shape[1], "", slice(None)
    names = _names(d)
    if t is not None:
        t = np.asarray(t, float).reshape(-1)
        if d == 1:
            x, names = np.stack([t, x[:, 0]], -1), ["t", "x"]
        else:
            keep, fixed = t == t.max(), f"$t = {t.max():.3g}$"
            if keep.sum() < 32:  # times drawn at random: no picture of one time
                keep, fixed = slice(None), "all times"
    if x.shape[1] < 2:
        return None
    truth = None if truth is None else truth[keep].T
    return Plane((names[0], names[1]), x[keep, 0], x[keep, 1], u[keep].T, truth, False, fixed)


def _scattered_line(samples, u, truth):
    x = np.asarray(samples.point.x, float).reshape(len(u), -1)
    if samples.point.t is not None or x.shape[1] != 1 or len(u) < 2:
        return []
    order = np.argsort(x[:, 0])
    return [Line("x", x[order, 0], u[order], None if truth is None else truth[order], "")]
