"""Spectral solutions of others: exponax at the same scheme and step, and the files of published examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spectral_parts import TURN, banded, evolve, largest, line, periodic

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.metrics import relative_l2
from lagrangian_ml.solvers import ETDRK

exponax = pytest.importorskip("exponax")
stepper, reaction = exponax.stepper, exponax.stepper.reaction

# exponax keeps |m| ≤ fraction·n/2 − 1 in the nonlinear terms: our bound where 6 (for 1/2: 4) divides n, and all modes
# in the linear ones: the same for initial values within the bound. Its u·∇ω, where ours is a combination of products,
# and its vorticity of the other sign, ω = ∂y u − ∂x v, are the same Galerkin truncation of the same law. In more than
# one dimension its Kuramoto–Sivashinsky equation has Σ ∂ᵢ⁴ for Δ²: another equation than ours.
OTHERS = {  # name: (equation, theirs, its options, shape, length, dt, order, dealias, sign)
    "burgers-1": (eqs.Burgers(0.05), stepper.Burgers, {"diffusivity": 0.05}, (48,), 2.0, 2e-3, 1, 2 / 3, 1),
    "burgers-2": (eqs.Burgers(0.05), stepper.Burgers, {"diffusivity": 0.05}, (48,), 2.0, 2e-3, 2, 2 / 3, 1),
    "burgers-3": (eqs.Burgers(0.05), stepper.Burgers, {"diffusivity": 0.05}, (48,), 2.0, 2e-3, 3, 2 / 3, 1),
    "vector_burgers-2d": (
        eqs.VectorBurgers(0.05, 2),
        stepper.Burgers,
        {"diffusivity": 0.05},
        (18, 18),
        3.0,
        5e-3,
        4,
        2 / 3,
        1,
    ),
    "kuramoto_sivashinsky": (
        eqs.KuramotoSivashinsky(),
        stepper.KuramotoSivashinskyConservative,
        {},
        (48,),
        22.0,
        0.05,
        4,
        2 / 3,
        1,
    ),
    "combustion": (
        eqs.CombustionKuramotoSivashinsky(),
        stepper.KuramotoSivashinsky,
        {},
        (48,),
        22.0,
        0.05,
        4,
        2 / 3,
        1,
    ),
    "fisher_kpp-2d": (
        eqs.FisherKPP(0.1, 2.0),
        reaction.FisherKPP,
        {"diffusivity": 0.1, "reactivity": 2.0},
        (18, 18),
        TURN,
        0.02,
        4,
        2 / 3,
        1,
    ),
    "allen_cahn": (
        eqs.AllenCahn(0.1, 2.0),
        reaction.AllenCahn,
        {"diffusivity": 0.1, "first_order_coefficient": 2.0, "third_order_coefficient": -2.0},
        (32,),
        TURN,
        0.02,
        4,
        0.5,
        1,
    ),
    "swift_hohenberg-2d": (eqs.SwiftHohenberg(), reaction.SwiftHohenberg, {}, (16, 16), TURN, 0.02, 4, 0.5, 1),
    "cahn_hilliard-2d": (
        eqs.CahnHilliard(0.05, 0.3),
        reaction.CahnHilliard,
        {"diffusivity": 0.3, "gamma": 0.05},
        (16, 16),
        TURN,
        0.01,
        4,
        0.5,
        1,
    ),
    "vorticity-2d": (
        eqs.VorticityNavierStokes(0.02, 0.1),
        stepper.NavierStokesVorticity,
        {"diffusivity": 0.02, "drag": -0.1},
        (24, 24),
        TURN,
        0.01,
        4,
        2 / 3,
        -1,
    ),
    "velocity-3d": (
        eqs.VelocityNavierStokes(0.02),
        stepper.NavierStokesVelocity,
        {"diffusivity": 0.02},
        (12, 12, 12),
        TURN,
        0.01,
        4,
        2 / 3,
        1,
    ),
}


def theirs_after(make, options, grid, dt, num_steps, order, dealias, start):
    with jax.numpy_rank_promotion("allow"):
        step = make(grid.dim, grid.lengths[0], grid.shape[0], dt, order=order, dealiasing_fraction=dealias, **options)
        return jax.jit(exponax.repeat(step, num_steps))(start)


SLOW = {"velocity-3d", "vorticity-2d", "vector_burgers-2d"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in OTHERS])
def test_exponax_takes_the_same_steps(name):
    equation, make, options, shape, length, dt, order, dealias, sign = OTHERS[name]
    grid = periodic(*shape, length=length)
    start = banded(grid, equation.num_components)
    if name == "fisher_kpp-2d":  # negative values would run away
        start = 0.5 + 0.2 * start
    if name == "velocity-3d":
        x, y, z = grid.points
        start = jnp.stack([jnp.sin(y), 0.3 + jnp.sin(z + x), jnp.sin(y)])
    ours = evolve(equation, grid, start, 20 * dt, 20, order=order, dealias=dealias)[-1]
    theirs = theirs_after(make, options, grid, dt, 20, order, dealias, sign * start)
    if name == "combustion":  # theirs drops the mean of |∇φ|², by which φ falls
        ours, theirs = (u - jnp.mean(u) for u in (ours, theirs))
    assert largest(ours - start) > 0.03
    np.testing.assert_allclose(ours, sign * theirs, atol=1e-10)


def test_the_sign_of_the_vorticity_of_exponax_matters():
    equation, make, options, shape, length, dt, order, dealias, _ = OTHERS["vorticity-2d"]
    grid = periodic(*shape, length=length)
    ours = evolve(equation, grid, banded(grid), 20 * dt, 20)[-1]
    assert largest(ours - theirs_after(make, options, grid, dt, 20, order, dealias, banded(grid))) > 0.01


def test_exponax_feeds_gray_scott_explicitly():
    """Ours takes the feed and the decay exactly, theirs as nonlinear terms: both converge to one solution."""
    grid, rates = periodic(16, 16, length=2.0), {"diffusivity_1": 2e-2, "diffusivity_2": 1e-2}
    start = 0.5 + 0.2 * banded(grid, 2)
    ours, theirs = [], []
    for n in (10, 20):
        ours.append(evolve(eqs.GrayScott((2e-2, 1e-2), 0.4, 0.6), grid, start, 1.0, n, dealias=0.5)[-1])
        options = {**rates, "feed_rate": 0.4, "kill_rate": 0.6}
        theirs.append(theirs_after(reaction.GrayScott, options, grid, 1.0 / n, n, 4, 0.5, start))
    coarse, fine = (largest(a - b) for a, b in zip(ours, theirs))
    assert fine < 1e-7 and 3.8 < np.log2(coarse / fine) < 4.3


def test_exponax_solves_korteweg_de_vries_to_first_order():
    """It takes the real part of the weights, which are complex for odd derivatives: its error halves with dt."""
    grid, equation = periodic(96, length=20.0), eqs.KortewegDeVries(1.0, 6.0, 0.01)
    ours = evolve(equation, grid, banded(grid), 0.1, 200)[-1]
    options = {"convection_scale": 6.0, "dispersivity": 1.0, "hyper_diffusivity": 0.01, "conservative": True}
    of = lambda n: theirs_after(stepper.KortewegDeVries, options, grid, 0.1 / n, n, 4, 2 / 3, banded(grid))
    coarse, fine = (largest(of(n) - ours) for n in (200, 400))
    assert fine < 1e-2 and 1.9 < coarse / fine < 2.1


def test_the_file_of_korteweg_and_de_vries(reference_file):
    data = np.load(reference_file("kdv.npz"), allow_pickle=False)
    u = evolve(eqs.KortewegDeVries(), line(512), lambda x: jnp.cos(jnp.pi * x), 1.0, 4000, 200)[:, 0]
    np.testing.assert_allclose(line(512).points[0], data["x"].ravel(), atol=1e-12)
    assert float(relative_l2(u, data["u"][1:])) < 1e-10


def test_the_file_of_burgers(reference_file):
    """Its 256 points, both ends of them, lie on a grid of 2040; its 100 times end at 0.99."""
    data = np.load(reference_file("burgers_shock.npz"), allow_pickle=False)
    u = evolve(eqs.Burgers(), line(2040), lambda x: -jnp.sin(jnp.pi * x), 0.99, 7920, 99, dealias=1.0)[:, 0, ::8]
    np.testing.assert_allclose(line(2040).points[0, ::8], data["x"].ravel()[:-1], atol=1e-12)
    assert float(relative_l2(u, data["u"][1:, :-1])) < 1e-11


@pytest.mark.slow
def test_the_file_of_allen_and_cahn_is_that_of_512_modes_with_aliases(reference_file):
    """u₀ has a kink at x = ±1. Our finer solutions converge, also to that of cosines between walls; the file is off."""
    theirs = np.load(reference_file("allen_cahn.npz"), allow_pickle=False)["u"][1:]
    initial, equation = lambda x: x**2 * jnp.cos(jnp.pi * x), eqs.AllenCahn()
    of = lambda n, dealias: evolve(equation, line(n), initial, 1.0, 1000, 200, dealias=dealias)[:, 0, :: n // 512]
    difference = lambda a, b: float(relative_l2(a, b))
    assert difference(of(512, 1.0), theirs) < 1e-10

    coarse, middle, fine = (of(n, 0.5) for n in (1024, 2048, 4096))
    half = Grid((2048,), (0.0,), (1.0,), centred=True)
    step = ETDRK(equation, half, 1e-3, dealias=0.5, walls="neumann")
    run = jax.jit(lambda s: rollout(step, s, 1000, save_every=5, save=lambda s: s.modes[0]))
    m, x = step.basis.mode_numbers[0], np.abs(line(512).axis(0))
    cosines = np.where(m == 0, 0.5, 1.0)[:, None] / 2048 * np.cos(np.pi * np.outer(m, x))
    walled = run(step.init(initial)) @ cosines

    assert difference(theirs, fine) > 1e-5
    assert difference(middle, fine) < 0.3 * difference(coarse, middle) < 0.1 * difference(theirs, fine)
    assert difference(walled, fine) < 0.05 * difference(theirs, fine)
    assert difference(walled[-1], fine[-1]) < 1e-9 < 0.01 * difference(theirs[-1], fine[-1])
