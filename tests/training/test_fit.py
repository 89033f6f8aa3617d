"""The loop: one program for every cut, a state that is carried whole, a stop at the first step that is not finite."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_problem import OBJECTIVE, Cubic, Uniform, network

from lagrangian_ml.core import Fixed, Term
from lagrangian_ml.domains import ArraySource, JoinedSource
from lagrangian_ml.optimizers import AugmentedLagrangian, Constraints, LevenbergMarquardt
from lagrangian_ml.training import DivergedError, begin, fit
from lagrangian_ml.training.manifest import leaf_sums

KEY = jax.random.key(3)


def run(num_steps=40, source=None, model=None, optimizer=None, objective=OBJECTIVE, **options):
    optimizer = optax.adam(1e-2) if optimizer is None else optimizer
    return fit(model or Cubic(), objective, source or Uniform(), optimizer, num_steps=num_steps, key=KEY, **options)


class Recorder:
    def __init__(self, every):
        self.every, self.steps = every, []

    def __call__(self, state, record):
        assert int(state.step) == record["step"]
        self.steps.append(record["step"])
        record[f"by_{self.every}"] = 1.0


def test_loss_falls_and_the_callers_model_stays_usable():
    model = network()
    before = jax.tree.map(np.array, eqx.filter(model, eqx.is_array))
    result = run(400, model=model, log_every=100)
    assert result.history[-1]["loss"] < 1e-2 < result.history[0]["loss"]
    assert [record["step"] for record in result.history] == [100, 200, 300, 400]
    assert set(result.seconds) == {"compile", "run", "evaluate"} and min(result.seconds.values()) > 0
    jax.tree.map(np.testing.assert_array_equal, before, eqx.filter(model, eqx.is_array))


def test_the_bits_do_not_depend_on_where_a_run_is_cut():
    whole = run(23, log_every=100)
    cut = run(23, log_every=5, callbacks=[Recorder(3), Recorder(7)])
    parts = run(9)
    parts = run(23, state=parts.state)
    assert leaf_sums(whole.state) == leaf_sums(cut.state) == leaf_sums(parts.state)


def test_callbacks_fire_at_their_intervals_and_at_the_end():
    three, seven = Recorder(3), Recorder(7)
    history = run(16, log_every=100, callbacks=[three, seven]).history
    assert three.steps == [3, 6, 9, 12, 15, 16] and seven.steps == [7, 14, 16]
    assert [record["step"] for record in history] == [3, 6, 7, 9, 12, 14, 15, 16]
    assert "by_7" in history[2] and "by_3" not in history[2] and history[-1]["by_3"] == history[-1]["by_7"] == 1.0


def test_watch_ends_a_fit_between_steps():
    result = run(10**6, watch=lambda step, info: step >= 5)
    assert 5 <= int(result.state.step) < 10**6


def test_nothing_to_do_returns_the_state():
    done = run(4)
    assert leaf_sums(run(4, state=done.state).state) == leaf_sums(done.state)


PLATEAU = optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau())


@pytest.mark.parametrize("optimizer", [optax.sgd(1e-2), optax.lbfgs(), PLATEAU], ids=["sgd", "lbfgs", "plateau"])
def test_optax_transformations_as_they_are(optimizer):
    history = run(30, optimizer=optimizer, source=Uniform(every=1000), log_every=1).history
    assert history[-1]["loss"] < history[0]["loss"] and history[-1]["grad_norm"] > 0


def test_fixed_leaves_and_complex_parameters():
    class Model(eqx.Module):
        scale: Fixed
        w: jax.Array

        def __call__(self, x):
            return jnp.abs(self.w)[None] * self.scale.value - 1.0 + 0.0 * x

    model = Model(Fixed(jnp.array(2.0)), jnp.array(1.0 + 1.0j))
    objective = {"fit": Term(lambda model, x: model(x))}
    result = run(200, model=model, objective=objective, optimizer=optax.adam(3e-2))
    assert float(result.model.scale.value) == 2.0
    np.testing.assert_allclose(abs(complex(result.model.w)), 0.5, atol=1e-3)


def bomb(step):
    """A model that counts its steps, and a loss that is NaN, with its gradient, once the count is `step`."""

    class Count(eqx.Module):
        count: jax.Array

    objective = {
        "fit": Term(lambda model, x: (model.count * jnp.where(model.count < step, 1.0, jnp.nan))[None], "loss")
    }
    return Count(jnp.zeros(())), objective, optax.sgd(-1.0)


@pytest.mark.parametrize("log_every", [1, 4, 100])
def test_a_step_that_is_not_finite_is_taken_back_and_named(log_every):
    model, objective, optimizer = bomb(6)
    with pytest.raises(DivergedError, match=r"step 7 .*loss, model\.count.*step 6") as caught:
        run(20, model=model, objective=objective, optimizer=optimizer, log_every=log_every)
    assert int(caught.value.state.step) == 6 and float(caught.value.state.model.count) == 6.0
    assert caught.value.leaves == ["loss", "model.count"]


def test_a_gradient_that_is_not_finite_names_the_leaf():
    objective = {"fit": Term(lambda model, x: model.a + jnp.sqrt(model.bc[:1]))}
    with pytest.raises(DivergedError, match=r"step 1 .*model\.bc\b") as caught:
        run(5, objective=objective)
    assert caught.value.leaves == ["model.bc"] and int(caught.value.state.step) == 0


def test_errors_teach():
    with pytest.raises(ValueError, match="'fit'.*objective also has the terms.*'slope'"):

        class Half(Uniform):
            def next(self, state, model, objective):
                batch, state = super().next(state, model, objective)
                return {"fit": batch["fit"]}, state

        run(source=Half())
    with pytest.raises(ValueError, match=r"\.source\['count'\] from 0 to 1.*must be an array"):

        class Counter(Uniform):
            def init(self, key):
                return super().init(key) | {"count": 0}

            def next(self, state, model, objective):
                return state["batch"], state | {"count": state["count"] + 1}

        run(source=Counter())
    with pytest.raises(ValueError, match="optax.adam"):
        run(optimizer=optax.adam)
    with pytest.raises(ValueError, match="at least 1"):
        run(log_every=0)


def test_arrays_that_share_a_buffer_may_be_trained():
    class Twice(eqx.Module):
        a: jax.Array
        b: jax.Array

        def __call__(self, x):
            return self.a + self.b * x

    shared = jnp.ones(1)
    result = run(3, model=Twice(shared, shared))
    assert result.model.a != result.model.b


def test_a_step_compiles_once():
    traces = []

    class Counting(Uniform):
        def next(self, state, model, objective):
            traces.append(1)
            return super().next(state, model, objective)

    run(50, source=Counting(), log_every=7)
    assert len(traces) == 1


def test_begin_is_the_template_of_a_run():
    state = begin(Cubic(), Uniform(), optax.adam(1e-2), key=KEY)
    result = run(5)
    structure = lambda state: jax.tree.structure(eqx.filter(state, eqx.is_array))
    assert structure(state) == structure(result.state)


def test_an_error_inside_a_step_ends_the_fit_with_its_message():
    """Multipliers for each sample, whose samples stay, and then change from step to step."""
    objective = {"size": Term(lambda m, p: m), "data": Term(lambda m, s: m - s)}
    constraints = Constraints(["data"], per_sample=True)
    optimizer = AugmentedLagrangian(LevenbergMarquardt(), constraints, every=2)
    samples = {"size": jnp.zeros(1), "data": jnp.arange(4.0)}
    train = lambda source: fit(jnp.zeros(1), objective, source, optimizer, num_steps=6, key=KEY)
    assert train(ArraySource(samples)).history[-1]["violation_data"] > 0
    mini_batches = JoinedSource((ArraySource({"size": jnp.zeros(1)}), ArraySource({"data": jnp.arange(4.0)}, 2)))
    with pytest.raises(RuntimeError, match="^the samples of the constraint 'data' are others than at the start"):
        train(mini_batches)
