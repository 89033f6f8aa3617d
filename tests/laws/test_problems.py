"""Problems: one object goes unchanged into a classical solver and into a PINN, and its computed truth has converged."""

import warnings
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lagrangian_ml import fit, load_problem, pinn, rollout
from lagrangian_ml.core import Grid, Point
from lagrangian_ml.domains import collocation
from lagrangian_ml.equations import at_points
from lagrangian_ml.fields import MLP
from lagrangian_ml.methods.pinn import PINN
from lagrangian_ml.metrics import relative_l2
from lagrangian_ml.problems import problem_names
from lagrangian_ml.problems.spectral_reference import SpectralReference
from lagrangian_ml.solvers import ETDRK

problem_of = cache(load_problem)  # its computed truth is kept

SOLVED = {  # name: (grid points, steps, kept part of the modes, largest error, largest residual)
    "burgers": (2048, 2000, 2 / 3, 1e-7, 1e-5),
    "allen_cahn": (1024, 500, 1.0, 2e-5, 1e-4),
    "kdv": (256, 2000, 2 / 3, 1e-6, 1e-4),
}


class Interpolated:
    """The field of frames (f, *s) on a line: trigonometric in x, a polynomial of degree f − 1 in t."""

    def __init__(self, grid, times, frames):
        self.times, self.lower, self.k = (
            times,
            grid.lower[0],
            2 * jnp.pi / grid.lengths[0] * jnp.arange(grid.shape[0] // 2 + 1),
        )
        twice = jnp.where(self.k == 0, 1.0, 2.0).at[-1].set(1.0)
        self.modes = twice[None] * jnp.fft.rfft(frames) / grid.shape[0]

    def __call__(self, t, x):
        gaps = self.times[:, None] - self.times[None]
        factors = jnp.where(gaps == 0, 1.0, (t - self.times[None]) / jnp.where(gaps == 0, 1.0, gaps))
        weights, phase = jnp.prod(factors, axis=1), self.k * (x[0] - self.lower)
        return (weights @ (self.modes.real @ jnp.cos(phase) - self.modes.imag @ jnp.sin(phase)))[None]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "burgers")) for n in SOLVED])
def test_one_problem_is_solved_by_a_solver_and_judged_by_a_pinn(name):
    problem, (n, num_steps, dealias, error, defect) = problem_of(name), SOLVED[name]
    grid = Grid((n,), *problem.domain.bounds)
    stepper = ETDRK(problem.equation, grid, problem.horizon / num_steps, dealias=dealias)
    solve = jax.jit(lambda state: rollout(stepper, state, num_steps, save=lambda s: (s.t, stepper.values(s)[0])))
    times, u = (a[-5:] for a in solve(stepper.init(problem.initial)))
    assert np.max(np.abs(u[-1] - truth_at_the_end(problem, grid))) < error

    task = pinn(problem, source=lambda problem: collocation(problem, num_points=16), key=jax.random.key(0))
    solved, residual = PINN(Interpolated(grid, times, u), problem.equation), task.objective["equation"].fn
    x = problem.domain.sample(32, key=jax.random.key(1))
    t = jnp.full(32, times[2])
    of = lambda model: jax.jit(jax.vmap(lambda t, x: residual(model, Point(x, t))))(t, x)
    assert np.max(np.abs(of(solved))) < defect < 1e-2 * np.max(np.abs(of(task.model)))


def truth_at_the_end(problem, grid):
    """u (n,) at the horizon on the grid, or on those of its points that the reference stores (then interpolated)."""
    if callable(problem.reference):
        return jax.jit(lambda: at_points(lambda x: problem.reference(problem.horizon, x), grid.points)[0])()
    samples = problem.reference.samples()
    last = samples.u.reshape(samples.grid)[-1]
    modes = jnp.fft.rfft(last) * grid.shape[0] / last.size
    return jnp.fft.irfft(modes, grid.shape[0])


FILES = {"kdv": 1e-9, "allen_cahn": 2e-5}  # the latter has 512 modes: at the kink of u₀ 1e-3 off at first, later 1e-6


@pytest.mark.parametrize("name", FILES)
def test_a_computed_truth_agrees_with_that_of_others(name, reference_file):
    data, samples = np.load(reference_file(f"{name}.npz"), allow_pickle=False), problem_of(name).reference.samples()
    ours = np.asarray(samples.u).reshape(samples.grid)
    every = [(len(data[axis]) - (axis == "t")) // (size - (axis == "t")) for axis, size in zip("tx", ours.shape)]
    theirs = data["u"][:: every[0], :: every[1]]
    x, t = data["x"][:: every[1]], data["t"][:: every[0]]
    np.testing.assert_allclose(samples.point.x.reshape(ours.shape), np.broadcast_to(x[None], ours.shape), atol=1e-12)
    np.testing.assert_allclose(samples.point.t.reshape(ours.shape), np.broadcast_to(t[:, None], ours.shape), atol=1e-12)
    assert float(relative_l2(ours, theirs)) < FILES[name]


COMPUTED = [name for name in problem_names() if hasattr(load_problem(name).reference, "samples")]


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "swirl")) for n in COMPUTED])
def test_a_computed_truth_has_converged(name):
    """The reference warns unless it agrees with one of half its points and half its steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples = problem_of(name).reference.samples()
    assert bool(jnp.all(jnp.isfinite(samples.u))) and samples.u.shape[0] == np.prod(samples.grid)


def test_the_steps_of_a_computed_truth_follow_the_horizon():
    short, whole = (load_problem("kdv", horizon=horizon).reference for horizon in (0.2, 0.4))
    np.testing.assert_allclose(last(short), half_way(whole), atol=1e-12)


def last(reference):
    samples = reference.samples()
    return samples.u.reshape(samples.grid)[-1]


def half_way(reference):
    samples = reference.samples()
    return samples.u.reshape(samples.grid)[samples.grid[0] // 2]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("resolution", "steps"), [(48, 1000), (256, 50)])
def test_a_truth_that_is_too_coarse_says_so(resolution, steps, stride):
    problem = load_problem("kdv", horizon=0.5)
    reference = SpectralReference(problem, resolution, steps, num_times=10, stride=stride)
    with pytest.warns(UserWarning, match=f"resolution={resolution}"):
        reference.samples()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reference.samples()


def test_impossible_references_are_refused():
    problem = load_problem("kdv")
    for settings, culprit in [((511, 10), "resolution=511"), ((64, 0), "steps_per_time=0"), ((64, 10, 5, 0), "stride")]:
        with pytest.raises(ValueError, match=culprit):
            SpectralReference(problem, *settings)
    with pytest.raises(ValueError, match="steady"):
        SpectralReference(load_problem("poisson"), 64, 10)
    with pytest.raises(ValueError, match="Did you mean 'burgers'"):
        load_problem("burger")


@pytest.mark.usefixtures("float32")
def test_a_pinn_is_trained_in_single_precision():
    points = lambda problem: collocation(problem, num_points=64)
    task = pinn(load_problem("heat"), partial(MLP, width=8, depth=1), points, key=jax.random.key(0))
    key = jax.random.key(1)
    result = fit(task.model, task.objective, task.source, optax.adam(1e-2), num_steps=100, key=key)
    arrays = jax.tree.leaves(eqx.filter((result.model, task.source.init(key)), eqx.is_inexact_array))
    assert {array.dtype for array in arrays} == {np.dtype("float32")}
    assert task.errors(result.model)["relative_l2"] < 0.3 * task.errors(task.model)["relative_l2"]


def test_helpers_are_no_problems():
    assert {"burgers", "kdv", "poisson"} <= set(problem_names())
    assert not {"observations", "spectral_reference"} & set(problem_names())
