"""Operators learned from pairs, many seeds at once, and from the equation alone."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, fit
from lagrangian_ml.core import Grid, loss
from lagrangian_ml.domains import ArraySource
from lagrangian_ml.equations import Diffusion
from lagrangian_ml.methods import ensemble, members, operator_regression, physics_informed_operator
from lagrangian_ml.methods.operator_regression import errors_on, predict_like
from lagrangian_ml.methods.physics_informed_operator import chebyshev_nodes, interpolation_matrix, interpolation_slopes
from lagrangian_ml.operators import (
    FNO,
    Cloud,
    DeepONet,
    MultiTaskDeepONet,
    OperatorProblem,
    Pairs,
    Scale,
    Transolver,
    from_files,
    mirrored,
)
from lagrangian_ml.training import Trainer, run_task

KEY = jax.random.key(0)
NET = partial(FNO, modes=4, width=6, num_layers=2, num_hidden=8)
BATCHES = partial(ArraySource, batch_size=8)


def waves(n, shape, seed=0):
    """Random sums of two waves, the same functions at every resolution, and their squares."""
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(shape) / shape
    amplitude, phase = rng.standard_normal((2, n, 2, 1)), rng.uniform(0, 2 * np.pi, (2, n, 2, 1))
    v = np.sum(amplitude[0] * np.sin(np.array([1, 2])[:, None] * x + phase[0]), axis=1, keepdims=True)
    return Pairs(jnp.asarray(3 + v), jnp.asarray(v**2 + 1))


@pytest.fixture(scope="module")
def problem():
    return OperatorProblem(waves(16, 12), waves(6, 12, 1), {"test": waves(5, 12, 2), "fine": waves(5, 24, 2)})


def test_a_network_learns_and_a_run_goes_on_where_it_stopped(tmp_path, problem):
    task = operator_regression(problem, NET, BATCHES, key=KEY)
    before = task.errors(task.model)["nrmse"]
    trainer = partial(Trainer, log_every=20, checkpoint_every=20)
    args = {"key": KEY, "directory": tmp_path / "whole"}
    whole = run_task(task, optax.adam(1e-2), trainer(num_steps=80), **args)
    assert task.errors(whole.model)["nrmse"] < 0.5 * before
    args["directory"] = tmp_path / "parts"
    run_task(task, optax.adam(1e-2), trainer(num_steps=40), **args)
    parts = run_task(task, optax.adam(1e-2), trainer(num_steps=80), resume=True, **args)
    assert eqx.tree_equal(whole.model, parts.model)
    tests = task.test_errors(whole.model)
    assert tests["fine_nrmse"] == pytest.approx(tests["test_nrmse"], rel=0.1)
    assert {"samples.png", "history.png"} <= {path.name for path in (tmp_path / "whole" / "figures").iterdir()}


@pytest.mark.parametrize(("parity", "sign"), [("even", 1), ("odd", -1)])
def test_mirror_images_are_more_training_samples(problem, parity, sign):
    x, y = (2 * jnp.pi * jnp.arange(n) / n for n in (6, 8))
    f = lambda x, y: (jnp.exp(jnp.sin(x)[:, None]) * jnp.cos(y + 1)[None])[None, None]
    pairs = mirrored(Pairs(f(x, y), 2 * f(x, y)), parity, axis=1)
    np.testing.assert_allclose(pairs.inputs[1:], sign * f(x, -y), atol=1e-12)
    np.testing.assert_allclose(pairs.outputs[1:], 2 * pairs.inputs[1:], atol=1e-12)
    task = operator_regression(problem, NET, augment=partial(mirrored, parity=parity), key=KEY)
    batch, _ = task.source.next(task.source.init(KEY), task.model, task.objective)
    assert len(batch["data"]) == 32 and len(problem.train) == 16
    with pytest.raises(ValueError, match="axis=1"):
        mirrored(problem.train, axis=1)


def test_errors_are_those_of_the_definition(problem):
    task = operator_regression(problem, NET, key=KEY)
    pairs = problem.validation
    u, v = (np.asarray(a) for a in (predict_like(task.model, pairs), pairs.outputs))
    ratios = np.sqrt(((u - v) ** 2).sum((1, 2)) / (v**2).sum((1, 2)))
    found = task.errors(task.model)
    assert found["nrmse"] == pytest.approx(ratios.mean()) and found["max"] == pytest.approx(np.abs(u - v).max())
    batch = {"data": pairs}
    for name, expected in {
        "relative_l2": ratios.mean(),
        "relative_square": 0.5 * (ratios**2).mean(),
        "mean_square": 0.5 * np.mean((u - v) ** 2),
    }.items():
        objective = operator_regression(problem, NET, loss=name, key=KEY).objective
        assert float(loss(objective, task.model, batch)) == pytest.approx(expected)


def test_scales_belong_to_the_model(problem):
    """Inputs and outputs in other units give the same network inside, and the outputs in theirs."""
    scaled = OperatorProblem(Pairs(100 * problem.train.inputs - 7, 0.01 * problem.train.outputs + 5))
    here, there = (operator_regression(p, NET, key=KEY).model for p in (problem, scaled))
    v = problem.train.inputs[0]
    np.testing.assert_allclose(there(100 * v - 7), 0.01 * here(v) + 5, rtol=1e-10)
    bare = operator_regression(problem, NET, normalise=False, key=KEY).model
    assert isinstance(bare, FNO) and eqx.tree_equal(bare, here.operator)


def test_codes_and_masks_have_no_scale():
    """Nothing outside the mask has influence, and the solution is 0 there, in the units of the outputs too."""
    rng = np.random.default_rng(0)
    inside = np.arange(12) < rng.integers(10, 12, (8, 1))
    values = rng.standard_normal((8, 12))
    v = lambda outside: jnp.asarray(np.stack([np.where(inside, values, outside), np.ones((8, 12)), inside], 1))
    outputs = jnp.asarray(np.where(inside, 5 + values, 0)[:, None])
    net = partial(MultiTaskDeepONet, num_codes=1, mask=True, operator=partial(DeepONet, num_basis=4, width=8))
    one, other = (operator_regression(OperatorProblem(Pairs(v(x), outputs)), net, key=KEY).model for x in (0.0, 1e6))
    here, there = jax.vmap(one)(v(0.0)), jax.vmap(other)(v(1e6))
    np.testing.assert_allclose(here, there, rtol=1e-9)
    np.testing.assert_array_equal(np.asarray(here)[:, 0][~inside], 0)
    assert np.ptp(np.asarray(here)[:, 0][inside]) > 1e-3
    only_mask = MultiTaskDeepONet((2, 12), (1, 12), num_codes=0, mask=True, key=KEY)
    assert only_mask(v(0.0)[0, ::2]).shape == (1, 12)


def test_a_constant_is_not_scaled_by_its_rounding():
    scale = Scale.of(jnp.full((100, 1, 64), 0.1, jnp.float32))
    assert scale.std[0] == 1


def test_squares_are_residuals_for_least_squares(problem):
    net = partial(DeepONet, num_basis=6, width=8, depth=1)
    task = operator_regression(replace(problem, test={}), net, loss="mean_square", key=KEY)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=8, key=KEY, log_every=1)
    losses = [record["loss"] for record in result.history]
    assert losses[-1] < 0.6 * losses[0]


def test_many_seeds_at_once_are_those_one_by_one(problem):
    method = partial(operator_regression, loss="mean_square")
    task = ensemble(problem, NET, BATCHES, method=method, num_seeds=2, key=KEY)
    run = lambda task: fit(task.model, task.objective, task.source, optax.adam(1e-2), num_steps=5, key=KEY).model
    together = run(task)
    for member, key in zip(members(together), jax.random.split(KEY, 2), strict=True):
        alone = run(method(problem, NET, BATCHES, key=key))
        for a, b in zip(jax.tree.leaves(member), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    errors = [errors_on(member, problem.validation)["nrmse"] for member in members(together)]
    found = task.errors(together)
    assert found["nrmse"] == pytest.approx(np.mean(errors))
    assert found["nrmse_std"] == pytest.approx(np.std(errors, ddof=1))


def test_files_of_others_are_compared_with_at_their_resolution(tmp_path, problem):
    task = operator_regression(problem, NET, key=KEY)
    fine = waves(3, 36, 5)
    np.savez(tmp_path / "fine.npz", x=fine.inputs[:, 0], y=fine.outputs)  # one component, its axis left out
    errors, arrays = task.against(task.model, tmp_path / "fine.npz")
    assert errors == pytest.approx(errors_on(task.model, fine)) and arrays["prediction"].shape == (3, 1, 36)
    sensors = operator_regression(replace(problem, test={}), partial(DeepONet, num_basis=4, width=4), key=KEY)
    np.savez(tmp_path / "between.npz", x=waves(3, 12, 5).inputs, y=waves(3, 20, 5).outputs)
    assert sensors.against(sensors.model, tmp_path / "between.npz")[1]["prediction"].shape == (3, 1, 20)
    wrong = {
        "two": ({"x": np.ones((3, 2, 12)), "y": np.ones((3, 1, 12))}, r"x has the shape \(3, 2, 12\); expected \(n, 1"),
        "one": ({"x": np.ones((3, 12))}, "the array y is missing; it holds x"),
        "nan": ({"x": np.full((3, 12), np.nan), "y": np.ones((3, 12))}, "x has 36 entries that are not finite"),
        "few": ({"x": np.ones((3, 12)), "y": np.ones((2, 12))}, "x has 3 samples and y 2"),
        "grid": ({"x": np.ones((3, 12)), "y": np.ones((3, 24))}, "values on the grid of its input"),
        "coarse": ({"x": np.ones((3, 5)), "y": np.ones((3, 5))}, "5 points on axis 0 have 1 to 3 modes; got 4"),
    }
    for name, (arrays, culprit) in wrong.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(ValueError, match=culprit):
            task.against(task.model, tmp_path / f"{name}.npz")


def clouds(n, seed=0):
    """Values at random points of a square, some of them missing, and the square of the values."""
    rng = np.random.default_rng(seed)
    points, mask = rng.uniform(size=(n, 9, 2)), np.arange(9) < rng.integers(5, 10, (n, 1))
    values = np.where(mask[..., None], rng.standard_normal((n, 1, 1)) + points[..., :1], 7.0)
    outputs = np.where(mask[..., None], values**2, 0)
    return Pairs(Cloud(*map(jnp.asarray, (values, points, mask.astype(float)))), jnp.asarray(outputs))


def test_operators_of_clouds_are_learned_and_read_from_files(tmp_path):
    train = clouds(8)
    np.savez(tmp_path / "train.npz", **train.inputs._asdict() | {"x": train.inputs.values, "y": train.outputs})
    problem = from_files(str(tmp_path / "train.npz"), dim=2, cloud=True, num_validation=2)
    assert problem.train.shapes == (Cloud((9, 1), (9, 2), (9,)), (9, 1)) and len(problem.validation) == 2
    net = partial(Transolver, width=8, num_layers=1, num_heads=2, num_slices=3, num_hidden=8)
    task = operator_regression(problem, net, key=KEY)
    result = fit(task.model, task.objective, task.source, optax.adam(1e-2), num_steps=40, key=KEY)
    assert task.errors(result.model)["nrmse"] < 0.7 * task.errors(task.model)["nrmse"]
    inside = train.inputs.mask[:6] > 0
    mean = task.model.scales.value[0].mean
    np.testing.assert_allclose(mean, np.mean(np.asarray(train.inputs.values[:6])[np.asarray(inside)]))
    np.savez(
        tmp_path / "test.npz",
        x=train.inputs.values,
        points=train.inputs.points,
        mask=train.inputs.mask,
        y=train.outputs,
    )
    errors, arrays = task.against(task.model, tmp_path / "test.npz")
    assert errors["nrmse"] > 0 and set(arrays) == {"x", "points", "mask", "y", "prediction"}
    far = train.inputs._replace(points=3 * train.inputs.points)
    with pytest.raises(ValueError, match="train has points from .* lie in the unit box"):
        OperatorProblem(Pairs(far, train.outputs))
    with pytest.raises(ValueError, match="the array points, mask is missing"):
        np.savez(tmp_path / "grid.npz", x=train.inputs.values, y=train.outputs)
        task.against(task.model, tmp_path / "grid.npz")


def test_pairs_are_read_from_files(tmp_path):
    pairs = waves(6, 12)
    np.savez(tmp_path / "train.npz", x=pairs.inputs[:, 0] > 3, y=pairs.outputs[:, 0])
    problem = from_files(str(tmp_path / "train.npz"), str(tmp_path / "train.npz"), dim=1, num_validation=2)
    assert (len(problem.train), len(problem.validation), len(problem.test["test"])) == (4, 2, 6)
    assert problem.train.shapes == ((1, 12), (1, 12))
    with pytest.raises(ValueError, match="num_validation=6 must be less than the 6 samples"):
        from_files(str(tmp_path / "train.npz"), dim=1, num_validation=6)


def test_what_cannot_be_learned_is_refused(problem):
    train = problem.train
    spoilt = Pairs(train.inputs.at[3, 0, 5].set(jnp.inf), train.outputs)
    cases = [
        (lambda: OperatorProblem(spoilt), "train has 1 samples with inputs that are not finite, the first is number 3"),
        (lambda: OperatorProblem(train[:0]), "empty split"),
        (lambda: OperatorProblem(train, waves(3, 24)), "validation samples are"),
        (lambda: OperatorProblem(train, None, {"other": Pairs(*(2 * [jnp.ones((2, 2, 12))]))}), "other has"),
        (lambda: operator_regression(problem, partial(NET, modes=8), key=KEY), "12 points on axis 0 have 1 to 7 modes"),
        (lambda: operator_regression(problem, DeepONet, key=KEY), "the fine samples: the input has the shape"),
        (
            lambda: operator_regression(OperatorProblem(Pairs(train.inputs, 0 * train.outputs)), NET, key=KEY),
            "output 0 is zero everywhere; use loss=mean_square",
        ),
        (lambda: physics_informed_operator(problem, NET, key=KEY), "the problem needs an equation"),
    ]
    for call, culprit in cases:
        with pytest.raises(ValueError, match=culprit):
            call()


def test_times_are_collocated_exactly_for_polynomials():
    nodes = chebyshev_nodes(0.7, 6)
    poly, times = np.polynomial.Polynomial([0.3, -1.0, 2.0, 0.5, 0.1, -3.0, 1.0]), np.array([0.1, nodes[2], 0.7])
    np.testing.assert_allclose(interpolation_slopes(nodes) @ poly(nodes), poly.deriv()(nodes), atol=1e-12)
    np.testing.assert_allclose(interpolation_matrix(nodes, times) @ poly(nodes), poly(times), atol=1e-13)


@pytest.fixture(scope="module")
def heat():
    """u_t = ν u_xx of a wave of random height and phase; its solutions at two times."""
    rng, x = np.random.default_rng(0), 2 * np.pi * np.arange(12) / 12
    u0 = rng.uniform(0.5, 2, (24, 1, 1)) * np.sin(x + rng.uniform(0, 2 * np.pi, (24, 1, 1)))
    times, decay = (0.5, 1.0), 0.8
    u = np.concatenate([np.exp(-decay * t) * u0 for t in times], axis=1)
    pairs = Pairs(jnp.asarray(u0), jnp.asarray(u))
    grid = Grid((12,), (0.0,), (2 * np.pi,))
    return OperatorProblem(pairs[:16], pairs[16:], {}, Diffusion(decay), grid, times)


def test_an_operator_is_learned_from_the_equation_alone(heat):
    """The solutions of the training samples are not read: with others the result is the same."""
    net = partial(FNO, modes=2, width=6, num_layers=1, num_hidden=8, positions=False)
    task = physics_informed_operator(heat, net, num_nodes=6, key=KEY)
    blind = OperatorProblem(
        Pairs(heat.train.inputs, 0 * heat.train.outputs + 1), None, {}, heat.equation, heat.grid, heat.times
    )
    other = physics_informed_operator(blind, net, num_nodes=6, key=KEY)
    run = lambda task, steps: (
        fit(task.model, task.objective, task.source, optax.adam(1e-2), num_steps=steps, key=KEY, log_every=steps).model
    )
    model = run(task, 500)
    assert eqx.tree_equal(run(task, 3), run(other, 3))
    assert task.errors(model)["relative_l2"] < 0.05 < task.errors(task.model)["relative_l2"]
    np.testing.assert_array_equal(model.at_nodes(heat.train.inputs[0])[0], heat.train.inputs[0])


def test_the_residual_of_the_solution_is_that_of_its_polynomial_in_time(heat):
    class Exact(eqx.Module):
        def at_nodes(self, u0):
            return jnp.exp(-0.8 * chebyshev_nodes(1.0, 10))[:, None, None] * u0[None]

    task = physics_informed_operator(heat, NET, num_nodes=10, key=KEY)
    residual = task.objective["equation"].fn(Exact(), heat.train.inputs[0])
    assert jnp.abs(residual).max() < 1e-9
