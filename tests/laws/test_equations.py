"""Laws of equations and of their exact solutions. An equation joins by a line in EQUATIONS, a solution in EXACT."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Equation, Grid
from lagrangian_ml.equations import helmholtz, poisson
from lagrangian_ml.jets import SpectralJet, linear_symbol, point_jet

SPEED, WAVES = (0.7, -1.3, 0.4), (math.pi, 2.0, 3.0)
LOWER, UPPER = (-1.0, 0.0, 0.5), (1.0, 3.0, 2.0)

EQUATIONS = {  # name: (constructor for d dimensions, the dimensions it is made for)
    "advection": (lambda d: eqs.Advection(SPEED[:d]), (1, 2, 3)),
    "advection_diffusion": (lambda d: eqs.AdvectionDiffusion(SPEED[:d], 0.3), (1, 2, 3)),
    "allen_cahn": (lambda d: eqs.AllenCahn(0.1, 2.0), (1, 2, 3)),
    "burgers": (lambda d: eqs.Burgers(0.05), (1,)),
    "cahn_hilliard": (lambda d: eqs.CahnHilliard(0.1, 0.7), (1, 2)),
    "combustion": (lambda d: eqs.CombustionKuramotoSivashinsky(1.3, 0.8, 0.6), (1, 2, 3)),
    "damped_korteweg_de_vries": (lambda d: eqs.KortewegDeVries(0.01, 6.0, 0.02), (1,)),
    "darcy": (lambda d: eqs.Darcy(lambda x: 2 + jnp.sin(x[:1] * x[-1:]), lambda x: x[:1]), (2,)),
    "diffusion": (lambda d: eqs.Diffusion(0.2), (1, 2, 3)),
    "diffusion_reaction": (lambda d: eqs.DiffusionReaction((0.1, 0.2), 0.05), (1, 2)),
    "diffusion_sorption": (lambda d: eqs.DiffusionSorption(), (1, 2)),
    "dispersion": (lambda d: eqs.Dispersion(0.3), (1,)),
    "fisher_kpp": (lambda d: eqs.FisherKPP(0.3, 2.0), (1, 2, 3)),
    "reaction_diffusion": (lambda d: eqs.ReactionDiffusion(0.3, (-0.5, 1.5, -1.0)), (1, 2, 3)),
    "gray_scott": (lambda d: eqs.GrayScott((0.2, 0.1), 0.04, 0.06), (1, 2)),
    "helmholtz": (lambda d: eqs.Helmholtz(3.0, helmholtz.sine_source(WAVES[:d], 3.0)), (1, 2, 3)),
    "hyper_diffusion": (lambda d: eqs.HyperDiffusion(0.05), (2,)),
    "korteweg_de_vries": (lambda d: eqs.KortewegDeVries(0.01, 6.0), (1,)),
    "kuramoto_sivashinsky": (lambda d: eqs.KuramotoSivashinsky(1.3, 0.8, 0.6), (1,)),
    "laplace": (lambda d: eqs.Poisson(), (2,)),
    "nonlinear_schroedinger": (lambda d: eqs.NonlinearSchroedinger(0.4, -0.9), (1, 2)),
    "passive_transport": (lambda d: eqs.PassiveTransport(lambda t, x: jnp.stack([-x[1], x[0]]), 0.3), (2,)),
    "poisson": (lambda d: eqs.Poisson(poisson.sine_source(WAVES[:d])), (1, 2, 3)),
    "sine_gordon": (lambda d: eqs.SineGordon(poisson.sine_source(WAVES[:d])), (1, 2, 3)),
    "steady_allen_cahn": (lambda d: eqs.SteadyAllenCahn(poisson.sine_source(WAVES[:d])), (1, 2, 3)),
    "swift_hohenberg": (lambda d: eqs.SwiftHohenberg(0.7, 1.2, 0.5, 0.8), (1, 2)),
    "vector_burgers": (lambda d: eqs.VectorBurgers(0.1, d), (1, 2, 3)),
    "velocity_navier_stokes": (lambda d: eqs.VelocityNavierStokes(0.1, 0.2, eqs.Kolmogorov(), d), (2, 3)),
    "vorticity_navier_stokes": (lambda d: eqs.VorticityNavierStokes(0.1, 0.2, SPEED[:2], eqs.Kolmogorov()), (2,)),
    "wave": (lambda d: eqs.Wave(2.0), (1, 2, 3)),
}
CASES = [pytest.param(make(d), d, id=f"{name}-{d}d") for name, (make, dims) in EQUATIONS.items() for d in dims]
LOCAL = [case for case in CASES if case.values[0].local]
NONLOCAL = [case for case in CASES if not case.values[0].local]


def trigonometric(num_components, dim, key=7):
    """A random real field of modes up to 2 on the box [LOWER, UPPER], its grid (resolving cubes) and its values."""
    rng = np.random.default_rng(key)
    grid = Grid((14, 12, 13)[:dim], LOWER[:dim], UPPER[:dim])
    modes = jnp.asarray(2 * np.pi / np.array(grid.lengths) * rng.integers(-2, 3, (5, dim)))
    phases, amplitudes = jnp.asarray(rng.uniform(0, 6, 5)), jnp.asarray(rng.normal(size=(num_components, 5)))
    field = lambda x: amplitudes @ jnp.cos(modes @ x + phases)
    return field, grid, eqs.at_points(field, grid.points)


def law(equation):
    return equation.residual if equation.steady else equation.rate


def some_points(grid, values):
    """Six grid points as (n, d), with the values (n, c) there."""
    index = np.random.default_rng(0).integers(0, math.prod(grid.shape), 6)
    return grid.points.reshape(grid.dim, -1)[:, index].T, values.reshape(values.shape[0], -1)[:, index].T


def assert_close(a, b, rtol=1e-10):
    np.testing.assert_allclose(a, b, rtol=0, atol=rtol * (1 + float(jnp.max(jnp.abs(b)))))


@pytest.mark.parametrize("equation, dim", LOCAL)
def test_point_jet_equals_spectral_jet(equation, dim):
    field, grid, values = trigonometric(equation.num_components, dim)
    x, on_grid = some_points(grid, jax.jit(lambda u: law(equation)(SpectralJet(u, grid)))(values))

    @jax.jit
    @jax.vmap
    def at_points(x):
        if equation.steady:
            return equation.residual(point_jet(field, x)), 0.0
        jet = point_jet(lambda t, x: field(x) * jnp.cos(t), x, 0.0)
        rate = equation.rate(jet)
        return rate, equation.residual(jet) - (jet.dt - rate)

    at_x, misfit = at_points(x)
    assert at_x.shape == (6, equation.num_components)
    assert_close(at_x, on_grid)
    assert float(jnp.max(jnp.abs(misfit))) <= 1e-12 * (1 + float(jnp.max(jnp.abs(on_grid))))


def bed(x):
    """Periodic on the box [LOWER, UPPER]."""
    return 0.05 * jnp.cos(math.pi * x[:1])


FLUIDS = [
    eqs.Euler(),
    eqs.Euler(dim=2),
    eqs.CompressibleNavierStokes(shear=0.02, bulk=0.03, dim=2),
    eqs.ShallowWater(bathymetry=bed),
    eqs.ShallowWater(bathymetry=bed, dim=2),
]


@pytest.mark.parametrize("equation", FLUIDS, ids=lambda equation: f"{type(equation).__name__}-{equation.dim}d")
def test_point_jet_equals_spectral_jet_of_fluids(equation):
    """Their fluxes are rational: the modes of small waves about rest decay fast, and 32 points hold them."""
    dim, c = equation.dim, equation.num_components
    grid = Grid((32,) * dim, LOWER[:dim], UPPER[:dim])
    waves, phases = 2 * jnp.pi / jnp.asarray(grid.lengths), jnp.arange(float(c * dim)).reshape(c, dim)
    rest = jnp.ones(c).at[-1].set(3.0)
    field = lambda x: rest + 0.05 * jnp.sum(jnp.cos((waves * x)[None] + phases), axis=1)
    on_grid = jax.jit(lambda u: equation.rate(SpectralJet(u, grid)))(eqs.at_points(field, grid.points))
    x, on_grid = some_points(grid, on_grid)
    at_points = jax.jit(jax.vmap(lambda x: equation.rate(point_jet(field, x))))(x)
    assert float(jnp.max(jnp.abs(at_points))) > 0.1
    assert_close(at_points, on_grid)


@pytest.mark.parametrize("equation, dim", CASES)
def test_symbol_is_the_linear_part_on_modes(equation, dim):
    _, grid, values = trigonometric(equation.num_components, dim)
    jet = SpectralJet(values, grid)
    symbol = linear_symbol(equation, jnp.asarray(jet.basis.wavevectors(grid.lengths)))
    product = jnp.einsum("ij...,j...->i...", symbol, jet.modes)
    linear = lambda u: equation.linear(SpectralJet(u, grid)) if equation.states("linear") else 0 * u
    assert_close(jet.basis.to_values(product), linear(values))
    assert_close(linear((1 + 2j) * values), (1 + 2j) * linear(values))  # complex fields are read in the same way


@pytest.mark.parametrize("equation, dim", [case for case in CASES if case.id[-2:] == "1d" or case in NONLOCAL])
def test_coefficients_may_be_traced_arrays(equation, dim):
    _, grid, values = trigonometric(equation.num_components, dim)
    numbers, rest = eqx.partition(equation, lambda leaf: isinstance(leaf, float))
    arrays = jax.tree.map(jnp.asarray, numbers)

    def square(arrays):
        rate = law(eqx.combine(arrays, rest))(SpectralJet(values, grid))
        return jnp.sum(rate**2), rate

    slopes, rate = jax.jit(jax.grad(square, has_aux=True))(arrays)
    assert_close(rate, law(equation)(SpectralJet(values, grid)))
    assert all(bool(jnp.isfinite(slope)) for slope in jax.tree.leaves(slopes))


def moved(values, grid, *directions):
    """The derivative ∂ᵢ∂ⱼ… in NumPy, of fields whose modes end below Nyquist's; "inverse" is Δ⁻¹."""
    k = np.stack(
        np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n, h) for n, h in zip(grid.shape, grid.spacings)), indexing="ij")
    )
    modes = np.fft.fftn(values)
    for direction in directions:
        if direction == "inverse":
            square = np.sum(k**2, axis=0)
            modes = np.where(square == 0, 0, -modes / np.where(square == 0, 1, square))
        else:
            modes = 1j * k[direction] * modes
    return np.fft.ifftn(modes).real


def vorticity_rate(omega, grid):
    """−u·∇ω + 0.1 Δω − 0.2 ω + ∇×f, advective, with the velocity from the stream function."""
    (omega,), psi = omega, -moved(omega[0], grid, "inverse")
    u, v = SPEED[0] + moved(psi, grid, 1), SPEED[1] - moved(psi, grid, 0)
    carried = u * moved(omega, grid, 0) + v * moved(omega, grid, 1)
    spread = moved(omega, grid, 0, 0) + moved(omega, grid, 1, 1)
    return (-carried + 0.1 * spread - 0.2 * omega - 4 * np.cos(4 * grid.points[1]))[None]


def velocity_rate(u, grid):
    """P(−∇·(u⊗u)) + 0.1 Δu − 0.2 u + f, with the pressure from its Poisson equation."""
    axes = range(len(u))
    carried = [-sum(moved(u[i] * u[j], grid, j) for j in axes) for i in axes]
    pressure = moved(sum(moved(carried[i], grid, i) for i in axes), grid, "inverse")
    rate = [carried[i] - moved(pressure, grid, i) + 0.1 * sum(moved(u[i], grid, j, j) for j in axes) for i in axes]
    rate[0] = rate[0] + np.sin(4 * grid.points[1])
    return np.stack(rate) - 0.2 * u


@pytest.mark.parametrize("equation, dim", NONLOCAL)
def test_nonlocal_rates_equal_an_independent_evaluation(equation, dim):
    _, grid, values = trigonometric(equation.num_components, dim)
    independent = vorticity_rate if isinstance(equation, eqs.VorticityNavierStokes) else velocity_rate
    rate = jax.jit(lambda u: equation.rate(SpectralJet(u, grid)))(values)
    assert_close(rate, independent(np.asarray(values), grid))


@pytest.mark.parametrize("equation, dim", NONLOCAL)
def test_nonlocal_laws_refuse_point_jets(equation, dim):
    with pytest.raises(ValueError, match="grid jet"):
        equation.rate(point_jet(lambda x: jnp.tile(x[:1], equation.num_components), jnp.ones(dim)))


TURNING = eqs.TaylorGreen(0.1, (math.pi, 4 * math.pi / 3), SPEED[:2], 0.7)
BELTRAMI = eqs.Beltrami(0.1, 2 * math.pi, (1.0, 0.4, -0.7), SPEED)
FLOWS = {  # name: (equation, flow, dimension)
    "vorticity": (eqs.VorticityNavierStokes(0.1, mean_flow=SPEED[:2]), TURNING.vorticity, 2),
    "velocity-2d": (eqs.VelocityNavierStokes(0.1, dim=2), TURNING.velocity, 2),
    "velocity-3d": (eqs.VelocityNavierStokes(0.1), BELTRAMI.velocity, 3),
}


@pytest.mark.parametrize("name", FLOWS)
def test_exact_flows_obey_the_nonlocal_laws(name):
    equation, flow, dim = FLOWS[name]
    grid = Grid((14, 12), LOWER[:2], UPPER[:2]) if dim == 2 else Grid((8, 9, 10), (0.0,) * 3, (1.0, 2.0, 3.0))
    at = jax.jit(lambda t: eqs.at_points(lambda x: flow(t, x), grid.points))
    values, change = jax.jvp(at, (0.3,), (1.0,))
    assert_close(jax.jit(lambda u: equation.rate(SpectralJet(u, grid)))(values), change)
    assert float(jnp.max(jnp.abs(change))) > 1


@pytest.mark.parametrize("force", [eqs.Kolmogorov(3, 0.5, 2.0), eqs.DiagonalForce(0.1, 2.0)], ids=["kolmogorov", "fno"])
def test_forces_have_the_curl_they_state(force):
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 5)))
    curl, theta = eqs.VorticityNavierStokes(force=force).source(x), math.pi * (x[0] + x[1])
    if isinstance(force, eqs.Kolmogorov):
        np.testing.assert_allclose(curl[0], -0.5 * 3 * math.pi * jnp.cos(3 * math.pi * x[1]), atol=1e-13)
    else:
        np.testing.assert_allclose(curl[0], 0.1 * (jnp.sin(theta) + jnp.cos(theta)), atol=1e-13)
    np.testing.assert_allclose(eqs.VelocityNavierStokes(force=force, dim=2).source(x), jax.vmap(force, 1, 1)(x))


def test_uniform_states_of_gray_scott_are_at_rest():
    equation = eqs.GrayScott(feed=0.04, kill=0.05)
    for state in equation.uniform_states():
        rate = equation.rate(point_jet(lambda x, state=state: state + 0 * x, jnp.zeros(1)))
        np.testing.assert_allclose(rate, 0, atol=1e-16)
    assert bool(jnp.all(jnp.isnan(eqs.GrayScott(feed=0.04, kill=0.06).uniform_states()[1:])))


class ConservativeAdvection(Equation):
    speed: tuple[float, ...]

    def flux(self, u):
        return jnp.stack([speed * u.value for speed in self.speed], axis=1)


class BurgersByVelocity(Equation):
    viscosity: float

    def linear(self, u):
        return self.viscosity * u.laplacian

    def velocity(self, u):
        return u.value


class VectorBurgersAsForcing(Equation):
    viscosity: float
    dim: int
    num_components = property(lambda self: self.dim)

    def nonlinear(self, u):
        return self.viscosity * u.laplacian - jnp.einsum("d...,cd...->c...", u.value, u.gradient)


class KortewegDeVriesAsForcing(Equation):
    def nonlinear(self, u):
        return -0.01 * u.d(0, 0, 0) - 6 * u.value * u.d(0)


FORMS = [
    (eqs.Advection(SPEED), ConservativeAdvection(SPEED), 3),
    (eqs.Burgers(0.1), BurgersByVelocity(0.1), 1),
    (eqs.Burgers(0.1), eqs.VectorBurgers(0.1, 1), 1),
    (eqs.VectorBurgers(0.1, 2), VectorBurgersAsForcing(0.1, 2), 2),
    (eqs.VectorBurgers(0.1, 3), VectorBurgersAsForcing(0.1, 3), 3),
    (eqs.KortewegDeVries(0.01, 6.0), KortewegDeVriesAsForcing(), 1),
]


@pytest.mark.parametrize("one, other, dim", FORMS, ids=lambda value: getattr(type(value), "__name__", ""))
def test_forms_of_one_law_have_one_rate(one, other, dim):
    field, grid, values = trigonometric(one.num_components, dim)
    jet = SpectralJet(values, grid)
    assert_close(one.rate(jet), other.rate(jet))

    @jax.jit
    def at_a_point(x):
        jet = point_jet(lambda t, x: field(x) * jnp.cos(t), x, 0.4)
        return one.rate(jet), one.residual(jet), other.rate(jet), other.residual(jet)

    rate, residual, other_rate, other_residual = at_a_point(grid.points.reshape(dim, -1)[:, 3])
    assert_close(rate, other_rate)
    assert_close(residual, other_residual)


def test_the_slope_of_the_combustion_form_obeys_the_conservative_form():
    _, grid, values = trigonometric(1, 1)
    rate = eqs.CombustionKuramotoSivashinsky().rate(SpectralJet(values, grid))
    slope = SpectralJet(SpectralJet(values, grid).d(0), grid)
    assert_close(SpectralJet(rate, grid).d(0), eqs.KuramotoSivashinsky().rate(slope))


def bad(name, linear):
    return pytest.param(type(name, (Equation,), {"linear": lambda self, u: linear(u)})(), id=name)


@pytest.mark.parametrize(
    "equation",
    [
        bad("ReadsX", lambda u: u.x[:1] * u.laplacian),
        bad("ReadsT", lambda u: u.t * u.value),
        bad("Squares", lambda u: u.value**2),
        bad("Affine", lambda u: u.value + 1),
    ],
)
def test_a_linear_part_without_a_symbol_is_an_error(equation):
    with pytest.raises(ValueError, match="linear"):
        linear_symbol(equation, jnp.ones((1, 3)))


def residual_shape(equation, dim):
    field = lambda t, x: t * jnp.sin(x[:1])
    return jax.eval_shape(lambda x: equation.residual(point_jet(field, x, 0.0)), jnp.ones(dim))


@pytest.mark.parametrize(
    "make",
    [
        lambda: eqs.Burgers(-1e-3),
        lambda: eqs.Burgers(math.nan),
        lambda: eqs.VectorBurgers(0.1, 4),
        lambda: eqs.Diffusion(-1.0),
        lambda: eqs.AdvectionDiffusion(1.0, -0.1),
        lambda: eqs.AllenCahn(diffusivity=-1e-4),
        lambda: eqs.FisherKPP(-1.0),
        lambda: eqs.ReactionDiffusion(-1.0),
        lambda: eqs.ReactionDiffusion(1.0, ()),
        lambda: eqs.CahnHilliard(-1e-3),
        lambda: eqs.HyperDiffusion(-1.0),
        lambda: eqs.GrayScott((1e-5, -1e-5)),
        lambda: eqs.GrayScott((1e-5,)),
        lambda: eqs.VorticityNavierStokes(drag=-0.1),
        lambda: eqs.VorticityNavierStokes(mean_flow=(1.0, 0.0, 0.0)),
        lambda: eqs.VelocityNavierStokes(dim=4),
        lambda: eqs.NavierStokes(dim=1),
        lambda: eqs.Kolmogorov(length=0.0),
        lambda: eqs.BrightSoliton(eqs.NonlinearSchroedinger(0.5, -1.0)),
        lambda: eqs.NavierStokes().rate(point_jet(lambda x: jnp.sin(x), jnp.ones(3))),
        lambda: residual_shape(eqs.NavierStokes(dim=3), 2),
        lambda: eqs.ColeHopf(0.0),
        lambda: eqs.ColeHopf(num_nodes=1000),
        lambda: eqs.PotentialBurgers(0.1, ((1.0, 0.0), (0.0, 1.0)), (0.6, 0.6)),
        lambda: eqs.PotentialBurgers(0.1, ((1.0, 0.0),), (0.2, 0.6)),
        lambda: eqs.Solitons(eqs.KortewegDeVries(), (1.0, 2.0), (0.0,)),
        lambda: eqs.Sines((1.0, 2.0))(jnp.zeros(3)),
        lambda: eqs.TwoBody(jnp.ones(2))(jnp.zeros(4)),
        lambda: eqs.ClosedFormSource(eqs.Diffusion(), eqs.TwoBody(jnp.ones(2))),
        lambda: linear_symbol(eqs.Burgers(0.1), jnp.ones((2, 3))),
        lambda: residual_shape(eqs.Burgers(0.1), 2),
        lambda: residual_shape(eqs.VectorBurgers(0.1, 3), 2),
        lambda: residual_shape(eqs.Advection((1.0, 2.0)), 1),
    ],
)
def test_wrong_parameters_are_errors(make):
    with pytest.raises(ValueError, match=r"allowed|must|need|dimension|component"):
        make()


CHAIN, NORMAL = eqs.KortewegDeVries(0.0025), eqs.KortewegDeVries(1.0, 6.0)
PULSE, FOCUSING = eqs.AdvectionDiffusion(SPEED[:2], 0.05), eqs.NonlinearSchroedinger(0.4, 1.7)


def laminar(viscosity, mode, amplitude, length):
    """The parallel flow that `Kolmogorov(mode, amplitude, length)` drives: no transport, the force against friction."""
    k = 2 * math.pi * mode / length
    return lambda t, x: jnp.stack([amplitude / (viscosity * k**2) * jnp.sin(k * x[1]), 0 * x[0], 0.7 + 0 * x[0]])


def in_two_bodies(equation):
    solution = eqs.TwoBody(jnp.asarray([0.7, -1.2, 0.4, 2.0, -0.5]))
    return equation(eqs.ClosedFormSource(equation(), solution)), solution


EXACT = {  # name: (equation, solution, dimension)
    "advected": (eqs.Advection(SPEED), eqs.AdvectedProfile(eqs.Sines(WAVES), SPEED), 3),
    "gaussian": (PULSE, eqs.MovingGaussian(PULSE, (0.2, -0.1), 0.3), 2),
    "moving_sines": (PULSE, eqs.MovingSines(PULSE, WAVES[:2]), 2),
    "heat": (eqs.Diffusion(0.1), eqs.DecayingSines(0.1, WAVES), 3),
    "cole_hopf": (eqs.Burgers(), eqs.ColeHopf(), 1),
    "cole_hopf_other": (eqs.Burgers(0.1), eqs.ColeHopf(0.1, lambda x: jnp.sin(x) + 0.3 * jnp.cos(2 * x)), 1),
    "front": (eqs.Burgers(0.05), eqs.BurgersFront(0.05, 0.4, 0.8, 0.1), 1),
    "potential-2d": (eqs.VectorBurgers(0.1, 2), eqs.PotentialBurgers(0.1, ((1, 2), (3, -1)), (0.4, 0.3)), 2),
    "potential-3d": (eqs.VectorBurgers(0.1, 3), eqs.PotentialBurgers(0.1, ((1, 2, 1), (0, 1, 2)), (0.4, 0.3)), 3),
    "soliton": (CHAIN, eqs.Soliton(CHAIN, 0.4, -0.2), 1),
    "soliton_normal": (NORMAL, eqs.Soliton(NORMAL, 2.0), 1),
    "two_solitons": (CHAIN, eqs.Solitons(CHAIN, (0.5, 0.2), (-0.4, 0.1)), 1),
    "three_solitons": (NORMAL, eqs.Solitons(NORMAL, (4.0, 1.0, 2.0), (-0.4, 0.1, 0.0)), 1),
    "dispersive_wave": (eqs.Dispersion(0.3), eqs.DispersiveWave(0.3, 2.0), 1),
    "hyper_diffusion": (eqs.HyperDiffusion(0.02), eqs.DecayingSines(0.02 * 13, (2.0, 3.0)), 2),
    "cahn_hilliard_wall": (eqs.CahnHilliard(0.2, 0.7), eqs.AllenCahnKink(eqs.AllenCahn(0.2, 1.0), 0.1), 2),
    "bright_soliton": (FOCUSING, eqs.BrightSoliton(FOCUSING, 1.3, 0.6, 0.2), 1),
    "breathing_soliton": (eqs.NonlinearSchroedinger(), eqs.BreathingSoliton(), 1),
    "taylor_green": (eqs.NavierStokes(0.1), TURNING, 2),
    "beltrami": (eqs.NavierStokes(0.1, dim=3), eqs.Beltrami(0.1, 1.7, (1.0, 0.4, -0.7), SPEED), 3),
    "kovasznay": (eqs.NavierStokes(0.05, steady=True), eqs.Kovasznay(0.05), 2),
    "laminar_kolmogorov": (eqs.NavierStokes(0.1, eqs.Kolmogorov(2, 0.3, 3.0)), laminar(0.1, 2, 0.3, 3.0), 2),
    "allen_cahn_front": (eqs.AllenCahn(0.05, 2.0), eqs.AllenCahnFront(eqs.AllenCahn(0.05, 2.0), 0.1), 2),
    "allen_cahn_kink": (eqs.AllenCahn(0.05, 2.0), lambda t, x: eqs.AllenCahnKink(eqs.AllenCahn(0.05, 2.0))(t, x), 1),
    "fisher_front": (eqs.FisherKPP(0.1, 3.0), eqs.FisherFront(eqs.FisherKPP(0.1, 3.0), 0.1), 2),
    "isentropic_vortex": (eqs.Euler(dim=2), eqs.IsentropicVortex(eqs.Euler(dim=2), (0.2, 0.1), SPEED[:2]), 2),
    "standing_wave": (eqs.Wave(1.5), eqs.StandingWave(eqs.Wave(1.5), WAVES[:2]), 2),
    "travelling_wave": (eqs.Wave(1.5), eqs.TravellingWave(eqs.Wave(1.5), WAVES), 3),
    "poisson": (eqs.Poisson(poisson.sine_source(WAVES)), eqs.Sines(WAVES), 3),
    "poisson_two_body": (*in_two_bodies(eqs.Poisson), 6),
    "sine_gordon_two_body": (*in_two_bodies(eqs.SineGordon), 6),
    "steady_allen_cahn_two_body": (*in_two_bodies(eqs.SteadyAllenCahn), 6),
    "helmholtz": (eqs.Helmholtz(2.0, helmholtz.sine_source(WAVES[:2], 2.0)), eqs.Sines(WAVES[:2]), 2),
}


@pytest.mark.usefixtures("strict_dtypes")
@pytest.mark.parametrize("name", EXACT)
def test_exact_solutions_solve_their_equations(name):
    equation, field, dim = EXACT[name]
    rng = np.random.default_rng(3)
    x, t = jnp.asarray(rng.uniform(-1, 1, (40, dim))), jnp.asarray(rng.uniform(0, 1, 40))

    def residual_and_size(t, x):
        jet = point_jet(field, x, None if equation.steady else t)
        sizes = [jnp.abs(getattr(equation, part)(jet)) for part in ("linear", "nonlinear") if equation.states(part)]
        if isinstance(equation, eqs.NavierStokes):
            sizes = [equation.viscosity * jnp.abs(jet.laplacian)]
        return equation.residual(jet), sum(sizes, 0.0 if equation.steady else jnp.abs(jet.dt))

    residual, size = jax.jit(jax.vmap(residual_and_size))(t, x)
    assert float(jnp.max(size)) > 0.1
    assert float(jnp.max(jnp.abs(residual))) <= 1e-11 * float(jnp.max(size))


@pytest.mark.usefixtures("strict_dtypes")
@pytest.mark.parametrize("name", EXACT)
def test_exact_solutions_keep_the_precision_they_are_given(name):
    equation, field, dim = EXACT[name]
    call = (lambda x: field(x)) if equation.steady else (lambda x: field(0.5, x))
    for dtype in (jnp.float32, jnp.float64):
        out = jax.eval_shape(call, jax.ShapeDtypeStruct((dim,), dtype))
        assert (out.shape, out.dtype) == ((equation.num_components,), dtype)


@pytest.mark.parametrize("name", ["cole_hopf", "three_solitons"])
def test_sums_of_exponentials_do_not_overflow_in_float32(name):
    _, field, _ = EXACT[name]
    x = jnp.linspace(-1, 1, 21)[:, None]
    single, double = (jax.jit(jax.vmap(lambda x: field(0.5, x)))(x.astype(d)) for d in (jnp.float32, jnp.float64))
    np.testing.assert_allclose(single, double, atol=2e-4)


def test_cole_hopf_has_the_published_shock():
    """Basdevant et al. (1986), table 1: max |u_x(t, 0)| = 152.00516 at πt = 1.603688."""
    slope = jax.vmap(lambda t: jax.jacfwd(eqs.ColeHopf(), 1)(t, jnp.zeros(1))[0, 0])
    times = (1.603688 + jnp.linspace(-1e-3, 1e-3, 2001)) / math.pi
    slopes = jax.jit(slope)(times)
    assert abs(float(slopes[1000]) + 152.00516) < 1e-5
    assert abs(float(jnp.min(slopes)) + 152.00516) < 1e-5
    assert abs(float(times[jnp.argmin(slopes)]) * math.pi - 1.603688) < 2e-5


def test_cole_hopf_is_the_quotient_of_integrals():
    """In 30 digits, by Gauss–Legendre on short panels: before, in, beside and after the shock."""

    def exact(t, x):
        nu = mpmath.mpf(1) / (100 * mpmath.pi)
        weight = lambda eta: mpmath.exp(-mpmath.cospi(x - eta) / (2 * mpmath.pi * nu) - eta**2 / (4 * nu * t))
        panels = [mpmath.mpf(k) / 20 for k in range(-30, 31)]
        total = mpmath.quad(weight, panels, maxdegree=4)
        return -mpmath.quad(lambda eta: mpmath.sinpi(x - eta) * weight(eta), panels, maxdegree=4) / total

    for t, x in [(0.25, 0.1), (0.5, 0.004), (0.75, -0.02), (1.0, 0.9)]:
        with mpmath.workdps(30):
            expected = float(exact(mpmath.mpf(t), mpmath.mpf(x)))
        assert abs(float(eqs.ColeHopf()(t, jnp.array([x]))[0]) - expected) < 1e-13


def test_cole_hopf_starts_at_its_initial_value_and_keeps_its_zeros():
    nu, x = eqs.Burgers().viscosity, jnp.linspace(-1.0, 1.0, 21)[:, None]
    residual = jax.vmap(lambda x: eqs.Burgers().residual(point_jet(eqs.ColeHopf(), x, 0.0)))
    np.testing.assert_allclose(jax.jit(residual)(x), 0, atol=1e-13)
    values = jax.jit(jax.vmap(lambda t: jax.vmap(lambda x: eqs.ColeHopf()(t, x))(x)))(jnp.array([0, 1e-12, 0.3, 1.0]))
    np.testing.assert_allclose(values[0], -jnp.sin(jnp.pi * x), atol=1e-14)
    np.testing.assert_allclose(values[:, np.array([0, 10, 20])], 0, atol=1e-12)
    slope = jax.jit(jax.grad(lambda nu: eqs.ColeHopf(nu)(0.3, jnp.array([0.2]))[0]))(jnp.array(nu))
    assert bool(jnp.isfinite(slope))


def test_cole_hopf_is_converged_in_its_nodes():
    t, x = jnp.linspace(0.0, 1.0, 21), jnp.linspace(-0.05, 0.05, 11)[:, None]
    values = lambda u: jax.jit(jax.vmap(lambda t: jax.vmap(lambda x: u(t, x))(x)))(t)
    np.testing.assert_allclose(values(eqs.ColeHopf()), values(eqs.ColeHopf(num_nodes=600)), atol=1e-13)


def test_a_single_soliton_and_well_separated_ones():
    x = jnp.linspace(-3.0, 3.0, 61)[:, None]
    on_grid = lambda u, t: jax.jit(jax.vmap(lambda x: u(t, x)))(x)
    alone = eqs.Soliton(NORMAL, 3.0, 0.3)
    np.testing.assert_allclose(on_grid(alone, 0.1), on_grid(eqs.Solitons(NORMAL, 3.0, 0.3), 0.1), atol=1e-13)
    pair = eqs.Solitons(CHAIN, (0.5, 0.3), (-2.0, 1.0))
    first = on_grid(pair, 0.0)[:30]  # the faster one is behind, and starts undisturbed where it was put
    np.testing.assert_allclose(first, on_grid(eqs.Soliton(CHAIN, 0.5, -2.0), 0.0)[:30], atol=1e-6)


def test_initial_values_and_conserved_mass_of_simple_solutions():
    x = jnp.linspace(-8.0, 8.0, 2001)
    pulse = eqs.MovingGaussian(eqs.AdvectionDiffusion(1.5, 0.2), 0.0, 0.4)
    masses = [jnp.sum(jax.vmap(lambda x, t=t: pulse(t, x[None]))(x)) for t in (0.0, 1.0)]
    np.testing.assert_allclose(masses[0], masses[1], rtol=1e-12)
    front = eqs.BurgersFront(0.01, 0.4, 0.8)
    np.testing.assert_allclose(front(2.0, jnp.array([-3.0])), 1.2)
    np.testing.assert_allclose(front(2.0, jnp.array([3.0])), -0.4)
    standing = eqs.StandingWave(eqs.Wave(2.0), math.pi)
    np.testing.assert_allclose(standing(0.0, jnp.array([0.5])), [1.0, 0.0], atol=1e-15)
