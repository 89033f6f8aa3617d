"""What `generate` promises: the same bytes however they came about, nothing half-written, and clear refusals."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from data_gen import generate, manifest
from data_gen.command import spell_command
from data_gen.read import Dataset
from data_gen.recipe import sample_key
from data_gen.target import Target
from data_gen.verify import verify
from data_gen.write import Plan
from lagrangian_ml.cli import main
from lagrangian_ml.config import ConfigError, build_group, load_config
from lagrangian_ml.config.folders import DATASET

SMALL = ["dataset=apebench_burgers", "dataset.grid.shape=[32]", "dataset.num_frames=5", "dataset.steps_per_frame=4"]
SMALL += ["dataset.horizon=0.1", "dataset.block=2", "seed=3"]
SIZES = ["num_samples=10", "shard_size=4"]


@pytest.fixture(scope="module", autouse=True)
def compiled_once(cached_environ):
    """Workers share what XLA compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", cached_environ["JAX_COMPILATION_CACHE_DIR"])
        patch.setenv("PYTHONPATH", cached_environ["PYTHONPATH"])
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, compiled_once):
    """A data set of three shards, made in one go."""
    out = tmp_path_factory.mktemp("whole") / "set"
    assert generate.main([*SMALL, *SIZES], out, workers=1) == 0
    return out


@pytest.fixture
def copy(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "set")
    return tmp_path / "set"


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def command(*words) -> list[str]:
    return [sys.executable, "-m", "lagrangian_ml", "generate", *map(str, words)]


# The same bytes


def test_a_data_set_has_the_bytes_of_its_recipe_whatever_made_it(whole, tmp_path, monkeypatch):
    """Two workers; two machines that each make a share, the last one first; a smaller one that was extended."""
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # what changes the bytes does not reach the workers
    (tmp_path / "matplotlibrc").write_text("axes.grid: True")
    monkeypatch.chdir(tmp_path)
    assert generate.main([*SMALL, *SIZES], tmp_path / "workers", workers=2) == 0
    for share in ("1/2", "0/2"):
        assert generate.main([*SMALL, *SIZES], tmp_path / "machines", workers=1, shards=share) == 0
        assert (tmp_path / "machines" / manifest.NAME).exists() == (share == "0/2")
    assert generate.main([*SMALL, "num_samples=5", "shard_size=4"], tmp_path / "extended", workers=1) == 0
    assert generate.main([*SMALL, *SIZES], tmp_path / "extended", workers=1) == 0
    for name in ("workers", "machines", "extended"):
        assert contents(tmp_path / name) == contents(whole)


def test_a_sample_does_not_depend_on_the_size_of_shards(whole, tmp_path):
    assert generate.main([*SMALL, "num_samples=6", "shard_size=2"], tmp_path / "set", workers=1) == 0
    np.testing.assert_array_equal(Dataset(tmp_path / "set").read(range(6))["u"], Dataset(whole).read(range(6))["u"])


def test_samples_are_what_recipe_and_key_say(whole):
    config = load_config([*SMALL, *SIZES], root=DATASET)
    recipe = build_group(config, "dataset")
    data = Dataset(whole)
    outcome = jax.jit(lambda i: recipe.solve(recipe.draw(sample_key(3, i))).arrays["u"])(7)
    assert data[7]["u"].dtype == np.float32 and outcome.dtype == np.float64
    np.testing.assert_allclose(data[7]["u"], outcome, atol=1e-7)
    np.testing.assert_array_equal(data.coordinates["t"], recipe.times)
    assert data.parameters["viscosity"] == recipe.equation.viscosity and data.boundary == (("periodic", "periodic"),)


def test_every_shard_carries_its_figures_of_quality(whole):
    shards = [line for line in Dataset(whole).manifest if "shard" in line]
    assert [line["samples"] for line in shards] == [[0, 4], [4, 8], [8, 10]]
    for line in shards:
        quality = line["quality"]
        assert quality["mean_drift"]["u"] < 1e-14 and 0 < quality["max_courant"] < 1
        assert 0 < quality["step_error"]["u"]["last"] < 1e-4 and 0 < quality["spectrum_tail"] < 0.1
        assert quality["rejected"] == {"courant": 0, "not_finite": 0} and line["redrawn"] == {}


def test_rejected_samples_are_drawn_again_by_themselves(tmp_path):
    """Where a draw failed, the next one of that sample is taken; others are those of a recipe that never fails."""
    law = ["--module", "toy_laws", "--out"]
    words = [*SMALL, "num_samples=8", "shard_size=4", "dataset.initial={_target_: toy_laws.Spiky, share: 0.4}"]
    assert main(["generate", *words, *law, str(tmp_path / "set")]) == 0
    data = Dataset(tmp_path / "set")
    redrawn = {int(i): n for line in data.manifest[1:] for i, n in line.get("redrawn", {}).items()}
    draws = lambda i, retry: jax.random.uniform(sample_key(3, i, retry), (2,))
    expected = {i: next(r for r in range(9) if draws(i, r)[1] >= 0.4) for i in range(8)}
    assert redrawn == {i: n for i, n in expected.items() if n} and redrawn
    x = data.coordinates["x"]
    for i, retry in expected.items():
        np.testing.assert_allclose(data[i]["u"][0, 0], np.sin(2 * np.pi * (x + float(draws(i, retry)[0]))), atol=1e-6)
    quality = [line["quality"] for line in data.manifest if "shard" in line]
    assert sum(figures["rejected"]["not_finite"] for figures in quality) == sum(redrawn.values())


# Stopped, damaged, repaired


MOMENTS = ("recipe.yaml", "manifest.d/000000.json", "manifest.d/000001.json", "zarr.json", "statistics.json")


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_minus_nine_and_go_on(whole, tmp_path, kills):
    """The process dies at a random moment of its work, with its workers; the command given again ends with the same."""
    out, rng, done = tmp_path / "set", np.random.default_rng(kills), 0
    while done < kills:
        moment = out / MOMENTS[done % len(MOMENTS)] if kills > 2 else out / MOMENTS[2 * done + 1]
        words = command(*SMALL, *SIZES, "--out", out, "--workers", 1)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not moment.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.exponential(0.05))
        done += process.poll() is None
        process.kill()
        process.wait()
        if (out / manifest.NAME).exists():  # it was faster, or is repaired: begin anew
            assert verify(out).sound
            shutil.rmtree(out)
    assert generate.main([] if out.exists() else [*SMALL, *SIZES], out, workers=2) == 0
    assert contents(out) == contents(whole)


def test_a_signal_stops_and_the_same_command_goes_on(whole, tmp_path):
    out = tmp_path / "set"
    process = subprocess.Popen(command(*SMALL, *SIZES, "--out", out, "--workers", 1), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(out.glob("manifest.d/*.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate()
    if process.returncode:  # it was not faster
        assert process.returncode == 143 and "the same command goes on" in told and not (out / manifest.NAME).exists()
        with pytest.raises(ValueError, match="is unfinished"):
            Dataset(out)
    assert generate.main([], out, workers=1) == 0
    assert contents(out) == contents(whole)


def test_only_what_is_damaged_is_made_anew(copy, whole, capsys):
    """A flipped bit, a missing shard, a torn manifest line: `verify` names them, the command it gives repairs them."""
    names = {n: next(iter(line["files"])) for line in Dataset(copy).manifest if (n := line.get("shard")) is not None}
    untouched = (copy / names[1]).stat().st_mtime_ns
    flip(copy / names[0], 8 * 100)
    (copy / names[2]).unlink()
    assert main(["verify", str(copy)]) == 1
    told = capsys.readouterr().out
    assert f"{names[0]} has changed (samples 0 … 3)" in told and f"{names[2]} is missing (samples 8 … 9)" in told
    assert f"lagrangian-ml generate --out {copy}" in told and names[1] not in told
    assert main(["generate", "--out", str(copy)]) == 0
    assert contents(copy) == contents(whole) and (copy / names[1]).stat().st_mtime_ns == untouched
    assert main(["verify", str(copy)]) == 0 and "is sound" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["recipe.yaml", "zarr.json", "statistics.json", "manifest.jsonl", "x/c/0"])
def test_damaged_small_files_are_written_again(copy, whole, name):
    flip(copy / name, 400)
    found = verify(copy)
    assert len(found.damaged) == 1 and name in found.damaged[0] and found.command
    words = [] if name != "recipe.yaml" else [*SMALL, *SIZES]  # which the command of `verify` then spells
    assert all(word in found.command for word in ("dataset.block=2", "seed=3") if words)
    assert generate.main(words, copy, workers=1) == 0
    assert contents(copy) == contents(whole)


def test_what_was_announced_and_not_begun_binds_nobody(copy, whole):
    """A data set that was to be extended by mistake goes back to what it was."""
    config = load_config([*SMALL, "num_samples=400", "shard_size=4"], root=DATASET)
    recipe = build_group(config, "dataset")
    target = Target(copy, config, spell_command(config), recipe, Plan(400, 4))
    with target.locked("0-of-1"):
        target.begin(range(3, 100))
        with pytest.raises(ConfigError, match="in use by process"):
            generate.main([*SMALL, *SIZES], copy)
        target.undo()  # of a folder that is not new, and in use
    assert not (copy / manifest.NAME).exists()
    assert generate.main([*SMALL, *SIZES], copy, workers=1) == 0
    assert contents(copy) == contents(whole)


def test_a_worker_that_dies_is_told_and_the_others_work_stays(whole, tmp_path):
    out = tmp_path / "set"
    words = command(*SMALL, *SIZES, "--out", out, "--workers", 1)
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    while not (out / MOMENTS[1]).exists() and process.poll() is None:
        time.sleep(0.002)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in map(int, children):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    told = process.communicate()[1]
    if process.returncode:  # it was not faster
        assert process.returncode == 1 and "the same command goes on" in told and "Traceback" not in told
        assert (out / MOMENTS[1]).exists()


@pytest.mark.parametrize("content", [b"", b"[1]\n[2]\n", b'{"sum":1,"a":NaN}\n{}\n', b"\xff\n" * 3])
def test_a_manifest_of_anything_is_damage(copy, whole, content, capsys):
    (copy / manifest.NAME).write_bytes(content)
    assert main(["verify", str(copy)]) == 1 and f"generate --out {copy}" in capsys.readouterr().out
    assert "has changed" in mistake(capsys, "info", copy)


def test_foreign_files_are_found_and_never_overwritten(copy, capsys):
    (copy / "notes.txt").write_text("mine")
    assert main(["verify", str(copy)]) == 1 and "foreign: notes.txt" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"not of this data set: notes\.txt"):
        generate.main([], copy)
    assert (copy / "notes.txt").read_text() == "mine"


def test_no_flipped_bit_is_overlooked(copy):
    """200 random single-bit flips over all files: `verify` finds each, no reader returns other values."""
    rng, files = np.random.default_rng(0), [path for path in sorted(copy.rglob("*")) if path.is_file()]
    truth = Dataset(copy).read(range(10))
    sizes = np.array([path.stat().st_size for path in files])
    chosen = np.arange(200) % len(files)
    refused = 0
    for i in chosen:
        bit = int(rng.integers(8 * sizes[i]))
        flip(files[i], bit)
        found = verify(copy)
        assert not found.sound and any(str(files[i].relative_to(copy)) in told for told in found.damaged)
        try:
            read = Dataset(copy).read(range(10))["u"]
        except ValueError as error:
            assert "verify" in str(error) or "data set" in str(error), error
            refused += 1
        else:
            np.testing.assert_array_equal(read, truth["u"])
        flip(files[i], bit)
    assert verify(copy).sound and refused > 150  # all but those in the figure


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_full_disk_is_told_and_leaves_nothing_that_looks_complete(whole, tmp_path):
    """A limit on the size of files stands for the disk: the shard does not fit, the small files do."""
    out = tmp_path / "set"
    limit = max(path.stat().st_size for path in whole.glob("*/c/0/**/*") if path.is_file()) - 1
    limited = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
    words = command(*SMALL, *SIZES, "--out", out, "--workers", 1)
    words = [sys.executable, "-c", limited + "os.execv(sys.executable, sys.argv[1:])", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "cannot be written" in done.stderr and "Make room" in done.stderr, done.stderr
    assert (
        not (out / manifest.NAME).exists() and not list(out.glob("manifest.d/*.tmp")) and not list(out.glob("u/c/0*"))
    )
    assert generate.main([*SMALL, *SIZES], out, workers=1) == 0
    assert contents(out) == contents(whole)


# Refusals


def mistake(capsys, *words) -> str:
    assert main([str(word) for word in words]) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dataset=burgers_fno_papr"], ["burgers_fno_papr", "'burgers_fno_paper'"]),
        (["dataset.block=2"], ["nothing to generate", "burgers_fno_paper"]),
        ([*SMALL], ["num_samples needs a value"]),
        ([*SMALL, "num_samples=0"], ["num_samples=0", "from 1"]),
        ([*SMALL, "num_samples=ten"], ["num_samples=ten"]),
        ([*SMALL, "num_samples=4", "dataset.equation.viscocity=1"], ["viscocity", "'viscosity'"]),
        ([*SMALL, "num_samples=4", "dataset.grid.shape=[8]"], ["at least 11 points", "cutoff=5"]),
        ([*SMALL, "num_samples=4", "dataset.grid.shape=[100000000000]"], ["in memory", "coarser grid"]),
        ([*SMALL, "num_samples=4", "dataset.grid.shape=[0]"], ["dataset.grid", "shape"]),
        ([*SMALL, "num_samples=4", "dataset.horizon=-1"], ["horizon=-1", "> 0"]),
        ([*SMALL, "num_samples=4", "dataset.num_frames=1"], ["num_frames=1", "at least 2"]),
        ([*SMALL, "num_samples=4", "dataset.steps_per_frame=0"], ["steps_per_frame=0", "at least 1"]),
        ([*SMALL, "num_samples=4", "dataset.stride=3"], ["stride=3", "divide"]),
        ([*SMALL, "num_samples=4", "shard_size=3"], ["shard_size=3", "dataset.block=2"]),
        ([*SMALL, "num_samples=4", "dataset.dtype=float16"], ["dtype=float16", "float32"]),
        ([*SMALL, "num_samples=4", "dataset={_target_: os.system, command: ls}"], ["os.system", "not allowed"]),
        ([*SMALL, "num_samples=4", "dataset.initial={_target_: data_gen.manifest.write_atomically}"], ["not allowed"]),
        ([*SMALL, "num_samples=4", "dataset.initial={_target_: data_gen.recipe.Grid}"], ["not a class or function of"]),
        ([*SMALL, "num_samples=4", "--shards", "2/2"], ["--shards 2/2", "i/n"]),
        ([*SMALL, "num_samples=4", "--workers", "0"], ["--workers 0", "at least 1"]),
        ([*SMALL, "num_samples=4", "dataset.equation._target_=lagrangian_ml.equations.Poisson"], ["steady"]),
    ],
)
def test_mistakes_end_with_one_message_and_write_nothing(words, told, capsys, tmp_path):
    message = mistake(capsys, "generate", *words, "--out", tmp_path / "set")
    assert all(word in message for word in told), message
    assert not list(tmp_path.iterdir())


def test_an_unstable_step_is_refused_with_the_number_that_would_do(capsys, tmp_path):
    words = [*SMALL, "num_samples=4", "dataset.steps_per_frame=1", "dataset.horizon=4.0"]
    assert main(["generate", *words, "--out", str(tmp_path / "set"), "--workers", "1"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "sample 0 was rejected 10 times: its values grew without bound" in message
    assert "try dataset.steps_per_frame=2, or draw smaller values" in message
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_else_is_refused(copy, whole, capsys, tmp_path):
    other = mistake(capsys, "generate", *SMALL, *SIZES, "dataset.equation.viscosity=0.01", "--out", copy)
    assert "another data set: dataset.equation.viscosity is 0.0024 there, 0.01 here" in other
    assert "seed is 3 there, 4 here" in mistake(capsys, "generate", *SMALL, *SIZES, "seed=4", "--out", copy)
    assert "fewer" in mistake(capsys, "generate", *SMALL, "num_samples=4", "shard_size=4", "--out", copy)
    assert contents(copy) == contents(whole)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    assert "thesis.tex" in mistake(capsys, "generate", *SMALL, *SIZES, "--out", tmp_path / "full")
    assert "is a file" in mistake(capsys, "generate", *SMALL, *SIZES, "--out", tmp_path / "full" / "thesis.tex")
    assert "--out DIR" in mistake(capsys, "generate", *SMALL, *SIZES)
    for place in ("/proc/nowhere/set", tmp_path / "full" / "thesis.tex" / "set"):
        told = mistake(capsys, "generate", *SMALL, *SIZES, "--out", place)
        assert "cannot be written" in told and "Make room" not in told
    assert "local folders" in mistake(capsys, "generate", *SMALL, *SIZES, "--out", "gs://bucket/set")


def test_what_is_no_data_set_is_told_by_every_command(copy, capsys, tmp_path):
    (tmp_path / "notes.hdf5").write_text("no HDF5")
    for words in (["verify", tmp_path / "nothing"], ["info", tmp_path / "nothing"], ["info", tmp_path / "notes.hdf5"]):
        assert "notes.hdf5 is no HDF5" in (told := mistake(capsys, *words)) or "holds no data set" in told
    export = ["export", copy, "--format", "pdebench", "--out"]
    assert "exists" in mistake(capsys, *export, tmp_path / "notes.hdf5")
    assert "NAME.hdf5" in mistake(capsys, *export, tmp_path / "wrong.txt")
    (copy / manifest.NAME).unlink()
    assert "is unfinished" in mistake(capsys, "verify", copy)


# The other commands


def test_dry_run_tells_size_work_and_time_and_writes_nothing(capsys, tmp_path):
    assert main(["generate", *SMALL, *SIZES, "--out", str(tmp_path / "set"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert (
        "10 in 3 shards of 4, 2 a block" in told and "cell-updates, 512 a sample" in told and "640 B a sample" in told
    )
    assert not list(tmp_path.iterdir())


def test_info_and_export_and_the_module(whole, capsys, tmp_path):
    assert main(["info", str(whole)]) == 0
    told = capsys.readouterr().out
    assert "viscosity = 0.0024" in told and "t 5, component 1, x 32" in told and "step error of u" in told
    file = tmp_path / "1D_Burgers.hdf5"
    assert main(["export", str(whole), "--format", "pdebench", "--out", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    assert main(["info", str(file)]) == 0 and "t 5, component 1, x 32" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "data_gen", "verify", whole], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "is sound" in done.stdout


def test_a_manifest_line_tells_when_it_was_changed():
    line = manifest.to_line({"shard": 1, "seed": 3})
    assert manifest.from_line(line) == {"shard": 1, "seed": 3}
    assert manifest.from_line(line.replace("3", "4", 1)) is None and manifest.from_line(line[:-1]) is None
    assert json.loads(line)["sum"]
