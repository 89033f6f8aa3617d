"""The command line: mistakes end with code 2 and one message, and runs, resumes, sweeps and evaluations work."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml import load_run
from lagrangian_ml.cli import main
from lagrangian_ml.config import ConfigError, read_config
from lagrangian_ml.equations.diffusion import DecayingSines
from lagrangian_ml.training import Checkpoints, RunDirectory, record

TESTS = Path(__file__).parent
MODULE = ["--module", "toy_parts"]
TOY = ["experiment=toy", "--config-dir", str(TESTS / "toy_configs"), *MODULE]


@pytest.fixture(autouse=True)
def restored_precision():
    """The precision that a command sets ends with the test."""
    yield
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run of the toy problem; tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "toy"
    assert main(["run", *TOY, "--run-dir", str(path)]) == 0
    return path


def command(*arguments, cached_environ, **kwargs):
    """A process of its own."""
    words = [sys.executable, "-m", "lagrangian_ml", *map(str, arguments)]
    return subprocess.Popen(
        words, env=cached_environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs
    )


def mistake(capsys, *arguments):
    """The one message of a command line that ends with code 2."""
    try:
        code = main([str(word) for word in arguments])
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    lines = printed.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("lagrangian-ml: error: ") and "Traceback" not in printed.err
    return lines[0]


def test_a_run_directory_holds_what_a_run_was(finished):
    assert (finished / "STATUS").read_text().strip() == "finished"
    assert {"config.yaml", "environment.json", "metrics.jsonl", "checkpoints"} <= {p.name for p in finished.iterdir()}
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["experiment"], summary["status"], summary["steps"]) == ("toy", "finished", 6)
    assert set(summary["seconds"]) == {"compile", "run", "evaluate"} and set(summary["errors"]) == {
        "relative_l2",
        "vrmse",
        "max",
    }
    assert summary["num_parameters"] == 33
    assert read_config(finished / "config.yaml")["trainer"]["keep"] == 2


def test_a_run_ends_with_its_table_and_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", *TOY, "trainer.num_steps=1"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    path = Path(lines[-1])
    assert path.parent == Path("runs/toy") and (path / "summary.json").is_file()
    for word in ("relative L2 error", "maximum error", "seconds to compile", "seconds to run", "parameters"):
        assert any(line.startswith(word) for line in lines)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["rnu"], ["rnu", "'run'", "resume"]),
        (["run", "experiment=burgers_pin"], ["experiment=burgers_pin", "'burgers_pinn'"]),
        (["run", *TOY, "trainer.num_step=3"], ["trainer.num_step", "'num_steps'"]),
        (["run", *TOY, "problem.equation.difusivity=3"], ["problem.equation.difusivity", "'diffusivity'"]),
        (["run", *TOY, "optimizer.learning_rate=abc"], ["optimizer.learning_rate=abc", "a number"]),
        (["run", *TOY, "model.width=-1"], ["model.width=-1", "at least 1"]),
        (["run", *TOY, "trainer.num_steps=0"], ["trainer.num_steps=0", "at least 1"]),
        (["run", *TOY, "source.num=0"], ["source.num=0", "at least one"]),
        (["run", *TOY, "optimizer=levenberg_marquardt", "precision=float32"], ["float32", "precision=float64"]),
        (["run", *TOY, "model={_target_: os.system, command: ls}"], ["os.system", "not allowed", "--module"]),
        (["run", *TOY, "model._target_=builtins.open"], ["builtins.open", "not allowed"]),
        (["run", *TOY, "model._target_=optax.schedules._inject.inspect.os.system"], ["_inject", "private"]),
        (["run", *TOY, "model._target_=equinox.nn._conv.np.load"], ["_conv", "private"]),
        (["run", "experiment=toy", "--config-dir", str(TESTS / "toy_configs")], ["toy_parts", "--module"]),
        (["run", *TOY, "--module", "nowhere_at_all"], ["--module", "nowhere_at_all"]),
        (["run", *TOY, "--config-dir", "/nowhere"], ["--config-dir", "/nowhere"]),
        (["run", *TOY, "--run-dri", "x"], ["--run-dri", "'--run-dir'"]),
        (["run", *TOY, "--run-dir", str(TESTS / "toy_parts.py")], ["toy_parts.py", "is a file"]),
        (["run", *TOY, "--run-dir", "/proc/nowhere/x"], ["/proc/nowhere/x", "cannot be written"]),
        (["run"], ["nothing to solve", "burgers_pinn"]),
        (["run", *TOY, "seed"], ["'seed'", "key=value"]),
        (["config", *TOY, "sede=3"], ["sede", "'seed'"]),
        (["list", "optimizr"], ["optimizr", "'optimizer'"]),
        (["resume", "/nowhere/at/all"], ["/nowhere/at/all", "no such folder"]),
        (["resume", str(TESTS)], ["is not a run directory", "config.yaml"]),
        (["evaluate", str(TESTS), "--reference", "x.npz"], ["is not a run directory"]),
        (["evaluate", "x"], ["--reference"]),
        (["generate", "dataset=burgers_fno"], ["dataset=burgers_fno", "'burgers_fno_paper'"]),
        (["verify", "/nowhere/at/all"], ["/nowhere/at/all", "holds no data set"]),
        (["export", "x", "--format", "csv", "--out", "y"], ["csv", "pdebench"]),
        (["config", "dataset=burgers_fno_paper"], ["num_samples needs a value"]),
        (["sweep", *TOY, "trainer.num_step=1,2"], ["trainer.num_step", "'num_steps'"]),
        (["sweep", *TOY, "seed=1,"], ["seed=1,"]),
    ],
)
def test_mistakes_end_with_one_message(arguments, words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    message = mistake(capsys, *arguments)
    assert all(word in message for word in words), message
    assert not list(tmp_path.iterdir())  # and nothing was begun


def test_used_run_directories_are_refused(finished, capsys):
    assert "resume" in mistake(capsys, "run", *TOY, "--run-dir", finished)
    nearby = finished.with_name("toi")
    assert repr(str(finished)) in mistake(capsys, "resume", nearby)
    assert repr(str(finished)) in mistake(capsys, "resume", finished.parent)


def test_debug_shows_where_a_mistake_was_found():
    with pytest.raises(ConfigError, match="model.width=-1"):
        main(["run", *TOY, "model.width=-1", "--debug"])


def test_config_prints_what_reproduces_a_run(finished, capsys, tmp_path):
    assert main(["config", *TOY]) == 0
    printed = capsys.readouterr().out
    assert printed == (finished / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(printed)  # a run directory of nothing but its config
    assert main(["resume", str(tmp_path), *MODULE]) == 0
    again, model = (load_run(path, modules=["toy_parts"]).model for path in (tmp_path, finished))
    assert jnp.array_equal(again.network.layers[0].weight, model.network.layers[0].weight)


def test_resume_of_a_finished_run_says_so_and_may_extend_it(tmp_path, capsys):
    path = tmp_path / "run"
    assert main(["run", *TOY, "--run-dir", str(path)]) == 0
    capsys.readouterr()
    assert main(["resume", str(path), *MODULE]) == 0
    assert "is finished: 6 steps" in capsys.readouterr().out
    assert "trainer.num_steps=2" in mistake(capsys, "resume", path, *MODULE, "trainer.num_steps=2")
    assert "only trainer" in mistake(capsys, "resume", path, *MODULE, "seed=3")
    assert "'num_steps'" in mistake(capsys, "resume", path, *MODULE, "trainer.num_step=3")
    assert main(["resume", str(path), *MODULE, "trainer.num_steps=9"]) == 0
    assert json.loads((path / "summary.json").read_text())["steps"] == 9
    assert read_config(path / "config.yaml")["trainer"]["num_steps"] == 9


def test_diverging_runs_fail_with_code_1(tmp_path, capsys):
    code = main(["run", *TOY, "method.poison=1e200", "--run-dir", str(tmp_path / "run")])
    assert code == 1 and "step 1" in capsys.readouterr().err
    assert (tmp_path / "run" / "STATUS").read_text().startswith("failed")


def test_what_the_first_step_refuses_is_a_mistake_too(tmp_path, capsys):
    """A least-squares method and a loss that is no residual: seen when the step is traced."""
    words = ["run", *TOY, "optimizer=levenberg_marquardt", "--run-dir", str(tmp_path / "run")]
    assert main([*words, "method.kind=loss"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("lagrangian-ml: error: ") and "data" in message
    assert main([*words, "trainer.num_steps=1"]) == 0  # the directory is free


def test_load_run_gives_the_model_back(finished):
    run = load_run(finished, modules=["toy_parts"])
    x = jnp.linspace(0.0, 1.0, 5)
    values = run.predict(0.5, x)
    assert values.shape == (5, 1) and jnp.allclose(values, run.predict(jnp.full(5, 0.5), x[:, None]), rtol=0, atol=0)
    assert jnp.allclose(values[2], run.field(jnp.asarray(0.5), x[2:3]))
    assert run.summary["steps"] == 6 and run.config["model"]["width"] == 8 and run.problem.horizon == 1.0
    for point in ((x,), (0.5, jnp.ones((5, 2))), (jnp.ones(3), x)):
        with pytest.raises(ValueError, match="predict takes|shape"):
            run.predict(*point)


def truth(t, x):
    return np.asarray([[DecayingSines(0.25, np.pi)(time, jnp.asarray([place]))[0] for place in x] for time in t])


@pytest.mark.parametrize("layout", ["grid", "grid with components", "scattered", "scattered in 1-D"])
def test_evaluate_reads_grids_and_scattered_points(finished, tmp_path, capsys, monkeypatch, layout):
    t, x = np.linspace(0, 1, 3), np.linspace(0, 1, 4)
    u, tt, xx = truth(t, x), np.repeat(t, 4), np.tile(x, 3)
    arrays = {
        "grid": {"t": t, "x": x, "u": u},
        "grid with components": {"t": t, "x": x, "u": u[..., None]},
        "scattered": {"t": tt, "x": xx[:, None], "u": u.reshape(-1, 1)},
        "scattered in 1-D": {"t": tt, "x": xx, "u": u.ravel()},
    }[layout]
    np.savez(tmp_path / "truth.npz", **arrays)
    monkeypatch.setenv("LAGRANGIAN_ML_REFERENCE_DATA", str(tmp_path))
    assert main(["evaluate", str(finished), "--reference", "truth", *MODULE]) == 0
    printed = capsys.readouterr().out
    found = json.loads((finished / "evaluation.json").read_text())
    prediction = load_run(finished, modules=["toy_parts"]).predict(tt, xx)
    expected = np.linalg.norm(np.asarray(prediction) - u.reshape(-1, 1)) / np.linalg.norm(u)
    assert np.isclose(found["errors"]["relative_l2"], expected, rtol=1e-12) and found["num_points"] == 12
    assert "relative L2" in printed and "max" in printed


GRID = {"t": np.linspace(0, 1, 3), "x": np.linspace(0, 1, 4), "u": np.ones((3, 4))}


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({"t": None}, ["t is missing", "x"]),
        ({"u": None, "x": None}, ["x, u is missing"]),
        ({"u": np.ones((4, 3))}, ["u has the shape (4, 3)", "(3, 4) = (t, x)"]),
        ({"u": np.ones((3, 4, 2))}, ["u has the shape (3, 4, 2)"]),
        ({"x": np.ones((4, 2))}, ["x has the shape (4, 2)", "(n, 1)"]),
        ({"x": np.ones((4, 1))}, ["t has the shape (3,)", "(4,)"]),
        ({"t": np.ones((3, 1))}, ["t has the shape (3, 1)"]),
        ({"u": np.full((3, 4), np.nan)}, ["u has 12 entries that are not finite", "u[0, 0]"]),
        ({"u": np.ones((3, 4)) * 1j}, ["u is an array of complex128"]),
        ({"u": np.array([[None] * 4] * 3)}, ["Python objects"]),
        ({"u": np.zeros((3, 4))}, ["zero everywhere"]),
        ({"x": np.linspace(-1, 1, 4)}, ["x has 6 points outside the domain", "first [-1.0]"]),
        ({"t": np.linspace(0, 2, 3)}, ["t has 4 times outside [0, 1]", "t=2"]),
    ],
)
def test_unusable_references_are_told_apart(finished, tmp_path, capsys, arrays, words):
    kept = {name: array for name, array in (GRID | arrays).items() if array is not None}
    np.savez(tmp_path / "truth.npz", **kept)
    message = mistake(capsys, "evaluate", finished, "--reference", tmp_path / "truth.npz", *MODULE)
    assert "truth.npz" in message or "--reference" in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04torn"])
def test_unreadable_references(finished, tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "truth.npz").write_bytes(content)
    assert "truth.npz" in mistake(capsys, "evaluate", finished, "--reference", tmp_path / "truth.npz", *MODULE)


def test_modules_of_a_run_must_be_named_again(finished, tmp_path, capsys, monkeypatch):
    """Whoever opens a run of somebody else executes no code by that."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "evil.py").write_text("raise SystemExit('executed')")
    text = (finished / "config.yaml").read_text()
    for name in ("evil", "subprocess", "yaml", "nowhere_at_all"):
        (tmp_path / "config.yaml").write_text(text.replace("toy_parts\n", f"{name}\n", 1))
        for words in (["resume", tmp_path], ["evaluate", tmp_path, "--reference", __file__]):
            assert f"needs the module {name}" in (message := mistake(capsys, *words)) and f"--module {name}" in message
    assert "no module 'nowhere_at_all'" in mistake(capsys, "resume", tmp_path, "--module", "nowhere_at_all")
    with pytest.raises(ConfigError, match=r"modules=\['toy_parts'\]"):
        load_run(finished)
    (tmp_path / "config.yaml").write_text(text.replace("modules:\n- toy_parts\n", "modules: evil\n"))
    assert "list of names" in mistake(capsys, "resume", tmp_path)


def test_a_run_that_is_active_keeps_its_config(finished, tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(finished, run.path)
    with run.locked(), RunDirectory(tmp_path / "new").locked():
        assert main(["resume", str(run.path), *MODULE, "trainer.num_steps=50"]) == 1
        assert "in use" in capsys.readouterr().err
        assert main(["run", *TOY, "--run-dir", str(tmp_path / "new")]) == 1
    assert run.config.read_text() == (finished / "config.yaml").read_text()
    assert not (tmp_path / "new" / "config.yaml").exists()


@pytest.mark.parametrize("name, code", [("config.yaml", 2), ("summary.json", 1)])
def test_what_a_run_cannot_do_without_must_be_written(tmp_path, capsys, monkeypatch, name, code):
    def full(path, text):
        if path.name == name:
            raise OSError(28, "No space left on device")
        write_atomically(path, text)

    write_atomically = record.write_atomically
    monkeypatch.setattr(record, "write_atomically", full)
    assert main(["run", *TOY, "--run-dir", str(tmp_path / "run")]) == code
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert name in message and "No space left" in message and "make room" in message
    assert bool(Checkpoints(tmp_path / "run" / "checkpoints").steps()) == (code == 1)
    monkeypatch.undo()
    again = (
        ["run", *TOY, "--run-dir", str(tmp_path / "run")] if code == 2 else ["resume", str(tmp_path / "run"), *MODULE]
    )
    assert main(again) == 0 and json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 6


def test_damaged_configs_of_runs_are_mistakes(finished, tmp_path, capsys):
    text = (finished / "config.yaml").read_text()
    for old, new in {"lagrangian_ml.fields.mlp.MLP": "os.system", "depth": "dept", "width: 8": "width: wide"}.items():
        (tmp_path / "config.yaml").write_text(text.replace(old, new, 1))
        assert "model" in mistake(capsys, "resume", tmp_path, *MODULE)


def test_list_and_help(capsys):
    assert main(["list"]) == 0 and "burgers_pinn" in capsys.readouterr().out
    assert main(["list", "optimizer"]) == 0 and "adam" in capsys.readouterr().out
    assert main([]) == main(["--help"]) == main(["help", "run"]) == 0
    printed = capsys.readouterr().out
    assert "experiment=burgers_pinn" in printed and "generate" in printed
    with pytest.raises(SystemExit) as stop:
        main(["sweep", "--help"])
    assert stop.value.code == 0 and "seed=0,1,2" in capsys.readouterr().out


def test_doctor_finds_this_machine_healthy(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("devices", "float64", "experiments", "can be written"))


def test_sweep_goes_on_past_failing_jobs(tmp_path, monkeypatch, capsys, cached_environ):
    """Two jobs are mistakes seen at once, one fails when it is built, one runs."""
    monkeypatch.setenv("PYTHONPATH", cached_environ["PYTHONPATH"])
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    out = tmp_path / "sweep"
    words = ["trainer.num_steps=1", "model.width=-1,8", "seed=a,0", "--run-dir", str(out)]
    assert main(["sweep", *TOY, *words]) == 1
    printed = capsys.readouterr().out
    records = json.loads((out / "sweep.json").read_text())
    assert [record["status"] for record in records] == ["mistake", "mistake", "mistake", "finished"]
    assert "seed=a" in records[0]["message"] and "model.width=-1" in records[1]["message"]
    assert records[3]["errors"]["relative_l2"] > 0 and records[3]["seconds"] > 0
    assert Path(f"{records[3]['directory']}.log").is_file()
    lines = printed.strip().splitlines()
    assert lines[-1] == str(out) and "model.width=8 seed=0" in lines[-2] and "finished" in lines[-2]


def await_record(job, path):
    """Return when the run at the path has written its first record."""
    deadline = time.monotonic() + 120
    while not (path / "metrics.jsonl").exists() or not (path / "metrics.jsonl").stat().st_size:
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


def test_ctrl_c_reaches_the_job_of_a_sweep_once(tmp_path, cached_environ):
    """A terminal sends it to the whole group of processes; the job must still save its state."""
    words = ["sweep", *TOY, "trainer.num_steps=1000000", "seed=0,1", "optimizer.b1=0.5", "--run-dir", tmp_path / "out"]
    sweep = command(*words, cached_environ=cached_environ, cwd=tmp_path, start_new_session=True)
    path = tmp_path / "out" / "000_seed=0"
    await_record(sweep, path)
    os.killpg(sweep.pid, signal.SIGINT)
    sweep.communicate(timeout=60)
    records = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert sweep.returncode == 130 and [record.get("status") for record in records] == ["interrupted", None]
    assert (path / "STATUS").read_text().startswith("interrupted") and Checkpoints(path / "checkpoints").steps()


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_run_so_that_it_can_be_resumed(tmp_path, cached_environ, number, code):
    path = tmp_path / "run"
    words = ["run", *TOY, "trainer.num_steps=1000000", "--run-dir", path]
    job = command(*words, cached_environ=cached_environ, cwd=tmp_path)
    await_record(job, path)
    job.send_signal(number)
    job.communicate(timeout=60)
    assert job.returncode == code and (path / "STATUS").read_text().startswith("interrupted")
    assert list((path / "checkpoints").glob("[0-9]*"))
