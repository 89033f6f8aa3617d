"""Laws of the exponential integrator: orders, exact solutions, walls, pairs, gradients, stability, precision.

An equation joins the orders by a line in ORDERS, an exact solution by one in EXACT or ONE_STEP, walls by one in BOXES.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from spectral_parts import TURN, banded, evolve, exact_on, largest, line, periodic

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Equation, Grid, rollout
from lagrangian_ml.jets import SpectralJet
from lagrangian_ml.solvers import ETDRK
from lagrangian_ml.solvers.phi import phi_functions


def test_weights_are_accurate_for_every_size_of_the_exponent():
    z = [0.0, 1e-9, -1.0, -1e-3, -0.999, -7.0, -40.0, -1e6, 0.5j, 40j, 1e3j, -3 + 2j, 5.0]
    with mpmath.workdps(60):
        exact = []
        for w in map(mpmath.mpmathify, z):
            phi1 = (mpmath.exp(w) - 1) / w if w else mpmath.mpf(1)
            phi2 = (phi1 - 1) / w if w else mpmath.mpf(1) / 2
            exact.append([complex(a) for a in (mpmath.exp(w), phi1, phi2, (phi2 - 0.5) / w if w else 1 / 6)])
    scalars = jnp.stack(phi_functions(jnp.asarray(z, complex)[None], False))[:, 0]
    matrices = jnp.stack(phi_functions(jnp.asarray(z, complex)[None, None] * jnp.full((2, 2, 1), 0.5), True))
    scale = np.array([[1 / max(abs(w), 1) ** min(k, 1) for w in z] for k in range(4)])
    assert np.max(np.abs(scalars - np.array(exact).T) / scale) < 1e-13
    at_zero = np.array([1, 1, 1 / 2, 1 / 6])[:, None]  # the matrix has the eigenvalues z and 0
    assert np.max(np.abs(matrices[:, 0, 0] - (np.array(exact).T + at_zero) / 2)) < 1e-11
    assert np.max(np.abs(matrices[:, 0, 1] - (np.array(exact).T - at_zero) / 2)) < 1e-11


class CubicWave(Equation):
    """u_t = v, v_t = 4 u_xx − u³: its weights are matrices."""

    num_components = 2

    def linear(self, u):
        return jnp.stack([u.value[1], 4 * u.laplacian[0]])

    def nonlinear(self, u):
        return jnp.stack([jnp.zeros_like(u.value[0]), -(u.value[0] ** 3)])


LINE, SQUARE, CUBE, INTERVAL = line(32), periodic(12, 12), periodic(8, 8, 8), line(24, centred=True)
ORDERS = {  # name: (equation, grid, initial values, horizon, steps, orders, options)
    "burgers": (eqs.Burgers(0.1), LINE, banded(LINE, bound=2), 0.4, 24, (1, 2, 3, 4), {}),
    "korteweg_de_vries": (eqs.KortewegDeVries(), LINE, banded(LINE, bound=1), 0.3, 96, (2, 4), {}),
    "kuramoto_sivashinsky": (
        eqs.KuramotoSivashinsky(),
        periodic(32, length=22.0),
        banded(periodic(32, length=22.0), bound=2),
        4.0,
        384,
        (2, 4),
        {},
    ),
    "swift_hohenberg": (eqs.SwiftHohenberg(), periodic(12), banded(periodic(12), bound=2), 1.0, 48, (4,), {}),
    "cubic_wave": (CubicWave(), LINE, banded(LINE, 2, bound=2), 1.0, 24, (2, 4), {"dealias": 0.5}),
    "fisher_kpp-2d": (
        eqs.FisherKPP(0.1, 5.0),
        SQUARE,
        0.3 + 0.1 * banded(SQUARE, bound=2),
        0.6,
        48,
        (1, 2, 3, 4),
        {},
    ),
    "vorticity-2d": (eqs.VorticityNavierStokes(0.05), SQUARE, 3 * banded(SQUARE, bound=2), 0.4, 12, (2, 4), {}),
    "gray_scott-3d": (
        eqs.GrayScott((0.2, 0.1), 0.4, 0.6),
        CUBE,
        1 + 0.2 * banded(CUBE, 2, bound=1),
        1.0,
        8,
        (4,),
        {"dealias": 0.5},
    ),
    "allen_cahn-neumann": (
        eqs.AllenCahn(0.02),
        INTERVAL,
        0.5 + 0.3 * jnp.cos(math.pi * INTERVAL.points),
        0.6,
        64,
        (1, 2, 3, 4),
        {"walls": "neumann", "dealias": 0.5},
    ),
    "burgers-dirichlet": (
        eqs.Burgers(0.1),
        INTERVAL,
        jnp.sin(math.pi * INTERVAL.points),
        0.4,
        16,
        (2, 4),
        {"walls": "dirichlet"},
    ),
}


@pytest.mark.parametrize("name, order", [(name, order) for name, case in ORDERS.items() for order in case[5]])
def test_order_of_accuracy(name, order):
    equation, grid, initial, horizon, steps, _, options = ORDERS[name]

    @jax.jit  # compiled once: the number of steps is an argument
    def final(num_steps):
        step = ETDRK(equation, grid, horizon / num_steps, order, **options)
        state = jax.lax.fori_loop(0, num_steps, lambda _, state: step(state), step.init(initial))
        return step.values(state)

    steps = {1: 16, 2: 4, 3: 2, 4: 1}[order] * steps
    coarse, fine, finest = (final(n * steps) for n in (1, 2, 4))
    assert math.log2(largest(coarse - fine) / largest(fine - finest)) == pytest.approx(order, abs=0.1)
    assert largest(fine - finest) > 1e-12


@pytest.mark.parametrize(
    "dealias, steps, tolerance", [pytest.param(1.0, 16000, 1e-11, marks=pytest.mark.slow), (2 / 3, 4000, 1e-10)]
)
def test_burgers_follows_cole_and_hopf_through_the_shock(dealias, steps, tolerance):
    """The shock is sharpest at t ≈ 0.51: then the modes that 2/3 drops of 2048 weigh 4e-10, at t = 1 nothing."""
    u = evolve(eqs.Burgers(), line(2048), lambda x: -jnp.sin(jnp.pi * x), 1.0, steps, 4, dealias=dealias)
    exact = exact_on(line(2048), eqs.ColeHopf(), 0.25, 0.5, 0.75, 1.0)
    errors = (u - exact)[-1] if dealias < 1 else u - exact
    assert largest(errors) <= tolerance


NORMAL, FOCUSING = eqs.KortewegDeVries(1.0, 6.0), eqs.NonlinearSchroedinger()
MOVED = eqs.AdvectionDiffusion((0.7, -1.3), 0.05)
POTENTIAL = eqs.PotentialBurgers(0.1, ((1, 0), (1, 1)), (0.3, 0.2))
ROOM, WIDE = Grid((384,), (-20.0,), (20.0,)), Grid((768,), (-20.0,), (20.0,))
HALF_LINE = Grid((256,), (-10.0,), (10.0,), centred=True)
EXACT = {  # name: (equation, solution, grid, horizon, steps, largest error, options)
    "soliton": (NORMAL, eqs.Soliton(NORMAL, 4.0, -5.0), ROOM, 1.0, 2500, 1e-8, {}),
    "two_solitons": (NORMAL, eqs.Solitons(NORMAL, (4.0, 2.0), (-3.0, 0.0)), ROOM, 1.0, 2500, 1e-8, {}),
    "schroedinger": (FOCUSING, eqs.BrightSoliton(FOCUSING, 1.5, 0.8, -1.0), WIDE, 1.0, 1000, 1e-9, {"dealias": 0.5}),
    "potential_burgers-2d": (eqs.VectorBurgers(0.1, 2), POTENTIAL, periodic(60, 48), 0.5, 200, 1e-10, {}),
    "moving_sines-2d": (MOVED, eqs.MovingSines(MOVED, (1.0, 2.0)), periodic(8, 10), 1.0, 400, 1e-10, {}),
    "fisher_front": (
        eqs.FisherKPP(0.1, 4.0),
        eqs.FisherFront(eqs.FisherKPP(0.1, 4.0), -1.0),
        HALF_LINE,
        1.0,
        400,
        1e-9,
        {"walls": "neumann"},
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_solutions_are_followed(name):
    equation, exact, grid, horizon, steps, tolerance, options = EXACT[name]
    u = evolve(equation, grid, lambda x: exact(0.0, x), horizon, steps, 2, **options)
    error = u - exact_on(grid, exact, horizon / 2, horizon)
    assert largest(error) <= tolerance


WALLED = Grid((12, 15), (0.0, 0.0), (1.0, 2.0), centred=True)
K = (2 * math.pi, 1.5 * math.pi)


def decaying_cosines(t, x):
    return jnp.exp(-0.3 * (K[0] ** 2 + K[1] ** 2) * t) * jnp.prod(jnp.cos(jnp.asarray(K) * x))[None]


def decaying_mixture(t, x):
    return jnp.exp(-0.3 * (K[0] ** 2 + K[1] ** 2) * t) * jnp.stack([jnp.cos(K[0] * x[0] + 0.3) * jnp.sin(K[1] * x[1])])


def wave(k):
    return eqs.Wave(2.0), eqs.StandingWave(eqs.Wave(2.0), k)


ONE_STEP = {  # name: (equation, solution, grid, walls)
    "heat": (eqs.Diffusion(0.3), eqs.DecayingSines(0.3, (1.0, 2.0)), periodic(12, 15), "periodic"),
    "heat-dirichlet": (eqs.Diffusion(0.3), eqs.DecayingSines(0.3, K), WALLED, "dirichlet"),
    "heat-neumann": (eqs.Diffusion(0.3), decaying_cosines, WALLED, "neumann"),
    "heat-mixed": (eqs.Diffusion(0.3), decaying_mixture, WALLED, ("periodic", "dirichlet")),
    "travelling": (eqs.Wave(2.0), eqs.TravellingWave(eqs.Wave(2.0), (1.0, -2.0)), periodic(12, 15), "periodic"),
    "standing": (*wave(K), WALLED, "dirichlet"),
    "dispersion": (eqs.Dispersion(0.3), eqs.DispersiveWave(0.3, 3.0), periodic(15), "periodic"),
    "hyper_diffusion": (eqs.HyperDiffusion(0.02), eqs.DecayingSines(0.1, (1.0, 2.0)), periodic(8, 9), "periodic"),
}


@pytest.mark.parametrize("name", ONE_STEP)
def test_linear_equations_take_one_exact_step(name):
    equation, exact, grid, walls = ONE_STEP[name]
    u = evolve(equation, grid, lambda x: exact(0.0, x), 0.3, 1, walls=walls)
    expected = exact_on(grid, exact, 0.3)
    assert largest(u - expected) <= 1e-12 < 1e-3 * largest(expected)


BOXES = {  # name: (equation, walls of each axis, dealias)
    "allen_cahn-neumann": (eqs.AllenCahn(0.02, 2.0), ("neumann",), 0.5),
    "burgers-dirichlet": (eqs.Burgers(0.05), ("dirichlet",), 2 / 3),
    "cahn_hilliard-neumann": (eqs.CahnHilliard(0.05, 0.3), ("neumann",), 0.5),
    "diffusion_reaction-neumann-2d": (eqs.DiffusionReaction((0.05, 0.1), 0.05), ("neumann", "neumann"), 0.5),
    "allen_cahn-mixed-2d": (eqs.AllenCahn(0.02, 2.0), ("dirichlet", "neumann"), 0.5),
    "allen_cahn-channel-2d": (eqs.AllenCahn(0.02, 2.0), ("periodic", "dirichlet"), 0.5),
    "fisher_kpp-channel-2d": (eqs.FisherKPP(0.1, 2.0), ("neumann", "periodic"), 2 / 3),
    "allen_cahn-mixed-3d": (eqs.AllenCahn(0.02, 2.0), ("neumann", "periodic", "dirichlet"), 0.5),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * n.endswith("3d")) for n in BOXES])
def test_a_box_with_walls_is_a_part_of_a_periodic_one(name):
    """The odd (even) continuation through Dirichlet (Neumann) walls, on twice the axis, has the same modes."""
    equation, walls, dealias = BOXES[name]
    d = len(walls)
    shape, lower = (10, 12, 8)[:d] if d > 1 else (24,), (0.0,) * d
    wide = [1 if wall == "periodic" else 2 for wall in walls]
    inside = Grid(shape, lower, (1.0,) * d, centred=True)
    around = Grid([n * w for n, w in zip(shape, wide)], lower, [float(w) for w in wide], centred=True)
    functions = {"neumann": lambda z: 0.4 + 0.5 * jnp.cos(jnp.pi * z), "dirichlet": lambda z: jnp.sin(jnp.pi * z)}

    def initial(x):
        parts = [functions[wall](x[i]) if wall in functions else jnp.cos(TURN * x[i]) for i, wall in enumerate(walls)]
        return jnp.prod(jnp.stack(parts)) * jnp.arange(1.0, equation.num_components + 1)

    within = evolve(equation, inside, initial, 0.1, 5, dealias=dealias, walls=walls)[-1]
    whole = evolve(equation, around, initial, 0.1, 5, dealias=dealias)[-1]
    np.testing.assert_allclose(within, whole[(slice(None), *map(slice, shape))], atol=1e-13)


PAIRS = {  # name: (equation, grid, dealias): a flux, a velocity, products, forcing with a source
    "burgers": (eqs.Burgers(0.05), LINE, 2 / 3),
    "korteweg_de_vries": (eqs.KortewegDeVries(), LINE, 2 / 3),
    "vector_burgers-2d": (eqs.VectorBurgers(0.1, 2), SQUARE, 2 / 3),
    "vorticity-2d": (eqs.VorticityNavierStokes(0.02, 0.1, (0.7, -0.4), eqs.Kolmogorov()), SQUARE, 2 / 3),
    "gray_scott-3d": (eqs.GrayScott((0.2, 0.1)), CUBE, 0.5),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * n.endswith("3d")) for n in PAIRS])
def test_a_pair_is_two_solutions(name):
    equation, grid, dealias = PAIRS[name]
    both = jnp.stack([banded(grid, equation.num_components, 2, key) for key in (0, 1)])
    paired = evolve(equation, grid, both, 0.1, 10, dealias=dealias, paired=True)[-1]
    alone = jax.vmap(lambda u: evolve(equation, grid, u, 0.1, 10, dealias=dealias)[-1])(both)
    assert largest(alone - both) > 0.01
    np.testing.assert_allclose(paired, alone, atol=1e-13)


@pytest.mark.parametrize("name", ["burgers", "vorticity-2d"])
def test_back_ends_of_transforms_give_one_solution(name):
    equation, grid, _ = PAIRS[name]
    start = banded(grid)
    first, *others = (
        evolve(equation, grid, start, 0.1, 10, transform=transform)[-1] for transform in ("fft", "pruned", "matrix")
    )
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-13)


def test_transport_stated_as_velocity_flux_or_forcing_gives_one_solution():
    class Forced(Equation):
        def linear(self, u):
            return 0.05 * u.laplacian

        def nonlinear(self, u):
            return -u.value * u.d(0)

    initial = lambda x: jnp.sin(jnp.pi * x) + 0.3
    by_flux, by_velocity, by_forcing = (
        evolve(equation, line(48), initial, 0.2, 50)[-1]
        for equation in (eqs.Burgers(0.05), eqs.VectorBurgers(0.05, 1), Forced())
    )
    np.testing.assert_allclose(by_velocity, by_flux, atol=1e-12)
    np.testing.assert_allclose(by_forcing, by_velocity, atol=1e-13)


def test_time_dependent_forcing_is_read_at_the_right_times():
    class Forced(Equation):
        def linear(self, u):
            return -u.value

        def nonlinear(self, u):
            return jnp.cos(5 * u.t) * jnp.cos(jnp.pi * u.x[:1])

    @jax.jit
    def final(num_steps):
        step = ETDRK(Forced(), line(12), 1.0 / num_steps)
        state = step.init(lambda x: 0 * x, t=0.5)
        state = jax.lax.fori_loop(0, num_steps, lambda _, s: step(s), state)
        return step.values(state), state.t

    primitive = lambda t: math.exp(t) * (math.cos(5 * t) + 5 * math.sin(5 * t)) / 26
    exact = math.exp(-1.5) * (primitive(1.5) - primitive(0.5)) * jnp.cos(jnp.pi * line(12).points)
    errors = [largest(final(n)[0] - exact) for n in (20, 40)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)
    np.testing.assert_allclose(final(20)[1], 1.5)


VORTICES = periodic(12, 12)
DIFFERENTIATED = {  # name: (equation of a parameter, its value, grid, options)
    "burgers": (eqs.Burgers, 0.05, LINE, {}),
    "allen_cahn-neumann": (eqs.AllenCahn, 0.02, INTERVAL, {"walls": "neumann", "dealias": 0.5}),
    "burgers-dirichlet": (eqs.Burgers, 0.05, INTERVAL, {"walls": "dirichlet"}),
    "vorticity-2d": (lambda nu: eqs.VorticityNavierStokes(nu, 0.1, (0.3, 0.2)), 0.02, VORTICES, {}),
    "cubic_wave": (lambda c: eqs.Wave(c), 2.0, LINE, {}),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_the_gradient_of_a_rollout_is_the_difference_quotient(name):
    """With respect to a parameter and along a direction of the initial state, through nested checkpoints."""
    make, parameter, grid, options = DIFFERENTIATED[name]
    c = make(parameter).num_components
    start, direction, weights = (banded(grid, c, 3, key) for key in (0, 1, 2))

    @jax.jit
    @jax.value_and_grad
    def misfit(at):
        step = ETDRK(make(at[0]), grid, 0.01, **options)
        budget = 20 * step.init(start).modes.nbytes
        final = rollout(step, step.init(start + at[1] * direction), 20, save_every=20, memory_budget=budget)
        return jnp.mean((step.values(jax.tree.map(lambda leaf: leaf[-1], final)) - weights) ** 2)

    at, slopes = np.array([parameter, 0.1]), misfit(jnp.array([parameter, 0.1]))[1]
    for i, slope in enumerate(slopes):
        eps = 1e-4 * at[i] * np.eye(2)[i]
        quotient = (misfit(jnp.asarray(at + eps))[0] - misfit(jnp.asarray(at - eps))[0]) / (2 * eps[i])
        assert float(slope) == pytest.approx(float(quotient), rel=1e-6)


def test_a_stepper_compiles_once_and_vectorizes():
    step = ETDRK(eqs.Burgers(0.1), line(16), 0.01)
    one = step.init(lambda x: jnp.sin(jnp.pi * x), t=0.5)
    many = eqx.filter_vmap(lambda a: eqx.tree_at(lambda s: s.modes, one, a * one.modes))(jnp.array([1.0, 2.0]))
    count = 0

    @eqx.filter_jit
    def advance(state):
        nonlocal count
        count += 1
        return jax.vmap(step)(state)

    many = advance(advance(many))
    np.testing.assert_allclose(many.modes[0], step(step(one)).modes, atol=1e-14)
    np.testing.assert_allclose(many.t, 0.52)
    assert count == 1


@pytest.mark.usefixtures("float32")
def test_single_precision_is_kept_and_is_as_good_as_it_can_be():
    step = ETDRK(eqs.Burgers(0.05), line(96), 0.005)
    run = jax.jit(lambda s: rollout(step, s, 100, save_every=20, save=lambda s: (s.t, step.values(s))))
    t, u = run(step.init(lambda x: -jnp.sin(jnp.pi * x)))
    assert t.dtype == u.dtype == jnp.float32
    assert {a.dtype for a in (*step.stages, step.reach)} == {jnp.float32.dtype}
    assert largest(u - exact_on(line(96), eqs.ColeHopf(0.05), *np.asarray(t))) < 2e-5


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_courant_number_tells_stable_steps_from_unstable_ones(order):
    """The fastest mode of advection in 2-D, on the imaginary axis: orders 1 and 2 let it grow by 12 % a step."""
    equation, grid = eqs.Advection((0.7, -1.3)), periodic(12, 15)
    highest = (jnp.cos(3 * grid.points[0] - 4 * grid.points[1]))[None]  # the last that 2/3 keeps on both axes
    limit = ETDRK(equation, grid, 1.0, order).max_courant
    growth = {}
    for share in (0.95, 1.1):
        dt = share * limit / float(ETDRK(equation, grid, 1.0, order).courant(highest))
        step = ETDRK(equation, grid, dt, order)
        assert float(step.courant(highest)) == pytest.approx(share * limit)
        start = step.init(highest)
        growth[share] = largest(step(start).modes) / largest(start.modes)
    assert growth[0.95] <= (1.119 if order < 3 else 1) < growth[1.1]


def test_the_courant_number_counts_damped_modes_less_and_ignores_what_does_not_move():
    number = lambda equation: float(ETDRK(equation, line(32), 0.1).courant(jnp.ones((1, 32))))
    assert number(eqs.Diffusion(0.1)) == 0 == number(eqs.AllenCahn())
    assert number(eqs.Burgers(1.0)) < 0.1 * number(eqs.Burgers(0.0))
    assert number(eqs.Burgers(0.0)) == pytest.approx(10 * math.pi * 0.1)


@pytest.mark.parametrize("n", [8, 9])
def test_solver_and_jet_agree_on_the_highest_mode(n):
    """Without dealiasing the Nyquist mode of an even grid takes part: it has no derivatives of odd order."""
    grid, still = periodic(n, n), jnp.zeros(())
    values = jax.random.normal(jax.random.key(0), (1, n, n))
    for equation in (eqs.VorticityNavierStokes(0.1), eqs.AdvectionDiffusion((1.0, 0.5), 0.1)):
        step = ETDRK(equation, grid, 1e-6, order=2, dealias=1.0)
        rate = (step.values(step(step.init(values))) - values) / 1e-6
        expected = equation.rate(SpectralJet(values, grid, still))
        assert largest(rate - expected) < 1e-3 * largest(expected)


class Odd(Equation):
    def linear(self, u):
        return u.d(0, 0, 0)


class Whole(Equation):
    def rate(self, u):
        return -u.value


def closed_over(coefficient):
    class Hidden(Equation):
        def linear(self, u):
            return coefficient * u.laplacian

    return ETDRK(Hidden(), line(16, centred=True), 0.1, walls="neumann").values


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda grid: ETDRK(eqs.Poisson(), grid, 0.1), "steady"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.0), "dt=0.0 must"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, order=5), "order=5 must"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, dealias=1.5), "dealias=1.5 must"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, walls="open"), "name one of"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, walls="neumann"), "centred=True"),
        (lambda grid: ETDRK(Whole(), grid, 0.1), "gives its `rate` as a whole"),
        (
            lambda grid: ETDRK(eqs.Burgers(), line(16, centred=True), 0.1, walls="neumann"),
            "must vanish between neumann",
        ),
        (
            lambda grid: ETDRK(eqs.AdvectionDiffusion(1.0, 0.1), line(16, centred=True), 0.1, walls="dirichlet"),
            "must be even in u between dirichlet",
        ),
        (lambda grid: jax.jit(lambda c: closed_over(c) and c)(1.0), "make it a field"),
        (lambda grid: ETDRK(Odd(), line(16, centred=True), 0.1, walls="neumann"), "odd order along axis 0"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, transform="fftw"), "'fftw' is unknown"),
        (lambda grid: ETDRK(eqs.Diffusion(), grid, 0.1, paired=True), "`paired` needs"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, paired=True, dealias=1.0), "`paired` needs"),
        (lambda grid: ETDRK(eqs.Burgers(), grid, 0.1, paired=True).init(jnp.ones((1, 16))), "two samples"),
        (lambda grid: ETDRK(eqs.VectorBurgers(0.1, 2), grid, 0.1), "2 space dimension"),
        (lambda grid: ETDRK(eqs.Wave(), grid, 0.1).init(lambda x: x), "components first"),
    ],
)
def test_wrong_settings_are_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make(line(16))
