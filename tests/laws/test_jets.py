"""Every way of taking derivatives forward agrees with nested automatic differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Equation, Grid
from lagrangian_ml.fields import MLP
from lagrangian_ml.jets import SpectralJet, forward_laplacian, linear_symbol, mixed_derivative, point_jet
from lagrangian_ml.linalg import make_transform

POINT = (0.3, 0.7, -0.2)


def network(z):
    return MLP(3, 2, width=8, depth=2, key=jax.random.key(0))(z)


def many_primitives(z):
    smooth = jax.nn.gelu(network(z)) * jnp.exp(-z[0]) + jnp.sin(z[1] * z[2]) / (1 + z[0] ** 2)
    return smooth + jnp.stack([jnp.linalg.norm(z), jnp.prod(jnp.cosh(z))]) + jax.nn.logsumexp(z)


def scanned(z):
    return jax.lax.scan(lambda u, w: (jnp.tanh(u * w + z[:2]), None), z[1:], jnp.arange(1.0, 4.0))[0]


def nested_calls(z):
    @jax.custom_vjp
    def doubled(z):
        return 2 * jnp.sin(z)

    doubled.defvjp(lambda z: (doubled(z), z), lambda z, g: (2 * jnp.cos(z) * g,))
    return jax.checkpoint(jax.jit(lambda z: jax.nn.softplus(doubled(z))))(z)[:2]


def where_and_ints(z):
    return jnp.where(z[:2] > jnp.floor(z[1:]), z[:2] ** 3, -(z[1:] ** 2))


def constant(z):
    return jnp.ones(2)


MANY = pytest.param(many_primitives, marks=pytest.mark.slow)
FUNCTIONS = [network, MANY, scanned, nested_calls, where_and_ints, constant]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_forward_laplacian_is_the_hessian_trace(f):
    x, basis = jnp.asarray(POINT), jnp.eye(3)
    forward = forward_laplacian(f, x, space=basis[1:], first=basis[:1])
    if f is nested_calls:  # reverse-only custom rules have no forward mode to compare with: use their body
        f = lambda z: jax.nn.softplus(2 * jnp.sin(z))[:2]
    jacobian, hessian = jax.jacfwd(f)(x), jax.hessian(f)(x)
    np.testing.assert_allclose(forward.value, f(x), rtol=1e-14)
    np.testing.assert_allclose(forward.first[0], jacobian[:, 0], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(forward.gradient.T, jacobian[:, 1:], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(forward.laplacian, hessian[:, 1, 1] + hessian[:, 2, 2], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("axes", [(0,), (0, 0), (0, 1), (1, 1, 1), (0, 1, 2), (0, 0, 1, 1), (2, 2, 2, 2)])
@pytest.mark.parametrize("f", [network, MANY])
def test_mixed_and_higher_derivatives(f, axes):
    x, nested = jnp.asarray(POINT), f
    for axis in axes:
        nested = lambda z, g=nested, axis=axis: jax.jvp(g, (z,), (jnp.eye(3)[axis],))[1]
    expected = nested(x)
    np.testing.assert_allclose(point_jet(f, x).d(*axes), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(mixed_derivative(f, x, axes), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_the_biharmonic_operator_is_the_laplacian_of_the_laplacian(dim):
    net, x = MLP(dim, 1, width=6, depth=2, key=jax.random.key(1)), 0.3 * jnp.arange(1.0, dim + 1)
    jet, laplacian = point_jet(net, x), lambda x: jnp.trace(jax.hessian(lambda x: net(x)[0])(x))
    expected = jnp.trace(jax.hessian(laplacian)(x))
    np.testing.assert_allclose(jet.bilaplacian[0], expected, rtol=1e-9)
    np.testing.assert_allclose(super(type(jet), jet).bilaplacian[0], expected, rtol=1e-9)  # from single derivatives


@pytest.mark.parametrize("shape", [(16,), (8, 12)])
def test_the_biharmonic_operator_on_modes(shape):
    d = len(shape)
    grid = Grid(shape, (0.0,) * d, tuple(1.0 + i for i in range(d)))
    jet = SpectralJet(jax.random.normal(jax.random.key(0), (2, *shape)), grid)
    twice = SpectralJet(jet.laplacian, grid).laplacian
    np.testing.assert_allclose(jet.bilaplacian, twice, rtol=1e-9, atol=1e-9 * float(jnp.abs(twice).max()))


def test_training_gradient_through_the_laplacian_is_that_of_nested_differentiation():
    net, x = MLP(2, 1, width=8, depth=2, key=jax.random.key(1)), jnp.asarray([0.2, -0.4])
    ours = eqx.filter_grad(lambda net: point_jet(net, x).laplacian[0] ** 2)(net)
    nested = eqx.filter_grad(lambda net: jnp.trace(jax.hessian(lambda x: net(x)[0])(x)) ** 2)(net)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), ours, nested)


def test_jets_keep_the_type_of_their_point():
    with jax.enable_x64(False):
        net = MLP(2, 1, width=8, depth=2, key=jax.random.key(1))
        jet = point_jet(lambda t, x: net(jnp.concatenate([t[None], x])), jnp.ones(1), 0.5)
        assert {a.dtype for a in (jet.value, jet.dt, jet.gradient, jet.laplacian, jet.d(0, 0, 0))} == {
            jnp.float32.dtype
        }


@pytest.mark.parametrize("shape", [(16,), (15,), (8, 12), (6, 8, 7)])
def test_inverse_laplacian_undoes_the_laplacian(shape):
    d = len(shape)
    grid = Grid(shape, (0.0,) * d, tuple(1.0 + i for i in range(d)))
    phase = sum(2 * jnp.pi * x / length for x, length in zip(grid.points, grid.lengths, strict=True))
    jet = SpectralJet(jnp.sin(phase)[None], grid)
    np.testing.assert_allclose(SpectralJet(jet.laplacian, grid).inverse_laplacian.value, jet.value, atol=1e-12)


def test_a_snapshot_has_no_time_derivative():
    grid = Grid((8,), (0.0,), (1.0,))
    with pytest.raises(ValueError, match="no `dt`"):
        _ = SpectralJet(jnp.ones((1, 8)), grid).dt
    with pytest.raises(ValueError, match="without a time"):
        _ = point_jet(lambda x: x, jnp.ones(1)).dt
    with pytest.raises(ValueError, match="grid's shape"):
        SpectralJet(jnp.ones((1, 9)), grid)


class System(Equation):
    """u_t = v, v_t = 3 u_xx + 2 u_xy − v: a matrix symbol."""

    num_components = 2

    def linear(self, u):
        return jnp.stack([u.value[1], 3 * u.d(0, 0)[0] + 2 * u.d(0, 1)[0] - u.value[1]])


def test_symbol_of_a_system():
    k = jnp.asarray([[1.0, 2.0], [0.5, -1.0]])
    symbol = linear_symbol(System(), k)
    expected = [[0 * k[0], 0 * k[0] + 1], [-3 * k[0] ** 2 - 2 * k[0] * k[1], 0 * k[0] - 1]]
    np.testing.assert_allclose(symbol, jnp.asarray(expected) + 0j, atol=1e-14)


@pytest.mark.parametrize(
    ("linear", "culprit"),
    [
        (lambda u: u.x * u.laplacian, "reads `x`"),
        (lambda u: u.t * u.laplacian, "reads `t`"),
        (lambda u: u.value**2, "not linear"),
        (lambda u: jnp.abs(u.value) + 0j, "not linear"),
        (lambda u: u.laplacian + 1, "not linear"),
    ],
)
def test_what_has_no_symbol_is_refused(linear, culprit):
    with pytest.raises(ValueError, match=culprit):
        linear_symbol(stated(linear), jnp.ones((1, 3)))


def stated(part):
    class Stated(Equation):
        def linear(self, u):
            return part(u)

    return Stated()


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("num_points", [256, 1024])
def test_linearity_is_judged_at_every_mode(num_points, x64):
    """A nonlinear term is found beside symbols a million times larger, and rounding is not taken for one."""
    with jax.enable_x64(x64):
        all_modes = make_transform((num_points,), real=False)
        k = jnp.asarray(all_modes.wavevectors((2.0,)))
        for small in (
            lambda u: u.laplacian + u.value**2,
            lambda u: -u.d(0, 0, 0, 0) + 1e-3 * u.value**2,
            lambda u: u.d(0, 0, 0) + 1e-3 * jnp.abs(u.value),
        ):
            with pytest.raises(ValueError, match="not linear"):
                linear_symbol(stated(small), k)
        k_cancelling = jnp.asarray(all_modes.wavevectors((8 * np.pi,)))  # 1 is among them
        symbol = linear_symbol(stated(lambda u: -1.1 * u.laplacian - 1.1 * u.d(0, 0, 0, 0)), k_cancelling)
        expected = 1.1 * (k_cancelling[0] ** 2 - k_cancelling[0] ** 4)
        np.testing.assert_allclose(symbol[0, 0], expected, rtol=1e-5, atol=1e-5)


class Channel(Equation):
    """u_t + (sin(x) u²)_x = 0: a flux that reads x has a rate and a residual, but no derived velocity."""

    def flux(self, u):
        return jnp.sin(u.x)[None] * u.value[:, None] ** 2


def test_a_flux_may_read_the_place():
    field = lambda t, x: jnp.exp(-t) * jnp.cos(x)
    jet = point_jet(field, jnp.asarray([0.7]), 0.2)
    u, u_x, x = jet.value, jet.gradient[:, 0], jet.x
    expected = -u + jnp.cos(x) * u**2 + 2 * jnp.sin(x) * u * u_x
    np.testing.assert_allclose(Channel().residual(jet), expected, rtol=1e-13)
    with pytest.raises(ValueError, match="no derived velocity"):
        Channel().transport_velocity(jet)
