"""Laws of optimizers: one table, joined by a line. Resume and sharding are tested with the training loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml.core import Term, first_state, loss
from lagrangian_ml.domains import ArraySource
from lagrangian_ml.fields import MLP
from lagrangian_ml.optimizers import (
    MDMM,
    NTK,
    AugmentedLagrangian,
    Balanced,
    Causal,
    ConflictFree,
    Constraints,
    GaussNewton,
    GradientNorms,
    LevenbergMarquardt,
    MultiAdam,
    QuasiNewton,
    ReLoBRaLo,
    SoftAdapt,
    System,
    from_optax,
    soap,
)
from lagrangian_ml.training import DivergedError, fit

ADAM, DATA = from_optax(optax.adam(1e-2)), Constraints(equalities=["data"])
OPTIMIZERS = {
    "adam": lambda: ADAM,
    "lbfgs": lambda: from_optax(optax.lbfgs()),
    "soap": lambda: from_optax(soap(3e-2)),
    "muon": lambda: from_optax(optax.contrib.muon(5e-2)),
    "levenberg_marquardt": LevenbergMarquardt,
    "levenberg_marquardt_batch": lambda: LevenbergMarquardt(system=System(space="batch")),
    "levenberg_marquardt_qr": lambda: LevenbergMarquardt(system=System("qr")),
    "levenberg_marquardt_svd": lambda: LevenbergMarquardt(system=System("svd")),
    "levenberg_marquardt_cg": lambda: LevenbergMarquardt(system=System("cg", rank=3)),
    "levenberg_marquardt_chunks": lambda: LevenbergMarquardt(system=System(chunk=7)),
    "levenberg_marquardt_of_residuals": lambda: LevenbergMarquardt(damping_unit="residual"),
    "exact_gauss_newton": lambda: GaussNewton(system=System(space="batch")),
    "energy_natural_gradient": lambda: GaussNewton(search="grid", damping_unit="gradient"),
    "spring": lambda: GaussNewton(damping=1e-4, momentum=0.9),
    "gauss_newton_without_search": lambda: GaussNewton(damping=1e-2, search="none", max_length=0.3, max_norm=0.5),
    "causal": lambda: Causal(LevenbergMarquardt(), horizon=1.0),
    "bfgs": lambda: QuasiNewton(update="bfgs", iterations=2),
    "self_scaled_bfgs": lambda: QuasiNewton(update="self_scaled_bfgs", iterations=2),
    "self_scaled_broyden": QuasiNewton,
    "grad_norm": lambda: Balanced(ADAM, GradientNorms(), every=5),
    "ntk": lambda: Balanced(LevenbergMarquardt(), NTK(), every=5),
    "softadapt": lambda: Balanced(ADAM, SoftAdapt(), every=1),
    "relobralo": lambda: Balanced(LevenbergMarquardt(), ReLoBRaLo(key=jax.random.key(3)), every=1),
    "causal_and_balanced": lambda: Causal(Balanced(ADAM, GradientNorms()), horizon=1.0),
    "multi_adam": lambda: MultiAdam(1e-2),
    "upgrad": lambda: ConflictFree(optax.adam(1e-2)),
    "dual_proj": lambda: ConflictFree(optax.adam(1e-2), "dual_proj"),
    "mdmm": lambda: MDMM(ADAM, DATA),
    "augmented_lagrangian": lambda: AugmentedLagrangian(LevenbergMarquardt(), DATA, every=5),
}
# Other ways to take the same steps (`test_every_way_to_solve_takes_the_same_step`), and combinations.
VARIANTS = ("_batch", "_qr", "_svd", "_cg", "_chunks", "_of_residuals", "_without_search", "_and_balanced")
ROWS = [pytest.param(name, marks=pytest.mark.slow) if name.endswith(VARIANTS) else name for name in OPTIMIZERS]
LEAST_SQUARES = [name for name, make in OPTIMIZERS.items() if isinstance(make(), LevenbergMarquardt | GaussNewton)]


def curve_fit():
    """A network through a sine, with a second term of another size and weight."""
    model = MLP(1, 1, width=6, depth=1, key=jax.random.key(0))
    objective = {
        "data": Term(lambda net, s: net(s["x"]) - s["y"]),
        "slope": Term(lambda net, s: jax.jacfwd(net)(s["x"])[:, 0] - s["y"], weight=0.1),
    }
    x = jnp.linspace(-1, 1, 24)[:, None]
    batch = {"data": {"x": x, "y": jnp.sin(3 * x)}, "slope": {"x": x[::3], "y": 3 * jnp.cos(3 * x[::3])}}
    return model, objective, batch


@pytest.mark.parametrize("name", ROWS)
def test_descends_and_compiles_once(name):
    optimizer, (model, objective, batch) = OPTIMIZERS[name](), curve_fit()
    traces = []

    @eqx.filter_jit
    def step(model, state):
        traces.append(1)
        return optimizer.step(model, state, objective, batch)

    strong = lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype)  # as the fit loop does: no weak types
    before = loss(objective, model, batch)
    state = jax.tree.map(strong, first_state(optimizer, model, objective, batch))
    for _ in range(20):
        model, state, info = step(model, state)
    assert len(traces) == 1
    assert loss(objective, model, batch) < 0.5 * before
    assert all(jnp.ndim(value) == 0 for value in info.values()) and "loss" in info


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_one_step_solves_a_linear_problem(name):
    matrix, y = jax.random.normal(jax.random.key(1), (30, 5)), jax.random.normal(jax.random.key(2), (30,))
    objective = {"fit": Term(lambda model, s: (s[0] @ model - s[1])[None], weight=3.0)}
    optimizer = eqx.tree_at(lambda o: o.damping, OPTIMIZERS[name](), 1e-8)
    if name == "gauss_newton_without_search":
        optimizer = GaussNewton(search="none")
    model = jnp.zeros(5)
    model, _, _ = optimizer.step(model, optimizer.init(model), objective, {"fit": (matrix, y)})
    expected = np.linalg.lstsq(matrix, y)[0]
    assert np.linalg.norm(model - expected) < 1e-6 * np.linalg.norm(expected)


def test_every_way_to_solve_takes_the_same_step():
    model, objective, batch = curve_fit()
    ways = [
        {"space": "parameters"},
        {"space": "batch"},
        {"solver": "qr", "space": "parameters"},
        {"solver": "qr", "space": "batch"},
        {"solver": "svd"},
        {"chunk": 5},
    ]
    steps = [LevenbergMarquardt(damping=1e-2, system=System(**way)) for way in ways]
    found = [_arrays(o.step(model, o.init(model), objective, batch)[0]) for o in steps]
    for other in found[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11), found[0], other)


def _arrays(tree):
    return eqx.filter(tree, eqx.is_array)


def test_acceleration_follows_a_curved_valley():
    """Rosenbrock's valley with steep walls: the corrected steps need far fewer of them."""
    objective = {"valley": Term(lambda m, s: jnp.stack([1 - m[0], 100 * (m[1] - m[0] ** 2)]))}
    steps = []
    for acceleration in (0.0, 0.75):
        optimizer, model = LevenbergMarquardt(acceleration=acceleration), jnp.asarray([-1.0, 1.0])
        step = jax.jit(lambda model, state, o=optimizer: o.step(model, state, objective, {"valley": jnp.zeros(1)}))
        state, taken, value = optimizer.init(model), 0, 1.0
        while value > 1e-20 and taken < 200:
            model, state, info = step(model, state)
            taken, value = taken + 1, info["loss"]
        steps.append(taken)
    assert steps[1] < 0.7 * steps[0] < 200


def test_a_step_that_cannot_improve_leaves_the_model():
    objective = {"fit": Term(lambda model, s: model - s)}
    optimizer, model = LevenbergMarquardt(), jnp.ones(3)
    after, state, info = optimizer.step(model, optimizer.init(model), objective, {"fit": jnp.ones((2, 3))})
    assert (after == model).all() and info["tries"] == 1 and 0 < state.damping < optimizer.damping


def test_damping_does_not_grow_at_a_minimum():
    """Where rounding decides on the sign of the gain: with other samples, steps are as long as before."""
    objective = {"fit": Term(lambda model, s: model**2 - s)}
    optimizer, model = LevenbergMarquardt(), jnp.asarray([1.5, 0.7, 1.1])
    state, step = optimizer.init(model), jax.jit(lambda *given: optimizer.step(*given, objective, batch))
    batch = {"fit": jnp.asarray([[1.0, 2.0, 3.0], [1.5, 1.0, 2.5], [0.9, 3.0, 2.0]])}
    for _ in range(40):
        model, state, _ = step(model, state)
    np.testing.assert_allclose(model**2, batch["fit"].mean(axis=0), rtol=1e-7)
    assert state.damping < 1e-6


def test_lazy_steps_follow_a_bent_valley():
    """Rosenbrock's function as two residuals: fewer Jacobians; a lazy step never raises the loss."""
    objective = {"fit": Term(lambda m, s: jnp.stack([1 - m[0], 10 * (m[1] - m[0] ** 2)]))}
    batch, counts = {"fit": jnp.zeros(1)}, []
    for lazy_steps in (0, 4):
        optimizer, model = LevenbergMarquardt(lazy_steps=lazy_steps, acceleration=0.0), jnp.asarray([-1.2, 1.0])
        state, step, count = optimizer.init(model), jax.jit(lambda *now, o=optimizer: o.step(*now, objective, batch)), 0
        while loss(objective, model, batch) > 1e-12 and count < 100:
            before = loss(objective, model, batch)
            model, state, info = step(model, state)
            assert loss(objective, model, batch) <= before and info["lazy"] <= lazy_steps
            count += 1
        counts.append(count)
    assert counts[1] < 0.8 * counts[0] < 80


def test_chunks_bound_the_jacobian_that_is_in_memory():
    model, batch = jnp.zeros(70), {"fit": jax.random.normal(jax.random.key(0), (40, 70))}
    objective = {"fit": Term(lambda m, s: jnp.sin(s @ m)[None] - 1)}
    for chunk, whole in ((0, True), (8, False)):
        optimizer = LevenbergMarquardt(system=System(chunk=chunk), acceleration=0.0)
        jaxpr = jax.make_jaxpr(lambda m, o=optimizer: o.step(m, o.init(m), objective, batch)[0])(model)
        assert (str(jaxpr).count("f64[40,1,70]") > 0) == whole


@pytest.mark.parametrize("name", ROWS)
def test_a_jacobian_that_is_not_finite_stops_the_fit(name):
    objective = {"data": Term(lambda model, s: (model["a"] + jnp.sqrt(model["b"]) + s)[None])}
    source = ArraySource({"data": jnp.ones(2)})
    model = {"a": jnp.asarray(1.0), "b": jnp.asarray(0.0)}
    with pytest.raises(DivergedError, match="step 1 gave values that are not finite"):
        fit(model, objective, source, OPTIMIZERS[name](), num_steps=3, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: LevenbergMarquardt(damping=0.0), "damping=0.0"),
        (lambda: LevenbergMarquardt(max_tries=0), "max_tries=0"),
        (lambda: LevenbergMarquardt(acceleration=-1.0), "acceleration=-1.0"),
        (lambda: System(space="both"), "'both'"),
        (lambda: System(solver="lu"), "'lu'"),
        (lambda: System(solver="cg", space="batch"), "space='batch' is for cholesky and qr; cg has none"),
        (lambda: System(solver="qr", chunk=3), "chunk=3 is for solver=cholesky"),
        (lambda: System(rank=-1), "rank=-1"),
        (lambda: System(rank=20), "rank=20 is for solver=cg only"),
        (lambda: LevenbergMarquardt(lazy_steps=-1), "lazy_steps=-1"),
        (lambda: MultiAdam(eps=0.0), "eps=0.0"),
        (lambda: GaussNewton(momentum=1.0), r"momentum=1.0 in \[0, 1\)"),
        (lambda: GaussNewton(damping=0.0), "damping=0 needs system.solver=svd"),
        (lambda: GaussNewton(search="golden"), "'golden'"),
        (lambda: GaussNewton(damping_unit="loss"), "'loss'"),
        (lambda: QuasiNewton(update="dfp"), "'dfp'"),
        (lambda: QuasiNewton(iterations=0), "iterations=0"),
        (lambda: Balanced(ADAM, NTK(), every=0), "every=0"),
        (lambda: GradientNorms(momentum=1.0), "momentum=1.0"),
        (lambda: NTK(chunk=0), "chunk=0"),
        (lambda: ReLoBRaLo(key=jax.random.key(0), temperature=0.0), "temperature=0.0"),
        (lambda: MultiAdam(b1=1.0), "b1=1.0"),
        (lambda: ConflictFree(optax.sgd(0.1), "both"), "'both'"),
        (lambda: Constraints(), "at least one term"),
        (lambda: Constraints(["data"], ["data"]), "each once"),
        (lambda: MDMM(ADAM, DATA, learning_rate=0.0), "learning_rate=0.0"),
        (lambda: AugmentedLagrangian(ADAM, DATA, every=0), "every=0"),
    ],
)
def test_wrong_settings_are_refused(make, culprit):
    with pytest.raises((ValueError, TypeError), match=culprit):  # a wrong literal is stopped by the type check here
        make()


@pytest.mark.parametrize("name", LEAST_SQUARES)
def test_least_squares_refuses_losses(name):
    model, objective, batch = curve_fit()
    optimizer = OPTIMIZERS[name]()
    likelihood = {"data": Term(objective["data"].fn, kind="loss")}
    with pytest.raises(ValueError, match="'data' is of kind 'loss'"):
        optimizer.step(model, optimizer.init(model), likelihood, batch)


@pytest.mark.parametrize("name", ["levenberg_marquardt", "spring", "bfgs"])
def test_second_order_refuses_float32(name):
    model, optimizer = curve_fit()[0], OPTIMIZERS[name]()
    with pytest.raises(ValueError, match="float64"):
        optimizer.init(jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_array(a) else a, model))


def test_momentum_stays_where_the_residuals_say_nothing():
    """One equation for two parameters: the step is the shortest that solves it, and β p off it."""
    objective = {"fit": Term(lambda model, s: (model[0] - 1.0)[None])}
    optimizer, model = GaussNewton(damping=1e-10, momentum=0.5), jnp.zeros(2)
    state = optimizer.init(model)._replace(momentum=jnp.asarray([7.0, 2.0]))
    after, state, _ = optimizer.step(model, state, objective, {"fit": jnp.zeros(1)})
    np.testing.assert_allclose(after, [1.0, 1.0], atol=1e-8)
    np.testing.assert_allclose(state.momentum, [1.0, 1.0], atol=1e-8)


def test_a_step_that_no_length_makes_lower_is_not_taken():
    objective = {"fit": Term(lambda model, s: model - s)}
    for search in ("backtracking", "grid"):
        optimizer, model = GaussNewton(search=search), jnp.ones(3)
        after, state, info = optimizer.step(model, optimizer.init(model), objective, {"fit": jnp.ones((2, 3))})
        assert (after == model).all() and (state.momentum == 0).all() and jnp.isfinite(info["loss"])


def test_soap_does_not_see_a_rotation_of_its_matrix():
    """In other orthonormal coordinates of rows and columns the walk is the same; Adam's is not."""
    keys = jax.random.split(jax.random.key(0), 4)
    u, v = (jnp.linalg.qr(jax.random.normal(key, (n, n)))[0] for key, n in zip(keys, (3, 3), strict=False))
    start, aim = jax.random.normal(keys[2], (3, 3)), jax.random.normal(keys[3], (3, 3))
    scale = jnp.geomspace(1.0, 30.0, 9).reshape(3, 3)
    ends = {}
    for name, make in {"soap": lambda: soap(1e-2, eps=1e-4, frequency=3), "adam": lambda: optax.adam(1e-2)}.items():
        optimizer = from_optax(make())
        for turned in (False, True):
            there = (lambda w: u @ w @ v.T) if turned else (lambda w: w)
            objective = {"fit": Term(lambda w, s, there=there: (scale * (there(w) - aim)).reshape(-1))}
            model = u.T @ start @ v if turned else start
            state = optimizer.init(model)
            step = jax.jit(lambda m, s, o=optimizer, f=objective: o.step(m, s, f, {"fit": jnp.zeros(1)})[:2])
            for _ in range(20):
                model, state = step(model, state)
            ends[name, turned] = there(model)
    np.testing.assert_allclose(ends["soap", True], ends["soap", False], atol=1e-9)
    assert jnp.abs(ends["adam", True] - ends["adam", False]).max() > 1e-3
    with pytest.raises(ValueError, match="b1=1.0"):
        soap(b1=1.0)
