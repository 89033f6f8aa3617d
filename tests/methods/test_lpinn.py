"""Lagrangian PINNs: the jet along particles is that of the same field, maps are inverted, small cases are solved."""

from dataclasses import replace
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, equations, fit, load_problem
from lagrangian_ml.core import Point, Problem, Term, evaluate_terms, loss
from lagrangian_ml.domains import Box, ResidualAdaptive, collocation
from lagrangian_ml.fields import MLP
from lagrangian_ml.flows import Displacement, carried, grown, windowed
from lagrangian_ml.flows.characteristics import Wrap, displacement, initial_speed, monotone
from lagrangian_ml.flows.monotone import MonotoneFourier
from lagrangian_ml.jets import MovingJet, point_jet
from lagrangian_ml.methods.lpinn import lpinn, moving_form
from lagrangian_ml.methods.time_marching import time_marching
from lagrangian_ml.optimizers import Causal, from_optax

KEY = jax.random.key(0)
MOVED = {  # with a transport velocity: (equation, dimension)
    "burgers": (equations.Burgers(0.05), 1),
    "vector_burgers": (equations.VectorBurgers(0.1, 2), 2),
    "passive_transport": (equations.PassiveTransport(equations.Swirl(1.5), 0.2), 2),
}


def wavy(t, X):
    """A smooth displacement that does not fold for t < 1."""
    return 0.5 * jnp.sin(X[::-1] + t) + 0.2 * X**2


@pytest.mark.parametrize("name", MOVED)
def test_the_jet_along_particles_is_that_of_the_same_field(name):
    equation, dim = MOVED[name]
    c = equation.num_components
    u = lambda t, x: jnp.stack([jnp.sin((i + 1) * x[0] - t) * jnp.cos(x[-1] + i * t) for i in range(c)])
    flow, t = Displacement(wavy), jnp.asarray(0.6)
    state = lambda t, X: u(t, flow.forward(t, X)[0])

    def views(jet):
        return jet.value, jet.gradient, jet.laplacian, jet.dt, jet.d(0, 0, 0), equation.residual(jet)

    @jax.jit
    @jax.vmap
    def both(X):
        return views(MovingJet(state, flow, t, X)), views(point_jet(u, flow.forward(t, X)[0], t))

    labels = jax.random.uniform(jax.random.key(0), (5, dim), minval=-1.0)
    for moving, still in zip(*both(labels), strict=True):
        np.testing.assert_allclose(moving, still, rtol=0, atol=1e-10 * (1 + float(jnp.max(jnp.abs(still)))))


def monotone_by_hand(walls):
    numbers = jnp.asarray(0.3 * np.random.default_rng(1).normal(size=MonotoneFourier.size(6, walls)))
    return MonotoneFourier(lambda t: numbers * (1 + t[0]), -1.0, 2.0, 6, walls)


@pytest.mark.parametrize(
    ("flow", "dim"),
    [(Displacement(wavy), 1), (Displacement(wavy), 2), (monotone_by_hand(False), 1), (monotone_by_hand(True), 1)],
    ids=["displacement-1d", "displacement-2d", "periodic", "walls"],
)
def test_maps_are_inverted_and_know_their_determinant(flow, dim):
    @jax.jit
    @jax.vmap
    def around(t, X):
        x, log_det = flow.forward(t, X)
        back, inverse_log_det = flow.inverse(t, x)
        slope = jax.jacfwd(lambda X: flow.forward(t, X)[0])(X)
        return back - X, log_det - jnp.linalg.slogdet(slope)[1], log_det + inverse_log_det, jnp.linalg.det(slope)

    t, X = jnp.linspace(0.0, 0.9, 40), jax.random.uniform(jax.random.key(2), (40, dim), minval=-0.9)
    *gaps, slopes = around(t, X)
    assert float(jnp.min(slopes)) > 0
    for gap in gaps:
        assert float(jnp.max(jnp.abs(gap))) < 1e-11


@pytest.mark.parametrize("walls", [False, True])
def test_a_monotone_map_keeps_its_interval(walls):
    """However wild its coefficients, it grows by one period over one period, and starts as the identity."""
    numbers = jnp.asarray(5 * np.random.default_rng(0).normal(size=MonotoneFourier.size(8, walls)))
    flow = MonotoneFourier(lambda t: numbers, 0.0, 3.0, 8, walls)
    X = jnp.linspace(0.0, 3.0, 1001)[:, None]
    x = jax.jit(jax.vmap(lambda X: flow.forward(jnp.asarray(1.0), X)[0]))(X)[:, 0]
    assert float(jnp.min(jnp.diff(x))) > 0
    np.testing.assert_allclose(x[-1] - x[0], 3.0, rtol=1e-12)
    if walls:
        np.testing.assert_allclose(x[0], 0.0, atol=1e-12)
    np.testing.assert_array_equal(flow.forward(jnp.asarray(0.0), X[7])[0], X[7])


def test_labels_are_wrapped_on_periodic_axes_only():
    wrap = Wrap(Box([0.0, 0.0], [2.0, 1.0]), (0,))
    np.testing.assert_allclose(wrap(jnp.asarray([-3.5, 1.5])), [0.5, 1.5])


@pytest.mark.slow
def test_the_truth_has_no_residual():
    """Exact characteristics and the state on them satisfy every term, soft ones included."""
    problem = load_problem("shear")
    task = lpinn(problem, partial(MLP, width=4, depth=1), key=jax.random.key(0))
    flow = Displacement(lambda t, X: jnp.stack([X[1], jnp.zeros_like(X[1])]))
    state = lambda t, X: problem.reference(t, flow.forward(t, X)[0])
    model = eqx.tree_at(lambda m: (m.state, m.characteristics), task.model, (state, flow))
    objective, source = moving_form(problem), collocation(problem, num_points=64, num_initial=8, num_boundary=16)
    others = {name: term for name, term in objective.items() if name != "characteristics"}
    points, _ = source.next(source.init(jax.random.key(1)), model, others)
    batch = points | {"characteristics": points["equation"]}
    residuals = jax.jit(lambda batch: evaluate_terms(objective, model, batch))(batch)
    assert set(residuals) == {"equation", "characteristics", "initial", "boundary"}
    for name, residual in residuals.items():
        assert float(jnp.max(jnp.abs(residual))) < 1e-9, name


def solve(problem, num_steps, num_points, **network):
    settings = {name: network.pop(name) for name in ("characteristics", "slip") if name in network}
    points = partial(collocation, num_points=num_points)
    task = lpinn(problem, partial(MLP, **network), points, **settings, key=jax.random.key(0))
    assert set(task.objective) == {"equation", "characteristics"}
    key = jax.random.key(1)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=num_steps, key=key)
    return task.errors(result.model)["vrmse"]  # what is carried as a whole does not count


def test_convection_is_solved_to_eight_digits():
    problem = load_problem("convection", equation=equations.Advection(50.0))
    assert solve(problem, 80, 256, width=8, depth=1, slip=False) < 1e-8  # compiles in half the time


@pytest.mark.slow
def test_a_moving_front_is_solved_as_well_at_any_speed():
    problems = [load_problem("burgers_shock", offset=offset) for offset in (0.0, 10.0, 70.0)]
    errors = [solve(problem, 100, 512, width=16, depth=2) for problem in problems]
    assert max(errors) < 1e-4 and max(errors) < 2 * min(errors)


@pytest.mark.slow
def test_a_monotone_map_solves_the_moving_front():
    problem = load_problem("burgers_shock", equation=equations.Burgers(0.1))
    assert solve(problem, 100, 512, characteristics=monotone, width=16, depth=1) < 1e-3


def test_a_carried_state_leaves_the_characteristics_alone():
    """Pure transport: one term is left, on the points that the equation had, and it is ∂_tφ − v."""
    problem = load_problem("swirl")
    start = partial(displacement, start=1)
    points = partial(collocation, num_points=16)
    network, parts = partial(MLP, width=4, depth=1), {"state": carried, "characteristics": start, "key": KEY}
    task = lpinn(problem, network, points, slip=False, **parts)
    assert set(task.objective) == {"characteristics"}
    batch, _ = task.source.next(task.source.init(KEY), task.model, task.objective)
    assert set(batch) == {"characteristics"}
    still = eqx.tree_at(lambda m: m.characteristics, task.model, Displacement(lambda t, X: 0 * X))
    point = Point(jnp.asarray([0.5, 0.75]), jnp.asarray(0.0))
    drift = task.objective["characteristics"].fn(still, point)
    np.testing.assert_allclose(drift, -problem.equation.field(point.t, point.x), atol=1e-12)
    np.testing.assert_array_equal(still(0.7, point.x), problem.initial(point.x))
    with pytest.raises(ValueError, match="state=carried"):
        lpinn(load_problem("shear"), partial(MLP, width=4, depth=1), state=carried, key=KEY)
    with pytest.raises(ValueError, match="state=carried"):  # at rest at t = 0
        carried(replace(problem, equation=Beating(lambda t, x: 1 + 0 * x)), key=KEY)


@pytest.mark.slow
def test_the_swirl_returns_to_its_start():
    """Four windows, learned from random maps on points that gather where the error of u grows: 6.2e-4 in 60 steps."""
    problem, pieces = load_problem("swirl"), partial(windowed, piece=partial(displacement, start=1))
    points = partial(collocation, num_points=2048, resample_every=10, adaptive=ResidualAdaptive(floor=0.2))
    network, weights = partial(MLP, width=16, depth=2), {"characteristics": 0.01}
    task = lpinn(problem, network, points, state=carried, characteristics=pieces, weights=weights, key=KEY)
    assert set(task.objective) == {"equation", "characteristics"}  # the slip is left of the equation
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=60, key=jax.random.key(1))
    assert task.errors(result.model)["relative_l2"] < 1e-3


def test_a_grown_state_is_positive_and_keeps_its_walls():
    """Whatever the network, w is u₀ at t = 0 and on Dirichlet walls where u₀ is the boundary's value."""
    problem = load_problem("shear")
    state = grown(problem, partial(MLP, width=4, depth=1), key=KEY)
    assert state.satisfies == {"initial", "boundary"}
    X, t = jnp.asarray([[0.3, 0.2], [-0.7, 1.0], [1.5, 0.1], [-1.5, 0.1]]), jnp.asarray(0.8)
    w, before = jax.vmap(state, (None, 0))(t, X), jax.vmap(problem.initial)(X)
    assert jnp.all(w > 0) and not jnp.allclose(w[0], before[0])
    np.testing.assert_allclose(w[1], before[1], rtol=1e-12)
    np.testing.assert_allclose(w[2] / before[2], w[3] / before[3], rtol=1e-12)  # periodic
    np.testing.assert_array_equal(jax.vmap(state, (None, 0))(0.0 * t, X), before)
    higher = replace(problem, initial=lambda x: 0.1 + problem.initial(x))
    assert grown(higher, partial(MLP, width=4, depth=1), key=KEY).satisfies == {"initial"}
    with pytest.raises(ValueError, match="state=grown"):
        grown(load_problem("burgers_shock", offset=0.5), key=KEY)


@pytest.mark.slow
def test_a_sheared_blob_spreads():
    problem = load_problem("shear")
    points = partial(collocation, num_points=1024, resample_every=10, adaptive=ResidualAdaptive(floor=0.2))
    task = lpinn(problem, partial(MLP, width=16, depth=2), points, state=grown, key=KEY)
    result = fit(task.model, task.objective, task.source, LevenbergMarquardt(), num_steps=80, key=jax.random.key(1))
    assert task.errors(result.model)["relative_l2"] < 1e-4


def test_the_speed_is_that_of_the_whole_horizon():
    """A swirl that is at rest at t = 0 sets the scale by its later speed."""
    problem = load_problem("swirl", equation=delayed(load_problem("swirl").equation, 0.75), horizon=0.375)
    assert 0.5 < initial_speed(problem) < 1.0


@pytest.mark.parametrize(
    ("problem", "culprit"),
    [
        (load_problem("heat"), "Diffusion states no velocity .* Use methods.pinn"),
        (load_problem("poisson"), "a problem in time"),
        (Problem(equations.Advection(1.0), Box([0.0], [1.0]), jnp.sin, (), 1.0), "crosses the lower face of axis 0"),
    ],
)
def test_what_has_no_characteristics_is_refused(problem, culprit):
    with pytest.raises(ValueError, match=culprit):
        lpinn(problem, key=jax.random.key(0))


def test_monotone_maps_are_for_one_dimension():
    with pytest.raises(ValueError, match="one space dimension"):
        monotone(load_problem("shear"), key=jax.random.key(0))
    with pytest.raises(ValueError, match="num_modes=0"):
        MonotoneFourier(lambda t: t, 0.0, 1.0, 0)


def timed(num=40):
    model, t = jnp.asarray(0.5), jnp.linspace(0.0, 2.0, num)
    objective = {"equation": Term(lambda m, p: jnp.stack([m * p.t, m + p.x[0]]), weight=2.0)}
    return model, objective, {"equation": Point(jnp.cos(t)[:, None], t)}


def test_causal_weights_are_those_of_the_formula():
    model, objective, batch = timed()
    causal = Causal(LevenbergMarquardt(), horizon=2.0, tolerances=(0.3, 3.0), num_chunks=5)
    found, _ = causal.weights(model, jnp.asarray(0, jnp.int32), objective, batch)
    t, residual = np.asarray(batch["equation"].t), np.asarray(evaluate_terms(objective, model, batch)["equation"])
    chunk = np.minimum((t / 0.4 + 1e-12).astype(int), 4)
    means = [2.0 * np.mean(np.sum(residual[chunk == k] ** 2, axis=1)) for k in range(5)]
    expected = [np.exp(-0.3 * sum(means[:i])) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_causal_steps_see_weighted_residuals_and_ripen():
    """The step is the one on the weighted loss; when the last chunk has its full weight the tolerance grows."""
    model, objective, batch = timed()
    causal = Causal(from_optax(optax.sgd(1e-2)), horizon=2.0, tolerances=(0.3, 3.0), num_chunks=5)
    state = causal.init(model)
    weights, chunks = causal.weights(model, state["level"], objective, batch)
    _, state, info = causal.step(model, state, objective, batch)
    np.testing.assert_allclose(info["loss"], loss(objective, model, batch), rtol=1e-12)
    assert info["causal_loss"] < info["loss"]
    square = jnp.sum(evaluate_terms(objective, model, batch)["equation"] ** 2, axis=1)
    expected = 0.5 * 2.0 * jnp.mean(weights[chunks["equation"]] * square)
    np.testing.assert_allclose(info["causal_loss"], expected, rtol=1e-12)
    assert state["level"] == 0
    solved = {"equation": Term(lambda m, p: (m - 0.5)[None])}
    _, state, info = causal.step(model, state, solved, batch)
    assert info["causal_weight"] == 1.0 and state["level"] == 1
    _, state, _ = causal.step(model, state, solved, batch)
    assert state["level"] == 1  # the last one stays
    for settings in ({"tolerances": (1.0, 0.1)}, {"num_chunks": 0}, {"horizon": 0.0}):
        with pytest.raises(ValueError, match="tolerances="):
            Causal(LevenbergMarquardt(), **{"horizon": 2.0, **settings})


def test_time_marching_joins_its_windows():
    """Each window starts from the end of the last: exact solutions of windows are the exact solution of the whole."""
    problem = load_problem("convection", equation=equations.Advection(3.0))

    def exact(window, key):
        return lambda t, x: window.initial(x - 3.0 * t)

    field = time_marching(problem, 4, exact, key=jax.random.key(0))
    t, x = jnp.linspace(0.0, 1.0, 33), jnp.linspace(0.0, 6.0, 33)[:, None]
    np.testing.assert_allclose(jax.vmap(field)(t, x), jax.vmap(problem.reference)(t, x), atol=1e-12)


class Beating(equations.PassiveTransport):
    """D_t u = sin πt"""

    def nonlinear(self, u):
        return jnp.sin(jnp.pi * u.t) + 0 * u.value


def delayed(equation, start):
    return equations.PassiveTransport(lambda t, x: equation.field(start + t, x), equation.diffusivity)


def test_time_marching_shifts_what_reads_the_time():
    """v = 1 + 2t from windows that know their own time only: u₀(x − t − t²) at all times."""
    equation = equations.PassiveTransport(lambda t, x: 1 + 2 * t + 0 * x)
    problem = replace(load_problem("convection"), equation=equation, reference=None)

    def exact(window, key):
        speed = window.equation.field(0.0, jnp.zeros(1))[0]
        return lambda t, x: window.initial(x - speed * t - t**2)

    field = time_marching(problem, 4, exact, shift=delayed, key=jax.random.key(0))
    t, x = jnp.linspace(0.0, 1.0, 33), jnp.linspace(0.0, 6.0, 33)[:, None]
    expected = jax.vmap(lambda t, x: problem.initial(x - t - t**2))(t, x)
    np.testing.assert_allclose(jax.vmap(field)(t, x), expected, atol=1e-12)


def test_time_marching_refuses_what_reads_the_time():
    with pytest.raises(ValueError, match="the equation depends on time"):
        time_marching(load_problem("swirl"), 2, lambda window, key: None, key=jax.random.key(0))
    with pytest.raises(ValueError, match="num_windows=0"):
        time_marching(load_problem("heat"), 0, lambda window, key: None, key=jax.random.key(0))
