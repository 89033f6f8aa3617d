"""A run in its directory: what it writes, how it resumes, and what STATUS says however it ends."""

import dataclasses
import json
import signal
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import optax
import pytest
from small_problem import OBJECTIVE, Cubic, Uniform, errors

from lagrangian_ml.core import Term
from lagrangian_ml.training import (
    Checkpoints,
    DivergedError,
    Interrupted,
    RunDirectory,
    Task,
    Trainer,
    begin,
    fit,
    num_parameters,
    restore_model,
    restore_state,
    run_task,
)
from lagrangian_ml.training.evaluation import Evaluation
from lagrangian_ml.training.manifest import leaf_sums

KEY = jax.random.key(5)
ADAM = optax.adam(1e-2)


def small_task(objective=OBJECTIVE, model=None, **options):
    def figures(model, history, directory, title):
        (directory / "history.txt").write_text(f"{title}: {[record['step'] for record in history]}")
        return [directory / "history.txt"]

    return Task(model or Cubic(), objective, Uniform(**options), lambda model: model, errors, figures)


def start(directory, num_steps=12, resume=False, task=None, **options):
    task = task or small_task()
    trainer = Trainer(num_steps, log_every=4, checkpoint_every=5)
    return run_task(task, ADAM, trainer, key=KEY, directory=directory, resume=resume, **options)


def test_what_a_run_leaves_behind(tmp_path):
    result = start(tmp_path / "a" / "run", about={"experiment": "cubic", "seed": 5})
    run = RunDirectory(tmp_path / "a" / "run")
    assert run.status() == ("finished", "")
    records = run.records()
    assert [record["step"] for record in records] == [4, 8, 12] == [record["step"] for record in result.history]
    assert {"step", "seconds", "loss", "grad_norm", "train_rms", "fresh_rms", "max"} <= set(records[-1])
    assert records[0]["seconds"] < records[-1]["seconds"] == result.seconds["run"]
    summary = run.read_json("summary.json")
    assert summary["experiment"] == "cubic" and summary["status"] == "finished" and summary["steps"] == 12
    assert summary["num_parameters"] == num_parameters(Cubic()) == 3
    assert summary["errors"] == {"max": records[-1]["max"]}
    assert set(summary["seconds"]) == {"compile", "run", "evaluate"}
    environment = run.read_json("environment.json")
    assert environment["seed"] == 5 and environment["versions"]["jax"] == jax.__version__ and environment["float64"]
    assert (run.figures / "history.txt").read_text() == "cubic: [4, 8, 12]"
    assert leaf_sums(restore_model(small_task(), ADAM, run.path)) == leaf_sums(result.model)
    plain = fit(Cubic(), OBJECTIVE, Uniform(), ADAM, num_steps=12, key=KEY)
    assert leaf_sums(plain.state) == leaf_sums(result.state)


def test_a_resumed_run_ends_with_the_same_bits_and_records(tmp_path):
    whole = start(tmp_path / "whole", 12)
    start(tmp_path / "parts", 7)
    run = RunDirectory(tmp_path / "parts")
    run.append({"step": 11, "seconds": 9.0})  # logged after the last checkpoint, before a crash
    with run.metrics.open("a") as file:
        file.write('{"step": 12, "lo')
    resumed = start(tmp_path / "parts", 12, resume=True)
    assert leaf_sums(resumed.state) == leaf_sums(whole.state)
    assert [record["step"] for record in run.records()] == [4, 7, 8, 12]
    assert len(run.read_json("environment.json")["resumed"]) == 1
    again = start(tmp_path / "parts", 12, resume=True)
    assert leaf_sums(again.state) == leaf_sums(whole.state) and again.seconds["run"] == resumed.seconds["run"]


def test_resume_without_a_checkpoint_starts_over_and_says_so(tmp_path):
    with pytest.warns(UserWarning, match="no complete checkpoint; starting at step 0"):
        assert int(start(tmp_path, 2, resume=True).state.step) == 2
    with pytest.raises(FileNotFoundError, match="no complete checkpoint"):
        restore_state(small_task(), ADAM, tmp_path / "other")


def test_a_second_run_in_a_directory_is_refused(tmp_path):
    start(tmp_path, 2)
    with pytest.raises(ValueError, match="holds a run already; resume it"):
        start(tmp_path, 2)
    assert RunDirectory(tmp_path).status() == ("finished", "")
    with RunDirectory(tmp_path).locked(), pytest.raises(RuntimeError, match=r"in use by process \d+ on "):
        start(tmp_path, 4, resume=True)


def test_a_task_without_terms_is_judged_and_shown_without_a_step(tmp_path, capsys):
    result = start(tmp_path, task=small_task({}), config="a: 1\n")
    run = RunDirectory(tmp_path)
    assert run.status() == ("finished", "") and int(result.state.step) == 0 and result.history == []
    summary = run.read_json("summary.json")
    assert (summary["status"], summary["steps"], set(summary["errors"])) == ("finished", 0, {"max"})
    assert summary["seconds"]["run"] == 0 and (run.figures / "history.txt").is_file()
    assert capsys.readouterr().err == ""  # no steps are announced
    again = start(tmp_path, task=small_task({}), resume=True)
    assert leaf_sums(again.state) == leaf_sums(result.state)


def test_divergence_keeps_the_last_sound_state(tmp_path):
    objective = {"fit": Term(lambda model, x: model.a * jnp.where(model.a < 0.955, jnp.nan, 1.0), "loss")}
    diverging = small_task(objective)
    with pytest.raises(DivergedError) as caught:
        start(tmp_path, 20, task=diverging)
    status, reason = RunDirectory(tmp_path).status()
    assert status == "failed" and reason.startswith(f"DivergedError: step {caught.value.step} gave values")
    state = restore_state(diverging, ADAM, tmp_path)
    assert int(state.step) == caught.value.step - 1 and jnp.isfinite(state.model.a)


def test_a_failing_callback_is_in_the_status(tmp_path):
    broken = Task(Cubic(), OBJECTIVE, Uniform(), lambda model: model, lambda model: {"max": 1 / 0})
    with pytest.raises(ZeroDivisionError):
        start(tmp_path, task=broken)
    assert RunDirectory(tmp_path).status() == ("failed", "ZeroDivisionError: division by zero")


def test_training_goes_on_when_checkpoints_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.warns(UserWarning, match="could not be written"), pytest.raises(OSError, match="final state"):
        start(tmp_path)
    assert [record["step"] for record in RunDirectory(tmp_path).records()] == [4, 8, 12]
    assert RunDirectory(tmp_path).status()[0] == "failed"


def test_what_a_signal_leaves_is_told_as_it_is_on_a_full_disk(tmp_path, monkeypatch, capsys):
    """Step 5 is saved; then the disk is full, and a signal comes."""
    write = Checkpoints._write

    def full_later(self, step, state):
        if step > 5:
            raise OSError(28, "No space left on device")
        write(self, step, state)

    def errors_and_signal(model):
        if Checkpoints(tmp_path / "checkpoints").steps():
            signal.raise_signal(signal.SIGTERM)
        return errors(model)

    monkeypatch.setattr(Checkpoints, "_write", full_later)
    task = dataclasses.replace(small_task(), errors=errors_and_signal)
    with pytest.warns(UserWarning, match="still that of step 5"), pytest.raises(Interrupted) as caught:
        start(tmp_path, task=task)
    told = "stopped by signal 15 at step 8, which could not be saved; resume continues from step 5"
    assert caught.value.code == 143 and told in capsys.readouterr().err
    assert RunDirectory(tmp_path).status() == ("interrupted", told)


@pytest.mark.parametrize("options", [{"num_steps": 0}, {"log_every": 0}, {"keep": True}, {"checkpoint_every": -1}])
def test_trainer_refuses(options):
    with pytest.raises(ValueError, match=f"trainer.{next(iter(options))}=.*whole number, at least 1"):
        Trainer(**options)


def test_residuals_that_part_are_told_once(tmp_path):
    few = small_task(OBJECTIVE, model=None, n=1, m=1, every=10**6)
    with pytest.warns(UserWarning, match="fresh points.*Use more points") as caught:
        result = run_task(few, optax.adam(3e-2), Trainer(100, log_every=10), key=KEY, directory=tmp_path)
    assert len([warning for warning in caught if "Use more points" in str(warning.message)]) == 1
    assert sum("warning" in record for record in result.history) == 1
    assert sum("warning" in json.loads(line) for line in (tmp_path / "metrics.jsonl").open()) == 1


def test_residuals_that_part_from_zero_are_told_too():
    evaluation = Evaluation(small_task(), 1)
    record = {"step": 9}
    for train in (1e-3, 1e-4, 0.0):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            evaluation._compare(train, 1.0, record)
    assert "inf times" in record["warning"] and len(caught) == 1


def test_a_config_is_stored_under_the_lock_and_taken_back_where_no_step_was_done(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="the objective also has"):
        start(tmp_path, task=small_task({**OBJECTIVE, "other": OBJECTIVE["fit"]}), config="a: 1\n")
    assert not run.config.exists()
    run.config.write_text("a: 2\n")
    with pytest.raises(ValueError, match="holds a run already"):
        start(tmp_path, config="a: 1\n")
    assert run.config.read_text() == "a: 2\n"


def test_restoring_does_not_touch_a_run(tmp_path):
    start(tmp_path, 2)
    (tmp_path / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()
    before = sorted(tmp_path.rglob("*"))
    template = begin(Cubic(), Uniform(), ADAM, key=KEY)
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        assert checkpoints.restore(template) is not None
    assert sorted(tmp_path.rglob("*")) == before


def test_importing_training_loads_nothing_heavy():
    heavy = "orbax", "optax", "rich", "matplotlib"
    code = f"import sys, lagrangian_ml.training; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
