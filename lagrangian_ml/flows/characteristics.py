"""Maps for the characteristics of a problem, and the speed that sets their scale.

A random map of full size folds, and derivatives in x of what it carries are infinite where it does: a map starts near
the identity, its network multiplied by a hundredth of the speed of the initial state, and has to learn the rest. On
axes that are not periodic nothing crosses the walls.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Field, Problem
from ..domains import Box, BoxFaces, Periodic
from ..fields import MLP, Chain, Rescale, SpaceTimeField
from ..jets import point_jet
from .displacement import Displacement
from .monotone import MonotoneFourier

START = 1e-2  # the share of the initial speed that multiplies a random network


class Wrap(eqx.Module):
    """Brings points back into a box along its periodic axes."""

    box: Box
    axes: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, X: Float[Array, " d"]) -> Float[Array, " d"]:
        lower, lengths = jnp.asarray(self.box.lower, X.dtype), jnp.asarray(self.box.lengths, X.dtype)
        turns = jax.lax.stop_gradient(jnp.floor((X - lower) / lengths))
        return X - jnp.asarray([axis in self.axes for axis in range(self.box.dim)], X.dtype) * turns * lengths


class Harmonics(eqx.Module):
    """Of inputs (t, X) in [−1, 1]: t, X on axes with `walls`, and sines and cosines of period 2 of all X."""

    walls: tuple[int, ...] = eqx.field(static=True)
    dim: int = eqx.field(static=True)
    num_harmonics: int = eqx.field(static=True)

    @property
    def out_size(self) -> int:
        return 1 + len(self.walls) + 2 * self.num_harmonics * self.dim

    def __call__(self, z: Float[Array, " m"]) -> Float[Array, " k"]:
        phases = jnp.pi * jnp.outer(jnp.arange(1, self.num_harmonics + 1).astype(z.dtype), z[1:]).reshape(-1)
        kept = [z[1 + axis : 2 + axis] for axis in self.walls]
        return jnp.concatenate([z[:1], *kept, jnp.sin(phases), jnp.cos(phases)])


class WallDistance(eqx.Module):
    """For every axis of a box the distance to its faces if it has walls, else 1: what points across a wall vanishes."""

    box: Box
    axes: tuple[int, ...] = eqx.field(static=True)  # those with walls

    def __call__(self, X: Float[Array, " d"]) -> Float[Array, " d"]:
        one = jnp.ones((), X.dtype)
        return jnp.stack([self._faces(i).distance(X) if i in self.axes else one for i in range(self.box.dim)])

    def _faces(self, axis):
        return BoxFaces(self.box, ((axis, "lower"), (axis, "upper")))


def displacement(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    *,
    num_harmonics: int = 1,
    start: float | int = START,
    key: Key[Array, ""],
) -> Displacement:
    """x = X + t V D(X) N(t, X): periodic where the problem is, tangential at walls; V is `start` times the speed.

    Args:
        problem: gives the domain, its periodic axes and the speed.
        model: the network's constructor `(in_size, out_size, *, key)`.
        num_harmonics: sines and cosines for each axis; one with walls enters also by itself.
        start: the share of the initial speed. A state that is not differentiated along the map allows 1.
        key: draws the network's parameters.
    """
    (box, _, horizon), periodic = evolving_box(problem), periodic_axes(problem)
    walls = tuple(axis for axis in range(box.dim) if axis not in periodic)
    embedding = Harmonics(walls, box.dim, num_harmonics)
    rescale = Rescale((0.0, *box.lower), (horizon, *box.upper))
    network = SpaceTimeField(Chain((rescale, embedding, model(embedding.out_size, box.dim, key=key))))
    return Displacement(network, WallDistance(box, walls) if walls else None, start * initial_speed(problem))


def monotone(
    problem: Problem, model: Callable[..., Any] = MLP, *, num_modes: int = 12, key: Key[Array, ""]
) -> MonotoneFourier:
    """An increasing map of an interval, periodic if the problem is, with a network of t for its coefficients.

    Raises ValueError in more than one dimension.
    """
    box, _, horizon = evolving_box(problem)
    if box.dim != 1:
        raise ValueError(
            f"a monotone map needs one space dimension; this problem has {box.dim}. Use `displacement` and look for "
            "folds with flows.check_invertible."
        )
    (lower,), (upper,), walls = box.lower, box.upper, not periodic_axes(problem)
    network = Chain((Rescale((0.0,), (horizon,)), model(1, MonotoneFourier.size(num_modes, walls), key=key)))
    return MonotoneFourier(network, lower, upper, num_modes, walls, START * initial_speed(problem), START)


def initial_speed(problem: Problem) -> float:
    """The largest speed at which the initial value is carried, on sampled points and times of the horizon.

    Where nothing moves at first it is the shortest side of the domain in the time of the horizon.

    Raises ValueError for an equation without a transport velocity, and if walls are crossed: the characteristics of
    the problem do not stay in its domain then.
    """
    domain, initial, horizon = evolving_box(problem)
    equation = problem.equation

    @jax.jit  # op by op it takes seconds
    @jax.vmap
    def velocity(part, x):
        jet = point_jet(lambda t, x: initial(x), x, horizon * part)
        found = equation.transport_velocity(jet)
        if found is None:
            raise ValueError(
                f"{type(equation).__name__} states no velocity that carries u (`velocity`, or the flux of a scalar "
                "law): there are no characteristics to follow. Use methods.pinn, which needs none."
            )
        return found

    periodic, key = periodic_axes(problem), jax.random.key(0)
    points = domain.sample(256, key=key, law="sobol")
    speed = jnp.max(jnp.linalg.norm(velocity(jnp.linspace(0.0, 1.0, 256), points), axis=1))
    for axis in range(domain.dim):
        for side in ("lower", "upper") if axis not in periodic else ():
            x, normal = domain.face(axis, side).sample(64, key=key)
            across = jnp.max(jnp.abs(jnp.sum(velocity(jnp.linspace(0.0, 1.0, 64), x) * normal, axis=1)))
            if across > 1e-6 * (1 + speed):
                raise ValueError(
                    f"the velocity crosses the {side} face of axis {axis} with the speed {float(across):.3g}: "
                    "particles leave the domain there. Make the axis Periodic, or take a domain that the flow stays in."
                )
    return float(speed) or min(domain.lengths) / horizon


def periodic_axes(problem: Problem) -> tuple[int, ...]:
    """The space axes of the problem's periodic conditions."""
    return tuple(sorted(condition.axis for condition in problem.boundary if isinstance(condition, Periodic)))


def evolving_box(problem: Problem) -> tuple[Box, Field, float]:
    """(domain, initial value, horizon) of a problem in time on a box; ValueError for others."""
    if not isinstance(problem.domain, Box) or problem.initial is None or problem.horizon is None:
        raise ValueError(
            f"characteristics need a problem in time on a Box, with an initial value; got "
            f"{type(problem.domain).__name__}, horizon={problem.horizon}, initial={problem.initial}. "
            "Use methods.pinn for others."
        )
    return problem.domain, problem.initial, problem.horizon
