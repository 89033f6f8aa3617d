"""Operators from the command line: a data set made at first use, a run, evaluation elsewhere, mistakes."""

import json

import numpy as np
import pytest

from lagrangian_ml import load_run
from lagrangian_ml.cli import main

SMALL = [
    *("problem.settings.grid.shape=[32]", "problem.stride=2", "problem.test_strides=[2,1]"),
    *("problem.num_train=12", "problem.num_validation=4", "problem.num_test=4", "problem.settings.steps_per_frame=20"),
    *("model.modes=3", "model.width=4", "model.num_layers=1", "model.num_hidden=4"),
    *("source.batch_size=6", "precision=float64"),
    *("trainer.num_steps=4", "trainer.log_every=2", "trainer.checkpoint_every=2"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a finished run in it, and its data set."""
    folder = tmp_path_factory.mktemp("operators")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["run", "experiment=burgers_fno", *SMALL, "--run-dir", "run"]) == 0
    return folder


def test_a_run_is_judged_by_unseen_samples_and_elsewhere(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    errors = json.loads((place / "run" / "summary.json").read_text())["errors"]
    assert {"nrmse", "test_nrmse", "test_32_nrmse"} <= set(errors)
    records = [json.loads(line) for line in (place / "run" / "metrics.jsonl").read_text().splitlines()]
    assert "nrmse" in records[-1] and not any(name.startswith("test") for record in records for name in record)
    run = load_run("run")
    fine = run.problem.test["test_32"]
    np.savez("fine.npz", x=fine.inputs[:, 0], y=fine.outputs[:, 0])
    assert main(["evaluate", "run", "--reference", "fine.npz", "--out", "out.npz"]) == 0
    found = json.loads((place / "run" / "evaluation.json").read_text())
    assert found["errors"]["nrmse"] == pytest.approx(errors["test_32_nrmse"]) and found["num_points"] == 4
    saved = np.load("out.npz")
    np.testing.assert_array_equal(saved["y"], fine.outputs)
    np.testing.assert_allclose(saved["prediction"][1], run.model(fine.inputs[1]), rtol=1e-9)
    assert main(["evaluate", "run", "--reference", "fine.npz", "--out", "out.npz"]) == 2
    assert "name an .npz file that does not exist" in capsys.readouterr().err


def test_mistakes_are_told_before_training(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    (folder,) = (place / "data").glob("[!.]*")
    cases = [
        (["model.modes=10"], "16 points on axis 0 have 1 to 9 modes; got 10"),
        (["source=collocation"], "source: "),
        (["method=autoregression"], "method: "),
        (["problem.num_train=0"], "num_train=0 must be at least 1"),
        ([f"problem.path={folder}", "problem.settings.equation.viscosity=0.2"], "holds another data set"),
        (["problem.recipe=burger"], "burger"),
        (["method.loss=l2"], "relative_l2"),
    ]
    kept = [word for word in SMALL if not word.startswith("source")]
    for words, culprit in cases:
        assert main(["run", "experiment=burgers_fno", *kept, *words, "--run-dir", "no"]) == 2, words
        told = capsys.readouterr().err
        assert culprit in told and "Traceback" not in told
    assert not (place / "no" / "config.yaml").exists()
