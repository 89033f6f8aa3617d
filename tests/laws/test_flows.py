"""Laws of flow maps: round trip, log-determinant, continuity, mass. A new layer joins FLOWS by one line.

All laws of a map are measured by one compiled function, for parameters as they are drawn and for large ones, which are
farther from the identity than training takes them; two chains are trained in earnest.
"""

import math
from functools import cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
import scipy.stats

from lagrangian_ml import fit
from lagrangian_ml.core import Fixed, Term, partition
from lagrangian_ml.domains import ArraySource, Box
from lagrangian_ml.equations import Rotation, Swirl
from lagrangian_ml.fields import MLP, SpaceTimeField
from lagrangian_ml.flows import (
    ActNorm,
    Anchored,
    Chain,
    Coupling,
    Displacement,
    Inverted,
    LinearFlow,
    LinearLU,
    LinearSVD,
    MonotoneFourier,
    OdeFlow,
    Planar,
    RationalQuadraticSpline,
    Residual,
    Sylvester,
    TimeNetwork,
    ToBox,
    TransportedDensity,
    Windowed,
    coupling_flow,
    factored_flow,
    spectral_bound,
)
from lagrangian_ml.flows.characteristics import WallDistance

SMALL = {"num_layers": 2, "width": 16, "depth": 1}
SPLINE = RationalQuadraticSpline(num_bins=6)


def halves(make):
    """Two layers, so that every axis is transformed."""

    def chain(dim, key):
        first = tuple(range(max(1, dim // 2)))
        second = tuple(i for i in range(dim) if i not in first) or first
        keys = jax.random.split(key)
        return Chain((make(dim, first, key=keys[0]), make(dim, second, key=keys[1])))

    return chain


def walled(dim, key):
    return Displacement(velocity_network(dim, key), WallDistance(Box(*box_of(dim)), tuple(range(dim))), 0.5)


def in_windows(dim, key):
    piece = lambda key: Displacement(velocity_network(dim, key), scale=0.5)
    return Windowed(eqx.filter_vmap(piece)(jax.random.split(key, 3)), 0.3, 3)


def modes(key):
    return MLP(1, MonotoneFourier.size(6, walls=False), width=8, depth=1, key=key)


def velocity_network(dim, key):
    return SpaceTimeField(MLP(dim + 1, dim, width=8, depth=2, key=key))


def box_of(dim):
    return [-1.0] * dim, [2.0] * dim


FLOWS = {  # name: constructor (dim, key)
    "affine coupling": halves(partial(Coupling, width=16)),
    "spline coupling": halves(partial(Coupling, transformer=SPLINE, width=16)),
    "act norm": lambda dim, key: ActNorm(dim, key=key),
    "linear svd": lambda dim, key: LinearSVD(dim, TimeNetwork, key=key),
    "linear svd householder": lambda dim, key: LinearSVD(dim, orthogonal="householder", key=key),
    "linear lu": lambda dim, key: LinearLU(dim, key=key),
    "residual": lambda dim, key: Residual(dim, width=12, key=key),
    "residual inverted": lambda dim, key: Inverted(Residual(dim, width=12, key=key)),
    "planar": lambda dim, key: Planar(dim, key=key),
    "sylvester": lambda dim, key: Sylvester(dim, key=key),
    "to box": lambda dim, key: Chain((ActNorm(dim, key=key), ToBox(*box_of(dim)))),
    "from box": lambda dim, key: Chain((ActNorm(dim, key=key), ToBox(*box_of(dim), 2), Inverted(ToBox(*box_of(dim))))),
    "linear flow": lambda dim, key: LinearFlow(0.3 * jax.random.normal(key, (dim, dim)), jnp.arange(1.0, dim + 1)),
    "displacement": lambda dim, key: Displacement(velocity_network(dim, key)),
    "displacement between walls": lambda dim, key: Chain((ToBox(*box_of(dim)), walled(dim, key))),
    "monotone": lambda dim, key: MonotoneFourier(modes(key), -1.0, 2.0, 6),
    "windowed": lambda dim, key: in_windows(dim, key),
    "anchored": lambda dim, key: Anchored(halves(partial(Coupling, width=16))(dim, key), 0.4),
    "coupling flow": lambda dim, key: coupling_flow(*box_of(dim), **SMALL, key=key),
    "factored spline flow": lambda dim, key: factored_flow(
        *box_of(dim), num_layers=2, width=16, transformer=SPLINE, key=key
    ),
}
IN_A_BOX = {"to box", "displacement between walls", "coupling flow", "factored spline flow"}
LARGEST_DIM = {"monotone": 1}
COMPOSED = {  # of others in the table: slow
    "residual inverted",
    "displacement between walls",
    "windowed",
    "coupling flow",
    "factored spline flow",
}
# The factor of the large parameters; a displacement may fold, the others must not.
LARGEST = {"displacement": 1.0, "displacement between walls": 1.0, "windowed": 1.0}
NUM_POINTS = 64


@eqx.filter_jit
def forward(flow, t, X):
    return jax.vmap(flow.forward)(t, X)


@eqx.filter_jit
def seen(density, t, x):
    """(X, log|det ∂X/∂x|, ρ, v) at (t, x), with their derivatives in z = (t, x)."""

    def at(z):
        X, log_det, v = density.flow.observe(z[0], z[1:])
        return X, log_det, jnp.exp(density.base.log_prob(X) + log_det + density.log_mass), v

    z = jnp.concatenate([t[:, None], x], axis=1)
    return jax.lax.map(lambda z: (at(z), jax.jacfwd(at)(z)), z, batch_size=len(t))


def laws(density, t, labels):
    """How far each law is from being kept, at the places x of some labels."""
    x, log_det = forward(density.flow, t, labels)
    (X, back, rho, v), (X_z, _, rho_z, v_z) = seen(density, t, x)
    again = forward(density.flow, t, X)[0]
    largest = lambda a: np.max(np.abs(a))
    divergence = np.trace(v_z[..., 1:], axis1=-2, axis2=-1)
    continuity = rho_z[:, 0] + np.sum(v * rho_z[:, 1:], axis=1) + rho * divergence
    return {
        "round trip": largest(again - x),
        "label": largest(X - labels) / largest(labels),
        "log determinant": largest(back - np.linalg.slogdet(X_z[..., 1:])[1]),
        "both directions": largest(log_det + back),
        "velocity": largest(np.einsum("nij,nj->ni", X_z[..., 1:], v) + X_z[..., 0]) / largest(X_z[..., 0]),
        "continuity": largest(continuity) / largest(rho_z[:, 0]),
    }


def enlarged(model, factor):
    trained, rest = partition(model)
    return eqx.combine(jax.tree.map(lambda leaf: factor * leaf, trained), rest)


@cache
def flow_of(name, dim):
    return FLOWS[name](dim, jax.random.key(dim))


def points(dim):
    keys = jax.random.split(jax.random.key(7))
    return jax.random.uniform(keys[0], (NUM_POINTS,)), jax.random.normal(keys[1], (NUM_POINTS, dim))


def cases(dims, by_default):
    """(name, dim) of the table; those in other dimensions than `by_default` are slow, if the map exists there."""
    pairs = [(name, dim) for name in FLOWS for dim in dims if dim <= LARGEST_DIM.get(name, 3)]
    slow = lambda name, dim: name in COMPOSED or dim != min(by_default, LARGEST_DIM.get(name, 3))
    return [pytest.param(*case, marks=[pytest.mark.slow] * slow(*case)) for case in pairs]


@pytest.mark.parametrize(("name", "dim"), cases([1, 2, 3], 2))
def test_laws_hold_to_rounding(name, dim):
    t, labels = points(dim)
    for factor in (1.0, LARGEST.get(name, 3.0)):
        found = laws(TransportedDensity(enlarged(flow_of(name, dim), factor), log_mass=0.7), t, labels)
        bounds = {"round trip": 1e-10, "label": 1e-9, "continuity": 1e-11 if "spline" in name else 1e-12}
        for law, error in found.items():
            assert error < bounds.get(law, 1e-10), (law, factor, float(error))


@pytest.mark.parametrize(("name", "dim"), cases([1, 2], 1))
def test_mass_is_kept(name, dim):
    density = TransportedDensity(flow_of(name, dim), log_mass=math.log(2.5))
    steep = "spline" in name or name == "monotone"
    axis, weights = quadrature(name, {1: 100_001 if steep else 801, 2: 401 if steep else 101}[dim])
    x = jnp.asarray(np.stack([a.ravel() for a in np.meshgrid(*[axis] * dim)], -1))
    products = np.prod(np.stack([a.ravel() for a in np.meshgrid(*[weights] * dim)]), axis=0)
    mass = products @ _densities(density, jnp.asarray(0.6), x)
    assert abs(float(mass) / 2.5 - 1) < (1e-5 if "spline" in name and dim == 2 else 1e-8)


def quadrature(name, n):
    """Nodes and weights on the line, or on a box by the double-exponential rule, for densities steep at its walls."""
    if name not in IN_A_BOX:
        return np.linspace(-9, 9, n), np.full(n, 18 / (n - 1))
    s = np.linspace(-3.2, 3.2, n)
    u, slope = np.tanh(np.pi / 2 * np.sinh(s)), np.pi / 2 * np.cosh(s) / np.cosh(np.pi / 2 * np.sinh(s)) ** 2
    return 0.5 + 1.5 * u, 1.5 * slope * (s[1] - s[0])


@eqx.filter_jit
def _densities(density, t, x):
    return jax.lax.map(lambda x: density.density(t, x), x, batch_size=16384)


def moons(num, key):
    """Samples of two arcs that turn with time, as (t, x)."""
    t_key, arc_key, noise_key = jax.random.split(key, 3)
    t, arc = jax.random.uniform(t_key, (num,)), math.pi * jax.random.uniform(arc_key, (num,))
    angle = arc + math.pi * (jnp.arange(num) % 2) + t
    x = 1.5 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1) + 0.1 * jax.random.normal(noise_key, (num, 2))
    return t, x


TRAINED = [name for name in FLOWS if name not in ("linear flow", "monotone")]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "coupling flow")) for name in TRAINED]
)
def test_laws_hold_after_training(name):
    """Maximum likelihood on samples, which carries a flow far from where it began."""
    density, (t, x) = TransportedDensity(FLOWS[name](2, jax.random.key(1))), moons(256, jax.random.key(0))
    x = 0.5 + 0.5 * x if name in IN_A_BOX else x
    objective = {"samples": Term(lambda model, s: (model.log_mass - model.log_density(*s))[None], kind="loss")}
    source = ArraySource({"samples": (t, x)})
    result = fit(density, objective, source, optax.adam(3e-3), num_steps=150, key=jax.random.key(2), log_every=1)
    assert result.history[-1]["loss"] < result.history[0]["loss"] - 0.02
    found = laws(result.model, *points(2))
    assert found["continuity"] < (1e-11 if "spline" in name else 1e-12), found
    assert max(error for law, error in found.items() if law != "label") < 1e-10, found


@pytest.mark.parametrize(
    ("tolerance", "dim"),
    [(1e-6, 2), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1e-6, 1), (1e-9, 1), (1e-9, 2)])],
)
def test_continuous_flows_obey_the_laws_to_their_tolerance(dim, tolerance):
    flow = OdeFlow(velocity_network(dim, jax.random.key(3)), tolerance)
    found = laws(TransportedDensity(flow), *points(dim))
    assert max(found.values()) < 10 * tolerance, found


@pytest.mark.slow
def test_hutchinsons_estimate_is_right_on_average():
    field, (t, x) = velocity_network(3, jax.random.key(3)), points(3)
    exact = forward(OdeFlow(field, num_steps=8), t[:4], x[:4])[1]
    signs = jnp.asarray(np.array(np.meshgrid([-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0])).reshape(3, 8).T)
    estimate = jax.vmap(lambda probe: forward(OdeFlow(field, num_steps=8, probe=Fixed(probe)), t[:4], x[:4])[1])
    estimates = estimate(signs)
    np.testing.assert_allclose(estimates.mean(axis=0), exact, atol=1e-12)  # over all signs it is the trace
    assert np.std(estimates, axis=0).min() > 1e-4


@pytest.mark.parametrize("shape", [(5, 5), (40, 3), (2, 30)])
def test_the_lipschitz_bound_is_certified_and_tight(shape):
    weight = jax.random.normal(jax.random.key(0), shape)
    for matrix in (weight, 1e3 * weight, jnp.outer(weight[:, 0], weight[0])):
        exact = np.linalg.norm(matrix, 2)
        assert exact <= spectral_bound(matrix) * (1 + 1e-12) and spectral_bound(matrix) < 1.03 * exact


MATRIX, DRIFT = np.array([[0.2, -1.0], [0.5, -0.4]]), np.array([0.3, -0.1])


def test_a_gaussian_under_a_linear_velocity():
    t, x = jnp.asarray(0.8), points(2)[1]
    density = TransportedDensity(LinearFlow(MATRIX, DRIFT), log_mass=math.log(3.0))
    motion = scipy.linalg.expm(0.8 * MATRIX)
    mean = (motion - np.eye(2)) @ np.linalg.solve(MATRIX, DRIFT)
    exact = 3 * scipy.stats.multivariate_normal(mean, motion @ motion.T).pdf(x)
    np.testing.assert_allclose(jax.vmap(partial(density.density, t))(x), exact, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(partial(density.velocity, t))(x), np.asarray(x) @ MATRIX.T + DRIFT, atol=1e-12)


def test_flows_of_velocity_fields_are_those_known():
    t, x = points(2)
    turned = forward(OdeFlow(Rotation(2.0)), t, x)[0]
    np.testing.assert_allclose(turned, forward(LinearFlow([[0, -2.0], [2.0, 0]]), t, x)[0], atol=1e-9)
    back, log_det = forward(OdeFlow(Swirl(1.5)), jnp.full(64, 1.5), jax.nn.sigmoid(x))  # the swirl turns back
    np.testing.assert_allclose(back, jax.nn.sigmoid(x), atol=1e-8)
    np.testing.assert_allclose(log_det, 0, atol=1e-12)  # free of divergence


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("transformer", [None, pytest.param(SPLINE, marks=pytest.mark.slow)], ids=["affine", "spline"])
def test_single_precision_holds_up_to_the_walls(transformer):
    """Values and gradients are finite at the walls, and points come back to where they were."""
    flow = coupling_flow([-4.0] * 2, [4.0] * 2, num_layers=1, depth=1, transformer=transformer, key=jax.random.key(0))
    density = enlarged(TransportedDensity(flow), 2.0)
    edges = jnp.asarray([-4.0, -4.0 + 1e-6, -3.999, 0.0, 3.9, 4.0])
    x = jnp.stack([a.ravel() for a in jnp.meshgrid(edges, edges)], -1)

    def total(model, x):
        log_density, velocity = model.observe(jnp.asarray(0.7), x)
        return log_density + jnp.sum(velocity)

    values, slopes = eqx.filter_jit(jax.vmap(eqx.filter_value_and_grad(total), in_axes=(None, 0)))(density, x)
    for leaf in [values, *jax.tree.leaves(eqx.filter(slopes, eqx.is_array))]:
        assert leaf.dtype == jnp.float32 and bool(jnp.all(jnp.isfinite(leaf)))
    flow = density.flow
    again = eqx.filter_jit(jax.vmap(lambda t, x: flow.forward(t, flow.inverse(t, x)[0])[0]))
    np.testing.assert_allclose(again(jnp.full(36, 0.7), x), x, atol=1e-4)


@pytest.mark.slow
def test_ten_dimensions():
    flow = coupling_flow([-1.0] * 10, [1.0] * 10, **SMALL, key=jax.random.key(0))
    found = laws(TransportedDensity(flow), *points(10))
    assert found["round trip"] < 1e-10 and found["continuity"] < 1e-12 and found["log determinant"] < 1e-10, found


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: Coupling(2, (0, 1), key=jax.random.key(0)), "must be left to condition on"),
        (lambda: Coupling(2, (2,), key=jax.random.key(0)), "0 … 1"),
        (lambda: RationalQuadraticSpline(num_bins=1), "num_bins=1"),
        (lambda: Residual(2, lipschitz=1.0, key=jax.random.key(0)), "lipschitz=1.0"),
        (lambda: ToBox([0.0], [0.0]), "lower < upper"),
        (lambda: LinearFlow([[1.0, 0.0]]), r"\(d, d\)"),
        (lambda: Chain(()), "at least one"),
    ],
)
def test_wrong_settings_are_refused(make, culprit):
    with pytest.raises(ValueError, match=culprit):
        make()
