"""Laws of MLS-MPM: what transfers reproduce, what free flight conserves, and what neither values nor gradients survive.

Most laws are read off one scene, a ball that may fly, hit the one wall or leave through the open faces, so that one
compiled rollout and one compiled gradient serve them all. Gradients through contact: `test_particle_gradients.py`.
"""

import dataclasses
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.linalg.components import Vector
from lagrangian_ml.particles import (
    BACKENDS,
    KERNELS,
    MPM,
    BallShape,
    FixedCorotated,
    Fluid,
    NeoHookean,
    Particles,
    Separating,
    Walls,
    block,
    conserved,
    fill,
    gather,
    join,
    scatter,
)
from lagrangian_ml.particles.checks import cfl_limit, check_scene
from lagrangian_ml.particles.transfer import Local

# -- transfers --------------------------------------------------------------------------------------------------------

SHAPES = {2: (8, 9), 3: (6, 7, 8)}
KINDS = [(kernel, dim) for kernel in KERNELS for dim in SHAPES]


def kinds(by_default):
    return [pytest.param(*kind, marks=[pytest.mark.slow] * (kind not in by_default)) for kind in KINDS]


def places(kernel, shape):
    """Places in the whole range that the kernel allows, its ends among them."""
    low, high = kernel.shift, np.asarray(shape) - kernel.width + 1 + kernel.shift
    x = np.random.default_rng(0).uniform(low, high, (24, len(shape)))
    x[0], x[1] = low, high - 1e-5
    return Vector.split(jnp.asarray(x, jnp.result_type(float)), 1)


def drawn(X, shape, seed=1):
    """Fields with and without all that they may carry, and as many grids."""
    rng, d = np.random.default_rng(seed), len(shape)
    array = lambda *s: jnp.asarray(rng.normal(size=s), X[0].dtype)
    vector = lambda: Vector(*(array(24) for _ in range(d)))
    fields = Local(array(24), vector(), vector()), Local(array(24))
    return fields, tuple(array(int(np.prod(shape))) for _ in fields)


@eqx.filter_jit
def transfers(backend, kernel, shape, X, fields, grids):
    """What scatter and gather make of them, and the gradients of both, one after the other, in everything."""
    both = {"slope": True, "flux": True}

    def composed(X, fields, grids):
        nodes = scatter(backend, kernel, shape, X, fields)
        moved = tuple(jnp.sin(a) * b for a, b in zip(nodes, grids, strict=True))
        found = gather(backend, kernel, shape, X, moved, **both)
        return sum(jnp.sum(jnp.cos(leaf)) for leaf in jax.tree.leaves(found))

    values = scatter(backend, kernel, shape, X, fields), gather(backend, kernel, shape, X, grids, **both)
    return values, jax.grad(composed, argnums=(0, 1, 2))(X, fields, grids)


@cache
def transferred(backend, name, dim):
    X = places(KERNELS[name], SHAPES[dim])
    return transfers(backend, KERNELS[name], SHAPES[dim], X, *drawn(X, SHAPES[dim]))


def agree(ours, theirs, tolerance):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * np.max(np.abs(b)))


@pytest.mark.parametrize(("name", "dim"), kinds([("quadratic", 2), ("cubic", 2)]))
def test_polynomials_are_reproduced(name, dim):
    """Σ w = 1, Σ w r = 0, Σ w r rᵀ = inertia I and Σ ∇w iᵀ = I, read off the grids 1, i and |i|²."""
    kernel, shape = KERNELS[name], SHAPES[dim]
    X = places(kernel, shape)
    nodes = [axis.ravel().astype(float) for axis in np.meshgrid(*map(np.arange, shape), indexing="ij")]
    grids = [np.ones_like(nodes[0]), *nodes, sum(axis**2 for axis in nodes)]
    read = eqx.filter_jit(lambda X, grids: gather("rows", kernel, shape, X, grids, slope=True, flux=True))
    found = read(X, tuple(map(jnp.asarray, grids)))
    one, *linear, square = [(np.asarray(part.value), part.slope.stack(), part.flux.stack()) for part in found]
    x = X.stack()
    for part, exact in zip(one, (1.0, 0.0, 0.0), strict=True):
        np.testing.assert_allclose(part, exact, atol=1e-14)
    for j, parts in enumerate(linear):
        unit = np.broadcast_to(np.eye(dim)[j][:, None], x.shape)
        for part, exact in zip(parts, (x[j], kernel.inertia * unit, unit), strict=True):
            np.testing.assert_allclose(part, exact, atol=1e-13)
    np.testing.assert_allclose(square[0], jnp.sum(x**2, axis=0) + dim * kernel.inertia, rtol=1e-13)
    np.testing.assert_allclose(square[2], 2 * x, atol=1e-12)  # ∂ of |X|² + a constant


@pytest.mark.parametrize(("name", "dim"), kinds([("quadratic", 2)]))
@pytest.mark.parametrize("backend", BACKENDS)
def test_scatter_is_the_transpose_of_gather(backend, name, dim):
    X = places(KERNELS[name], SHAPES[dim])
    fields, grids = drawn(X, SHAPES[dim])
    (nodes, found), _ = transferred(backend, name, dim)
    for field, node, grid, local in zip(fields, nodes, grids, found, strict=True):
        parts = zip(*(jax.tree.leaves(Local(*pair)) for pair in (field, _as(field, local))), strict=True)
        work = sum(jnp.sum(a * b) for a, b in parts)
        assert abs(float(jnp.sum(node * grid) - work)) < 1e-12


def _as(field, local):
    return Local(*(None if given is None else part for given, part in zip(field, local, strict=True)))


@pytest.mark.parametrize(("name", "dim"), kinds([("quadratic", 2)]))
@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "rows"])
def test_back_ends_agree_in_values_and_gradients(backend, name, dim):
    """Gradients of "rows" and "dense" are automatic: they judge the adjoint of "scalars", written by hand."""
    agree(transferred(backend, name, dim), transferred("rows", name, dim), 1e-13)


@pytest.mark.slow
@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize(("name", "dim"), KINDS)
def test_back_ends_agree_in_single_precision(name, dim):
    X = places(KERNELS[name], SHAPES[dim])
    find = lambda backend: transfers(backend, KERNELS[name], SHAPES[dim], X, *drawn(X, SHAPES[dim]))
    exact = find("rows")
    for backend in ("scalars", "dense"):
        agree(find(backend), exact, 1e-5)


# -- a ball -----------------------------------------------------------------------------------------------------------

GRID, DT, NUM_STEPS = Grid((32, 32), (0.0, 0.0), (1.0, 1.0)), 5e-4, 200
SPACING = 1 / 64
SPIN, DRIFT = 5.0, (0.3, -0.2)


def ball(spin=0.0, drift=(0.0, 0.0), stretch=1.0, center=(0.5, 0.5), radius=0.12, grid=GRID):
    """A disc that turns, drifts and is stretched; its last particle stands apart."""
    h = grid.spacings[0] / 2
    x = fill(BallShape(center, radius), h, bounds=([c - radius for c in center], [c + radius for c in center]))
    arm = x - x.mean(axis=0)
    particles = Particles.at(x, h**2, v=spin * arm[:, ::-1] * [-1, 1] + np.asarray(drift))
    turning = jnp.broadcast_to(spin * jnp.asarray([[0.0, -1.0], [1.0, 0.0]]), particles.C.shape)
    return dataclasses.replace(particles, C=turning.astype(particles.x.dtype), F=particles.F * stretch)


def stepper(particles, grid=GRID, dt=DT, gravity=(0.0, 0.0), **settings):
    """One wall, at the left; the other faces are open."""
    wall = Walls.of(grid, contact={"x_lower": Separating(), "other": None})
    material = NeoHookean(jnp.asarray(1000.0, particles.x.dtype), 0.2)
    return MPM(particles, grid, dt, materials=(material,), boundaries=(wall,), gravity=gravity, **settings)


@eqx.filter_jit
def advance(step, state):
    return jax.tree.map(lambda leaf: leaf[-1], rollout(step, state, NUM_STEPS, save_every=NUM_STEPS))


@eqx.filter_jit
def pull(step, state, weights):
    """The gradient of Σ weights · x after 200 steps, in all that is a number in the step and the state."""

    def loss(both):
        step, state = both
        state = rollout(step, state, NUM_STEPS, save_every=NUM_STEPS, save=lambda state: state.x)
        return jnp.sum(weights * state.stack(-1)[-1])

    return eqx.filter_grad(loss)((step, state))


def after(particles, num_rollouts=1, **settings):
    """(step, first state, last state)"""
    step = stepper(particles, **settings)
    first = last = step.init(particles)
    for _ in range(num_rollouts):
        last = advance(step, last)
    return step, first, last


def drifts(step, first, last):
    """Relative changes of what is conserved; spin and energy are those about the centre of mass."""

    def measured(state):
        found, particles = conserved(step, state), step.particles(state)
        mass, p = found["mass"], found["momentum"]
        x, y = jnp.sum(particles.mass[:, None] * particles.x, axis=0) / mass
        spin = found["angular_momentum"] - (x * p[1] - y * p[0])
        energy = found["kinetic"] + found["elastic"] - jnp.sum(p**2) / (2 * mass)
        return {"mass": mass, "momentum": p, "spin": spin, "energy": energy}

    before, now = measured(first), measured(last)
    largest = lambda a: float(np.max(np.abs(a)))
    changes = {name: largest(now[name] - before[name]) / largest(before[name]) for name in ("mass", "momentum", "spin")}
    return changes | {"energy": float(now["energy"] / before["energy"]) - 1}


def test_free_flight_conserves():
    found = drifts(*after(ball(SPIN, DRIFT, 1.02)))
    assert found["mass"] == 0 and found["momentum"] < 1e-14 and found["spin"] < 1e-13, found
    assert -0.4 < found["energy"] < 0, found


def test_free_fall_is_exact():
    """The parabola of the symplectic scheme, x₀ + n Δt v₀ + ½ n (n + 1) Δt² g."""
    particles, g = ball(drift=DRIFT), (-1.0, -3.0)
    step, _, last = after(particles, gravity=g)
    n = NUM_STEPS
    exact = particles.x + n * DT * particles.v + 0.5 * n * (n + 1) * DT**2 * np.asarray(g)[None]
    np.testing.assert_allclose(step.positions(last), exact, atol=1e-13)


SCHEMES = {  # name: (settings, bounds of the change of spin and of the loss of energy in 2,000 steps)
    "apic": ({}, 1e-13, 0.1),
    "tpic": ({"scheme": "tpic"}, 1e-3, 0.1),
    "pic": ({"scheme": "pic"}, 1.0, 1.0),
    "flip": ({"scheme": "pic", "flip": 1.0}, 1e-2, 0.1),
    "flip 0.95": ({"scheme": "pic", "flip": 0.95}, 1.0, 1.0),
    "aflip": ({"flip": 1.0}, 1e-3, 0.05),
    "aflip 0.95": ({"flip": 0.95}, 1e-3, 0.05),
    "apic cubic": ({"kernel": "cubic"}, 1e-13, 0.1),
    "aflip cubic": ({"flip": 1.0, "kernel": "cubic"}, 1e-3, 0.05),
}
FINE = Grid((64, 64), (0.0, 0.0), (1.0, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMES)
def test_what_each_scheme_conserves(name):
    """A disc of 38 cells turns at 5 rad/s, 2 % stretched, for 2,000 steps."""
    settings, angular, energy = SCHEMES[name]
    found = drifts(*after(ball(SPIN, DRIFT, 1.02, radius=0.3, grid=FINE), 10, grid=FINE, dt=1e-4, **settings))
    assert found["mass"] == 0 and found["momentum"] < 1e-13 and found["spin"] < angular, found
    assert -energy < found["energy"] < 0, found


@pytest.mark.slow
@pytest.mark.usefixtures("float32")
def test_free_flight_conserves_in_single_precision():
    for kernel in KERNELS:
        found = drifts(*after(ball(SPIN, DRIFT, 1.02), 10, dt=1e-4, kernel=kernel))
        assert found["mass"] == 0 and found["momentum"] < 1e-4 and found["spin"] < 1e-4, found


def test_flip_keeps_more_energy():
    lost = [drifts(*after(ball(SPIN, DRIFT, 1.02), flip=flip))["energy"] for flip in (0.0, 1.0)]
    assert lost[0] < 0.7 * lost[1] < 0, lost


def through(particles, weights, **settings):
    """(step, gradient in the step, gradient in the state) of Σ weights · x after 200 steps."""
    step = stepper(particles, **settings)
    weights = jnp.broadcast_to(jnp.asarray(weights, particles.x.dtype), particles.x.shape)
    return step, *pull(step, step.init(particles), weights[step.order])


def test_gradients_of_free_flight_are_exact():
    """ChainQueen's test: the mean place moves by n Δt with the velocity and by 1 with the place."""
    particles = ball(SPIN, DRIFT, 1.02)
    step, by_step, by_state = through(particles, [1 / particles.num, 0.0])
    total = lambda vector: [float(jnp.sum(part)) for part in vector]
    np.testing.assert_allclose(total(by_state.v), [NUM_STEPS * DT, 0.0], atol=1e-13)
    np.testing.assert_allclose(total(by_state.x), [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(by_step.gravity, [0.5 * NUM_STEPS * (NUM_STEPS + 1) * DT**2, 0.0], atol=1e-13)
    assert abs(float(by_step.materials[0].young)) < 1e-13


def test_gradients_of_a_collision_are_those_of_differences():
    """… with the wall, in each component of the ball's velocity and in its stiffness."""
    particles, weights = ball(drift=(-1.0, 0.4), center=(0.25, 0.5)), [1.0, 0.5]
    mean = lambda step, state: jnp.sum(step.positions(state).mean(axis=0) * jnp.asarray(weights))
    step, by_step, by_state = through(particles, np.asarray(weights) / particles.num)
    assert float(advance(step, step.init(particles)).v[0].mean()) > 0.2  # it came back

    def difference(eps, move=(0.0, 0.0), young=0.0):
        def moved(sign):
            other = eqx.tree_at(lambda s: s.materials[0].young, step, replace_fn=lambda e: e + sign * eps * young)
            start = dataclasses.replace(particles, v=particles.v + sign * eps * jnp.asarray(move)[None])
            return mean(other, advance(other, other.init(start)))

        return float((moved(1) - moved(-1)) / (2 * eps))

    found = [float(jnp.sum(part)) for part in by_state.v]
    for ours, move in zip(found, ((1.0, 0.0), (0.0, 1.0)), strict=True):
        errors = [abs(difference(eps, move) / ours - 1) for eps in (1e-4, 1e-5, 1e-6)]
        assert min(errors) < 1e-8, errors
    ours = float(by_step.materials[0].young)
    errors = [abs(difference(eps, young=1000.0) / (1000 * ours) - 1) for eps in (1e-4, 1e-5, 1e-6)]
    assert min(errors) < 1e-7, errors


def finite(tree):
    return all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def with_another(x, v=(0.0, 0.0), F=1.0):
    """A ball at rest but for its last particle, which is elsewhere."""
    particles = ball()
    values = {"x": x, "v": v, "F": F * np.eye(2)}
    return dataclasses.replace(particles, **{k: getattr(particles, k).at[-1].set(a) for k, a in values.items()})


def test_nothing_is_nan_at_rest_and_where_bodies_are_crushed():
    for particles in (ball(), with_another((0.5, 0.5), F=1e-9)):
        step, by_step, by_state = through(particles, 1.0)
        state = advance(step, step.init(particles))
        assert int(state.escaped) == 0 and finite(state) and finite((by_step, by_state))


@pytest.mark.parametrize("kind", ["flies out", "outside", "nan", "nan in v", "nan in F"])
def test_what_leaves_is_counted_and_disturbs_nobody(kind):
    """All others move as they do without it, to the last bit."""
    place = {"outside": (2.0, 0.5), "nan": (np.nan, 0.5)}.get(kind, (0.8, 0.8))
    particles = with_another((0.8, 0.8), (3.0, 0.5))
    step = stepper(particles)
    started = dataclasses.replace(particles, x=particles.x.at[-1].set(place))
    if kind.startswith("nan in"):
        started = dataclasses.replace(started, **{kind[-1]: getattr(started, kind[-1]).at[-1].set(np.nan)})
    absent = dataclasses.replace(particles, alive=particles.alive.at[-1].set(False))
    last, without = (step.particles(advance(step, step.init(start))) for start in (started, absent))
    assert not last.alive[-1] and last.alive[:-1].all()
    for name in ("x", "v", "C", "F"):
        np.testing.assert_array_equal(getattr(last, name)[:-1], getattr(without, name)[:-1])
    if kind == "flies out":
        assert finite(last) and 1 - 2 * GRID.spacings[0] < last.x[-1, 0] < 1
        np.testing.assert_array_equal(last.v[-1], 0.0)
    gradients = pull(step, step.init(started), jnp.ones_like(particles.x))
    assert finite(gradients)


# -- the stepper ------------------------------------------------------------------------------------------------------


@eqx.filter_jit
def once(step, state, traces):
    traces.append(1)
    return step(state)


class Count(list):
    """Of traces; equal to any other, so that a compiled function is found again."""

    __hash__ = lambda self: 0
    __eq__ = lambda self, other: isinstance(other, Count)


def two_bodies():
    solid = Particles.at(block((0.2, 0.3), (0.4, 0.5), (6, 6)), 1e-3, v=(0.5, 0.0))
    water = Particles.at(block((0.6, 0.3), (0.8, 0.5), (6, 6)), 1e-3, v=(-0.2, 0.3), material=1)
    return dataclasses.replace(solid, F=1.05 * solid.F), dataclasses.replace(water, F=0.97 * water.F)


@pytest.mark.parametrize("which", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_materials_act_each_on_its_own_particles(which):
    """Two bodies in one scene, in mixed order, move as each does alone."""
    bodies, materials = two_bodies(), (FixedCorotated(200.0, 0.3), Fluid(300.0))
    settings = {"grid": GRID, "dt": DT, "materials": materials, "gravity": (0.0, -1.0), "backend": "dense"}

    def moved(particles):
        step = MPM(particles, **settings)
        state, traces = step.init(particles), Count()
        for _ in range(10):
            state = once(step, state, traces)
        assert len(traces) == 1
        return step.particles(state)

    joined = join(bodies)
    mixed = np.random.default_rng(0).permutation(joined.num)
    both = moved(jax.tree.map(lambda leaf: leaf[mixed], joined))
    both = jax.tree.map(lambda leaf: leaf[np.argsort(mixed)], both)
    alone, here = moved(bodies[which]), slice(36 * which, 36 * which + 36)
    for name in ("x", "v", "F"):
        np.testing.assert_allclose(getattr(both, name)[here], getattr(alone, name), rtol=0, atol=1e-12)


def test_the_order_of_particles_is_irrelevant():
    """… also that of parameters with an entry for each particle, and particles come back as they were given."""
    particles, rng = ball(SPIN, DRIFT, 1.02), np.random.default_rng(0)
    mixed, young = rng.permutation(particles.num), jnp.asarray(rng.uniform(300, 1000, particles.num))
    shuffled = jax.tree.map(lambda leaf: leaf[mixed], particles)

    def moved(particles, young):
        step = MPM(particles, GRID, DT, materials=(NeoHookean(young, 0.2),), backend="rows")
        for name in particles.__dataclass_fields__:
            given, back = getattr(particles, name), getattr(step.particles(step.init(particles)), name)
            assert given.dtype == back.dtype
            np.testing.assert_array_equal(back, given)
        return step.positions(once(step, once(step, step.init(particles), Count()), Count()))

    np.testing.assert_allclose(moved(shuffled, young[mixed]), moved(particles, young)[mixed], rtol=0, atol=1e-14)


def test_a_part_of_a_material_is_not_taken_for_its_parameters():
    """… if an array in it happens to have as many entries as there are particles."""

    class Scaled(eqx.Module):
        part: tuple
        inner: NeoHookean

        def __call__(self, F, plastic):
            return (self.inner(F, plastic)[0] * self.part[0][0], F, plastic)

    particles = ball(SPIN, DRIFT, 1.02)
    part, solid = (jnp.arange(1.0, particles.num + 1),), NeoHookean(500.0, 0.2)
    moved = []
    for material in (Scaled(part, solid), solid):
        step = MPM(particles, GRID, DT, materials=(material,), backend="rows")
        moved.append(step.positions(once(step, once(step, step.init(particles), Count()), Count())))
    np.testing.assert_array_equal(*moved)


def test_a_step_compiles_once():
    particles, traces = ball(), Count()
    for young, g in ((500.0, -1.0), (900.0, 2.0)):
        step = stepper(particles, gravity=(0.0, g), backend="dense")
        step = eqx.tree_at(lambda s: s.materials[0].young, step, jnp.asarray(young))
        state = once(step, step.init(particles), traces)
        assert int(once(step, state, traces).count) == 2
    assert len(traces) == 1


@pytest.mark.parametrize("backend", ["scalars", pytest.param("dense", marks=pytest.mark.slow)])
def test_many_simulations_at_once_are_those_one_by_one(backend):
    particles, traces = ball(), Count()
    step, velocities = stepper(particles, backend=backend), jnp.asarray([[0.5, 0.0], [-1.0, 0.3], [0.0, 2.0]])

    @jax.value_and_grad
    def height(v):
        state = step.init(dataclasses.replace(particles, v=jnp.broadcast_to(v, particles.v.shape)))
        return jnp.mean(once(step, once(step, state, traces), traces).x[1] ** 2)

    together = jax.vmap(height)(velocities)
    for k, v in enumerate(velocities):
        jax.tree.map(lambda a, b, k=k: np.testing.assert_allclose(a[k], b, atol=1e-13), together, height(v))


def at(x=((0.5, 0.5),), volume=1e-3, **changes):
    return dataclasses.replace(Particles.at(np.full((len(x), 2), 0.5), volume), x=jnp.asarray(x), **changes)


def made(particles=None, grid=GRID, dt=DT, **settings):
    settings = {"materials": (NeoHookean(1.0, 0.2),)} | settings
    return MPM(at() if particles is None else particles, grid, dt, **settings)


def checked(kernel="quadratic", scheme="apic", backend=None):
    """What type checkers refuse already."""
    check_scene(at(), GRID, DT, (NeoHookean(1.0, 0.2),), kernel, scheme, 0.0, backend)


def unequal(*shape):
    return Grid(shape, (0.0, 0.0), (1.0, 1.0))


WITH_MUSCLE = {"actuator": jnp.zeros(1, jnp.int32)}


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: made(dt=0.5, materials=(NeoHookean(100.0, 0.2),)), r"at most 0.00296.*NeoHookean \(material 0\)"),
        (lambda: made(dt=0.0), "dt=0 must be positive"),
        (lambda: made(at(((0.5, 0.5), (1.2, 0.5)))), r"1 particles are outside the grid, first x\[1\]=\(1.2, 0.5\)"),
        (lambda: made(at(((np.nan, 0.5),))), "1 particles are outside"),
        (lambda: made(at(((0.03, 0.5),)), kernel="cubic"), r"cubic kernel needs places between \(0.03125, 0.03125\)"),
        (lambda: made(at(volume=0.0)), "volume=0.0: every particle needs a volume > 0"),
        (lambda: made(at(volume=np.inf)), "not infinite"),
        (lambda: made(at(mass=jnp.zeros(1))), r"mass\[0\]=0: every particle needs a mass > 0"),
        (lambda: made(at(volume=1.0, mass=jnp.full(1, np.nan))), r"mass\[0\]=nan"),
        (lambda: Particles.at(np.full(2, 0.5), 1.0), r"expected \(p, d\)"),
        (lambda: made(at(material=jnp.ones(1, jnp.int32))), r"material\[0\]=1 is unknown; .* 0 to 0"),
        (lambda: made(at(actuator=jnp.full(1, -2))), "below −1"),
        (lambda: made(at(actuator=jnp.ones(1, jnp.int32))), "actuator 0 has no particles"),
        (lambda: made(grid=unequal(16, 32)), "equally spaced; got spacings"),
        (lambda: made(grid=Grid((32, 32), (0, 0), (1, 1), centred=True)), "not centred"),
        (lambda: made(grid=unequal(4, 4)), "too small for a quadratic kernel"),
        (lambda: made(grid=Grid((32,) * 3, (0,) * 3, (1,) * 3)), r"expected \(p, 3\)"),
        (lambda: checked(kernel="linear"), "kernel='linear' is unknown; choose one of quadratic, cubic"),
        (lambda: checked(scheme="flip"), "scheme='flip' is unknown; choose one of apic, tpic, pic"),
        (lambda: checked(backend="cuda"), "backend='cuda' is unknown; choose one of scalars, rows, dense"),
        (lambda: made(flip=1.5), "flip=1.5 is a fraction"),
        (lambda: made(gravity=(0.0, 0.0, -1.0)), r"gravity has the shape \(3,\); expected \(2,\)"),
        (lambda: made(at(**WITH_MUSCLE), fibres=[(1.0, 0.0, 0.0)]), r"expected \(1, 2\) directions"),
        (lambda: made(at(**WITH_MUSCLE), fibres=[(0.0, 0.0)]), "that are not zero"),
        (
            lambda: made(eqx.tree_at(lambda p: p.v, at(), jnp.zeros((1, 3)))),
            r"v has the shape \(1, 3\); 1 particles in 2 dimensions need \(1, 2\)",
        ),
        (lambda: made(eqx.tree_at(lambda p: p.F, at(), jnp.zeros((1, 3, 3)))), r"F has the shape \(1, 3, 3\)"),
        (
            lambda: made(eqx.tree_at(lambda p: p.material, at(), jnp.zeros(3, jnp.int32))),
            r"material has the shape \(3,\)",
        ),
        (lambda: made(materials=()), "one material or more"),
        (lambda: NeoHookean(jnp.asarray(-100.0), 0.3), "young=-100"),
        (lambda: made().init(at(mass=jnp.ones(1))), "mass differs from that of the particles"),
        (lambda: made().init(at(**WITH_MUSCLE)), "actuator differs from that of the particles"),
        (lambda: made().init(at(material=jnp.ones(1, jnp.int32))), "material differs from that of the particles"),
        (lambda: made().init(at(((0.5, 0.5), (0.4, 0.4)))), r"1 particles in 2 dimensions need \(1, 2\)"),
    ],
)
def test_scenes_that_cannot_work_are_refused(make, culprit):
    with pytest.raises(ValueError, match=culprit):
        make()


def test_a_modulus_by_particle_limits_its_own_material_only():
    particles = join([at(((0.4, 0.5),)), at(((0.6, 0.5),), material=jnp.ones(1, jnp.int32))])
    materials = NeoHookean(jnp.asarray([1.0, 1e9]), 0.2), NeoHookean(4.0, 0.2)
    same = NeoHookean(1.0, 0.2), NeoHookean(4.0, 0.2)
    assert cfl_limit(particles, GRID, materials) == cfl_limit(particles, GRID, same)
    made(particles, materials=materials)


@pytest.mark.parametrize("place", [0.05, np.nan])
def test_what_has_left_is_not_seen_by_controllers(place):
    muscle = {"actuator": jnp.zeros(2, jnp.int32)}
    particles = at(((0.5, 0.5), (place, 0.5)), alive=jnp.asarray([True, False]), **muscle)
    step = made(particles, controller=lambda t, observation: observation.centers[0, :1])
    assert float(step.tension(step.init(particles))[0]) == 0.5


def test_what_is_wrong_is_said_while_it_runs():
    with pytest.raises(ValueError, match="x is traced: a step is made outside of jit and grad"):
        jax.eval_shape(lambda x: made(dataclasses.replace(at(), x=x)).order, at().x)
    step, particles = made(), at()
    with pytest.raises(ValueError, match="mass is traced, but belongs to the step"):
        jax.eval_shape(lambda m: step.init(dataclasses.replace(particles, mass=m)).x, particles.mass)
    particles = at(**WITH_MUSCLE)
    step = made(particles, controller=lambda t, observation: jnp.zeros(3))
    with pytest.raises(ValueError, match=r"the controller gives \(3,\); the particles have 1 actuators"):
        step(step.init(particles))
    with pytest.raises(ValueError, match="memory_budget=100 bytes holds too few states"):
        rollout(step, step.init(particles), 1000, memory_budget=100)
