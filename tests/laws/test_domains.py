"""Laws of domains, boundaries, point sets, sources and random fields."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy import stats

from lagrangian_ml.core import Equation, Jet, Point, Problem, Samples, Term, loss
from lagrangian_ml.domains import (
    ArraySource,
    Ball,
    Box,
    Dirichlet,
    JoinedSource,
    Periodic,
    PowerLaw,
    ResidualAdaptive,
    ResidualAttention,
    RetainResampleRelease,
    Robin,
    Union,
    boundary_residual,
    collocation,
    gaussian_random_field,
    interval,
    unit_points,
)
from lagrangian_ml.domains.sobol import direction_numbers, sobol_integers

pytestmark = pytest.mark.usefixtures("strict_dtypes")
KEY = jax.random.key(0)
L_SHAPE = Union([Box([0.0, 0.0], [2.0, 1.0]), Box([0.0, 0.0], [1.0, 2.0])])  # with edges in common
DOMAINS = {
    "interval": (interval(-1, 1), 2.0, 2.0),
    "box": (Box([-1.0, 0.0, 0.0], [1.0, 1.0, 3.0]), 6.0, 22.0),
    "ball1": (Ball([1.0], 2.0), 4.0, 2.0),
    "ball3": (Ball([0.0, 1.0, 0.0], 2.0), 32 * np.pi / 3, 16 * np.pi),
    "union": (L_SHAPE, 3.0, 8.0),
    "union_of_union": (Union([L_SHAPE, Ball([1.0, 1.0], 0.5)]), 3 + np.pi / 16, 7 + np.pi / 4),
}


@pytest.mark.parametrize("name, law", [*((name, "sobol") for name in DOMAINS), ("box", "uniform")])
def test_points_lie_in_the_domain_and_are_uniform(name, law):
    domain, volume, area = DOMAINS[name]
    x = jax.jit(lambda key: domain.sample(2048, key=key, law=law))(KEY)
    assert x.shape == (2048, domain.dim) and bool(jnp.all(jax.jit(jax.vmap(domain.contains))(x)))
    lower, upper = (np.asarray(corner) for corner in domain.bounds)
    rest = np.random.default_rng(0).uniform(lower, upper, (20000, domain.dim)).astype(x.dtype)
    inside = rest[np.asarray(jax.jit(jax.vmap(domain.contains))(jnp.asarray(rest)))]
    assert np.prod(upper - lower) * len(inside) / 20000 == pytest.approx(volume, rel=0.03)
    np.testing.assert_allclose(x.mean(0), inside.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(x.T), np.cov(inside.T), atol=0.1)


def test_points_of_a_ball_may_be_uniform_in_radius():
    ball = Ball([1.0] * 400, 2.0, uniform="radius")
    assert ball.best_law == "uniform" and 0 < ball.measure < 1e-100
    radius = jnp.linalg.norm(ball.sample(2000, key=KEY, law="uniform") - 1, axis=1)
    assert stats.kstest(np.asarray(radius) / 2, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", DOMAINS)
def test_boundary_separates_inside_from_outside(name):
    domain, _, area = DOMAINS[name]
    x, normal = domain.boundary.sample(512, key=KEY, law="sobol")
    np.testing.assert_allclose(jnp.linalg.norm(normal, axis=1), 1.0, rtol=1e-5)
    contains = jax.jit(jax.vmap(domain.contains))
    assert bool(jnp.all(contains(x - 1e-3 * normal))) and not bool(jnp.any(contains(x + 1e-3 * normal)))
    if not name.startswith("union"):
        assert domain.boundary.measure == pytest.approx(area)
        distance = jax.jit(jax.vmap(domain.boundary.distance))
        np.testing.assert_allclose(distance(x), 0.0, atol=1e-5)
        assert bool(jnp.all(distance(x - 1e-3 * normal) > 0))


def test_union_boundary_is_uniform_along_shared_edges():
    x, _ = L_SHAPE.boundary.sample(4096, key=KEY)  # perimeter 8; the bottom edge is 2 long, the notch 1 + 1
    assert float(jnp.mean(x[:, 1] == 0)) == pytest.approx(2 / 8, abs=0.03)
    assert float(jnp.mean((x[:, 0] >= 1) & (x[:, 1] >= 1))) == pytest.approx(2 / 8, abs=0.03)


def test_distance_is_normalised():
    box = Box([0.0], [0.5])
    assert float(jax.grad(box.boundary.distance)(jnp.array([0.0]))[0]) == pytest.approx(1.0)
    assert float(jax.grad(box.face(0, "upper").distance)(jnp.array([0.5]))[0]) == pytest.approx(-1.0)


def test_sobol_is_the_published_sequence():
    with pytest.warns(UserWarning):
        published = stats.qmc.Sobol(12, scramble=False, bits=32).random(1000)
    integers = sobol_integers(1000, jnp.asarray(direction_numbers(12)))
    np.testing.assert_array_equal(integers, (published * 2.0**32).astype(np.uint64))


def test_scrambled_sobol_keeps_the_net_and_is_unbiased():
    draw = jax.jit(lambda key: unit_points(64, 4, key=key))
    points = np.asarray(jax.vmap(draw)(jax.random.split(KEY, 50)))
    assert np.all(np.sort((points * 64).astype(int), axis=1) == np.arange(64)[None, :, None])  # one in every stratum
    assert 0.0 < points.min() and points.max() < 1.0
    discrepancies = [stats.qmc.discrepancy(p) for p in points]
    assert max(discrepancies) < 0.2 * stats.qmc.discrepancy(np.random.default_rng(0).random((64, 4)))
    np.testing.assert_allclose(points[:, 0].mean(0), 0.5, atol=4 * np.sqrt(1 / 12 / 50))


def test_grids_and_bad_arguments():
    assert Box([0.0, 0.0], [1.0, 2.0]).grid((2, 3)).tolist()[:3] == [[0, 0], [0, 1], [0, 2]]
    np.testing.assert_allclose(interval(0, 1).sample(4, key=KEY, law="grid")[:, 0], [0.125, 0.375, 0.625, 0.875])
    for mistake in [
        lambda: Box([0.0], [0.0]),
        lambda: Ball([0.0], 0.0),
        lambda: Ball([0.0], uniform="area"),
        lambda: Union([interval(0, 1), Ball([0.0, 0.0])]),
        lambda: interval(0, 1).face(0, "left"),
        lambda: interval(0, 1).sample(8, key=KEY, law="halton"),
        lambda: Box([0.0] * 2, [1.0] * 2).sample(8, key=KEY, law="grid"),
        lambda: Box([0.0] * 20, [1.0] * 20).sample(8, key=KEY, law="sobol"),
        lambda: L_SHAPE.boundary.distance(jnp.zeros(2)),
        lambda: ResidualAdaptive(keep=1.0),
        lambda: ResidualAttention(decay=1.0),
        lambda: ResidualAttention(potential="linear"),
        lambda: RetainResampleRelease(chunk=0),
        lambda: collocation(PROBLEM, resample_every=-1),
        lambda: collocation(Problem(Diffusion(), L_SHAPE, lambda x: x[:1], Periodic(0), 1.0)),
        lambda: collocation(Problem(Diffusion(), Ball([0.0], 1.0), lambda x: x, Periodic(0), 1.0)),
        lambda: collocation(Problem(Diffusion(), interval(0, 1), lambda x: x, Periodic(1), 1.0)),
    ]:
        with pytest.raises((ValueError, TypeCheckError)):  # the latter where annotations are checked
            mistake()


class Diffusion(Equation):
    def linear(self, jet):
        return jet.laplacian


class ParabolaJet(Jet):
    """u = x² + t at a point of one dimension."""

    def __init__(self, point):
        self.value, self.gradient = point.x**2 + point.t, 2 * point.x[None]

    def d(self, *axes):
        raise NotImplementedError

    def divergence(self, flux):
        raise NotImplementedError


SQUARE = lambda t, x: x**2 + t
CONDITIONS = (Dirichlet(interval(0, 1).face(0, "upper"), SQUARE), Robin(interval(0, 1).boundary, 1, 2), Periodic(0))
PROBLEM = Problem(Diffusion(), interval(0, 1), initial=lambda x: x, boundary=CONDITIONS, horizon=2.0)
ZERO = Term(lambda model, sample: jnp.zeros(1))
PEAK = Term(lambda model, sample: jnp.exp(-((sample.x - model) ** 2) / 0.01))


def test_collocation_draws_what_the_objective_names_and_redraws_on_time():
    source = collocation(PROBLEM, num_points=64, num_initial=16, num_boundary=8, resample_every=3)
    objective = {"equation": ZERO, "boundary": ZERO}
    step = jax.jit(lambda state: source.next(state, None, objective))
    state, batches = jax.jit(source.init)(KEY), []
    for _ in range(7):
        batch, state = step(state)
        batches.append(batch)
    assert set(batches[0]) == {"equation", "boundary"}
    point = batches[0]["equation"]
    assert point.x.shape == (64, 1) and point.t.shape == (64,) and 1.9 < float(point.t.max()) < 2.0
    changes = [not np.array_equal(a["equation"].x, b["equation"].x) for a, b in itertools.pairwise(batches)]
    assert changes == [False, False, True, False, False, True]
    initial, _ = source.next(state, None, {"initial": ZERO})
    assert not np.any(initial["initial"].t) and initial["initial"].x.shape == (16, 1)
    with pytest.raises(ValueError, match="'data'"):
        source.next(state, None, {"data": ZERO})


def test_boundary_samples_feed_the_conditions():
    source = collocation(PROBLEM, num_boundary=8, law="uniform")
    batch, _ = source.next(source.init(KEY), None, {"boundary": ZERO})
    residual = lambda sample: boundary_residual(CONDITIONS, ParabolaJet, sample)
    residuals = jax.jit(jax.vmap(residual))(batch["boundary"])
    assert residuals.shape == (8, 4)
    np.testing.assert_allclose(residuals[:, 0], 0.0, atol=1e-6)  # Dirichlet with the field's own value
    point, normal, _ = batch["boundary"][1]
    np.testing.assert_allclose(residuals[:, 1], (point.x**2 + point.t[:, None] + 4 * point.x * normal)[:, 0], rtol=1e-6)
    np.testing.assert_allclose(residuals[:, 2:], np.array([[-1.0, 2.0]] * 8), atol=1e-6)  # jumps of u and of −u_x


def test_adaptive_points_gather_where_the_residual_is_large():
    adaptive = ResidualAdaptive(power=2.0, floor=0.1, keep=0.25, chunk=100)
    source = collocation(PROBLEM, num_points=128, resample_every=1, adaptive=adaptive)
    step = jax.jit(lambda state, model: source.next(state, model, {"equation": PEAK}))
    first, state = step(source.init(KEY), jnp.array([0.3]))
    second, state = step(state, jnp.array([0.3]))
    near = lambda batch: float(jnp.mean(jnp.abs(batch["equation"].x - 0.3) < 0.1))
    assert near(first) < 0.25 and near(second) > 0.45
    np.testing.assert_array_equal(second["equation"].t[:32], first["equation"].t[-32:])
    assert len(np.unique(second["equation"].t)) == 128  # without replacement
    with pytest.raises(ValueError, match="kind"):
        source.next(state, jnp.zeros(1), {"equation": Term(PEAK.fn, kind="loss")})


def test_points_above_the_mean_residual_are_retained():
    source = collocation(PROBLEM, num_points=128, resample_every=1, adaptive=RetainResampleRelease(chunk=50))
    step = jax.jit(lambda state: source.next(state, jnp.array([0.3]), {"equation": PEAK}))
    first, state = step(source.init(KEY))
    second, _ = step(state)
    points = first["equation"]
    sizes = jnp.abs(jax.vmap(lambda point: PEAK.fn(jnp.array([0.3]), point))(points))[:, 0]
    stays = np.asarray(sizes > jnp.mean(sizes))
    assert 0 < stays.sum() < 128
    for old, new in zip(jax.tree.leaves(points), jax.tree.leaves(second["equation"]), strict=True):
        np.testing.assert_array_equal(np.asarray(old)[stays], np.asarray(new)[stays])
        assert not np.intersect1d(np.asarray(old)[~stays], np.asarray(new)[~stays]).size


@pytest.mark.parametrize("potential", ["quadratic", "exponential"])
def test_attention_settles_at_the_residuals_and_weighs_them(potential):
    attention = ResidualAttention(decay=0.5, share=0.8, potential=potential)
    source, model = collocation(PROBLEM, num_points=64, resample_every=0, attention=attention), jnp.array([0.3])
    step = jax.jit(lambda state, model: source.next(state, model, {"equation": PEAK}))
    batch, state = step(source.init(KEY), model)
    points, weight = batch["equation"]
    sizes = jnp.linalg.norm(jax.vmap(lambda point: PEAK.fn(model, point))(points), axis=1)
    expected = 0.2 + 0.8 * (sizes / sizes.max() if potential == "quadratic" else 64 ** (sizes / sizes.max() - 1))
    np.testing.assert_allclose(weight, expected**2, rtol=1e-6)
    other, state = step(state, jnp.array([0.7]))
    assert (np.abs(np.sqrt(other["equation"].weight) - np.sqrt(weight)) <= 0.4 + 1e-6).all()  # half of the share
    weighted = 0.5 * jnp.mean(weight * sizes**2)
    np.testing.assert_allclose(loss({"equation": PEAK}, model, batch), weighted, rtol=1e-6)


def test_array_source_visits_every_sample_once_an_epoch():
    samples = Samples(Point(jnp.arange(10.0)[:, None], jnp.zeros(10)), jnp.ones((10, 1)), grid=(10,))
    source = JoinedSource((collocation(PROBLEM, num_points=8), ArraySource({"data": samples}, batch_size=5)))
    state, seen = source.init(KEY), []
    step = jax.jit(lambda state: source.next(state, None, {"equation": ZERO, "data": ZERO}))
    for _ in range(4):
        batch, state = step(state)
        seen.append(np.asarray(batch["data"].point.x[:, 0]))
    for epoch in (seen[:2], seen[2:]):
        assert sorted(np.concatenate(epoch)) == list(range(10))
    assert ArraySource({"data": samples}).next({}, None, {"data": ZERO})[0]["data"].u.shape == (10, 1)
    with pytest.raises(ValueError, match="batch_size=11"):
        ArraySource({"data": samples}, batch_size=11)


@pytest.mark.parametrize("dim", [1, 2])
def test_random_field_is_the_same_at_every_resolution(dim):
    draw = lambda n: gaussian_random_field(
        (n,) * dim, spectrum=PowerLaw(tau=5.0), lengths=(2.0,) * dim, max_mode=7, key=KEY
    )
    fine, coarse = draw(32), draw(16)
    np.testing.assert_allclose(fine[(slice(None),) + (slice(None, None, 2),) * dim], coarse, atol=1e-6)
    spectrum = np.fft.fftn(gaussian_random_field((16,) * dim, spectrum=PowerLaw(), key=KEY)[0])
    assert np.all(np.abs(spectrum[8]) < 1e-4)  # no Nyquist mode


def test_random_field_has_the_stated_variance():
    draw = lambda key: gaussian_random_field((16, 8), spectrum=PowerLaw(tau=9.0), std=2.0, zero_mean=True, key=key)
    fields = jax.vmap(draw)(jax.random.split(KEY, 400))
    assert float(jnp.std(fields)) == pytest.approx(2.0, rel=0.05)
    np.testing.assert_allclose(jnp.mean(fields, axis=(1, 2, 3)), 0.0, atol=1e-5)
