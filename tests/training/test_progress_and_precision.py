"""What a person sees, and the precision of a run."""

import inspect
import io
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from lagrangian_ml.optimizers._checks import require_float64
from lagrangian_ml.training import progress as progress_module
from lagrangian_ml.training import set_precision
from lagrangian_ml.training.progress import Progress
from lagrangian_ml.training.state import FitState

STATE = FitState(jnp.zeros((), jnp.int32), None, None, None, jax.random.key(0))


def show(progress, steps):
    with progress:
        for step in steps:
            progress(STATE, {"step": step, "loss": 0.5, "fresh_rms": 1.25, "relative_l2": 1e-3})
            progress.update(step, {"loss": 0.5})


def test_plain_lines_are_few(capsys):
    show(Progress(100, 10, live=False), range(10, 110, 10))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[0] == "compiling; then steps 0 to 100"
    assert lines[1].startswith("step 10/100  loss 5.0e-01  fresh residual 1.2e+00  error 1.0e-03")
    assert lines[2].startswith("step 100/100")


def test_plain_lines_come_as_time_passes(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "PLAIN_SECONDS", 0.0)
    show(Progress(100, 10, live=False), range(10, 110, 10))
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_a_live_line(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("FORCE_COLOR", "1")
    show(Progress(100, 10, live=True), [10, 100])
    assert "100/100" in stream.getvalue() and "error 1.0e-03" in stream.getvalue()


@pytest.fixture
def restored_precision():
    enabled, products = jax.config.jax_enable_x64, jax.config.jax_default_matmul_precision
    yield
    jax.config.update("jax_enable_x64", enabled)
    jax.config.update("jax_default_matmul_precision", products)


@pytest.mark.usefixtures("restored_precision")
def test_precision_is_the_type_of_new_arrays_and_a_late_change_warns():
    set_precision("float64")
    assert jnp.zeros(1).dtype == jnp.float64
    kept = jnp.ones(1)
    with pytest.warns(UserWarning, match="changes to float32 after arrays were built"):
        set_precision("float32")
    assert jnp.zeros(1).dtype == jnp.float32 and kept.dtype == jnp.float64
    with pytest.raises(ValueError, match="precision='half'; allowed are 'float64' and 'float32'"):
        inspect.unwrap(set_precision)("half")  # past the type checker of the tests


def test_second_order_methods_refuse_float32():
    require_float64("LevenbergMarquardt", eqx.nn.Linear(1, 1, key=jax.random.key(0)))
    require_float64("LevenbergMarquardt", {"mode": jnp.zeros(1, complex), "count": jnp.zeros(1, int)})
    with pytest.raises(ValueError, match="LevenbergMarquardt was given a model in float32.*precision=float64.*adam"):
        require_float64("LevenbergMarquardt", {"a": jnp.zeros(1, jnp.float32), "b": jnp.zeros(1)})
    with jax.enable_x64(False), pytest.raises(ValueError, match="64-bit types are off"):
        require_float64("LevenbergMarquardt")
