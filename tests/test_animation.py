"""Animations are files with a frame for every time, and what does not fit is told."""

import sys

import numpy as np
import pytest
from PIL import Image

from lagrangian_ml.plots import animate, ftle_figure

TIMES = np.linspace(0, 1, 3)
X, Y = np.linspace(0, 1, 6), np.linspace(0, 1, 5)
PLANE = np.sin(TIMES[:, None, None] + X[:, None] + Y)
PARTICLES = np.random.default_rng(0).uniform(size=(3, 7, 2))


@pytest.mark.parametrize(
    "given",
    [
        {"values": PLANE, "axes": (X, Y), "truth": PLANE + 0.1, "positions": PARTICLES},
        {"values": PLANE[:, :, 0], "axes": (X,), "truth": PLANE[:, :, 1]},
        {"positions": PARTICLES},
    ],
    ids=["plane", "line", "particles"],
)
@pytest.mark.filterwarnings("error")
def test_a_file_with_a_frame_for_every_time(given, tmp_path):
    before = set(sys.modules)
    path = animate(TIMES, tmp_path / "new" / "a.gif", title="preset_1", **given)
    with Image.open(path) as image:
        assert image.n_frames == 3
        frames = [np.asarray((image.seek(k), image.convert("RGB"))[1], int) for k in range(3)]
    assert np.abs(frames[2] - frames[0]).max() > 30  # it moves
    assert "matplotlib.pyplot" not in set(sys.modules) - before


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "needs at least one time and values or positions"),
        ({"values": PLANE, "axes": (X,)}, r"values has the shape \(3, 6, 5\); .* need \(3, 6\)"),
        ({"values": PLANE, "axes": (X, Y), "truth": PLANE[:2]}, "truth has the shape"),
        ({"values": PLANE, "axes": (X, Y), "positions": PARTICLES[:2]}, r"expected \(3, p, 2\)"),
        ({"positions": PARTICLES, "truth": PLANE}, "a truth needs values"),
    ],
)
def test_what_does_not_fit_is_told(given, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        animate(TIMES, tmp_path / "a.gif", **given)
    with pytest.raises(ValueError, match=r"must end in .gif"):
        animate(TIMES, tmp_path / "a.png", positions=PARTICLES)


@pytest.mark.filterwarnings("error")
def test_exponents_have_a_row_for_each_direction():
    fields = {2.0: (PLANE[0], PARTICLES[0]), -2.0: (PLANE[1], np.zeros((0, 2)))}
    figure = ftle_figure(fields, (X, Y), 1.0)
    figure.draw_without_rendering()
    assert len(figure.axes) == 4  # two panels, two colour bars
