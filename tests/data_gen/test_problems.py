"""Problems of operator learning from data sets: made at first use, extended, told apart, split without overlap."""

import numpy as np
import pytest

from data_gen import problems
from data_gen.problems import multitask, pairs, trajectories
from data_gen.read import Dataset
from lagrangian_ml.config import load_config
from lagrangian_ml.config.folders import DATASET

SMALL = {"grid": {"shape": [16]}, "steps_per_frame": 4, "num_frames": 3}
COUNTS = {"num_train": 4, "num_validation": 2, "num_test": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data") / "burgers")


@pytest.fixture(scope="module")
def made(folder):
    """The data set, made at first use, and its samples."""
    problem = pairs("apebench_burgers", settings=SMALL, path=folder, stride=2, test_strides=(2, 1), **COUNTS)
    return problem, Dataset(folder).read(range(9))["u"]


def test_samples_are_split_in_order_and_strided(made):
    problem, u = made
    for name, rows in {"train": slice(0, 4), "validation": slice(4, 6)}.items():
        pairs_, expected = getattr(problem, name), u[rows, :, :, ::2]
        np.testing.assert_array_equal(pairs_.inputs, expected[:, 0])
        np.testing.assert_array_equal(pairs_.outputs, expected[:, -1])
    assert set(problem.test) == {"test", "test_16"}
    np.testing.assert_array_equal(problem.test["test_16"].outputs, u[6:, -1])
    assert problem.equation.viscosity == 2.4e-3 and problem.grid.shape == (8,)
    assert problem.times == pytest.approx((0.625,))


def test_frames_become_components_or_an_axis(made, folder):
    _, u = made
    settings = {"settings": SMALL, "path": folder, "output_frames": (1, 2)} | COUNTS
    np.testing.assert_array_equal(pairs("apebench_burgers", **settings).train.outputs, u[:4, 1:, 0])
    in_time = pairs("apebench_burgers", in_time=True, **settings)
    np.testing.assert_array_equal(in_time.train.outputs, u[:4, 1:, 0][:, None])
    moving = trajectories("apebench_burgers", settings=SMALL, path=folder, train_frames=2, **COUNTS)
    np.testing.assert_array_equal(moving.train, u[:4, :2])
    np.testing.assert_array_equal(moving.test["test"], u[6:])


def test_a_data_set_is_made_once_and_extended(made, folder, monkeypatch):
    calls = []
    monkeypatch.setattr(problems, "_generate", lambda *args: calls.append(args))
    pairs("apebench_burgers", settings=SMALL, path=folder, **COUNTS)
    assert not calls
    with pytest.raises(ValueError, match="there is no sample 9"):
        pairs("apebench_burgers", settings=SMALL, path=folder, **COUNTS | {"num_test": 4})
    assert calls[0][2] == 10


def test_tasks_have_codes_and_alternate(made):
    problem, _ = made
    both = multitask({"one": problem, "two": problem})
    assert both.train.shapes == ((3, 8), (1, 8)) and len(both.train) == 8
    np.testing.assert_array_equal(both.train.inputs[0, 1:, 0], [1, 0])
    np.testing.assert_array_equal(both.train.inputs[3, 1:, 5], [0, 1])
    np.testing.assert_array_equal(both.train.outputs[2:4, 0], np.repeat(problem.train.outputs[1], 2, axis=0))
    assert set(both.test) == {f"{task}_{test}" for task in ("one", "two") for test in ("test", "test_16")}


def test_mistakes_are_told(made, folder):
    cases = [
        ({"settings": SMALL | {"horizon": 1.0}}, "holds another data set .*horizon is 0.625 there, 1.0 here"),
        ({"seed": 3}, "holds another data set .*seed is 0 there, 3 here"),
        ({"inputs": "v"}, "has no variable 'v'"),
        ({"input_frames": (7,)}, "there is no frame 7"),
        ({"stride": 3}, "stride=3 must divide"),
        ({"num_train": 0}, "num_train=0 must be at least 1"),
        ({"settings": {"grid": {"shapes": [16]}}}, "shapes"),
    ]
    for changes, culprit in cases:
        with pytest.raises(ValueError, match=culprit):
            pairs("apebench_burgers", **{"settings": SMALL, "path": folder} | COUNTS | changes)
    with pytest.raises(ValueError, match="does not evolve"):
        trajectories("antiderivative", variable="v", settings={"grid": {"shape": [16]}}, path=folder + "_v", **COUNTS)
    with pytest.raises(ValueError, match="recipe=apebench_burger: "):
        pairs("apebench_burger", **COUNTS)


def test_antiderivatives_are_exact():
    """u(0) = 0, and u' = v by differences of high order, up to their own error."""
    import jax

    from lagrangian_ml.config import build_group

    config = load_config(["dataset=antiderivative", "num_samples=1"], root=DATASET)
    recipe = build_group(config, "dataset")
    arrays = recipe.solve(recipe.draw(jax.random.key(0))).arrays
    v, u = np.asarray(arrays["v"][0]), np.asarray(arrays["u"][0])
    h = 1 / u.size
    slope = (u[:-4] - 8 * u[1:-3] + 8 * u[3:-1] - u[4:]) / (12 * h)
    assert u[0] == 0 and np.abs(slope - v[2:-2]).max() < 1e-5 * np.abs(v).max()
    assert 0.1 < np.std(v) < 3
