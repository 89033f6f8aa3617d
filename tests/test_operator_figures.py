"""Figures of operators: curves, images, an input on a line with its output in space and time."""

import numpy as np
import pytest

from lagrangian_ml.plots import operator_figure, save_operator_figures


@pytest.mark.parametrize(
    ("inputs", "outputs", "panels"),
    [((4, 2, 16), (4, 1, 16), 9), ((2, 1, 8, 8), (2, 1, 8, 8), 8), ((1, 1, 8), (1, 1, 5, 8), 4), ((1, 1), (1, 1), 1)],
)
def test_samples_are_drawn(inputs, outputs, panels, tmp_path):
    rng = np.random.default_rng(0)
    if len(inputs) == 2:
        inputs = outputs = (1, 1, 4, 4, 4)
    v, u = rng.standard_normal(inputs), rng.standard_normal(outputs)
    figure = operator_figure(v, u, u + 0.1 * rng.standard_normal(outputs), title="name")
    assert len([ax for ax in figure.axes if ax.get_label() != "<colorbar>"]) == panels
    paths = save_operator_figures(v, u, u, tmp_path, title="name")
    assert {path.name for path in paths} == {"samples.png", "samples.pdf"} and all(path.exists() for path in paths)
