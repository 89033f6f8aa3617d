"""Laws of neural operators, of every one that claims them, and of the transforms below them."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import partition
from lagrangian_ml.operators import (
    FNO,
    LGM,
    UFNO,
    Cloud,
    DeepONet,
    FactorisedFNO,
    GraphOperator,
    Mixture,
    MultiONet,
    MultiTaskDeepONet,
    PODDeepONet,
    Staggered,
    Transolver,
    TuckerFNO,
    UNet,
    interleave,
    split,
    to_modes,
    to_values,
)

KEY = jax.random.key(0)


def fno_1d(**settings):
    return FNO((2, 24), (3, 24), modes=(5,), width=8, num_layers=2, num_hidden=16, key=KEY, **settings)


def fno_2d(**settings):
    return FNO((2, 9, 12), (3, 9, 12), modes=(3, 4), width=6, num_layers=2, num_hidden=8, key=KEY, **settings)


def lgm_1d(**settings):
    return LGM((2, 24), (3, 24), modes=5, width=8, num_layers=2, num_hidden=16, key=KEY, **settings)


def lgm_2d(**settings):
    return LGM((2, 9, 12), (3, 9, 12), modes=(3, 4), width=6, num_layers=2, num_hidden=8, key=KEY, **settings)


def unet_1d(**settings):
    return UNet((2, 24), (3, 24), **{"width": 4, "num_levels": 1, "kernel": 3, "key": KEY, **settings})


def unet_2d(**settings):
    return UNet((2, 8, 12), (3, 8, 12), width=4, num_levels=1, kernel=3, key=KEY, **settings)


SMALL_1D = {"modes": 5, "width": 8, "num_layers": 2, "num_hidden": 16, "key": KEY}
SMALL_2D = {"modes": (3, 4), "width": 6, "num_layers": 2, "num_hidden": 8, "key": KEY}


def factorised_1d(**settings):
    return FactorisedFNO((2, 24), (3, 24), **SMALL_1D, **settings)


def factorised_2d(**settings):
    return FactorisedFNO((2, 9, 12), (3, 9, 12), **SMALL_2D, **settings)


def tucker_1d(**settings):
    return TuckerFNO((2, 24), (3, 24), **SMALL_1D, **settings)


def tucker_2d(**settings):
    return TuckerFNO((2, 9, 12), (3, 9, 12), **SMALL_2D, **settings)


def ufno_1d(**settings):
    return UFNO((2, 24), (3, 24), **{**SMALL_1D, "num_layers": 1, "num_u_layers": 1, "num_levels": 1, **settings})


def ufno_2d(**settings):
    return UFNO((2, 8, 12), (3, 8, 12), **{**SMALL_2D, "num_layers": 1, "num_u_layers": 1, "num_levels": 1, **settings})


def staggered_1d(**settings):
    return Staggered((2, 24), (3, 24), **{"operator": coarse_fno, "stride": 3, "key": KEY, **settings})


def staggered_2d(**settings):
    return Staggered((2, 8, 9), (3, 8, 9), **{"operator": coarse_fno, "stride": (2, 3), "key": KEY, **settings})


def coarse_fno(inputs, outputs, *, key):
    return FNO(inputs, outputs, modes=2, width=6, num_layers=2, num_hidden=8, positions=False, key=key)


def deeponet():
    return DeepONet((2, 24), (3, 24), num_basis=16, width=16, depth=2, key=KEY)


def multionet():
    return MultiONet((2, 24), (3, 24), width=8, num_layers=2, key=KEY)


def pod(**settings):
    operator = PODDeepONet((2, 24), (3, 24), num_basis=5, width=8, depth=2, key=KEY, **settings)
    return operator.fitted(draw(9, 2, 24), draw(9, 3, 24))


def multitask(inputs=(2, 24), outputs=(3, 24), **settings):
    small = partial(DeepONet, num_basis=8, width=8, depth=2)
    return MultiTaskDeepONet(inputs, outputs, key=KEY, **{"num_codes": 1, "operator": small, **settings})


ON_GRID, ON_CLOUD = ((2, 12), (3, 12)), (Cloud((12, 2), (12, 2), (12,)), (12, 3))


def transolver(shapes=ON_GRID, **settings):
    sizes = {"width": 8, "num_layers": 1, "num_heads": 2, "num_slices": 3, "num_hidden": 8}
    return Transolver(*shapes, key=KEY, **{**sizes, **settings})


def graph(shapes=ON_GRID, **settings):
    small = partial(FNO, modes=3, width=6, num_layers=1, num_hidden=8)
    sizes = {"grid": 6, "num_neighbours": 3, "width": 6, "num_hidden": 8, "operator": small}
    return GraphOperator(*shapes, key=KEY, **{**sizes, **settings})


def mixture(shapes=((2, 24), (3, 24)), **settings):
    small = partial(DeepONet, num_basis=5, width=8, depth=1)
    return Mixture(*shapes, key=KEY, **{"operator": small, "num_experts": 2, "num_features": 4, **settings})


def mixture_of_clouds(shapes):
    return mixture(shapes, operator=lambda *shapes, key: transolver(shapes))


OPERATORS = {
    "fno_1d": (fno_1d, (24,)),
    "fno_2d": (fno_2d, (9, 12)),
    "lgm_1d": (lgm_1d, (24,)),
    "lgm_2d": (lgm_2d, (9, 12)),
    "unet_1d": (unet_1d, (24,)),
    "unet_2d": (unet_2d, (8, 12)),
    "factorised_1d": (factorised_1d, (24,)),
    "factorised_2d": (factorised_2d, (9, 12)),
    "tucker_1d": (tucker_1d, (24,)),
    "tucker_2d": (tucker_2d, (9, 12)),
    "ufno_1d": (ufno_1d, (24,)),
    "ufno_2d": (ufno_2d, (8, 12)),
    "staggered_1d": (staggered_1d, (24,)),
    "staggered_2d": (staggered_2d, (8, 9)),
    "staggered_1d, independent": (lambda: staggered_1d(independent=True), (24,)),
    "deeponet": (deeponet, (24,)),
    "multionet": (multionet, (24,)),
    "pod": (pod, (24,)),
    "multitask": (multitask, (24,)),
    "transolver": (transolver, (12,)),
    "graph": (graph, (12,)),
    "mixture": (mixture, (24,)),
}
AT_POINTS = ("deeponet", "multionet", "pod", "multitask", "graph", "mixture")
OF_CLOUDS = {"transolver": transolver, "graph": graph, "mixture": mixture_of_clouds}
# The network, its grid, and a translation with which it commutes.
EQUIVARIANT = {
    "fno_1d": (lambda: fno_1d(positions=False), (24,), (5,)),
    "fno_2d": (lambda: fno_2d(positions=False), (9, 12), (5, 2)),
    "lgm_1d": (lambda: lgm_1d(positions=False), (24,), (5,)),
    "lgm_2d": (lambda: lgm_2d(positions=False), (9, 12), (5, 2)),
    "unet_1d": (lambda: unet_1d(num_levels=2, kernel=5), (24,), (4,)),
    "unet_2d": (unet_2d, (8, 12), (2, 6)),
    "factorised_1d": (lambda: factorised_1d(positions=False), (24,), (5,)),
    "factorised_2d": (lambda: factorised_2d(positions=False), (9, 12), (5, 2)),
    "tucker_1d": (lambda: tucker_1d(positions=False), (24,), (5,)),
    "tucker_2d": (lambda: tucker_2d(positions=False), (9, 12), (5, 2)),
    "ufno_1d": (lambda: ufno_1d(positions=False), (24,), (6,)),
    "ufno_2d": (lambda: ufno_2d(positions=False), (8, 12), (2, 6)),
    "staggered_1d": (staggered_1d, (24,), (6,)),
    "staggered_2d": (staggered_2d, (8, 9), (2, 6)),
}
# The network, a grid and one three times as fine, and how far apart its outputs may be. Positions jump where the domain
# ends, as padded functions do, which no grid resolves; differences are of second order.
ON_ANY_GRID = {
    "fno_1d": (lambda: fno_1d(positions=False), (16,), 1e-6),
    "fno_1d, positions": (fno_1d, (16,), 5e-3),
    "fno_1d, padded": (lambda: fno_1d(padding=0.25), (16,), 5e-2),
    "fno_2d": (lambda: fno_2d(positions=False), (16, 16), 1e-6),
    "factorised_1d": (lambda: factorised_1d(positions=False), (16,), 1e-6),
    "factorised_2d": (lambda: factorised_2d(positions=False), (16, 16), 1e-6),
    "tucker_1d": (lambda: tucker_1d(positions=False), (16,), 1e-6),
    "tucker_2d": (lambda: tucker_2d(positions=False), (16, 16), 1e-6),
    "lgm_1d": (lambda: lgm_1d(positions=False), (96,), 1e-2),
    "lgm_2d": (lambda: lgm_2d(positions=False), (32, 32), 2e-2),
}


def of(table, fast=None):
    """The names of a table; networks in two dimensions but the FNO compile for long and are slow tests, or all but
    `fast` ones."""
    slow = lambda name: (name.endswith("_2d") and name != "fno_2d") if fast is None else name not in fast
    return [pytest.param(name, marks=pytest.mark.slow) if slow(name) else name for name in table]


GRIDS = [((17,), (5,)), ((17,), (9,)), ((16,), (9,)), ((16, 12), (4, 7)), ((9, 11), (4, 6)), ((8, 9, 10), (4, 3, 6))]


def draw(*shape, dtype=jnp.float64):
    return jax.random.normal(jax.random.key(1), shape, dtype)


def cloud(n=12, masked=4):
    points = jax.random.uniform(jax.random.key(2), (n, 2))
    return Cloud(draw(n, 2), points, (jnp.arange(n) < n - masked).astype(float))


def smooth(*shape):
    """Two components of few modes on a periodic grid."""
    x = jnp.meshgrid(*(2 * np.pi * jnp.arange(n) / n for n in shape), indexing="ij")
    return jnp.stack([jnp.sin(x[0]) + 0.3 * jnp.cos(2 * x[-1]), jnp.cos(x[0] - x[-1]) if len(x) > 1 else jnp.cos(x[0])])


@pytest.mark.parametrize(("shape", "modes"), GRIDS)
def test_kept_modes_are_those_of_numpy(shape, modes):
    u = draw(*shape, 2)
    full = np.fft.rfftn(np.asarray(u), axes=range(len(shape)), norm="forward")
    kept = np.ix_(*(np.r_[0:m, -m:0] for m in modes[:-1]), np.arange(modes[-1]), np.arange(2))
    re, im = to_modes(u, modes)
    np.testing.assert_allclose(re + 1j * im, full[kept], atol=1e-14)
    cut = np.zeros_like(full)
    cut[kept] = full[kept]
    expected = np.fft.irfftn(cut, s=shape, axes=range(len(shape)), norm="forward")
    np.testing.assert_allclose(to_values((re, im), shape), expected, atol=1e-13)


@pytest.mark.parametrize(("shape", "modes"), GRIDS)
def test_both_back_ends_agree_in_single_precision(shape, modes):
    u, weights = draw(*shape, 2, dtype=jnp.float32), draw(*shape, 2, dtype=jnp.float32)

    def work(u, backend):
        there = to_modes(u, modes, backend)
        return jnp.sum(weights * to_values((there[0] ** 2, there[0] * there[1]), shape, backend))

    both = jax.jit(lambda u: [jax.value_and_grad(work)(u, backend) for backend in ("dft", "fft")])
    (value, slope), (other, of_other) = both(u)
    scale = jnp.abs(of_other).max()
    assert abs(value - other) < 1e-5 * abs(other) + 1e-6
    np.testing.assert_allclose(slope / scale, of_other / scale, atol=1e-5)


@pytest.mark.parametrize("name", of(OPERATORS))
def test_every_input_component_acts_on_every_output(name):
    make, shape = OPERATORS[name]
    operator, axes = make(), tuple(range(1, 1 + len(shape)))
    slopes = jax.jit(jax.jacobian(lambda v: jnp.sum(operator(v) ** 2, axis=axes)))(draw(2, *shape))
    assert jnp.all(jnp.sum(slopes**2, axis=tuple(range(2, 2 + len(shape)))) > 1e-12)


@pytest.mark.parametrize("name", of(OPERATORS))
def test_batches_are_samples_one_by_one(name):
    make, shape = OPERATORS[name]
    operator, batch = make(), draw(3, 2, *shape)
    one = jax.jit(jax.value_and_grad(lambda v: jnp.sum(operator(v) ** 2)))
    together = jax.jit(jax.vmap(one))(batch)
    for k, v in enumerate(batch):
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b, rtol=1e-11, atol=1e-13), together, one(v))


@pytest.mark.parametrize("name", of(OPERATORS, fast=("fno_1d", "fno_2d", "lgm_1d", "unet_1d", "deeponet", "pod")))
def test_many_networks_at_once_are_those_one_by_one(name):
    make, shape = OPERATORS[name]
    v = draw(4, 2, *shape)

    @eqx.filter_value_and_grad
    def work(network, v):
        return jnp.sum(jax.vmap(network)(v) ** 2)

    network = make()
    arrays, static = eqx.partition(network, eqx.is_array)
    arrays = jax.tree.map(lambda a: jnp.stack([a, 0.5 * a]), arrays)
    run = jax.jit(lambda arrays: work(eqx.combine(arrays, static), v))
    together = jax.jit(jax.vmap(run))(arrays)
    for k in range(2):
        alone = run(jax.tree.map(lambda a, k=k: a[k], arrays))
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OF_CLOUDS)
def test_clouds_have_no_order_and_nothing_acts_outside_of_the_mask(name):
    operator, full = OF_CLOUDS[name](ON_CLOUD), cloud()
    nothing, order = lambda part: part.at[8:].set(jnp.nan), jax.random.permutation(jax.random.key(3), 12)
    broken = full._replace(values=nothing(full.values), points=nothing(full.points))
    run = jax.jit(jax.value_and_grad(lambda c: (jnp.sum((u := operator(c)) ** 2), u), has_aux=True))
    ((_, u), _), ((_, same), slopes) = run(full), run(broken)
    np.testing.assert_array_equal(u, same)
    np.testing.assert_allclose(u[order], run(jax.tree.map(lambda a: a[order], full))[0][1], atol=1e-13)
    assert jnp.all(u[8:] == 0) and jnp.all(slopes.values[8:] == 0) and jnp.all(slopes.points[8:] == 0)
    assert jnp.all(jnp.abs(slopes.values[:8]).sum(0) > 1e-12) and jnp.all(jnp.isfinite(slopes.points))


@pytest.mark.parametrize("name", OF_CLOUDS)
def test_batches_of_clouds_are_clouds_one_by_one(name):
    operator, clouds = eqx.filter_jit(OF_CLOUDS[name](ON_CLOUD)), [cloud(masked=masked) for masked in (4, 0, 12)]
    together = jax.vmap(operator)(jax.tree.map(lambda *parts: jnp.stack(parts), *clouds))
    for u, one in zip(together, clouds, strict=True):
        np.testing.assert_allclose(u, operator(one), atol=1e-12)


@pytest.mark.parametrize("make", [transolver, graph])
def test_a_grid_is_the_cloud_of_its_nodes(make):
    v, x = draw(2, 3, 4), jnp.stack(jnp.meshgrid(jnp.arange(3.0) / 3, jnp.arange(4.0) / 4, indexing="ij"), -1)
    nodes = Cloud(v.reshape(2, -1).T, x.reshape(-1, 2), jnp.ones(12, bool))
    of_grids, of_clouds = make(((2, 3, 4), (3, 3, 4))), make(ON_CLOUD)
    on_grid, at_points = jax.jit(lambda: (of_grids(v), of_clouds(nodes)))()
    np.testing.assert_allclose(on_grid.reshape(3, -1).T, at_points, atol=1e-13)


def test_graph_is_continuous_where_neighbours_change():
    """One point passes another; the nearest `num_neighbours` of the latent nodes change, and nothing jumps."""
    operator, full = eqx.filter_jit(graph(ON_CLOUD, radius=0.7)), cloud()
    moved = lambda s: operator(full._replace(points=full.points.at[0].set(jnp.stack([s, 0.4]))), jnp.full((1, 2), 0.5))
    places = jnp.linspace(0.1, 0.9, 81)
    coarse, fine = (jnp.abs(jnp.diff(jax.vmap(moved)(s)[:, 0, 0])).max() for s in (places[::8], places))
    assert 0 < fine < 0.35 * coarse


def test_shares_of_experts_are_a_mean():
    operator, v = mixture(num_experts=3), draw(2, 24)
    experts = [jax.tree.map(lambda a, k=k: a[k] if eqx.is_array(a) else a, operator.experts) for k in range(3)]
    u, shares, *each = jax.jit(lambda: (operator(v), operator.shares(v), *(expert(v) for expert in experts)))()
    assert jnp.all(shares > 0) and abs(jnp.sum(shares) - 1) < 1e-14
    np.testing.assert_allclose(u, sum(g * u for g, u in zip(shares, each, strict=True)), atol=1e-13)


@pytest.mark.parametrize("name", AT_POINTS)
def test_points_on_the_nodes_are_the_grid(name):
    make, (n,) = OPERATORS[name]
    operator, v, points = make(), draw(2, n), jnp.arange(float(n))[:, None] / n
    on_grid, at_points = jax.jit(lambda: (operator(v), operator(v, points)))()
    np.testing.assert_allclose(at_points.T, on_grid, atol=1e-13)


@pytest.mark.parametrize("name", of(EQUIVARIANT))
def test_translations_commute_without_positions(name):
    make, shape, shift = EQUIVARIANT[name]
    operator, v, axes = eqx.filter_jit(make()), draw(2, *shape), tuple(range(1, 1 + len(shape)))
    moved = operator(jnp.roll(v, shift, axes))
    np.testing.assert_allclose(moved, jnp.roll(operator(v), shift, axes), atol=1e-13)


@pytest.mark.parametrize("name", of(ON_ANY_GRID))
def test_one_network_serves_all_resolutions(name):
    make, coarse, tolerance = ON_ANY_GRID[name]
    operator, every_third = eqx.filter_jit(make()), (slice(None), *(slice(None, None, 3),) * len(coarse))
    here, there = operator(smooth(*coarse)), operator(smooth(*(3 * n for n in coarse)))[every_third]
    assert jnp.abs(here - there).max() < tolerance * jnp.abs(there).max()


def test_pod_gives_back_what_its_modes_span():
    """Coefficients of the training data on their own modes: mean 0, variance 1, and nothing left over."""
    outputs = draw(9, 3, 24)
    operator = PODDeepONet((2, 24), (3, 24), num_basis=8, key=KEY).fitted(draw(9, 2, 24), outputs)
    mean, modes = operator.mean.value, operator.modes.value
    for j in range(3):
        rest = (outputs - mean[None])[:, j]
        coefficients = jnp.linalg.lstsq(modes[j].T, rest.T)[0]
        np.testing.assert_allclose(modes[j].T @ coefficients, rest.T, atol=1e-12)
        np.testing.assert_allclose(jnp.mean(coefficients**2, 1), 1, atol=1e-10)


def test_modes_of_pod_are_not_trained():
    trained = jax.tree.leaves(partition(pod())[0])
    assert sum(leaf.size for leaf in trained) == sum(leaf.size for leaf in jax.tree.leaves(pod().branch))


def test_outside_of_the_mask_nothing_acts_and_nothing_is():
    values, mask = draw(2, 9, 12), (draw(9, 12) > 0).astype(float)
    operator = multitask((4, 9, 12), (3, 9, 12), mask=True)
    sample = lambda outside: jnp.stack([*jnp.where(mask[None] > 0, values, outside), jnp.full((9, 12), 0.7), mask])
    run = jax.jit(jax.value_and_grad(lambda v: (jnp.sum((u := operator(v)) ** 2), u), has_aux=True))
    ((_, u), _), ((_, same), slopes) = run(sample(0.0)), run(sample(jnp.nan))
    np.testing.assert_array_equal(u, same)
    assert jnp.all((u != 0) == (mask[None] > 0)) and jnp.all(slopes[:2] * (1 - mask[None]) == 0)
    assert jnp.all((operator(sample(0.0), jnp.array([[5.3 / 9, 6.8 / 12]])) != 0) == (mask[5, 7] > 0))


def test_parts_are_fitted_through_what_holds_them():
    inputs, outputs = draw(9, 2, 24), draw(9, 3, 24)
    operator = multitask(operator=partial(PODDeepONet, num_basis=5)).fitted(inputs, outputs)
    np.testing.assert_array_equal(operator.operator.modes.value, pod().modes.value)
    operator = mixture(operator=partial(PODDeepONet, num_basis=5)).fitted(inputs, outputs)
    np.testing.assert_allclose(operator.experts.modes.value[1], pod().modes.value, atol=1e-12)
    assert multitask().fitted(inputs, outputs).operator.branch.layers[0].weight.shape == (8, 25)


@pytest.mark.parametrize(
    ("call", "culprit"),
    [
        (lambda: MultiONet((2, 24), (3, 24), num_layers=0, key=KEY), "num_layers=0"),
        (lambda: multionet()(draw(2, 24), draw(5, 2)), r"expected \(m, 1\)"),
        (lambda: PODDeepONet((2, 24), (3, 4), num_basis=5, key=KEY), "num_basis=5: .* have 4 modes"),
        (lambda: pod().fitted(draw(4, 2, 24), draw(4, 3, 24)), "for 5 modes: expected as many samples"),
        (lambda: multitask(num_codes=2), "num_codes=2, mask=False: 2 components"),
        (lambda: multitask(num_codes=0, mask=True, outputs=(1, 5, 5)), "the same axes"),
        (lambda: transolver(num_heads=3), "width=8 is not a multiple of num_heads=3"),
        (lambda: transolver((ON_CLOUD[0], (11, 3))), "a cloud has values"),
        (lambda: transolver(ON_CLOUD)(draw(2, 12)), "expected 2 components on 2 axes"),
        (lambda: transolver(ON_CLOUD)(cloud()._replace(values=draw(12, 3))), r"expected \(\(12, 2\), \(12, 2\)"),
        (lambda: graph(grid=(6, 6)), r"grid=\(6, 6\) for points of 1 dimensions"),
        (lambda: graph(radius=0.0), "radius=0.0 is not allowed"),
        (lambda: graph()(draw(2, 12), draw(3, 2)), r"expected \(m, 1\)"),
        (lambda: mixture(num_experts=0), "num_experts=0"),
        (lambda: fno_1d()(draw(3, 24)), "expected 2 components on 1 axes"),
        (lambda: fno_1d()(draw(2, 24, 24)), "expected 2 components on 1 axes"),
        (lambda: fno_1d()(draw(2, 6)), "6 points on axis 0 have 1 to 4 modes; got 5"),
        (lambda: fno_2d()(draw(2, 4, 12)), "4 points on axis 0 have 1 to 2 modes; got 3"),
        (lambda: to_modes(draw(8, 2), (3, 3)), "one number an axis"),
        (lambda: fno_1d(padding=2.0), "padding=2.0 is a share"),
        (lambda: fno_1d(activation="geluu"), "'geluu' is unknown"),
        (lambda: FNO((0, 9), (1, 9), modes=2, key=KEY), r"inputs=\(0, 9\)"),
        (lambda: FNO((1, 9), (1, 8), modes=2, key=KEY), "on one grid"),
        (lambda: FNO((1, 9), (1, 9), modes=6, key=KEY), "9 points on axis 0 have 1 to 5 modes; got 6"),
        (lambda: lgm_1d()(draw(3, 24)), "expected 2 components on 1 axes"),
        (lambda: lgm_2d()(draw(2, 4, 12)), "4 points on axis 0 have 1 to 2 modes; got 3"),
        (lambda: LGM((1, 9), (1, 9), modes=2, num_layers=0, key=KEY), "num_layers=0"),
        (lambda: unet_1d()(draw(3, 24)), "expected 2 components on 1 axes"),
        (lambda: unet_2d()(draw(2, 8, 11)), "11 points on axis 1 are not divisible by 2"),
        (lambda: UNet((1, 12), (1, 12), num_levels=3, key=KEY), "12 points on axis 0 are not divisible by 8"),
        (lambda: unet_1d(boundary="reflect"), "'reflect' is unknown; choose periodic or zeros"),
        (lambda: factorised_2d()(draw(2, 3, 12)), "3 points on axis 0 have 1 to 2 modes; got 3"),
        (lambda: factorised_2d(expansion=0), "expansion=0"),
        (lambda: tucker_1d(rank=1.5), "rank=1.5 is a share"),
        (lambda: ufno_2d(num_levels=3), "12 points on axis 1 are not divisible by 8"),
        (lambda: ufno_1d()(draw(2, 25)), "25 points on axis 0 are not divisible by 2"),
        (lambda: staggered_1d(stride=5), "24 points on axis 0 are not divisible by 5"),
        (lambda: staggered_1d(stride=(2, 2)), "one number an axis"),
        (lambda: staggered_2d()(draw(2, 8, 10)), "10 points on axis 1 are not divisible by 3"),
        (lambda: interleave(draw(3, 2, 4), 2), "3 sub-grids of 1 axes"),
        (lambda: deeponet()(draw(2, 25)), r"its sensors, \(2, 24\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, culprit):
    with pytest.raises(ValueError, match=culprit):
        call()


@pytest.mark.parametrize(("shape", "stride"), [((12,), 3), ((6, 8), 2), ((6, 8), (3, 4)), ((4, 6, 2), (2, 3, 1))])
def test_split_fields_are_staggered_and_interleave_to_the_same_bits(shape, stride):
    v = draw(2, *shape)
    parts = split(v, stride)
    steps = (stride,) * len(shape) if isinstance(stride, int) else stride
    for part, start in zip(parts, np.ndindex(steps), strict=True):
        np.testing.assert_array_equal(part, v[(slice(None), *map(lambda a, b: slice(a, None, b), start, steps))])
    np.testing.assert_array_equal(interleave(parts, stride), v)
    np.testing.assert_array_equal(split(interleave(parts, stride), stride), parts)


def test_independent_operators_see_one_sub_grid_each():
    """Changes of one sub-grid change the outputs on that one only."""
    operator, v = staggered_1d(independent=True), draw(2, 24)
    change = jnp.zeros((3, 2, 8)).at[1].set(1.0)
    moved = split(operator(v + interleave(change, 3)) - operator(v), 3)
    assert jnp.all(jnp.abs(moved[1]).max() > 1e-3) and jnp.all(moved[jnp.array([0, 2])] == 0)


def test_tucker_weights_of_full_rank_reach_any_tensor():
    """The core of the singular vectors of every axis gives a tensor back; fewer ranks have fewer parameters."""
    operator = tucker_2d(rank=1.0).layers[0].paths[0]
    target = draw(*operator.weight.shape)
    core, factors = target, []
    for axis in range(1, target.ndim):
        u = np.linalg.svd(np.moveaxis(target, axis, 0).reshape(target.shape[axis], -1), full_matrices=False)[0]
        factors.append(jnp.asarray(u))
        core = jnp.moveaxis(jnp.tensordot(core, u, (axis, 0)), -1, axis)
    operator = eqx.tree_at(lambda o: (o.core, o.factors), operator, (core, tuple(factors)))
    np.testing.assert_allclose(operator.weight, target, atol=1e-12)
    count = lambda network: sum(a.size for a in jax.tree.leaves(eqx.filter(network.layers, eqx.is_array)))
    assert count(tucker_2d(rank=0.5)) < 0.5 * count(fno_2d())
