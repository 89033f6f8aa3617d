"""Laws of the method of lines: orders in space and time, independent solvers, stiffness, stability, derivatives."""

import math
from functools import partial

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Equation, Grid, RobinWall, ValueWall
from lagrangian_ml.solvers import GridState, MethodOfLines

TURN = 2 * math.pi
TIGHT = diffrax.PIDController(rtol=1e-9, atol=1e-9)


def box(*shape, lower=0.0):
    return Grid(shape, len(shape) * (lower,), len(shape) * (1.0,), centred=True)


@eqx.filter_jit
def advance(step, state, num_steps):
    return jax.lax.fori_loop(0, num_steps, lambda _, state: step(state), state)


def solve(equation, grid, initial, horizon, num_steps, *args, **options):
    """The values at the horizon. Compiled once for all numbers of steps on one grid."""
    step = MethodOfLines(equation, grid, jnp.asarray(horizon / num_steps), *args, **options)
    return advance(step, step.init(initial), jnp.asarray(num_steps)).values


# ---- orders in space ----

ROBIN = 0.8603335890193797  # k tan k = 1


def decaying_cosine(k):
    """Of uₜ = ν u_xx with ν = 0.1, even at x = 0."""
    return lambda t, x: jnp.exp(-0.1 * k**2 * t) * jnp.cos(k * x)


def wave_packet(t, x):
    """Of uₜ + u_x − ½ u_y = ν Δu, ν = 0.01."""
    return math.exp(-0.01 * 2 * TURN**2 * t) * jnp.sin(TURN * (x[:1] + x[1:] - 0.5 * t))


SPACE = {  # name: (equation, exact solution, boundary, order, cells)
    "periodic": (eqs.AdvectionDiffusion((1.0, -0.5), 0.01), wave_packet, "periodic", 2, (16, 32)),
    "periodic_4": (eqs.AdvectionDiffusion((1.0, -0.5), 0.01), wave_packet, "periodic", 4, (16, 32)),
    "neumann": (eqs.Diffusion(0.1), decaying_cosine(math.pi), "neumann", 2, (16, 32)),
    "neumann_4": (eqs.Diffusion(0.1), decaying_cosine(math.pi), "neumann", 4, (16, 32)),
    "value": (eqs.Diffusion(0.1), decaying_cosine(math.pi / 2), ("neumann", ValueWall(0.0)), 2, (16, 32)),
    "robin": (eqs.Diffusion(0.1), decaying_cosine(ROBIN), ("neumann", RobinWall(1.0, 1.0)), 2, (16, 32)),
    "shock": (
        eqs.Burgers(0.2),
        eqs.BurgersFront(0.2),
        (ValueWall(math.tanh(2.5)), ValueWall(-math.tanh(2.5))),
        2,
        (32, 64),
    ),
}


@pytest.mark.parametrize("name", SPACE)
def test_the_order_in_space(name):
    equation, exact, boundary, order, sizes = SPACE[name]
    dim, errors = (2 if name.startswith("periodic") else 1), []
    for n in sizes:
        grid = box(*(dim * (n,)), lower=-1.0 if name == "shock" else 0.0)
        values = solve(equation, grid, partial(exact, 0.0), 0.4, 12 * n, boundary, order=order)
        errors.append(float(jnp.max(jnp.abs(values - eqs.at_points(partial(exact, 0.4), grid.points)))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


# ---- orders in time, and which solver ----


def spots(x):
    return 0.5 * jnp.stack([jnp.sin(math.pi * x[0]) * x[-1], jnp.cos(math.pi * x[-1])])


REACTION = eqs.DiffusionReaction((1e-2, 2e-2), 0.1)


@pytest.fixture(scope="module")
def truth():
    """The discretized diffusion–reaction between no-flux walls at t = 2, to rounding."""
    return solve(REACTION, box(6, 6), spots, 2.0, 400, "neumann", diffrax.Dopri8())


TIME = {  # name: (solver, order, fewest steps)
    "heun": (diffrax.Heun(), 2, 40),
    "tsit5": (diffrax.Tsit5(), 5, 12),
    "kvaerno5": (diffrax.Kvaerno5(), 5, 4),
    "kencarp4": (diffrax.KenCarp4(), 4, 8),
    "implicit_euler": (diffrax.ImplicitEuler(), 1, 40),
}


@pytest.mark.parametrize("name", TIME)
def test_the_order_in_time(name, truth):
    solver, order, fewest = TIME[name]
    errors = []
    for num_steps in (fewest, 2 * fewest):
        values = solve(REACTION, box(6, 6), spots, 2.0, num_steps, "neumann", solver)
        errors.append(float(jnp.max(jnp.abs(values - truth))))
    assert math.log2(errors[0] / errors[1]) >= order - 0.3


@pytest.mark.parametrize("solver", [diffrax.Tsit5(), diffrax.Kvaerno5()], ids=["explicit", "implicit"])
def test_a_controller_takes_as_many_steps_as_it_needs(solver):
    """Four calls of a length that explicit steps could not take: dt = ½ is past their stability."""
    equation = eqs.DiffusionReaction((2e-2, 5.0), 0.1)
    exact = solve(equation, box(6, 6), spots, 2.0, 1600, "neumann", diffrax.Dopri8())
    step = MethodOfLines(equation, box(6, 6), jnp.asarray(0.5), "neumann", solver, TIGHT)
    state = advance(step, step.init(spots), jnp.asarray(4))
    np.testing.assert_allclose(state.values, exact, atol=3e-8)
    assert float(state.t) == 2 and step.max_courant == math.inf
    uncontrolled = MethodOfLines(equation, box(6, 6), 0.5, "neumann")
    assert float(uncontrolled.courant(state.values)) > uncontrolled.max_courant


# ---- independent solutions ----


def test_diffusion_reaction_is_that_of_scipy():
    """The right-hand side of Takamoto et al. (2022) written anew, with walls by repeated cells; by DOP853."""
    n, horizon = 12, 1.0
    (d_u, d_v), k, h = (1e-2, 5e-2), 5e-3, 2 / n

    def laplacian(a):
        p = np.pad(a, 1, mode="edge")
        return (p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * a) / h**2

    def right(t, y):
        u, v = y.reshape(2, n, n)
        return np.stack([d_u * laplacian(u) + u - u**3 - k - v, d_v * laplacian(v) + u - v]).ravel()

    start = np.random.default_rng(0).normal(size=(2, n, n))
    oracle = scipy.integrate.solve_ivp(right, (0, horizon), start.ravel(), "DOP853", rtol=1e-12, atol=1e-12)
    grid = box(n, n, lower=-1.0)
    values = solve(eqs.DiffusionReaction((d_u, d_v), k), grid, jnp.asarray(start), horizon, 200, "neumann")
    np.testing.assert_allclose(values, oracle.y[:, -1].reshape(2, n, n), atol=1e-9)


SORPTION = eqs.DiffusionSorption()
WALLS = (ValueWall(1.0), RobinWall(1.0, 5e-4))


EXPLICIT, STIFF = (diffrax.Tsit5(), "dense"), (diffrax.Kvaerno5(), "tridiagonal")


def sorption(n, num_steps, solver):
    start = jnp.full((1, n), 0.1)
    return solve(SORPTION, box(n), start, 500.0, num_steps, WALLS, solver[0], jacobian=solver[1])[0]


def test_diffusion_sorption_is_that_of_scipy_and_explicit_that_of_stiff_steps():
    """R(u) = 1 + (1 − φ)/φ ρ k n u^(n−1) and the walls u = 1, u = −D uₓ written anew; by Radau."""
    n, d, raised = 24, 5e-4, 1e-6

    def right(t, u):
        outside = (2 * d * n - 1) / (2 * d * n + 1) * u[-1]  # (outside + u)/2 + D (outside − u)/h = 0
        padded = np.concatenate([[2 - u[0]], u, [outside]])
        retardation = 1 + (1 - 0.29) / 0.29 * 2880 * 3.5e-4 * 0.874 * (u + raised) ** (0.874 - 1)
        return d / retardation * np.diff(padded, 2) * n**2

    oracle = scipy.integrate.solve_ivp(right, (0, 500), np.full(n, 0.1), "Radau", rtol=1e-10, atol=1e-12).y[:, -1]
    explicit, stiff = sorption(n, 1000, EXPLICIT), sorption(n, 250, STIFF)
    np.testing.assert_allclose(explicit, oracle, rtol=0, atol=1e-8)
    np.testing.assert_allclose(stiff, oracle, rtol=0, atol=1e-6)  # the first steps, after a jump, are long
    assert 0 < float(stiff[-1]) < 0.05 < 0.95 < float(stiff[0]) < 1
    np.testing.assert_allclose(sorption(n, 250, (diffrax.Kvaerno5(), "dense")), stiff, atol=1e-12)


def test_diffusion_sorption_converges_with_the_second_order():
    """Cells in three parts keep their centres: differences of three grids, from a jump at the wall at t = 0."""
    coarse, middle, fine = (sorption(n, num_steps, EXPLICIT) for n, num_steps in ((20, 200), (60, 600), (180, 4000)))
    first, second = jnp.abs(coarse - middle[1::3]), jnp.abs(middle - fine[1::3])
    assert math.log(float(jnp.max(first) / jnp.max(second)), 3) >= 1.9


def test_what_is_stored_changes_by_what_walls_let_through():
    """Dissolved and sorbed together: their change is the integral of the two fluxes, by Simpson's rule over steps."""
    n, num_steps, dt = 24, 200, 0.5
    step = MethodOfLines(SORPTION, box(n), dt, WALLS)

    @jax.jit
    def followed(state):
        def one(state, _):
            u = state.values[0]
            let_in = 5e-4 * 2 * n * (1 - u[0]) - u[-1] / (1 + 1 / (2 * 5e-4 * n))  # the wall value of u leaves
            return step(state), (let_in, jnp.mean(SORPTION.stored(state.values)))

        return jax.lax.scan(one, state, length=num_steps + 1)[1]

    let_in, stored = followed(advance(step, step.init(jnp.full((1, n), 0.1)), jnp.asarray(20)))
    through = scipy.integrate.simpson(np.asarray(let_in), dx=dt)
    assert through > 0.1
    assert float(stored[-1] - stored[0]) == pytest.approx(through, rel=1e-7)


# ---- stability and failures ----

STABLE = {
    "euler": (eqs.Diffusion(0.1), diffrax.Euler(), "neumann", 1.1),
    "tsit5": (eqs.Diffusion(0.1), diffrax.Tsit5(), ValueWall(0.0), 1.1),
    "heun_plane": (eqs.Diffusion(0.1), diffrax.Heun(), "periodic", 1.1),
    "bosh3_advection": (eqs.Advection(1.0), diffrax.Bosh3(), "periodic", 1.1),
    "tsit5_advection": (eqs.Advection(1.0), diffrax.Tsit5(), "periodic", 2.0),
}


@pytest.mark.parametrize("name", STABLE)
def test_the_bound_of_the_courant_number_is_where_stability_ends(name):
    equation, solver, boundary, too_large = STABLE[name]
    grid = box(8, 8) if name.endswith("plane") else box(24)
    start = jax.random.normal(jax.random.key(0), (1, *grid.shape))
    step = MethodOfLines(equation, grid, jnp.asarray(1.0), boundary, solver)
    number = float(step.courant(start))

    def growth(courant):
        scaled = eqx.tree_at(lambda step: step.dt, step, jnp.asarray(courant / number))
        values = advance(scaled, scaled.init(start), jnp.asarray(400)).values
        return float(jnp.linalg.norm(values) / jnp.linalg.norm(start))

    bounded, grown = growth(0.97 * step.max_courant), growth(too_large)
    assert bounded <= 1.05
    assert not grown < 2


class Explosion(Equation):
    """uₜ = u², for which an implicit step longer than 1/(4u) has no solution."""

    def nonlinear(self, u):
        return u.value**2


@pytest.mark.parametrize("solver", [diffrax.ImplicitEuler(), diffrax.Kvaerno5()], ids=["euler", "kvaerno5"])
def test_an_implicit_step_without_a_solution_leaves_nan(solver):
    step = MethodOfLines(Explosion(), box(4), jnp.asarray(0.05), "neumann", solver)
    state = step.init(jnp.ones((1, 4)))
    short = step(state)
    np.testing.assert_allclose(short.values, 1 / 0.95, rtol=0.01)
    long = eqx.tree_at(lambda step: step.dt, step, jnp.asarray(5.0))(state)
    assert bool(jnp.all(jnp.isnan(long.values)))


LINE = box(16)
WRONG = {
    "is steady": lambda: MethodOfLines(eqs.Poisson(), LINE, 0.1),
    "dt=-1 must be > 0": lambda: MethodOfLines(REACTION, LINE, -1),
    "give a Runge–Kutta method": lambda: MethodOfLines(REACTION, LINE, 0.1, solver=diffrax.SemiImplicitEuler()),
    "takes `linear` implicitly, but DiffusionSorption": lambda: MethodOfLines(
        SORPTION, LINE, 0.1, WALLS, diffrax.KenCarp4()
    ),
    "needs one component on a line": lambda: MethodOfLines(REACTION, LINE, 0.1, "neumann", jacobian="tridiagonal"),
    "centred=True": lambda: MethodOfLines(REACTION, Grid((8,), (0.0,), (1.0,)), 0.1, "neumann"),
    "order=3": lambda: MethodOfLines(REACTION, LINE, 0.1, order=3),
    "is not a wall": lambda: MethodOfLines(REACTION, LINE, 0.1, "no flux"),
    "components first": lambda: MethodOfLines(REACTION, LINE, 0.1).init(jnp.ones((16, 2))),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_settings_are_errors_that_say_what_to_do(message):
    with pytest.raises(ValueError, match=message):
        WRONG[message]()


# ---- derivatives, batches, precision ----

DIFFERENTIATED = {
    "explicit": (lambda q: eqs.DiffusionReaction((q, 1e-1), 0.1), 0.02, "neumann", {}),
    "implicit": (
        lambda q: eqs.DiffusionSorption(diffusivity=q),
        0.05,
        (ValueWall(1.0), RobinWall(1.0, 0.05)),
        {"solver": diffrax.Kvaerno3(), "jacobian": "tridiagonal"},
    ),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_gradients_of_a_rollout_are_difference_quotients(name):
    build, parameter, boundary, options = DIFFERENTIATED[name]
    components = build(parameter).num_components
    start = spots(box(10).points)[:components] + 0.6
    weight, direction = jax.random.normal(jax.random.key(1), (2, *start.shape))

    @jax.jit
    def measured(start, parameter):
        step = MethodOfLines(build(parameter), box(10), 0.05, boundary, **options)
        state = jax.lax.scan(lambda state, _: (step(state), None), step.init(start), length=8)[0]
        return jnp.sum(weight * state.values)

    parameter = jnp.asarray(parameter)
    slopes = jax.jit(jax.grad(measured, argnums=(0, 1)))(start, parameter)
    for slope, moved in (
        (float(jnp.vdot(slopes[0], direction)), lambda e: measured(start + e * direction, parameter)),
        (float(slopes[1]), lambda e: measured(start, parameter + e)),
    ):
        quotient = float(moved(1e-5) - moved(-1e-5)) / 2e-5
        assert slope == pytest.approx(quotient, rel=1e-6)


def test_a_step_is_compiled_once_and_batches_are_their_samples():
    """Also of implicit steps, where the slowest sample decides how often Newton's method is repeated."""
    solver, traces = MethodOfLines(SORPTION, box(12), 20.0, WALLS, diffrax.Kvaerno3()), []

    @jax.jit
    def step(state):
        traces.append(None)
        return solver(state)

    states = [solver.init(jnp.full((1, 12), level, float)) for level in (0.05, 0.1, 0.2)]
    alone = [step(step(state)) for state in states]
    assert len(traces) == 1
    assert float(alone[0].t) == 40
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    together = jax.jit(jax.vmap(solver))(jax.jit(jax.vmap(solver))(batch))
    for i, state in enumerate(alone):
        np.testing.assert_allclose(together.values[i], state.values, rtol=1e-12)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("solver", [diffrax.Tsit5(), diffrax.Kvaerno3()], ids=["explicit", "implicit"])
def test_single_precision_is_kept(solver):
    step = MethodOfLines(REACTION, box(8), 0.02, "neumann", solver)
    state = step.init(spots)
    assert isinstance(state, GridState) and state.values.dtype == state.t.dtype == jnp.float32
    new = advance(step, state, jnp.asarray(5))
    assert new.values.dtype == new.t.dtype == jnp.float32
    assert bool(jnp.all(jnp.isfinite(new.values)))
    assert step.courant(new.values).dtype == jnp.float32
