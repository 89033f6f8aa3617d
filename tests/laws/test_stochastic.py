"""Estimates along random directions have the exact derivatives as their means, and cost what they should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from lagrangian_ml import equations as eqs
from lagrangian_ml.fields import MLP
from lagrangian_ml.jets import Directions, point_jet, stochastic_jet
from lagrangian_ml.jets.coordinates import on_coordinates
from lagrangian_ml.jets.stochastic import distinct

LAWS = ("coordinates", "rademacher", "gaussian")
DIM, X, KEY = 5, (0.3, -0.2, 0.5, 0.1, -0.4), jax.random.key(0)


def field(num_components=2, dim=DIM):
    """u(t, x) with cross terms, around a network of the whole (t, x)."""
    net = MLP(dim + 1, num_components, width=8, depth=2, key=jax.random.key(1))
    return lambda t, x: (1 - jnp.sum(x**2)) * net(jnp.concatenate([jnp.asarray(t, x.dtype)[None], x])) + x[0] * x[1]


def flux(jet):
    return jet.value[:, None] ** 2 * jnp.sin(jet.x)[None] + jet.x[None]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_estimates_are_unbiased(law, x64):
    with jax.enable_x64(x64):
        u, x, num = field(), jnp.asarray(X), 4000
        exact = point_jet(u, x, 0.4)

        def estimates(key):
            jet = stochastic_jet(u, x, 0.4, Directions(2, law), key=key)
            return jnp.stack([jet.laplacian, jet.divergence(flux), jet.of(lambda jet: jet.value**2).laplacian])

        found = jax.jit(jax.vmap(estimates))(jax.random.split(KEY, num))
        assert found.dtype == x.dtype
        means = jnp.stack([exact.laplacian, exact.divergence(flux), exact.of(lambda jet: jet.value**2).laplacian])
        deviation = jnp.std(found, axis=0)
        assert bool(jnp.all(deviation > 1e-3))
        assert bool(jnp.all(jnp.abs(jnp.mean(found, axis=0) - means) < 4 * deviation / num**0.5))


def test_gaussian_directions_give_the_biharmonic_operator():
    u, x, num = field(1), jnp.asarray(X), 20000
    estimate = lambda key: stochastic_jet(u, x, 0.4, Directions(1, "gaussian"), key=key).bilaplacian[0]
    found = jax.jit(jax.vmap(estimate))(jax.random.split(KEY, num))
    assert abs(jnp.mean(found) - point_jet(u, x, 0.4).bilaplacian[0]) < 4 * jnp.std(found) / num**0.5


def test_fourth_derivatives_in_many_dimensions_need_gaussian_directions():
    jet = stochastic_jet(lambda x: jnp.sum(x**4)[None], jnp.ones(9), None, Directions(2), key=KEY)
    with pytest.raises(ValueError, match="9 dimensions.*directions.law=gaussian"):
        _ = jet.bilaplacian


def test_the_mean_over_all_subsets_of_coordinates_is_exact():
    u, x = field(1), jnp.asarray(X)
    estimate = lambda key: stochastic_jet(u, x, 0.4, Directions(2), key=key).laplacian[0]
    found = np.unique(np.round(jax.jit(jax.vmap(estimate))(jax.random.split(KEY, 400)), 12))
    assert len(found) == 10  # the pairs of five
    np.testing.assert_allclose(np.mean(found), point_jet(u, x, 0.4).laplacian[0], rtol=1e-10)


def test_every_subset_is_as_likely_as_any_other():
    subsets = np.sort(jax.jit(jax.vmap(lambda key: distinct(5, 3, key=key)))(jax.random.split(KEY, 10000)), axis=1)
    found, counts = np.unique(subsets, axis=0, return_counts=True)
    assert len(found) == 10 and np.all(np.diff(found, axis=1) > 0)
    assert np.all(np.abs(counts - 1000) < 4 * np.sqrt(900))
    assert np.sort(distinct(50, 50, key=KEY)).tolist() == list(range(50))


@pytest.mark.usefixtures("strict_dtypes")
@pytest.mark.parametrize("law", LAWS)
def test_all_but_sums_over_axes_is_exact(law):
    u, x = field(), jnp.asarray(X)
    exact, jet = point_jet(u, x, 0.4), stochastic_jet(u, x, 0.4, Directions(2, law), key=KEY)
    for name in ("value", "gradient", "dt"):
        np.testing.assert_allclose(getattr(jet, name), getattr(exact, name), rtol=1e-12, atol=1e-14)


def test_single_derivatives_are_exact():
    u, axes = field(), [(), (3,), (1, 1), (4, 0), (-1, 0), (0, 0, 2, 2)]
    exact = jax.jit(lambda x: [point_jet(u, x, 0.4).d(*each) for each in axes])(jnp.asarray(X))
    found = jax.jit(lambda x: [stochastic_jet(u, x, 0.4, Directions(2), key=KEY).d(*each) for each in axes])
    for value, expected in zip(found(jnp.asarray(X)), exact, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "equation",
    [
        eqs.AllenCahn(0.1, 2.0),
        eqs.VectorBurgers(0.1, 3),
        eqs.AdvectionDiffusion((0.7, -1.3, 0.4), 0.3),
        eqs.CompressibleNavierStokes(shear=0.02, bulk=0.03, dim=3),
        eqs.HyperDiffusion(0.05),
        eqs.SineGordon(lambda x: jnp.sum(x)[None]),
    ],
    ids=lambda equation: type(equation).__name__,
)
def test_one_equation_reads_both_jets(equation):
    """Along all coordinates the estimate is exact."""
    u, x = field(equation.num_components, 3), jnp.asarray(X[:3])
    u = (lambda x, u=u: u(0.4, x)) if equation.steady else lambda t, x, u=u: 3.0 + u(t, x)
    t = None if equation.steady else 0.4
    residual = lambda jet: equation.residual(jet)
    exact = jax.jit(lambda x: residual(point_jet(u, x, t)))(x)
    found = jax.jit(lambda x: residual(stochastic_jet(u, x, t, Directions(3), key=KEY)))(x)
    np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-11)


def many_primitives(x):
    net = MLP(10, 2, width=8, depth=2, key=jax.random.key(0))
    turned = jnp.ones((3, 5)) @ (x * jnp.arange(5.0) - 0.3) + (jnp.cumsum(x) @ jnp.ones((5, 3)))
    scaled = jax.jit(lambda x: jnp.exp(-(x**2)) / (2 + jnp.cos(x)))(x)
    return net(jnp.concatenate([x, scaled])) * jnp.linalg.norm(x) + turned[:2] + jnp.sum(x[1:] * x[:-1]) + x @ x


@pytest.mark.parametrize("f", [many_primitives, lambda x: jnp.sin(x), lambda x: jnp.ones(2)])
def test_a_function_of_a_few_coordinates(f):
    x, rows, s = jnp.asarray(X), jnp.asarray([3, 0]), jnp.asarray([1.5, -0.7])
    whole = lambda s: f(x.at[rows].set(s))
    np.testing.assert_allclose(on_coordinates(f, x, rows)(s), whole(s), rtol=1e-13)
    np.testing.assert_allclose(jax.hessian(on_coordinates(f, x, rows))(s), jax.hessian(whole)(s), atol=1e-12)


def test_a_training_gradient_is_that_of_nested_differentiation():
    x = jnp.asarray(X)
    net = lambda w: lambda x: (1 - jnp.sum(x**2)) * jnp.tanh(w @ x)
    ours = lambda w: stochastic_jet(net(w), x, directions=Directions(5), key=KEY).laplacian[0] ** 2
    nested = lambda w: jnp.trace(jax.hessian(lambda x: net(w)(x)[0])(x)) ** 2
    w = jax.random.normal(KEY, (1, 5))
    np.testing.assert_allclose(jax.grad(ours)(w), jax.grad(nested)(w), rtol=1e-10)


def shapes(jaxpr):
    """The shapes of all intermediate values, those in bodies of calls and loops too."""
    for eqn in jaxpr.eqns:
        yield from (var.aval.shape for var in eqn.outvars)
        for body in jax.tree.leaves(eqn.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")):
            if hasattr(body, "eqns") or hasattr(body, "jaxpr"):
                yield from shapes(getattr(body, "jaxpr", body))


def test_no_derivative_along_a_coordinate_is_as_long_as_the_point():
    d, width = 1000, 8
    net = MLP(d, 1, width=width, depth=2, key=KEY)
    u = lambda x: (1 - jnp.sum(x**2)) * net(x)
    laplacian = lambda x: stochastic_jet(u, x, directions=Directions(16), key=KEY).laplacian
    found = set(shapes(jax.make_jaxpr(laplacian)(jnp.ones(d)).jaxpr))
    assert max(np.prod(shape) for shape in found) <= d


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: stochastic_jet(field(), jnp.asarray(X), 0.0, Directions(6), key=KEY), "num=6 .* 5 dimensions"),
        (lambda: Directions(0), "num=0"),
        (lambda: stochastic_jet(field(), jnp.asarray(X), 0.0, Directions(2), key=None).laplacian, "no random key"),
        (lambda: stochastic_jet(lambda x: x, jnp.asarray(X), directions=Directions(2), key=KEY).dt, "without a time"),
    ],
)
def test_what_cannot_be_estimated_is_an_error(make, culprit):
    with pytest.raises(ValueError, match=culprit):
        make()


def test_an_unknown_law_is_an_error():
    with pytest.raises((ValueError, TypeCheckError)):
        Directions(4, "sobol")  # pyright: ignore
