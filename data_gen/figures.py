"""The contact sheet of a data set: figures/samples.png."""

from pathlib import Path

import numpy as np

from .read import Dataset

NAME = "figures/samples.png"
_SAMPLES = 16
_POINTS, _FRAMES, _PLANES = 256, 400, 4  # at most so many points an axis, frames on a line and frames of planes


def draw_samples(directory: Path) -> bytes:
    """The first samples of a data set whose arrays and metadata are there, as a PNG."""
    from lagrangian_ml.plots import png, samples_figure

    data = Dataset(directory, check=False)
    indices = range(min(len(data), _SAMPLES))
    most = {axis: _POINTS for axis in data.coordinates} | {"t": _FRAMES if "y" not in data.coordinates else _PLANES}
    kept = {axis: _thinned(len(values), most[axis]) for axis, values in data.coordinates.items()}
    fields = {}
    for name, array in data.read(indices, frames=kept.get("t")).items():
        variable = data.variables[name]
        for i, axis in enumerate(variable.axes, start=1):
            if axis in kept and axis != "t":
                array = array.take(kept[axis], axis=i)
        components = np.moveaxis(array, 1 + variable.axes.index("component"), 0)
        for axis, component in zip("xyz", components, strict=False):
            fields[name if variable.kind == "scalar" else f"{name} {axis}"] = component
    figure = samples_figure(
        fields,
        {axis: values[kept[axis]] for axis, values in data.coordinates.items()},
        labels=[f"sample {i}" for i in indices],
        title=data.name,
    )
    return png(figure, data.name)


def _thinned(n, most):
    """At most so many of n indices, evenly, the last of them included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
