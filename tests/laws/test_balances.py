"""Laws of what solutions keep and lose: mass, momentum, energy, enstrophy. An equation joins by a line in BALANCES.

A quantity Q obeys dQ/dt = −loss, with loss 0 if it is kept; Q(0) − Q(T) is compared with ∫ loss dt over the frames of
a solver. In a Galerkin truncation such laws hold exactly, with the rates projected on the kept modes.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spectral_parts import TURN, banded, evolve, largest, line, periodic

from lagrangian_ml import equations as eqs
from lagrangian_ml.core import Grid
from lagrangian_ml.jets import SpectralJet
from lagrangian_ml.linalg import make_transform


def kept(jet, values):
    """The jet of the part of some values that the modes of `jet` can hold."""
    return SpectralJet.from_modes(jet.basis.to_modes(values), jet.grid, jet.basis)


def lost_as_it_falls(equation, u):
    """⟨u_t²⟩, by which a gradient flow loses its energy."""
    return kept(u, equation.rate(u)).value ** 2


# Each returns pairs of densities (Q, loss), whose sums over the components and directions are averaged over the grid.


def burgers(equation, u):
    return ((u.value**2 / 2, equation.viscosity * u.d(0) ** 2),)


def korteweg_de_vries(equation, u):
    energy = equation.dispersion * u.d(0) ** 2 / 2 - equation.steepening * u.value**3 / 6
    return (u.value**2, 0.0), (energy, 0.0)


def kuramoto_sivashinsky(equation, u):
    return ((u.value**2 / 2, u.laplacian**2 - u.d(0) ** 2),)


def allen_cahn(equation, u):
    wells = equation.reaction * (u.value**2 - 1) ** 2 / 4
    return ((wells[:, None] / u.grid.dim + equation.diffusivity * u.gradient**2 / 2, lost_as_it_falls(equation, u)),)


def cahn_hilliard(equation, u):
    wells = (u.value**2 - 1) ** 2 / 4
    energy = wells[:, None] / u.grid.dim + equation.gradient_energy * u.gradient**2 / 2
    potential = kept(u, u.value**3 - u.value - equation.gradient_energy * u.laplacian)
    return ((energy, equation.mobility * potential.gradient**2),)


def swift_hohenberg(equation, u):
    bent = equation.wavenumber**2 * u.value + u.laplacian
    powers = equation.growth * u.value**2 / 2 + equation.quadratic * u.value**3 / 3 - equation.cubic * u.value**4 / 4
    return ((bent**2 / 2 - powers, lost_as_it_falls(equation, u)),)


def schroedinger(equation, u):
    mass, (a, b) = jnp.sum(u.value**2, axis=0), u.value
    slope = u.d(0)
    energy = equation.dispersion * jnp.sum(u.gradient**2, axis=(0, 1)) - equation.focusing * mass**2 / 2
    return (mass, 0.0), (a * slope[1] - b * slope[0], 0.0), (energy, 0.0)


def wave(equation, u):
    return ((u.value[1] ** 2 + equation.speed**2 * jnp.sum(u.gradient[0] ** 2, axis=0), 0.0),)


def vorticity(equation, omega):
    nu, velocity = equation.viscosity, equation.velocity(omega)
    return (velocity**2 / 2, nu * omega.value**2), (omega.value**2 / 2, nu * omega.gradient**2)


def velocity(equation, u):
    return ((u.value**2 / 2, equation.viscosity * u.gradient**2),)


def solenoidal(grid):
    """A velocity (3, *s) free of divergence, with a mean flow."""
    g = SpectralJet(banded(grid, 3, 1), grid).gradient  # (c, d, *s)
    turn = jnp.stack([g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]])
    return turn + jnp.asarray([0.7, -0.4, 0.3]).reshape(3, 1, 1, 1)


LINE, LONG, PLANE, SPACE = line(48), periodic(48, length=22.0), periodic(24, 24), periodic(12, 12, 12)
WIDE = periodic(24, 24, length=3 * TURN)
BOX = Grid((16, 20), (0.0, 0.0), (TURN / 2, TURN), centred=True)
COSINES = 0.2 + 0.5 * jnp.cos(2 * BOX.points[:1]) * jnp.cos(BOX.points[1:]) + 0.2 * jnp.cos(BOX.points[1:])
SCHROEDINGER = eqs.NonlinearSchroedinger(0.05, 1.0)
BALANCES = {  # name: (equation, its budgets, grid, initial values, whether the mean is kept, horizon, steps, options)
    "burgers": (eqs.Burgers(0.1), burgers, LINE, 0.3 + banded(LINE), True, 0.2, 400, {}),
    "korteweg_de_vries": (
        eqs.KortewegDeVries(),
        korteweg_de_vries,
        LINE,
        0.5 + banded(LINE, bound=2),
        True,
        0.2,
        800,
        {},
    ),
    "kuramoto_sivashinsky": (eqs.KuramotoSivashinsky(), kuramoto_sivashinsky, LONG, banded(LONG), True, 1.0, 400, {}),
    "allen_cahn": (eqs.AllenCahn(0.1, 2.0), allen_cahn, PLANE, banded(PLANE), False, 0.4, 400, {"dealias": 0.5}),
    "cahn_hilliard": (eqs.CahnHilliard(0.1), cahn_hilliard, PLANE, banded(PLANE), True, 0.04, 400, {"dealias": 0.5}),
    "cahn_hilliard-neumann": (
        eqs.CahnHilliard(0.1),
        cahn_hilliard,
        BOX,
        COSINES,
        True,
        0.1,
        400,
        {"dealias": 0.5, "walls": "neumann"},
    ),
    "swift_hohenberg": (
        eqs.SwiftHohenberg(),
        swift_hohenberg,
        WIDE,
        banded(WIDE),
        False,
        0.4,
        400,
        {"dealias": 0.5},
    ),
    "nonlinear_schroedinger": (
        SCHROEDINGER,
        schroedinger,
        LINE,
        banded(LINE, 2, 2),
        False,
        0.4,
        800,
        {"dealias": 0.5},
    ),
    "wave": (eqs.Wave(2.0), wave, PLANE, banded(PLANE, 2), False, 1.0, 80, {}),
    "vorticity": (
        eqs.VorticityNavierStokes(0.02, mean_flow=(0.7, -0.4)),
        vorticity,
        PLANE,
        3 * banded(PLANE),
        True,
        0.4,
        160,
        {},
    ),
    "velocity": (eqs.VelocityNavierStokes(0.02), velocity, SPACE, solenoidal(SPACE), True, 0.4, 80, {}),
}


@pytest.mark.parametrize("name", BALANCES)
def test_what_is_lost_is_what_the_budget_says(name):
    equation, budgets, grid, initial, keeps_mean, horizon, steps, options = BALANCES[name]
    solver = {"dealias": 1.0 if name == "wave" else 2 / 3, "walls": "periodic"} | options
    basis = make_transform(grid.shape, solver["dealias"], walls=solver["walls"])
    frames = evolve(equation, grid, initial, horizon, steps, 80, **options)
    frames = jnp.concatenate([initial[None], frames])

    @jax.jit
    @jax.vmap
    def followed(values):
        pairs = budgets(equation, SpectralJet(values, grid, basis=basis))
        return jax.tree.map(lambda density: jnp.sum(density) / math.prod(grid.shape), pairs)

    weights = np.zeros(81)  # of Boole's rule
    for i in range(0, 80, 4):
        weights[i : i + 5] += np.array([7, 32, 12, 32, 7]) * 2 / 45 * horizon / 80
    for amount, loss in followed(frames):
        lost, size = float(weights @ loss), float(jnp.max(jnp.abs(amount)))
        assert lost == 0 or abs(lost) > 5e-3 * size
        assert abs(float(amount[0] - amount[-1]) - lost) <= 1e-9 * size
    means = jnp.mean(frames, axis=range(2, frames.ndim))
    assert not keeps_mean or largest(means - means[:1]) < 1e-13
    assert largest(frames[-1] - initial) > 0.05
