"""Laws of the stencil jet: its order of accuracy, alone and through every equation, walls, and conservation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Grid, RobinWall, ValueWall
from lagrangian_ml.jets import SpectralJet, StencilJet

LOWER, UPPER = (-1.0, 0.0, 0.5), (1.0, 3.0, 2.0)


def smooth(num_components, dim):
    """A field of first modes along the axes and the diagonal, periodic on the box [LOWER, UPPER], from 0.4 to 1.6."""
    wave = 2 * np.pi / np.subtract(UPPER[:dim], LOWER[:dim])
    rows = jnp.asarray(np.stack([wave, wave * (-1.0) ** np.arange(dim), wave * (np.arange(dim) == 0)]))
    phases = jnp.arange(3.0 * num_components).reshape(num_components, 3)
    return lambda x: 1 + 0.2 * jnp.sum(jnp.cos((rows @ x)[None] + phases), axis=1)


def observed_orders(of_jet, num_components, dim, order, sizes, centred=False):
    """log₂ of the ratio of the errors on two grids, for each array of `of_jet(jet)`; spectral jets are exact."""
    errors = []
    for n in sizes:
        grid = Grid((n,) * dim, LOWER[:dim], UPPER[:dim], centred)
        values = eqs.at_points(smooth(num_components, dim), grid.points)

        @jax.jit
        def largest(u, grid=grid):
            stencil, spectral = of_jet(StencilJet(u, grid, t=0.7, order=order)), of_jet(SpectralJet(u, grid, t=0.7))
            return jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - b)), stencil, spectral)

        errors.append(largest(values))
    return jax.tree.map(lambda coarse, fine: math.log2(coarse / fine), *errors)


def swirling_flux(u):
    """A flux that reads u, x and t; it is periodic on the first axis."""
    swirl = jnp.stack([jnp.cos(math.pi * u.x[0] + i) for i in range(u.x.shape[0])])
    return u.t * u.value[:, None] ** 2 * swirl[None]


def parts(jet):
    last = jet.x.shape[0] - 1
    return {
        "gradient": jet.gradient,
        "laplacian": jet.laplacian,
        "third": jet.d(0, 0, 0),
        "fourth": jet.d(last, last, last, last),
        "mixed": jet.d(0, last, 0, last),
        "divergence": jet.divergence(swirling_flux),
        "of": jet.of(lambda u: u.value**2).laplacian,
    }


@pytest.mark.parametrize("dim, order, centred", [(1, 2, False), (1, 4, False), (2, 4, True)])
def test_every_derivative_has_the_order(dim, order, centred):
    orders = observed_orders(parts, 2, dim, order, (24, 48), centred)
    assert all(abs(observed - order) < 0.1 for observed in orders.values()), orders


def test_three_dimensions():
    observed = observed_orders(lambda jet: jet.d(0, 1, 2) + jet.laplacian, 1, 3, 4, (16, 32), centred=True)
    assert abs(observed - 4) < 0.2


EQUATIONS = {  # name: (equation, dimension)
    "advection_diffusion": (eqs.AdvectionDiffusion(0.7, 0.3), 1),
    "allen_cahn": (eqs.AllenCahn(0.1, 2.0), 1),
    "burgers": (eqs.Burgers(0.05), 1),
    "cahn_hilliard": (eqs.CahnHilliard(0.1, 0.7), 2),
    "diffusion_reaction": (eqs.DiffusionReaction((0.1, 0.2), 0.05), 1),
    "diffusion_sorption": (eqs.DiffusionSorption(), 1),
    "gray_scott": (eqs.GrayScott((0.2, 0.1), 0.04, 0.06), 1),
    "korteweg_de_vries": (eqs.KortewegDeVries(0.01, 6.0), 1),
    "kuramoto_sivashinsky": (eqs.KuramotoSivashinsky(), 1),
    "swift_hohenberg": (eqs.SwiftHohenberg(0.7, 1.2, 0.5, 0.8), 1),
    "vector_burgers": (eqs.VectorBurgers(0.1, 2), 2),
    "vorticity_navier_stokes": (eqs.VorticityNavierStokes(0.1, 0.2, (0.7, -1.3)), 2),
    "wave": (eqs.Wave(2.0), 1),
}


@pytest.mark.parametrize("name, order", [*((name, 4) for name in EQUATIONS), ("vector_burgers", 2)])
def test_the_rate_of_every_equation_has_the_order(name, order):
    equation, dim = EQUATIONS[name]
    observed = observed_orders(equation.rate, equation.num_components, dim, order, (24, 48))
    assert abs(observed - order) < 0.15


WALLS = {  # name: (u on [0, 1], its walls)
    "neumann": (lambda x: jnp.cos(math.pi * x), "neumann"),
    "value": (lambda x: jnp.sin(math.pi * x) + 0.3, ValueWall(0.3)),
    "robin": (lambda x: jnp.exp(x), [(RobinWall(2.0, 1.0, 1.0), RobinWall(1.0, -0.5, math.e / 2))]),
    "slope": (lambda x: x**2 / 2 - x, [(RobinWall(0.0, 2.0, 2.0), RobinWall(0.0, 1.0, 0.0))]),
}


@pytest.mark.parametrize("name", WALLS)
def test_walls_keep_the_second_order_of_the_gradient(name):
    field, walls = WALLS[name]
    errors = []
    for n in (20, 40):
        grid = Grid((n,), (0.0,), (1.0,), centred=True)
        jet = StencilJet(field(grid.points), grid, walls)
        slope = jax.vmap(jax.grad(lambda x: field(x)))(grid.points[0])
        errors.append(float(jnp.mean(jnp.abs(jet.gradient[0, 0] - slope))))
        total = grid.spacings[0] * float(
            jnp.sum(jet.divergence(lambda u: u.value[:, None]))
        )  # u(1) − u(0) by the faces
        assert abs(total - float(field(1.0) - field(0.0))) < 2.5 / n**2
    assert errors[1] < 1e-14 or math.log2(errors[0] / errors[1]) > 1.9


def test_even_reflection_keeps_the_fourth_order():
    errors = []
    for n in (16, 32):
        grid = Grid((n, n), (0.0, 0.0), (1.0, 2.0), centred=True)
        x, y = grid.points
        values = (jnp.cos(math.pi * x) * jnp.cos(math.pi * y))[None]
        laplacian = StencilJet(values, grid, "neumann", order=4).laplacian
        errors.append(float(jnp.max(jnp.abs(laplacian + 2 * math.pi**2 * values))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("order", [2, 4])
def test_fluxes_and_diffusion_are_conservative(order):
    rough = jax.random.normal(jax.random.key(3), (2, 12, 15))
    grid = Grid((12, 15), (0.0, 0.0), (1.0, 1.0), centred=True)
    jet = StencilJet(rough, grid, "periodic", 0.3, order)
    for part in (jet.divergence(lambda u: jnp.stack([u.value**3, jnp.sin(u.value)], axis=1)), jet.laplacian):
        assert float(jnp.max(jnp.abs(jnp.sum(part, axis=(1, 2))))) < 1e-13 * float(jnp.sum(jnp.abs(part)))
    diffusion = StencilJet(rough, grid, ["neumann", "periodic"], order=order).laplacian
    assert float(jnp.max(jnp.abs(jnp.sum(diffusion, axis=(1, 2))))) < 1e-13 * float(jnp.sum(jnp.abs(diffusion)))


@pytest.mark.parametrize("walls", ["periodic", "neumann", ["neumann", "periodic"]])
@pytest.mark.parametrize("order", [2, 4])
def test_inverse_laplacian_undoes_the_laplacian(order, walls):
    grid = Grid((12, 15), (0.0, 0.0), (1.0, 2.0), centred=True)
    rough = jax.random.normal(jax.random.key(3), (2, 12, 15))
    rough = rough - jnp.mean(rough, axis=(1, 2), keepdims=True)
    jet = StencilJet(rough, grid, walls, order=order).inverse_laplacian
    np.testing.assert_allclose(jet.laplacian, rough, atol=1e-12)
    np.testing.assert_allclose(jnp.mean(jet.value, axis=(1, 2)), 0, atol=1e-15)


@pytest.mark.usefixtures("float32", "strict_dtypes")
def test_single_precision_is_kept():
    grid = Grid((12, 12), (0.0, 0.0), (1.0, 1.0), centred=True)
    jet = StencilJet(jnp.ones((1, 12, 12)), grid, ["neumann", ValueWall(1.0)], order=4)
    flux = jet.divergence(lambda u: jnp.stack([u.value, u.value], axis=1))
    assert {a.dtype for a in (jet.gradient, jet.laplacian, jet.d(0, 1), flux)} == {jnp.float32.dtype}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda u, grid: StencilJet(u[:, :-1], grid), "grid's shape"),
        (lambda u, grid: StencilJet(u, Grid((8,), (0.0,), (1.0,)), "neumann"), "centred=True"),
        (lambda u, grid: StencilJet(u, grid, order=3), "choose 2 or 4"),
        (lambda u, grid: StencilJet(u, grid, ValueWall(0.0)).inverse_laplacian, "neumann"),
        (lambda u, grid: StencilJet(u, grid, ValueWall(0.0)).of(lambda jet: jet.value), "u alone"),
        (lambda u, grid: StencilJet(u, grid).dt, "no `dt`"),
        (lambda u, grid: StencilJet(u, grid, "reflecting").laplacian, "reflecting"),
    ],
)
def test_what_a_stencil_cannot_do_is_an_error(build, message):
    with pytest.raises(ValueError, match=message):
        build(jnp.ones((1, 8)), Grid((8,), (0.0,), (1.0,), centred=True))
