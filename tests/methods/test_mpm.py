"""Methods on particles: control, identification and simulation of small scenes, and what they refuse."""

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, fit
from lagrangian_ml.core import partition
from lagrangian_ml.methods import Elasticity, Launch, mpm_control, mpm_identification, mpm_simulation
from lagrangian_ml.particles import Feedback, Plant, Sequences, Sines, final_state, play, scenes
from lagrangian_ml.training import Trainer, run_task

KEY = jax.random.key(0)


def small(scene, num_steps, **changes):
    """A short version, by the back end that compiles fastest."""
    return dataclasses.replace(scene, num_steps=num_steps, **{"settings": {"backend": "rows"}} | changes)


@pytest.mark.slow
def test_a_ball_is_thrown_to_its_target_by_a_second_order_method():
    # Free flight: c(T) = c(0) + T v + the fall, so that one step of least squares is exact.
    scene = small(scenes.throw(num_cells=24), 40, target=(0.32, 0.36))
    task = mpm_control(scene, Launch, key=KEY)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=6, key=KEY)
    assert task.errors(result.model)["target_distance"] < 1e-10
    fall = -3.0 * 5e-4**2 * 40 * 41 / 2
    exact = (np.asarray([0.32, 0.36 - fall]) - np.asarray(scene.center(scene.particles.x))) / (40 * 5e-4)
    np.testing.assert_allclose(result.model.velocity, exact, rtol=1e-8)
    task = mpm_control(dataclasses.replace(scene, settings={"backend": "scalars"}), Launch, key=KEY)
    with pytest.raises(ValueError, match="forward derivatives.*Set acceleration=0"):
        fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=1, key=KEY)


def test_muscles_are_trained_and_a_run_goes_on_where_it_stopped(tmp_path):
    scene = small(scenes.finger(), 12, goals=None, direction=(1.0, 0.0))
    task = mpm_control(scene, partial(Sequences, interval_steps=5), key=KEY)
    assert task.model.values.shape == (3, 2)  # 12 steps in intervals of 5
    optimizer, trainer = optax.adam(0.1), partial(Trainer, log_every=1, checkpoint_every=1)
    whole = run_task(task, optimizer, trainer(num_steps=3), key=KEY, directory=tmp_path / "whole")
    bare = dataclasses.replace(task, figures=lambda *_: [])
    run_task(bare, optimizer, trainer(num_steps=2), key=KEY, directory=tmp_path / "parts")
    parts = run_task(bare, optimizer, trainer(num_steps=3), key=KEY, directory=tmp_path / "parts", resume=True)
    assert eqx.tree_equal(whole.model, parts.model)
    losses = [record["loss"] for record in whole.history]
    assert losses[0] == 0 and losses[2] < losses[1] < 0
    names = {path.name for path in (tmp_path / "whole" / "figures").iterdir()}
    assert {"particles.gif", "particles.png", "history.png", "frames.npz"} <= names


def test_a_controller_is_told_its_goal():
    scene = small(scenes.finger(), 2)
    task = mpm_control(scene, partial(Feedback, width=4, depth=1), num_goals=2, key=KEY)
    batch, _ = task.source.next(task.source.init(KEY), task.model, task.objective)
    assert batch["goal"].shape == (2, 2) and set(task.errors(task.model)) == {"target_distance", "success"}
    residual = lambda model: jnp.sum(jax.vmap(partial(task.objective["goal"].fn, model))(batch["goal"]) ** 2)
    grad = jax.grad(lambda trained: residual(eqx.combine(trained, partition(task.model)[1])))(partition(task.model)[0])
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grad))
    assert float(jnp.abs(grad.network.layers[0].weight[:, -2:]).max()) > 0  # the goal matters
    assert task.model.goal.value.shape == (2,) and grad.goal.value is None


def test_parameters_are_found_from_positions():
    scene = small(scenes.bouncing_jelly(num_cells=16), 40)
    task = mpm_identification(scene, partial(Elasticity, young=90.0, poisson=0.28), num_observed=20, key=KEY)
    start = task.errors(task.model)
    assert start["young_absolute"] == pytest.approx(10) and start["poisson_absolute"] == pytest.approx(0.02)
    result = fit(task.model, task.objective, task.source, optax.adam(0.02), num_steps=12, key=KEY)
    assert task.errors(result.model)["young_absolute"] < 7
    truth = Elasticity(scene, young=100.0, poisson=0.3)
    batch, _ = task.source.next(task.source.init(KEY), task.model, task.objective)
    assert float(jnp.abs(task.objective["positions"].fn(truth, batch["positions"][0])).max()) < 1e-9


def test_a_simulation_is_a_run_that_resumes(tmp_path):
    scene = small(scenes.colliding_discs(num_cells=16), 20)
    task = mpm_simulation(scene, num_frames=4, key=KEY)
    trainer = partial(Trainer, log_every=1, checkpoint_every=1)
    whole = run_task(task, None, trainer(num_steps=4), key=KEY, directory=tmp_path / "whole")
    bare = dataclasses.replace(task, figures=lambda *_: [])
    run_task(bare, None, trainer(num_steps=2), key=KEY, directory=tmp_path / "parts")
    parts = run_task(bare, None, trainer(num_steps=4), key=KEY, directory=tmp_path / "parts", resume=True)
    assert eqx.tree_equal(whole.model, parts.model)
    step, now = task.model.value.step, whole.model.value
    direct = final_state(step, step.init(scene.particles), 20, None, step.positions)
    np.testing.assert_allclose(now.frames[-1], direct, rtol=0, atol=1e-14)
    longer = run_task(bare, None, trainer(num_steps=5), key=KEY, directory=tmp_path / "parts", resume=True)
    assert eqx.tree_equal(longer.model, parts.model)  # the scene is over
    assert int(now.count) == 4 and [record["escaped"] for record in whole.history] == [0] * 4
    assert (tmp_path / "whole" / "figures" / "last.vtk").is_file()


def test_frames_end_with_the_scene():
    scene = small(scenes.colliding_discs(num_cells=16), 7)
    step = scene.stepper()
    times, x, tension, escaped = play(scene, (step, step.init(scene.particles)), 3)
    np.testing.assert_allclose(times / scene.dt, [0, 4, 7])  # every third step, counted from the end
    direct = final_state(step, step.init(scene.particles), 7, None, step.positions)
    np.testing.assert_allclose(x[-1], direct, rtol=0, atol=1e-14)
    assert tension.shape == (3, 0) and escaped == 0


def test_controllers_are_bounded_and_begin_as_they_say():
    plant, t = Plant(3, 2, 1.0, 0.01), jnp.asarray(0.5)
    assert float(jnp.abs(Sequences(plant, key=KEY)(t, None)).max()) == 0
    sines = Sines(plant, strength=2.0, scale=100.0, key=KEY)
    assert 1 < float(jnp.abs(sines(t, None)).max()) <= 2
    steps = eqx.tree_at(lambda c: c.values, Sequences(plant, interval_steps=10), jnp.arange(30.0).reshape(10, 3))
    at = lambda count: float(jnp.arctanh(steps(jnp.asarray(count * 0.01), None)[0] / 4)) if count < 20 else None
    assert [at(9), at(10)] == pytest.approx([0.0, 3.0])  # the tenth step begins the second interval


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mpm_control(scenes.colliding_discs(num_cells=16), key=KEY), "nothing to reach"),
        (lambda: mpm_control(scenes.throw(num_cells=24), key=KEY), "no actuators for Sines"),
        (lambda: mpm_control(scenes.finger(), key=KEY), "Sines has no `goal`"),
        (lambda: mpm_control(scenes.throw(num_cells=24), Launch, memory_budget=1000, key=KEY), "memory_budget=1000"),
        (lambda: mpm_simulation(scenes.throw(num_cells=24), num_frames=7, key=KEY), "num_frames=7 must divide"),
        (lambda: mpm_identification(scenes.throw(num_cells=24), num_observed=10**6, key=KEY), "num_observed=1000000"),
        (lambda: scenes.throw(num_cells=24, num_steps=0), "num_steps=0"),
        (lambda: small(scenes.throw(num_cells=24), 10, dt=1.0), "dt=1 must be positive and at most"),
        (lambda: small(scenes.throw(num_cells=24), 10, direction=(1.0, 0.0)), "one task"),
        (lambda: scenes.throw(num_cells=24, target=(0.75,)), r"target=\(0.75,\) needs 2 finite numbers"),
        (lambda: small(scenes.throw(num_cells=24), 10, marked=np.zeros(3, bool)), r"marked has the shape \(3,\)"),
        (lambda: Launch(Plant(0, 2, 1.0, 0.1), velocity=(1.0,)), "2 dimensions"),
    ],
)
def test_what_does_not_fit_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "name", [n for n in dir(scenes) if getattr(getattr(scenes, n), "__annotations__", {}).get("return") is scenes.Scene]
)
def test_every_scene_builds(name):
    scene = getattr(scenes, name)()
    lower, upper = scene.box
    assert np.all(np.less_equal(scene.grid.lower, lower)) and np.all(np.less_equal(upper, scene.grid.upper))
    assert scene.particles.num > 100 and scene.duration > 0
