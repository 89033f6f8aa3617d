"""Every kind of sample has a figure, no gap in the data stops one, and no global state is left behind."""

import sys

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest

from lagrangian_ml import plots
from lagrangian_ml.core import Point, Samples

HISTORY = [
    {"step": i, "seconds": 0.1 * i, "loss": 2.0**-i, "train_rms": 1.5**-i, "relative_l2": 0.5**i} for i in range(5)
]


def grid_samples(shape, evolving, components=1):
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    t, space = (axes[0].ravel(), axes[1:]) if evolving else (None, axes)
    x = np.stack([a.ravel() for a in space], -1)
    u = np.sin(3 * x.sum(-1) - (0 if t is None else t))[:, None] * np.arange(1, components + 1)
    return Samples(Point(jnp.asarray(x), None if t is None else jnp.asarray(t)), jnp.asarray(u), shape)


def scattered(d, evolving=False):
    x = np.random.default_rng(0).uniform(size=(60, d))
    t = jnp.asarray(x[:, 0]) if evolving else None
    return Samples(Point(jnp.asarray(x), t), jnp.asarray(x.sum(-1, keepdims=True)))


CASES = {
    "evolving 1-D": grid_samples((6, 9), True),
    "two components": grid_samples((6, 9), True, 2),
    "one time": grid_samples((1, 9), True),
    "one point": grid_samples((1, 1), True),
    "steady 1-D": grid_samples((9,), False),
    "steady 2-D": grid_samples((5, 6), False),
    "evolving 2-D": grid_samples((3, 5, 6), True),
    "steady 3-D": grid_samples((4, 5, 6), False),
    "evolving 3-D": grid_samples((2, 4, 5, 6), True),
    "scattered 1-D": scattered(1),
    "scattered evolving 1-D": scattered(1, True),
    "scattered 2-D": scattered(2),
    "scattered evolving 2-D": scattered(2, True),
    "scattered 5-D": scattered(5),
}


def blank(samples):
    return Samples(samples.point, samples.u * jnp.nan, samples.grid)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("error")
def test_every_kind_of_sample_has_its_figures(name):
    samples = CASES[name]
    prediction = samples.u + 1e-3
    assert plots.solution_figure(blank(samples), prediction).axes
    plots.slices_figure(blank(samples), prediction)
    solution = plots.solution_figure(samples, prediction, title="preset_1")
    slices = plots.slices_figure(samples, prediction)
    assert solution.axes and (slices is None or slices.axes)
    solution.draw_without_rendering()
    if slices is not None:
        slices.draw_without_rendering()


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, 0.0], ids=str)
@pytest.mark.filterwarnings("error")
def test_figures_survive_what_is_not_finite(bad):
    samples = CASES["evolving 1-D"]
    for prediction in (samples.u.at[3:7].set(bad), bad * jnp.ones_like(samples.u)):
        plots.solution_figure(samples, prediction).draw_without_rendering()
    plots.slices_figure(samples, samples.u.at[3:7].set(bad)).draw_without_rendering()
    plots.solution_figure(samples, samples.u).draw_without_rendering()


@pytest.mark.parametrize(
    "history",
    [
        [],
        [{}],
        HISTORY[:1],
        HISTORY,
        [{"step": 1, "loss": float("nan")}, {"step": 2, "loss": -1.0}],
        [{"step": 1, "loss": 0.5, "fresh_rms": None, "nu_relative": 0.1}, {"seconds": 1.0, "loss": jnp.asarray(0.1)}],
    ],
)
@pytest.mark.filterwarnings("error")
def test_any_history_has_a_figure(history):
    plots.history_figure(history, title="x").draw_without_rendering()


def test_a_run_is_written_once_and_the_same_again(tmp_path):
    samples = CASES["evolving 1-D"]
    settings, modules = {name: mpl.rcParams[name] for name in plots.style()}, set(sys.modules)
    paths = plots.save_run_figures("burgers_pinn", samples, samples.u + 1e-3, HISTORY, tmp_path / "a")
    again = plots.save_run_figures("burgers_pinn", samples, samples.u + 1e-3, HISTORY, tmp_path / "b")
    names = [f"{name}.{suffix}" for name in ("solution", "slices", "history") for suffix in ("png", "pdf")]
    assert [path.name for path in paths] == names
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(paths, again, strict=True))
    assert settings == {name: mpl.rcParams[name] for name in plots.style()}
    assert "matplotlib.pyplot" not in set(sys.modules) - modules
    assert [path.stem for path in plots.save_run_figures("x", None, None, [], tmp_path / "c")] == ["history"] * 2


def test_a_wrong_prediction_is_refused():
    with pytest.raises(ValueError, match="same shape"):
        plots.solution_figure(CASES["steady 2-D"], jnp.zeros((7, 1)))
