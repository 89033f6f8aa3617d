"""Emulators: windows, unrolling, pushforward, noise and bundles, on a travelling wave."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import fit
from lagrangian_ml.core import Term, loss
from lagrangian_ml.domains import ArraySource
from lagrangian_ml.methods import autoregression
from lagrangian_ml.methods.autoregression import continue_trajectories, rollout_errors
from lagrangian_ml.operators import FNO, Emulator, TrajectoryProblem, Windows

KEY = jax.random.key(0)
NET = partial(FNO, modes=3, width=6, num_layers=1, num_hidden=8, positions=False)
BATCHES = partial(ArraySource, batch_size=8)
OBJECTIVE = {"data": Term(lambda model, sample: jnp.zeros(1))}


def moving(n, t, seed=0):
    """u(x − 2π k/10) at frames k, for random waves."""
    rng, x = np.random.default_rng(seed), 2 * np.pi * np.arange(10) / 10
    a, phase = rng.uniform(0.5, 2, (n, 1, 1, 1)), rng.uniform(0, 2 * np.pi, (n, 1, 1, 1))
    return jnp.asarray(a * np.sin(x - 2 * np.pi * np.arange(t)[:, None, None] / 10 + phase))


@pytest.fixture(scope="module")
def problem():
    return TrajectoryProblem(moving(6, 7), moving(3, 7, 1), {"test": moving(3, 12, 2)})


class Shift(eqx.Module):
    """The exact operator of the wave: every frame of the bundle moved on; `history` frames are seen."""

    bundle: int = eqx.field(static=True)
    history: int = eqx.field(static=True)

    def __init__(self, inputs, outputs, *, key=None):
        self.history, self.bundle = inputs[0], outputs[0]

    def __call__(self, v):
        return jnp.concatenate([jnp.roll(v[-1:], k, 1) for k in range(1, self.bundle + 1)])


@pytest.mark.parametrize(("history", "bundle"), [(1, 1), (3, 1), (1, 3), (2, 2)])
def test_the_exact_operator_continues_a_wave(problem, history, bundle):
    emulator = Emulator(Shift, problem.train, history=history, bundle=bundle, increments=False, key=KEY)
    errors = rollout_errors(emulator, problem.test["test"])
    assert errors["nrmse"] < 1e-12 and errors["correlation_time"] == 12 - history
    truth = problem.test["test"][0]
    np.testing.assert_allclose(emulator(truth[:history]), truth[history : history + bundle], atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"history": 2, "bundle": 3}, {"increments": False}])
def test_a_rollout_is_steps_one_after_the_other(problem, settings):
    emulator = Emulator(NET, problem.train, **settings, key=KEY)
    frames = problem.train[0, : emulator.history]
    found = emulator.unroll(frames, 3)
    seen = frames
    for _ in range(3):
        seen = jnp.concatenate([seen, emulator(seen[-emulator.history :])])
    np.testing.assert_allclose(found, seen[emulator.history :], rtol=1e-12)
    cut = continue_trajectories(emulator, frames[None], 2)
    np.testing.assert_allclose(cut[0], found[:2], rtol=1e-10)


def test_windows_are_every_part_of_every_trajectory_once(problem):
    source = Windows(problem.train, 4, partial(ArraySource, batch_size=6))
    state, seen = source.init(KEY), []
    for _ in range(4):
        batch, state = source.next(state, None, OBJECTIVE)
        seen += [tuple(np.asarray(frames).ravel()) for frames in batch["data"].frames]
    expected = {tuple(np.asarray(problem.train[i, j : j + 4]).ravel()) for i in range(6) for j in range(4)}
    assert len(seen) == 24 and set(seen) == expected
    assert len(np.unique(jax.random.key_data(batch["data"].key), axis=0)) == 6
    with pytest.raises(ValueError, match="windows of 8 frames do not fit trajectories of 7"):
        Windows(problem.train, 8, ArraySource)


def test_losses_of_unrolled_and_pushed_steps(problem):
    """One step: both are the same. Several: the loss of the pushforward is the last step's, and so is its slope."""
    batch, _ = Windows(problem.train, 4, ArraySource).next({"places": {}, "key": KEY}, None, OBJECTIVE)
    unrolled, pushed = (autoregression(problem, NET, unroll=3, pushforward=p, key=KEY) for p in (False, True))
    model, scale = unrolled.model, unrolled.model.scales.value[0].std
    frames = batch["data"].frames
    predicted = jax.vmap(lambda f: model.unroll(f[:1], 3))(frames)
    square = lambda a: 0.5 * np.mean((np.asarray(a) / np.asarray(scale)[:, None]) ** 2)
    assert float(loss(unrolled.objective, model, batch)) == pytest.approx(square(predicted - frames[:, 1:]))
    assert float(loss(pushed.objective, model, batch)) == pytest.approx(square(predicted[:, -1:] - frames[:, -1:]))
    before = jax.vmap(lambda f: model.unroll(f[:1], 2)[-1:])(frames)
    one = lambda m: 0.5 * jnp.mean(((jax.vmap(m)(before) - frames[:, -1:]) / scale[0]) ** 2)
    slopes = eqx.filter_grad(one)(model), eqx.filter_grad(lambda m: loss(pushed.objective, m, batch))(model)
    for a, b in zip(*(jax.tree.leaves(slope.operator) for slope in slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_noise_is_drawn_anew_for_every_sample(problem):
    task = autoregression(problem, NET, BATCHES, noise=0.1, key=KEY)
    clean = autoregression(problem, NET, BATCHES, key=KEY)
    batch, _ = task.source.next(task.source.init(KEY), task.model, task.objective)
    other = {"data": batch["data"]._replace(key=jax.random.split(jax.random.key(5), 8))}
    values = [float(loss(t.objective, task.model, b)) for t, b in ((clean, batch), (task, batch), (task, other))]
    assert len(set(values)) == 3


def test_a_wave_is_learned(problem):
    task = autoregression(problem, NET, BATCHES, unroll=2, increments=False, loss="relative_l2", key=KEY)
    result = fit(task.model, task.objective, task.source, optax.adam(2e-2), num_steps=150, key=KEY)
    assert task.test_errors(result.model)["test_nrmse_first"] < 0.05
    assert task.errors(result.model)["nrmse"] < 0.3 * task.errors(task.model)["nrmse"]


def test_what_cannot_be_continued_is_refused(problem, tmp_path):
    cases = [
        (lambda: autoregression(problem, NET, pushforward=True, key=KEY), "2 for pushforward"),
        (lambda: autoregression(problem, NET, history=5, bundle=3, key=KEY), "together at most 7 frames"),
        (lambda: autoregression(problem, NET, unroll=7, key=KEY), "windows of 8 frames"),
        (lambda: TrajectoryProblem(problem.train.at[2].set(jnp.nan)), "train has 1 samples with frames"),
        (lambda: TrajectoryProblem(problem.train, moving(2, 1)), "at least two frames"),
    ]
    for call, culprit in cases:
        with pytest.raises(ValueError, match=culprit):
            call()
    task, frames = autoregression(problem, NET, key=KEY), problem.test["test"]
    np.savez(tmp_path / "good.npz", x=frames[:, :1, 0], y=frames[:, 1:, 0])
    errors, arrays = task.against(task.model, tmp_path / "good.npz")
    assert errors == pytest.approx(rollout_errors(task.model, frames)) and arrays["prediction"].shape == (3, 11, 1, 10)
    np.savez(tmp_path / "bad.npz", x=frames[:, :2], y=frames[:, 2:])
    with pytest.raises(ValueError, match="expected 1 frames in x"):
        task.against(task.model, tmp_path / "bad.npz")
