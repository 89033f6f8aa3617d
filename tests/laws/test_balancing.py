"""Laws of balancing and constraints: what weights, aggregated gradients and multipliers must do."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import nnls

from lagrangian_ml.core import Term, first_state, loss
from lagrangian_ml.optimizers import (
    MDMM,
    NTK,
    AugmentedLagrangian,
    Balanced,
    ConflictFree,
    Constraints,
    GradientNorms,
    LevenbergMarquardt,
    MultiAdam,
    ReLoBRaLo,
    SoftAdapt,
    from_optax,
)
from lagrangian_ml.optimizers._terms import term_gradients, term_losses

SGD = from_optax(optax.sgd(0.1))
RULES = {
    "grad_norm": GradientNorms(momentum=0.0),
    "ntk": NTK(momentum=0.0, chunk=3),
    "softadapt": SoftAdapt(),
    "softadapt_loss": SoftAdapt(normalised=False, loss_weighted=True),
    "relobralo": ReLoBRaLo(key=jax.random.key(0), decay=0.5, lookback=0.5),
}


def two_terms(scale=1.0):
    """Two polynomials in two parameters, on samples of different number."""
    objective = {
        "inner": Term(lambda m, x: scale * jnp.stack([m[0] * x - 1, m[1] * m[0] - x])),
        "edge": Term(lambda m, x: (m[0] + x * m[1] ** 2 - 2)[None], weight=0.5),
    }
    return objective, {"inner": jnp.linspace(0.5, 1.5, 7), "edge": jnp.linspace(-1.0, 1.0, 4)}, jnp.asarray([0.3, 0.8])


def run(optimizer, objective, batch, model, num_steps):
    """(model, state, the records) after so many steps."""
    state = jax.tree.map(
        lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), first_state(optimizer, model, objective, batch)
    )

    def step(carry, _):
        model, state, info = optimizer.step(*carry, objective, batch)
        return (model, state), info

    (model, state), infos = jax.jit(lambda carry: jax.lax.scan(step, carry, length=num_steps))((model, state))
    return model, state, infos


def test_gradient_norms_make_all_gradients_alike():
    objective, batch, model = two_terms(scale=30.0)
    _, state, info = run(Balanced(SGD, RULES["grad_norm"]), objective, batch, model, 1)
    _, gradients = term_gradients({n: replace(t, weight=1.0) for n, t in objective.items()}, model, batch)
    sizes = state["weights"] * jnp.stack([jnp.linalg.norm(g) for g in gradients.values()])
    np.testing.assert_allclose(sizes[0], sizes[1], rtol=1e-12)
    assert info["weight_inner"][0] == state["weights"][0] < 1 < state["weights"][1]
    np.testing.assert_allclose(info["loss"][0], loss(objective, model, batch))


def test_traces_are_those_of_the_kernels_and_make_them_alike():
    objective, batch, model = two_terms(scale=30.0)
    rule, traces = RULES["ntk"], []
    for name, term in objective.items():
        rows = jax.jacrev(lambda m, name=name, term=term: jax.vmap(partial(term.fn, m))(batch[name]).reshape(-1))(model)
        traces.append(np.trace(rows @ rows.T) / batch[name].shape[0])
        np.testing.assert_allclose(rule.trace(term, model, batch[name]), traces[-1], rtol=1e-12)
    _, state, _ = run(Balanced(SGD, rule), objective, batch, model, 1)
    np.testing.assert_allclose(*(state["weights"] * jnp.asarray(traces)), rtol=1e-12)


def test_momentum_averages_and_every_keeps():
    objective, batch, model = two_terms()
    still = from_optax(optax.sgd(0.0))
    _, goal, _ = run(Balanced(still, GradientNorms(momentum=0.0)), objective, batch, model, 1)
    _, state, infos = run(Balanced(still, GradientNorms(momentum=0.75), every=2), objective, batch, model, 5)
    np.testing.assert_allclose(state["weights"], 0.75**3 + (1 - 0.75**3) * goal["weights"])
    weights = infos["weight_inner"]
    assert weights[0] == weights[1] != weights[2] == weights[3] != weights[4]


def test_slow_terms_gain_weight():
    """One term falls tenfold, the other by a hundredth; both rules turn to the slow one, by their formulas."""
    objective, batch, model = two_terms()
    start, later = jnp.asarray([10.0, 1.0]), jnp.asarray([1.0, 0.99])
    rates = (later - start) / jnp.sum(jnp.abs(later - start))
    np.testing.assert_allclose(
        _after(SoftAdapt(beta=2.0), start, later, model), 2 * jax.nn.softmax(2.0 * rates), rtol=1e-12
    )
    balance = 2 * jax.nn.softmax(later / start / 0.1)
    found = _after(ReLoBRaLo(key=jax.random.key(0), decay=0.6, lookback=1.0), start, later, model)
    np.testing.assert_allclose(found, 0.6 * 1.0 + 0.4 * balance, rtol=1e-12)
    found = _after(ReLoBRaLo(key=jax.random.key(0), decay=0.6, lookback=0.0), start, later, model)
    np.testing.assert_allclose(found, balance, rtol=1e-12)  # it looks back to the first, here the last, losses


def _after(rule, start, later, model):
    """The weights after two looks at terms with these losses."""
    weights, memory = jnp.ones(2), None
    for count, losses in enumerate((start, later)):
        root = jnp.sqrt(2 * losses)
        objective = {name: Term(lambda m, s, r=r: r[None]) for name, r in zip(("fast", "slow"), root)}
        batch = dict.fromkeys(objective, jnp.zeros(1))
        memory = rule.init(objective) if memory is None else memory
        weights, memory = rule.update(memory, weights, jnp.asarray(count), model, objective, batch)
    return weights


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("case", ["solved", "one solved", "one term", "float32"])
def test_weights_stay_finite(name, case, request):
    objective, batch, model = two_terms()
    if case == "float32":
        request.getfixturevalue("float32")
        batch, model = jax.tree.map(lambda a: a.astype(jnp.float32), (batch, model))
        objective["edge"] = Term(lambda m, x: 1e-12 * (m[:1] - x[None]))  # its loss is too small for single precision
    if case != "float32":
        objective["edge"] = Term(lambda m, x: 0.0 * m[:1])
    if case == "solved":
        objective["inner"] = Term(lambda m, x: 0.0 * m)
    if case == "one term":
        del objective["inner"]
    _, state, infos = run(Balanced(SGD, RULES[name], every=1), objective, batch, model, 4)
    weights = np.stack([infos[f"weight_{term}"] for term in objective])
    assert np.isfinite(weights).all() and (weights >= 0).all() and np.isfinite(infos["loss"]).all()
    if case in ("solved", "one term") and name != "grad_norm" and name != "ntk":
        np.testing.assert_allclose(weights, 1.0, rtol=1e-6)


def test_equal_weights_change_nothing():
    objective, batch, model = two_terms()
    for optimizer in (SGD, LevenbergMarquardt()):
        plain, _, _ = run(optimizer, objective, batch, model, 3)
        balanced, _, _ = run(Balanced(optimizer, SoftAdapt(beta=0.0), every=1), objective, batch, model, 3)
        np.testing.assert_allclose(balanced, plain, rtol=1e-13)


def test_multi_adam_does_not_see_the_scale_of_a_loss():
    objective, batch, model = two_terms()
    scaled = {**objective, "edge": replace(objective["edge"], weight=1e4 * objective["edge"].weight)}
    optimizer = MultiAdam(1e-2, eps=1e-15)
    path = lambda objective: run(optimizer, objective, batch, model, 100)[0]
    np.testing.assert_allclose(path(scaled), path(objective), rtol=1e-10)
    assert jnp.linalg.norm(path(objective) - model) > 0.1


def test_multi_adam_of_one_term_is_adam():
    objective, batch, model = two_terms()
    del objective["edge"]
    adam = from_optax(optax.adam(1e-2, 0.99, 0.99))
    np.testing.assert_allclose(*(run(o, objective, batch, model, 20)[0] for o in (adam, MultiAdam(1e-2))), rtol=1e-13)


def test_multi_adam_of_one_group_is_adam_and_groups_name_terms():
    objective, batch, model = two_terms()
    adam = from_optax(optax.adam(1e-2, 0.99, 0.99))
    together = MultiAdam(1e-2, groups=[["inner", "edge"]])
    np.testing.assert_allclose(*(run(o, objective, batch, model, 20)[0] for o in (adam, together)), rtol=1e-13)
    apart = MultiAdam(1e-2, groups=[["inner"]])
    np.testing.assert_array_equal(*(run(o, objective, batch, model, 20)[0] for o in (apart, MultiAdam(1e-2))))
    for groups in ([["inner", "wall"]], [["edge"], ["edge", "inner"]]):
        with pytest.raises(ValueError, match="must name terms of the objective, each once; it has inner, edge"):
            MultiAdam(groups=groups).init(model, objective)
    with pytest.raises(ValueError, match="lists of names"):
        MultiAdam(groups=["inner", "edge"])


@pytest.mark.parametrize("aggregation", ["upgrad", "dual_proj"])
@pytest.mark.parametrize("num_terms", [2, 5])
def test_aggregated_gradients_are_projections_and_conflict_with_no_term(aggregation, num_terms):
    """Rows of scales from 1e-4 to 1e4 in 2 to 8 dimensions; some zero, parallel or nearly so; scipy's NNLS projects."""
    rng, cases = np.random.default_rng(0), []
    for seed in range(80):
        rows = rng.normal(size=(num_terms, 8)) * 10.0 ** rng.uniform(-4, 4, (num_terms, 1))
        rows[:, 2 + seed % 7 :] = 0.0
        if seed % 3 == 0:
            rows[1] = -rng.uniform(0.1, 10) * rows[0]
        if seed % 5 == 0:
            rows[-1] = 0.0
        if seed % 8 == 0:
            rows[1] = -rows[0] * (1 + 1e-9 * rng.normal(size=8))
        cases.append(rows)
    cases = np.stack(cases)
    found, _ = jax.jit(jax.vmap(ConflictFree(optax.sgd(0.1), aggregation).aggregate))(jnp.asarray(cases))
    for seed, (rows, direction) in enumerate(zip(cases, found, strict=True)):
        norms = np.linalg.norm(rows, axis=1)
        assert (rows @ direction >= -1e-9 * norms * norms.max()).all()
        if seed % 8 == 0:
            continue  # the products of rows do not see angles of 1e-9, on which the projection depends
        units, aims = rows / np.maximum(norms, 1e-300)[:, None], rows if aggregation == "upgrad" else [rows.mean(0)]
        projected = [aim + units.T @ nnls(units.T, -aim / norms.max())[0] * norms.max() for aim in aims]
        np.testing.assert_allclose(direction, np.mean(projected, axis=0), atol=1e-8 * norms.max())


@pytest.mark.parametrize("aggregation", ["upgrad", "dual_proj"])
def test_without_conflict_the_aggregate_is_the_mean(aggregation):
    rows = jnp.abs(jax.random.normal(jax.random.key(0), (4, 9))) * jnp.asarray([1e-3, 1.0, 7.0, 1e3])[:, None]
    direction, conflicts = ConflictFree(optax.sgd(0.1), aggregation).aggregate(rows)
    np.testing.assert_allclose(direction, rows.mean(0), rtol=1e-13)
    assert conflicts == 0


def test_aggregates_are_projections():
    """Two vectors by hand, and the optimality of a projection: v − u ≥ 0 is free only where the constraint binds."""
    rows = jnp.asarray([[1.0, 0.0], [-1.0, 1.0]])
    upgrad, conflicts = ConflictFree(optax.sgd(0.1)).aggregate(rows)
    np.testing.assert_allclose(upgrad, [0.25, 0.75], rtol=1e-13)  # the mean of (1/2, 1/2) and (0, 1)
    assert conflicts == 1
    rows = jnp.asarray([[3.0, 0.0], [-1.0, 1.0]])
    dual, _ = ConflictFree(optax.sgd(0.1), "dual_proj").aggregate(rows)
    np.testing.assert_allclose(dual, [0.75, 0.75], rtol=1e-13)  # (1, 1/2) on the line x = y


def test_conflict_free_steps_refuse_what_they_cannot_do():
    objective, batch, model = two_terms()
    optimizer = ConflictFree(optax.lbfgs())
    with pytest.raises(ValueError, match="line search"):
        optimizer.step(model, optimizer.init(model), objective, batch)
    with pytest.raises(ValueError, match="up to 10 terms; this objective has 11"):
        optimizer.aggregate(jnp.ones((11, 3)))


CIRCLE = {"size": Term(lambda m, s: jnp.sqrt(2.0) * m), "line": Term(lambda m, s: (m.sum() - 1.0)[None])}  # x² + y²
AT_ONCE = dict.fromkeys(CIRCLE, jnp.zeros(1))
METHODS = {
    "mdmm": lambda constraints: MDMM(SGD, constraints, learning_rate=0.1),
    "mdmm_adam": lambda constraints: MDMM(from_optax(optax.adam(1e-2)), constraints, learning_rate=0.1),
    "augmented_lagrangian": lambda constraints: AugmentedLagrangian(SGD, constraints, every=20),
    "augmented_lagrangian_least_squares": lambda constraints: AugmentedLagrangian(
        LevenbergMarquardt(damping=1e-6), constraints, every=5
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("per_sample", [False, True])
def test_an_equality_is_reached_with_its_multiplier(method, per_sample):
    """min x² + y² where x + y = 1: (1/2, 1/2) with 2x + λ = 0."""
    optimizer = METHODS[method](Constraints(equalities=["line"], per_sample=per_sample))
    model, state, _ = run(optimizer, CIRCLE, AT_ONCE, jnp.asarray([2.0, -1.0]), 2000)
    np.testing.assert_allclose(model, 0.5, atol=1e-6)
    np.testing.assert_allclose(state["multipliers"]["line"], -1.0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bound, point, multiplier", [(1.0, 0.5, 1.0), (-1.0, 0.0, 0.0)], ids=["active", "inactive"])
def test_an_inequality_holds(method, bound, point, multiplier):
    """min x² + y² where x + y ≥ bound, as bound − x − y ≤ 0: 2x = λ."""
    objective = CIRCLE | {"line": Term(lambda m, s: (bound - m.sum())[None])}
    optimizer = METHODS[method](Constraints(inequalities=["line"]))
    model, state, infos = run(optimizer, objective, AT_ONCE, jnp.asarray([2.0, -1.5]), 2000)
    np.testing.assert_allclose(model, point, atol=1e-6)
    np.testing.assert_allclose(state["multipliers"]["line"], multiplier, atol=1e-6)
    assert infos["violation_line"][-1] < 1e-6


def test_a_multiplier_for_every_sample_makes_every_residual_zero():
    """min ‖m‖² where mₙ = n: constraints at five samples; a single multiplier would hold their mean only."""
    n = jnp.arange(5)
    objective = {
        "size": Term(lambda m, s: jnp.sqrt(2.0) * m),
        "data": Term(lambda m, n: (m[n] - n.astype(m.dtype))[None]),
    }
    batch = {"size": jnp.zeros(1), "data": n}
    optimizer = AugmentedLagrangian(LevenbergMarquardt(1e-6), Constraints(["data"], penalty=20.0, per_sample=True), 5)
    model, state, _ = run(optimizer, objective, batch, jnp.zeros(5), 300)
    np.testing.assert_allclose(model, n, atol=1e-6)
    np.testing.assert_allclose(state["multipliers"]["data"][:, 0], -2.0 * 5 * n, atol=1e-5)  # means over 5 samples


@pytest.mark.parametrize("method", METHODS)
def test_multipliers_of_samples_are_not_for_other_samples(method):
    objective, batch, model = two_terms()
    optimizer = METHODS[method](Constraints(["edge"], per_sample=True))
    state, step = optimizer.init(model, objective, batch), eqx.filter_jit(optimizer.step)
    model, state, _ = step(model, state, objective, batch)
    step(model, state, objective, {**batch, "inner": batch["inner"] + 1})  # not a constraint
    for other in (batch["edge"] + 0.1, batch["edge"][::-1]):
        with pytest.raises(RuntimeError, match="samples of the constraint 'edge' are others"):
            jax.block_until_ready(step(model, state, objective, {**batch, "edge": other})[0])


@pytest.mark.parametrize(
    "optimizer, change, message",
    [
        (MDMM(SGD, Constraints(["wall"])), {}, "'wall' is no term of this objective, which has inner, edge"),
        (MDMM(SGD, Constraints(["edge"])), {"kind": "loss"}, "'edge' is of kind 'loss'; it must be a residual"),
        (Balanced(SGD, NTK()), {"kind": "loss"}, "'edge' is of kind 'loss': a tangent kernel"),
        (Balanced(LevenbergMarquardt(), GradientNorms()), {"kind": "loss"}, "least-squares optimizers need residuals"),
    ],
)
def test_objectives_that_do_not_fit_are_refused(optimizer, change, message):
    objective, batch, model = two_terms()
    objective["edge"] = replace(objective["edge"], **change)
    with pytest.raises(ValueError, match=message):
        optimizer.step(model, first_state(optimizer, model, objective, batch), objective, batch)


@pytest.mark.parametrize("optimizer", [Balanced(SGD, NTK()), MultiAdam(), MDMM(SGD, Constraints(["edge"]))])
def test_terms_must_be_known_at_the_start(optimizer):
    with pytest.raises(ValueError, match="was given none"):
        optimizer.init(jnp.ones(2))


def test_losses_of_terms_add_up():
    objective, batch, model = two_terms()
    objective["edge"] = replace(objective["edge"], kind="loss")
    total, gradient = jax.value_and_grad(lambda model: loss(objective, model, batch))(model)
    values, gradients = term_gradients(objective, model, batch)
    np.testing.assert_allclose(jnp.sum(values), total)
    np.testing.assert_allclose(term_losses(objective, model, batch), values)
    np.testing.assert_allclose(sum(gradients.values()), gradient)
