"""Damage to checkpoints: never silent, always survived while a sound step is left."""

import errno
import functools
import random
import shutil
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import pytest

from lagrangian_ml.training import CheckpointError, Checkpoints, FitState
from lagrangian_ml.training.manifest import leaf_sums

pytestmark = pytest.mark.filterwarnings("error")


def state_at(step, width=8, dtype=jnp.float64, scale=1.0):
    draw = jax.random.normal(jax.random.key(step), (width, 3), dtype) * jnp.asarray(scale, dtype)
    model = {
        "weight": draw,
        "half": draw[0].astype(jnp.bfloat16),
        "mode": jax.lax.complex(draw[1, 0], draw[1, 1]),
        "mask": draw[2] > 0,
        "name": "a leaf that is no array",
    }
    optimizer = (jnp.zeros((0, 3)), None, draw.astype(jnp.float32))
    source = {"key": jax.random.key(step), "keys": jax.random.split(jax.random.key(1, impl="rbg"), 2)}
    return FitState(jnp.asarray(step, jnp.int32), model, optimizer, source, jax.random.key(7))


@functools.cache
def template():
    return state_at(0, scale=0.0)


@pytest.fixture
def saved(tmp_path):
    """Steps 10 and 20, saved and closed."""
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        for step in (10, 20):
            assert checkpoints.save(state_at(step))
    return tmp_path / "checkpoints"


def restored_step(directory):
    """The step that is restored, after checking that all of it is what was saved."""
    state = Checkpoints(directory).restore(template())
    assert leaf_sums(state) == leaf_sums(state_at(int(state.step)))
    return int(state.step)


def test_every_kind_of_leaf_comes_back_bit_for_bit(saved):
    state = Checkpoints(saved).restore(template())
    assert leaf_sums(state) == leaf_sums(state_at(20))
    assert state.model["name"] == template().model["name"] and state.optimizer[1] is None
    assert jax.random.bits(state.source["keys"][0]) == jax.random.bits(state_at(20).source["keys"][0])


def test_nothing_saved_is_none(tmp_path):
    assert Checkpoints(tmp_path / "none").restore(template()) is None
    assert not (tmp_path / "none").exists()


def test_the_newest_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3, 3, 4):
            assert checkpoints.save(state_at(step))
        assert checkpoints.steps() == [3, 4]


def damages():
    def delete(path):
        path.unlink()

    def truncate(path):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def grow(path):
        path.write_bytes(path.read_bytes() + b"\0")

    return {"deleted": delete, "truncated": truncate, "grown": grow}


@pytest.mark.parametrize("damage", damages().values(), ids=damages())
def test_a_damaged_file_is_named_and_the_step_before_is_used(saved, damage):
    victim = max((saved / "20").rglob("d/*"), key=lambda path: path.stat().st_size)
    damage(victim)
    with pytest.warns(UserWarning, match=f"checkpoint 20 is damaged.*{victim.name}"):
        assert restored_step(saved) == 10


def test_a_step_without_manifest_an_empty_one_and_temporaries_do_not_count(saved):
    (saved / "30").mkdir()
    (saved / "40.orbax-checkpoint-tmp").mkdir()
    shutil.copytree(saved / "20", saved / "50")
    (saved / "50" / "manifest.json").unlink()
    assert restored_step(saved) == 20
    with Checkpoints(saved) as checkpoints:
        checkpoints.restore(template())
        assert checkpoints.save(state_at(25))
    assert sorted(path.name for path in saved.iterdir()) == ["20", "25"]


def test_all_damaged_is_an_error(saved):
    for step in ("10", "20"):
        next((saved / step).rglob("_METADATA")).write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(CheckpointError, match="step 20.*_METADATA.*step 10.*_METADATA.*new run"):
            Checkpoints(saved).restore(template())


def test_a_damaged_step_does_not_push_out_a_sound_one(saved):
    next((saved / "20").rglob("_METADATA")).unlink()
    with Checkpoints(saved) as checkpoints:
        with pytest.warns(UserWarning, match="damaged"):
            checkpoints.restore(template())
        assert checkpoints.save(state_at(25)) and checkpoints.steps() == [10, 25]
    assert restored_step(saved) == 25


@pytest.mark.parametrize(
    "other, text",
    [
        (lambda: state_at(0, width=9), r"\.model\['weight'\]: stored float64\[8, 3\], wanted float64\[9, 3\]"),
        (lambda: state_at(0, dtype=jnp.float32), r"stored float64\[8, 3\], wanted float32\[8, 3\]"),
        (
            lambda: FitState(jnp.int32(0), jnp.zeros(2), None, None, jax.random.key(0)),
            r"stored bfloat16\[3\], wanted nothing",
        ),
    ],
)
def test_another_model_is_refused_without_a_cast(saved, other, text):
    with pytest.raises(ValueError, match=text):
        Checkpoints(saved).restore(other())


def flip_random_bit(folder, rng):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = rng.choices(files, weights=[file.stat().st_size for file in files])[0]
    content = bytearray(path.read_bytes())
    bit = rng.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("flips", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_flipped_bits_are_never_silent(saved, tmp_path, flips):
    rng, detected = random.Random(flips), 0
    for trial in range(flips):
        copy = tmp_path / str(trial)
        shutil.copytree(saved, copy)
        flip_random_bit(copy / "20", rng)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert restored_step(copy) in (10, 20)
        detected += any("damaged" in str(warning.message) for warning in caught)
        shutil.rmtree(copy)
    assert detected == flips


def test_a_failed_write_warns_and_keeps_the_last_step(saved, monkeypatch):
    from lagrangian_ml.training import manifest

    with Checkpoints(saved) as checkpoints:
        checkpoints.restore(template())
        with monkeypatch.context() as patch:
            patch.setattr(manifest, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
            with pytest.warns(UserWarning, match="step 30 could not be written.*still that of step 20"):
                assert not checkpoints.save(state_at(30))
        assert checkpoints.steps() == [10, 20] and not (saved / "30").exists()
        assert checkpoints.save(state_at(40)) and checkpoints.steps() == [20, 40]


def test_an_old_step_that_cannot_be_removed_costs_a_warning(saved, monkeypatch):
    with Checkpoints(saved) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EBUSY, "Busy")))
            with pytest.warns(UserWarning, match="old checkpoint could not be removed.*Busy"):
                assert checkpoints.save(state_at(30))
        assert checkpoints.steps() == [20, 30]
        assert checkpoints.save(state_at(40))
    assert sorted(path.name for path in saved.iterdir()) == ["30", "40"]


FULL_DISK = """
import sys, warnings
import jax, jax.numpy as jnp
from lagrangian_ml.training import Checkpoints, FitState, RunDirectory
draw = lambda step: jax.random.normal(jax.random.key(step), (200_000,))
big = lambda step: FitState(jnp.int32(step), draw(step), 0, 0, jax.random.key(0))
run = RunDirectory(sys.argv[1] + "/run")
run.write_status("running")
with warnings.catch_warnings(record=True) as caught, run.locked(), Checkpoints(run.checkpoints, keep=9) as checkpoints:
    warnings.simplefilter("always")
    saved = [checkpoints.save(big(step)) for step in range(1, 7)]
    assert saved[:2] == [True, True] and not all(saved), saved
    filler = open(sys.argv[1] + "/filler", "wb", buffering=0)
    try:
        while filler.write(b"x" * 4096): pass
    except OSError: pass
    for step in range(2000): run.append({"step": step, "text": "y" * 100})
    assert [record["step"] for record in run.records()] == list(range(len(run.records())))
    run.write_status("finished")
    assert run.status()[0] == "finished"
    assert int(checkpoints.restore(big(0)).step) == sum(saved)
    assert not list(run.checkpoints.glob("*tmp*"))
texts = [str(warning.message) for warning in caught]
assert any("No space left" in text and "could not be written" in text for text in texts), texts
assert sum("metrics.jsonl" in text or "STATUS" in text for text in texts) == 1, texts
print("survived")
"""


def test_a_full_disk(tmp_path):
    """In a file system of 3 MB of its own, where user namespaces are allowed."""
    mount = f"mount -t tmpfs -o size=3m none {tmp_path} && exec {sys.executable} -c '{FULL_DISK}' {tmp_path}"
    if not shutil.which("unshare") or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("a file system of its own needs user namespaces")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("survived\n"), done.stdout + done.stderr
