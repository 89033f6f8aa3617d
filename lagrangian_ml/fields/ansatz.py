"""Fields that hold initial and boundary values by construction: u = g + D · N around a network N.

Lagaris, Likas and Fotiadis (1998), arXiv physics/9705023: D = t/T · Π distances vanishes at t = 0 and on Dirichlet
regions, where g = u₀(x) + v(t, x) − v(0, x) is right; v is the boundary value or, between opposite faces of a box,
linear from one to the other (steady: g = v). Periodic axes enter N by sines and cosines. `satisfies` names what holds;
left to soft terms are Neumann and Robin conditions, different values on faces that touch, domains without a smooth
distance, and initial values that contradict the boundary's, or whose slope jumps across a periodic one.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Key

from ..core import Field, Fixed, Problem
from ..domains import BoxFaces, Constant, Dirichlet, Periodic, Region
from .inputs import Chain, PeriodicEmbedding, Rescale
from .mlp import MLP
from .spacetime import SpaceField, SpaceTimeField
from .symmetric import Parity, Symmetric


class Lift(eqx.Module):
    """(g, D) of the ansatz at a point. `sides` are Dirichlet values, each with the regions where it holds."""

    initial: Callable | None
    sides: tuple[tuple[Callable, tuple[Region, ...]], ...]
    horizon: float | int | None

    def __call__(self, *point) -> tuple[Inexact[Array, " c"], Inexact[Array, ""]]:
        x = point[-1]
        product = lambda factors: reduce(operator.mul, factors, jnp.ones((), x.dtype))
        distances = [product(region.distance(x) for region in regions) for _, regions in self.sides]
        g, D = self._boundary_value(distances, *point), product(distances)
        if self.initial is not None:
            g = g + self.initial(x) - self._boundary_value(distances, jnp.zeros_like(point[0]), x)
            D = D * (point[0] / self.horizon)
        return g, D

    def _boundary_value(self, distances, *point):
        if not self.sides:
            return jnp.zeros(1, point[-1].dtype)
        values = [value(*point) for value, _ in self.sides]
        if len(values) == 1:
            return values[0]
        (lower, upper), total = distances, distances[0] + distances[1]
        return (upper / total) * values[0] + (lower / total) * values[1]


class HardConstraint(eqx.Module):
    """u = g + D · N with a field N; `satisfies` names the terms of a problem that hold exactly."""

    field: Field
    lift: Fixed
    satisfies: frozenset[str] = eqx.field(static=True)

    def __call__(self, *point) -> Inexact[Array, " c"]:
        *t, x = point
        point = *(jnp.asarray(time, x.dtype) for time in t), x
        g, D = self.lift.value(*point)
        return g + D * self.field(*point)


def hard_constraints(
    problem: Problem,
    model: Callable[..., Callable] = MLP,
    *,
    num_harmonics: int = 1,
    time_scale: float | int = 1.0,
    symmetry: Mapping[int, Parity] | None = None,
    soft: Sequence[str] = (),
    key: Key[Array, ""],
) -> Field:
    """A field for the problem with as many of its conditions built in as possible, see `satisfies`.

    Args:
        problem: gives the initial and boundary values, and the scales of the network's inputs.
        model: the network's constructor `(in_size, out_size, *, key)`.
        num_harmonics: sines and cosines for each periodic axis.
        time_scale: the network sees times of [−time_scale, time_scale]; large where u goes up and down many times.
        symmetry: the parity of N about the box's centre, by space axis, such as {0: "odd"}. It is u's own parity
            if the initial and boundary values have it too.
        soft: terms left to a soft term although they could be built in, of "initial". N = (u − g)/D is as large as
            u_t at t = 0, and falls as 1/t after that.
        key: draws the network's parameters.

    Raises:
        ValueError: if an axis of `symmetry` or of a periodic condition does not exist, for another name in `soft`, or
            for a `time_scale` that is not > 0.
    """
    if set(soft) - {"initial"} or not time_scale > 0:
        raise ValueError(f"soft={list(soft)}, time_scale={time_scale}: only 'initial' may be soft; scales are > 0.")
    periodic = _periodic_axes(problem)
    _check_symmetry(symmetry or {}, problem.domain.dim)
    network = _network(problem, model, periodic, num_harmonics, symmetry or {}, key, time_scale)
    sides, others = _sides(problem.boundary)
    initial = problem.initial if "initial" not in soft and _is_compatible(problem, periodic, sides) else None
    satisfies = {"boundary"} if problem.boundary and not others else set()
    if initial is not None:
        satisfies.add("initial")
    return HardConstraint(network, Fixed(Lift(initial, sides, problem.horizon)), frozenset(satisfies))


def soft_constraints(problem: Problem, model: Callable[..., Callable] = MLP, *, key: Key[Array, ""]) -> Field:
    """The network alone on rescaled inputs: every condition is left to a soft term."""
    return _network(problem, model, frozenset(), 1, {}, key)


def _periodic_axes(problem):
    axes = frozenset(condition.axis for condition in problem.boundary if isinstance(condition, Periodic))
    for axis in axes:
        problem.domain.face(axis, "lower")  # ValueError if there is none
    return axes


def _check_symmetry(symmetry, dim):
    for axis in symmetry:
        if not 0 <= axis < dim:
            allowed = ", ".join(map(str, range(dim)))
            raise ValueError(f"symmetry={dict(symmetry)}: {axis} is no space axis of this problem; allowed: {allowed}.")


def _network(problem, model, periodic, num_harmonics, symmetry, key, time_scale=1.0):
    """A field made of the network on inputs rescaled to [-1, 1], periodic and symmetric where wanted."""
    lower, upper = problem.domain.bounds
    num_times = 0 if problem.horizon is None else 1
    if problem.horizon is not None:
        middle, half = 0.5 * problem.horizon, 0.5 * problem.horizon / time_scale
        lower, upper = (middle - half, *lower), (middle + half, *upper)
    embedding = PeriodicEmbedding(len(lower), {num_times + axis: 2.0 for axis in periodic}, num_harmonics)
    network = model(embedding.out_size, problem.equation.num_components, key=key)
    if periodic:
        network = Chain((embedding, network))
    for axis, parity in symmetry.items():
        network = Symmetric(network, (num_times + axis,), parity)
    network = Chain((Rescale(lower, upper), network))
    return SpaceTimeField(network) if num_times else SpaceField(network)


def _sides(conditions):
    """(sides of a `Lift`, whether conditions are left that it does not hold)"""
    dirichlet = [c for c in conditions if isinstance(c, Dirichlet) and c.region.smooth]
    others = len(dirichlet) + sum(isinstance(c, Periodic) for c in conditions) < len(conditions)
    sides: list[tuple[Callable, tuple[Region, ...]]] = []
    for condition in dirichlet:
        same = [i for i, (value, _) in enumerate(sides) if _is_same(value, condition.value)]
        if same:
            sides[same[0]] = (condition.value, (*sides[same[0]][1], condition.region))
        else:
            sides.append((condition.value, (condition.region,)))
    if len(sides) > 1 and not _are_opposite(sides):
        return (), True
    return tuple(sides), others


def _is_same(value, other):
    return value is other or (isinstance(value, Constant) and isinstance(other, Constant) and value == other)


def _are_opposite(sides):
    regions = [region for _, regions in sides for region in regions]
    if len(regions) != 2 or not all(isinstance(region, BoxFaces) and len(region.faces) == 1 for region in regions):
        return False
    (axis, side), (other_axis, other_side) = (region.faces[0] for region in regions)
    return axis == other_axis and side != other_side


def _is_compatible(problem, periodic, sides, tolerance=1e-5):
    """Whether the initial value meets the boundary's at t = 0, on sampled points."""
    u0, key, domain = problem.initial, jax.random.key(0), problem.domain
    if u0 is None:
        return False

    def side_gap(value, x):
        return u0(x) - value(jnp.zeros((), x.dtype), x)

    def periodic_gap(step, x):
        slope = lambda x: jnp.concatenate(jax.jvp(u0, (x,), (step,)))
        return slope(x) - slope(x + step)

    @jax.jit
    def largest_gap():
        gaps = [jnp.zeros(())]
        for value, region in ((value, region) for value, regions in sides for region in regions):
            gaps.append(jnp.max(jnp.abs(jax.vmap(partial(side_gap, value))(region.sample(64, key=key)[0]))))
        for axis in sorted(periodic):
            x, normal = domain.face(axis, "lower").sample(64, key=key)
            step = -normal[0] * (domain.bounds[1][axis] - domain.bounds[0][axis])
            gaps.append(jnp.max(jnp.abs(jax.vmap(partial(periodic_gap, step))(x))))
        return jnp.max(jnp.stack(gaps)) / (1.0 + jnp.max(jnp.abs(jax.vmap(u0)(domain.sample(64, key=key)))))

    return bool(largest_gap() <= tolerance)
