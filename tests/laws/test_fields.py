"""Laws of networks and ansätze: sizes, seeds, exact constraints, exact symmetry, and what is trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

from lagrangian_ml.core import Equation, Problem, partition
from lagrangian_ml.domains import Ball, Box, Dirichlet, Neumann, Periodic, interval
from lagrangian_ml.fields import (
    MLP,
    FourierFeatures,
    ModifiedMLP,
    PeriodicEmbedding,
    PirateNet,
    Rescale,
    SpaceTimeField,
    Symmetric,
    fourier_network,
    from_flax,
    hard_constraints,
    soft_constraints,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")
KEY = jax.random.key(0)
NETWORKS = {"mlp": MLP, "fourier": fourier_network, "modified": ModifiedMLP, "pirate": PirateNet}
tolerance = lambda array: 50 * float(jnp.finfo(array.dtype).eps)


def num_trained(model):
    return sum(leaf.size for leaf in jax.tree.leaves(partition(model)[0]))


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_a_smooth_function_of_key_and_input(name):
    network, again, other = (NETWORKS[name](3, 2, key=key) for key in (KEY, KEY, jax.random.key(1)))
    z = jnp.array([0.1, -0.4, 0.7])
    dtype = jnp.result_type(float)
    value, hessian = jax.jit(lambda z: (network(z), jax.hessian(network)(z)))(z)
    assert value.shape == (2,) and value.dtype == dtype and bool(jnp.all(jnp.isfinite(hessian)))
    assert {leaf.dtype for leaf in jax.tree.leaves(partition(network)[0])} == {dtype}
    assert np.array_equal(network(z), again(z)) and not np.array_equal(network(z), other(z))


def test_sizes_and_trained_leaves():
    assert num_trained(MLP(2, 1, width=20, depth=3, key=KEY)) == 921
    assert num_trained(Rescale([0.0], [2.0])) == num_trained(FourierFeatures(2, 8, key=KEY)) == 0
    assert num_trained(FourierFeatures(2, 8, trainable=True, key=KEY)) == 16
    pirate = PirateNet(2, 1, width=8, depth=2, key=KEY)
    linear_at_first = pirate.last(pirate.features(jnp.ones(2)))
    np.testing.assert_allclose(pirate(jnp.ones(2)), linear_at_first)
    grown = eqx.tree_at(lambda net: net.alphas, pirate, jnp.ones(2))
    assert not np.allclose(grown(jnp.ones(2)), linear_at_first)
    np.testing.assert_allclose(Rescale([0.0, -1.0], [2.0, 3.0])(jnp.array([2.0, 1.0])), [1.0, 0.0])


@pytest.mark.parametrize(
    "mistake, message",
    [
        (lambda: MLP(2, 1, width=-3, key=KEY), "width=-3"),
        (lambda: ModifiedMLP(2, 1, depth=0, key=KEY), "depth=0"),
        (lambda: MLP(2, 1, activation="tan", key=KEY), "tanh, sin"),
        (lambda: PirateNet(2, 1, width=7, key=KEY), "even"),
        (lambda: PeriodicEmbedding(2, {2: 1.0}), "0 … 1"),
        (lambda: Rescale([1.0], [1.0]), "lower < upper"),
        (lambda: from_flax(jnp.sin), "flax.linen.Module"),
        (lambda: Symmetric(jnp.sin, (0,), "odd-ish"), "parity"),
        (lambda: hard_constraints(HARD["burgers"], symmetry={1: "odd"}, key=KEY), "1 is no space axis.*allowed: 0"),
        (lambda: hard_constraints(HARD["channel"], symmetry={-1: "odd"}, key=KEY), "-1 is no space.*allowed: 0, 1"),
        (lambda: hard_constraints(HARD["burgers"], soft=["boundary"], key=KEY), "only 'initial' may be soft"),
        (lambda: hard_constraints(HARD["burgers"], time_scale=0.0, key=KEY), "time_scale=0.0"),
        (lambda: hard_constraints(Problem(Poisson(), DISC, boundary=Periodic(0)), key=KEY), "Ball has no face"),
        (lambda: hard_constraints(Problem(Poisson(), SQUARE, boundary=Periodic(2)), key=KEY), "the axis is 0 … 1"),
    ],
)
def test_mistakes_are_named(mistake, message):
    with pytest.raises((ValueError, TypeCheckError), match=message):
        mistake()


class Diffusion(Equation):
    def linear(self, jet):
        return jet.laplacian


class Poisson(Equation):
    steady = True

    def linear(self, jet):
        return jet.laplacian


SQUARE, DISC, LINE = Box([0.0, 0.0], [2.0, 1.0]), Ball([1.0, 0.0], 2.0), interval(-1, 1)
LINEAR = lambda t, x: 1 + t * x[:1]
HARD = {
    "burgers": Problem(Diffusion(), LINE, lambda x: -jnp.sin(jnp.pi * x), (Dirichlet(LINE.boundary),), 1.0),
    "moving_ends": Problem(
        Diffusion(),
        LINE,
        lambda x: 2 + x**3,
        (Dirichlet(LINE.face(0, "lower"), 1.0), Dirichlet(LINE.face(0, "upper"), lambda t, x: 3 + jnp.sin(t) * x)),
        2.0,
    ),
    "square": Problem(Diffusion(), SQUARE, lambda x: jnp.ones(1), (Dirichlet(SQUARE.boundary, LINEAR),), 0.5),
    "channel": Problem(
        Diffusion(),
        SQUARE,
        lambda x: jnp.sin(jnp.pi * x[:1]) * x[1:],
        (Periodic(0), Dirichlet(SQUARE.face(1, "lower"), 0.0)),
        1.0,
    ),
    "steady_disc": Problem(Poisson(), DISC, boundary=(Dirichlet(DISC.boundary, lambda x: x[:1] ** 2),)),
}


@pytest.mark.parametrize("name", HARD)
def test_hard_constraints_hold_to_rounding(name):
    problem = HARD[name]
    u = hard_constraints(problem, key=KEY)
    times = [] if problem.horizon is None else [jnp.array(0.3 * problem.horizon)]
    assert u.satisfies == ({"boundary"} if problem.initial is None else {"boundary", "initial"})
    at = jax.jit(lambda x, times=times: jax.vmap(lambda x: u(*times, x))(x))
    inside = problem.domain.sample(20, key=KEY)
    if problem.initial is not None:
        np.testing.assert_allclose(
            at(inside, [jnp.array(0.0)]), jax.vmap(problem.initial)(inside), atol=tolerance(inside)
        )
    for condition in problem.boundary:
        if isinstance(condition, Dirichlet):
            x, _ = condition.region.sample(20, key=KEY)
            value = jax.vmap(lambda x, value=condition.value: value(*times, x))(x)
            np.testing.assert_allclose(at(x), value * jnp.ones((20, 1)), atol=tolerance(x))
        else:
            shift = jnp.array([[2.0, 0.0]])
            np.testing.assert_allclose(at(inside), at(inside + shift), atol=10 * tolerance(inside))
    assert float(jnp.max(jnp.abs(at(inside) - jax.vmap(lambda x: u.lift.value(*times, x)[0])(inside)))) > 1e-3
    assert num_trained(u) == num_trained(u.field)


def test_what_cannot_be_built_is_left_to_soft_terms():
    satisfies = lambda initial, *boundary, domain=LINE: (
        hard_constraints(Problem(Diffusion(), domain, initial, boundary, 1.0), key=KEY).satisfies
    )
    assert satisfies(lambda x: x, Neumann(LINE.boundary)) == {"initial"}
    assert satisfies(lambda x: x**2, Dirichlet(LINE.boundary, 0.0)) == {"boundary"}
    assert satisfies(lambda x: x**2 * jnp.cos(jnp.pi * x), Periodic(0)) == {"boundary"}  # its slope jumps by 4
    assert satisfies(lambda x: jnp.cos(jnp.pi * x), Periodic(0)) == {"boundary", "initial"}
    corner = (Dirichlet(SQUARE.face(0, "lower"), 0.0), Dirichlet(SQUARE.face(1, "lower"), 1.0))
    assert satisfies(lambda x: x[:1], *corner, domain=SQUARE) == {"initial"}
    assert soft_constraints(HARD["burgers"], key=KEY).satisfies == frozenset()


def test_a_scale_of_time_is_that_of_the_networks_input_and_a_soft_initial_value_is_left_out():
    plain, scaled = (hard_constraints(HARD["burgers"], soft=["initial"], time_scale=s, key=KEY) for s in (1.0, 4.0))
    assert scaled.satisfies == {"boundary"}
    x, middle = jnp.array([0.3]), 0.5 * HARD["burgers"].horizon
    at = lambda u, t: jax.jit(lambda t: u(t, x))(jnp.asarray(t))
    np.testing.assert_allclose(at(scaled, middle + 0.1), at(plain, middle + 0.4), rtol=1e-5)


@pytest.mark.parametrize("parity, sign", [("even", 1), ("odd", -1)])
def test_symmetry_is_exact(parity, sign):
    u = Symmetric(SpaceTimeField(MLP(3, 2, key=KEY)), (0,), parity)
    x, t = jnp.array([0.3, -0.8]), jnp.array(0.2)
    assert np.array_equal(u(t, x), sign * u(t, x * jnp.array([-1.0, 1.0])))
    burgers = hard_constraints(HARD["burgers"], symmetry={0: parity}, key=KEY)
    part = lambda x: burgers(t, x) + jnp.sin(jnp.pi * x)  # the network's part
    np.testing.assert_allclose(part(x[:1]), sign * part(-x[:1]), atol=tolerance(x))
    assert burgers.satisfies == {"boundary", "initial"}


def test_periodic_embedding_is_periodic_with_its_slopes():
    embedding = PeriodicEmbedding(2, {1: 3.0}, num_harmonics=4)
    z = jnp.array([0.5, 0.7])
    assert embedding(z).shape == (embedding.out_size,) == (9,)
    for f in (embedding, jax.jit(jax.jacfwd(embedding))):
        np.testing.assert_allclose(f(z), f(z + jnp.array([0.0, 3.0])), atol=50 * tolerance(z))


def _linen():
    from flax import linen

    class Net(linen.Module):
        @linen.compact
        def __call__(self, z):
            return linen.Dense(1)(linen.tanh(linen.Dense(8)(z)))

    module = Net()
    network = from_flax(module, 2, key=KEY)
    assert jax.tree.leaves(network)[0].dtype == jnp.result_type(float)
    return network, network.params, lambda params, z: module.apply({"params": params}, z)


def _nnx():
    from flax import nnx

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.last = nnx.Linear(2, 8, rngs=rngs), nnx.Linear(8, 1, rngs=rngs)
            self.dropout = nnx.Dropout(0.0, rngs=rngs)  # has state that is not trained

        def __call__(self, z):
            return self.last(self.dropout(nnx.tanh(self.first(z))))

    module = Net(nnx.Rngs(0))
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    network = from_flax(module)
    params = jax.tree.map(lambda p: p.astype(jnp.result_type(float)), params)
    return network, params, lambda params, z: nnx.merge(graph, params, rest)(z)


@pytest.mark.parametrize("make", [_linen, _nnx])
def test_flax_modules_become_networks(make):
    network, params, apply = make()
    u = SpaceTimeField(network)
    t, x = jnp.linspace(0.0, 1.0, 5), jnp.ones((5, 1))
    z = jnp.concatenate([t[:, None], x], axis=1)
    trained, rest = partition(u)
    loss = lambda trained: jnp.sum(jax.vmap(eqx.combine(trained, rest))(t, x) ** 2)
    gradient = jax.jit(jax.grad(loss))(trained)
    expected = jax.grad(lambda params: jnp.sum(jax.vmap(lambda z: apply(params, z))(z) ** 2))(params)
    assert num_trained(u) == 33
    for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
