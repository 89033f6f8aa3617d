"""Laws of contact: nothing enters, what leaves is left alone, friction is Coulomb's; smooth laws and their gradients.

A new contact law joins LAWS by one line.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.core import Grid
from lagrangian_ml.domains import Ball, Box, Union
from lagrangian_ml.linalg.components import Vector
from lagrangian_ml.particles.boundaries import (
    Bands,
    Friction,
    Obstacle,
    Separating,
    Slip,
    Sticky,
    Walls,
    distance_and_normal,
)
from lagrangian_ml.particles.shapes import (
    BallShape,
    BoxShape,
    HalfSpace,
    Moving,
    UnionShape,
    block,
    fill,
)

WIDTH = 0.05
LAWS = {
    "sticky": Sticky(),
    "slip": Slip(),
    "separating": Separating(),
    "friction": Friction(0.4),
    "no friction": Friction(0.0),
    "separating, smooth": Separating(WIDTH),
    "friction, smooth": Friction(0.4, WIDTH),
}
SMOOTH = [name for name in LAWS if "smooth" in name]
ONE_SIDED = ["separating", "friction", "no friction"]
DIMS = (2, 3)


def cloud(d, n=200, seed=0):
    """(v, n, x): velocities, also slow ones, and unit normals at random places."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=(d, n)) * 10.0 ** rng.uniform(-3, 1, n)
    normal = rng.normal(size=(d, n))
    normal = normal / np.linalg.norm(normal, axis=0)
    return tuple(Vector(*a) for a in (v, normal, rng.uniform(size=(d, n))))


@eqx.filter_jit
def _run(part, args):
    return part(*args)


def run(part, *args):
    """part(*args), compiled, as NumPy arrays: the checks then compile nothing."""
    return jax.tree.map(np.asarray, _run(part, args))


def close(a, b, tolerance=1e-13):
    np.testing.assert_allclose(np.stack(list(a)), np.stack(list(b)), rtol=tolerance, atol=tolerance)


def parts(v, normal):
    """(vₙ, |vₜ|, vₜ)"""
    speed = v.dot(normal)
    along = v - normal * speed
    return speed, np.sqrt(along.dot(along)), along


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.parametrize("name", LAWS)
def test_nothing_enters_and_energy_does_not_grow(name, d):
    v, normal, x = cloud(d)
    after = run(LAWS[name], v, normal, x)
    slack = 1e-13 * (1 + v.dot(v))
    assert np.all(after.dot(normal) >= -slack)
    assert np.all(parts(after, normal)[1] <= parts(v, normal)[1] + slack)  # friction does not turn or speed up
    assert np.all(parts(after, normal)[2].dot(parts(v, normal)[2]) >= -slack)


@pytest.mark.parametrize("name", ONE_SIDED)
def test_what_leaves_is_left_alone(name):
    v, normal, x = cloud(3)
    leaves = v.dot(normal) >= 0
    after = run(LAWS[name], v, normal, x)
    for new, old in zip(after, v):
        np.testing.assert_array_equal(new[leaves], old[leaves])  # to the last bit
    assert np.max(np.abs(after.dot(normal) * ~leaves)) < 1e-13


@pytest.mark.parametrize("d", DIMS)
def test_the_laws_are_what_they_say(d):
    v, normal, x = cloud(d)
    speed, sliding, along = parts(v, normal)
    touches = speed < 0
    close(run(LAWS["sticky"], v, normal, x), v * 0.0)
    close(run(LAWS["slip"], v, normal, x), along)
    close(run(LAWS["no friction"], v, normal, x), run(LAWS["separating"], v, normal, x))
    mu = np.linspace(0.0, 2.0, 200)
    after = run(Friction(mu), v, normal, x)
    expected = np.where(touches, np.maximum(0, sliding - mu * np.abs(speed)), sliding)
    np.testing.assert_allclose(parts(after, normal)[1], expected, atol=1e-13)
    of_place = run(Friction(lambda x: 2.0 * x[0]), v, normal, x)
    close(of_place, run(Friction(2.0 * x[0]), v, normal, x))


@pytest.mark.parametrize("make", [Separating, lambda w: Friction(0.4, w)])
def test_smooth_laws_tend_to_the_sharp_ones(make):
    v, normal, x = cloud(3)
    sharp = run(make(None), v, normal, x)
    differences = [run(make(np.array(w)), v, normal, x) - sharp for w in (1e-1, 1e-3, 1e-5)]
    errors = [max(np.abs(u).max() for u in difference) for difference in differences]
    assert errors[1] < 2e-2 * errors[0] and errors[2] < 2e-2 * errors[1] and errors[2] < 2e-5


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.parametrize("name", LAWS)
def test_gradients_are_finite_at_rest_and_on_every_kink(name, d):
    up = [float(i == d - 1) for i in range(d)]
    along = np.array([0.0, 0.0, 0.4, -0.4, 1.0, 1e-200, 1e-30, 1e-18])
    into = np.array([0.0, -1.0, -1.0, -1.0, 0.0, -1.0, -1e-3, -1e-30])

    def loss(both):
        law, v = both
        after = law(v, Vector(*up), v).stack()
        return jnp.sum(after**2 + after)

    dtype = {2: np.float32, 3: np.float64}[d]
    law, v = LAWS[name], Vector(*(np.zeros(8),) * (d - 2), along, into)
    if hasattr(law, "coefficient"):
        law = eqx.tree_at(lambda law: law.coefficient, law, jnp.asarray(law.coefficient, dtype))
    gradients = run(eqx.filter_grad(loss), (law, v.map(lambda a: jnp.asarray(a, dtype))))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", [*SMOOTH, "friction"])
def test_gradients_are_central_differences(name):
    v, normal, x = cloud(2)
    law, direction = LAWS[name], cloud(2, seed=1)[1]
    speed, sliding, _ = parts(v, normal)
    kinks = (np.abs(speed) < 1e-4) | (np.abs(sliding - 0.4 * np.abs(speed)) < 1e-4) | (sliding < 1e-2)
    keep = ~kinks if name == "friction" else np.ones(200, bool)
    v = v.map(lambda a: np.where(np.arange(200) < 20, 0.0, a)) if name != "friction" else v  # some at rest
    of = jax.jit(lambda s: law(v + direction * s, normal, x).stack()[:, keep])
    derivative = jax.jit(lambda s: jax.jvp(of, (s,), (1.0,))[1])(0.0)
    h = 1e-6
    np.testing.assert_allclose(derivative, (of(h) - of(-h)) / (2 * h), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("smooth", [None, WIDTH])
def test_friction_is_trained_by_bands(smooth):
    grid = Grid((16, 8), (0.0, 0.0), (2.0, 1.0))
    x = Vector(*np.asarray(grid.points))
    v = Vector(np.full(grid.shape, 2.0), np.full(grid.shape, -1.0))
    edges = (0.5, 1.0, 1.5)

    @jax.jit
    def slowed(mu):
        floor = Friction(Bands(edges, mu), smooth)
        return Walls.of(grid, 2, {"y_lower": floor, "other": None})(v, x, 0.0)[0][:, 0]

    mu = np.array([0.1, 0.2, 0.3, 0.4])
    if smooth is None:
        np.testing.assert_allclose(slowed(mu), 2.0 - np.repeat(mu, 4), rtol=1e-14)
    jacobian, h = np.asarray(jax.jit(jax.jacrev(slowed))(mu)), 1e-6
    steps = h * np.eye(4)
    expected = np.stack([(slowed(mu + e) - slowed(mu - e)) / (2 * h) for e in steps], axis=1)
    np.testing.assert_allclose(jacobian, expected, atol=1e-8)
    assert np.all(jacobian[:4, 0] < -0.9) and np.all(jacobian[:4, 1:] == 0)


@pytest.mark.parametrize("d", DIMS)
@pytest.mark.usefixtures("strict_dtypes")
def test_walls_hold_nodes_on_faces_and_beyond(d, float32):
    grid = Grid((20,) * d, (-1.0,) * d, (1.0,) * d)
    x = Vector(*np.asarray(grid.points))
    v = Vector(*np.random.default_rng(0).normal(size=(d, *grid.shape)).astype(np.float32))
    after = run(Walls.of(grid, 3, Separating()), v, x, 0.0)
    assert after[0].dtype == np.float32
    index = np.arange(20)
    for i in range(d):
        new, old = (np.moveaxis(u[i], i, 0) for u in (after, v))
        assert (new[index <= 3] >= 0).all() and (new[index >= 17] <= 0).all()
        np.testing.assert_array_equal(new[(index > 3) & (index < 17)], old[(index > 3) & (index < 17)])
    pairs = run(Walls.of(grid, 3, [(Sticky(), None)] + [None] * (d - 1)), v, x, 0.0)
    np.testing.assert_array_equal((np.stack(list(pairs)) == 0).all(0), x[0] < -0.69)


SHAPES = {
    "half space": HalfSpace((0.1, 0.2, 0.3), (1.0, 2.0, -2.0)),
    "ball": BallShape((0.5, 0.4, 0.5), 0.3),
    "box": BoxShape((0.2, 0.3, 0.1), (0.7, 0.8, 0.9)),
    "union": UnionShape([BallShape((0.2, 0.2, 0.2), 0.2), BoxShape((0.4, 0.4, 0.4), (0.8, 0.9, 0.7))]),
    "moving": Moving(BoxShape((-0.3, -0.1, -0.2), (0.3, 0.1, 0.2)), lambda t: (0.5 + t, 0.5, 0.5 - t), lambda t: 3 * t),
}


@pytest.mark.parametrize("name", SHAPES)
def test_signed_distances_have_slope_one_and_bodies_repel(name):
    shape = SHAPES[name]
    x = cloud(3)[2]
    phi, normal = run(lambda x: distance_and_normal(shape, x, 0.1), x)
    h, now = 1e-6, np.array(0.1)
    distance = lambda x: run(shape, x, now)
    np.testing.assert_allclose(distance(x + normal * h) - distance(x - normal * h), 2 * h, rtol=1e-6)
    outside = phi > 0
    assert outside.any() and not outside.all()
    np.testing.assert_allclose(distance(x - normal * phi)[outside], 0.0, atol=1e-12)
    v = cloud(3)[0]
    body = run(shape.velocity, x, 0.1) if name == "moving" else v * 0.0
    after = run(Obstacle(shape, Separating()), v, x, 0.1)
    assert np.all(((after - body).dot(normal) >= -1e-12) | outside)
    for new, old in zip(after, v):
        np.testing.assert_array_equal(new[outside], old[outside])


def test_moving_bodies_carry_their_contact():
    """The velocity is that of points fixed in the body; laws are the same in the frame of the body."""
    shape, t, h = SHAPES["moving"], 0.2, 1e-6
    v, _, x = cloud(3)
    x = x * 0.6 + Vector(0.3, 0.3, 0.3)
    body = run(shape.velocity, x, np.array(t))
    np.testing.assert_allclose(run(shape.velocity, x, 0)[2], -1.0)  # also at an integer time
    ahead, behind = (run(shape, x + body * s, np.array(t + s)) for s in (h, -h))
    np.testing.assert_allclose(ahead, behind, atol=1e-11)
    inside = run(shape, x, np.array(t)) <= 0
    assert inside.sum() > 10
    stuck = run(Obstacle(shape, Sticky()), v, x, t)
    np.testing.assert_allclose(np.stack(list(stuck - body))[:, inside], 0.0, atol=1e-13)
    ball, law, wind = BallShape((0.5, 0.5, 0.5), 0.3), Friction(0.5), Vector(0.3, -2.0, 1.0)
    still = run(Obstacle(ball, law), v, x, t)
    moved = run(Obstacle(ball, law, velocity=lambda x, t: wind), v + wind, x, t)
    inside = run(ball, x) <= 0
    np.testing.assert_allclose(np.stack(list(moved - wind - still))[:, inside], 0.0, atol=1e-12)


def test_a_thickness_makes_places_differentiable():
    x = Vector(*np.asarray(Grid((12, 12), (0.0, 0.0), (1.0, 1.0)).points))
    v = Vector(np.full((12, 12), 0.3), np.full((12, 12), -1.0))

    @partial(jax.jit, static_argnums=1)
    def push(radius, thickness=0.02):
        shape = BallShape((0.5, 0.5), radius)
        return jnp.sum(Obstacle(shape, Friction(0.2, WIDTH), thickness=thickness)(v, x, 0.0).stack() ** 2)

    h, slope = 1e-5, jax.jit(jax.grad(push), static_argnums=1)
    np.testing.assert_allclose(slope(0.3, 0.02), (push(0.3 + h) - push(0.3 - h)) / (2 * h), rtol=1e-6)
    assert abs(slope(0.3, 0.02)) > 1 and slope(0.3, None) == 0
    np.testing.assert_allclose(push(0.3, 1e-9), push(0.3, None), rtol=1e-12)


def test_zero_gradients_are_no_trouble():
    x = Vector(jnp.array([0.5, 0.6]), jnp.array([0.5, 0.5]))  # the first is the centre, which has no normal
    of = lambda v, center: Obstacle(BallShape(center, 0.3), Friction(0.5, WIDTH), thickness=0.1)(v, x, 0.0)
    loss = lambda v, center: jnp.sum(of(v, center).stack() ** 2)
    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))(Vector(jnp.zeros(2), jnp.zeros(2)), jnp.array([0.5, 0.5]))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("d", DIMS)
def test_lattices_fill_bodies(d):
    box = Box((0.2,) * d, (0.6,) * d)
    x = fill(box, 0.1, per_cell=2)
    assert x.shape == (8**d, d) and x.dtype == np.float64
    np.testing.assert_allclose(len(x) * 0.05**d, box.measure)
    np.testing.assert_allclose([x.min(), x.max()], [0.225, 0.575])
    np.testing.assert_allclose(x, block((0.2,) * d, (0.6,) * d, (8,) * d), rtol=1e-14)
    np.testing.assert_allclose(fill(box, 0.1, per_cell=2, origin=(0.0,) * d), x, atol=1e-14)
    ball = Ball((0.3,) * d, 0.25)
    x = fill(ball, 0.02)
    np.testing.assert_allclose(len(x) * 0.02**d, ball.measure, rtol=0.02)
    np.testing.assert_allclose(x.mean(axis=0), 0.3, atol=1e-12)
    same = fill(BallShape((0.3,) * d, 0.25), 0.02, bounds=ball.bounds)
    np.testing.assert_array_equal(x, same)
    both = fill(Union([box, ball]), 0.02, origin=(0.0,) * d)
    assert len(both) > max(len(x), len(fill(box, 0.02)))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Friction(-0.1), "coefficient=-0.1: .* not negative"),
        (lambda: Friction(jnp.array([0.1, -1.0])), "not negative"),
        (lambda: Friction(0.1, 0.0), "smooth=0.0 is a velocity and must be positive"),
        (lambda: Separating(-1.0), "smooth=-1.0"),
        (lambda: Bands((0.0, 1.0), (0.1, 0.2)), "2 edges need to increase and 3 values"),
        (lambda: Bands((1.0, 0.0), (0.1, 0.2, 0.3)), "increase"),
        (lambda: Bands((1.0,), (0.1, -0.2)), "not negative"),
        (lambda: Walls((0.0, 1.0), (1.0, 1.0), Slip()), "lower < upper"),
        (lambda: Walls((0.0, 0.0), (1.0, 1.0), {"z_lower": Slip(), "other": None}), "no face 'z_lower'"),
        (lambda: Walls((0.0, 0.0), (1.0, 1.0), {"y_lower": Slip()}), "nothing is said about 'x_lower'"),
        (lambda: Walls((0.0, 0.0), (1.0, 1.0), [Slip()]), "1 entries for 2 axes"),
        (lambda: Walls((0.0,), (1.0,), [(Slip(), 3)]), "a contact law for its lower and its upper face"),
        (lambda: Walls.of(Grid((8, 6), (0, 0), (1, 1)), 3), "walls some between them"),
        (lambda: Obstacle(BallShape((0.0,), 1.0), Slip(), thickness=0.0), "thickness=0.0 is a length"),
        (lambda: BallShape((0.0, 0.0), 0.0), "radius=0.0 must be positive"),
        (lambda: BoxShape((0.0, 1.0), (1.0, 1.0)), "upper - lower"),
        (lambda: HalfSpace((0.0, 1.0), (1.0,)), "one entry an axis"),
        (lambda: UnionShape([]), "at least one part"),
        (lambda: fill(Ball((0.0, 0.0), 0.1), 0.0), "spacing=0.0 must be positive"),
        (lambda: fill(Ball((0.0, 0.0), 0.1), 1.0, origin=(0.0, 0.0)), "no particle fits: .* 4 cubes of side 1"),
        (lambda: fill(BallShape((0.0, 0.0), 0.1), 0.1), "give bounds"),
        (lambda: block((0.0, 0.0), (1.0, 1.0), (3, 0)), "a count of at least 1"),
    ],
)
def test_what_cannot_be_is_told(make, told):
    with pytest.raises(ValueError, match=told):
        make()
