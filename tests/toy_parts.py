"""A problem, a method and oddities for the tests of configurations, named by `--module toy_parts`."""

import os  # noqa: F401  a module that a target must not be reached through
from collections.abc import Callable, Mapping, Sequence
from os import system as shell  # noqa: F401  a function that is not this module's own
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from lagrangian_ml.core import Point, Problem, Term
from lagrangian_ml.domains import Box, Dirichlet
from lagrangian_ml.equations.diffusion import DecayingSines, Diffusion
from lagrangian_ml.fields import SpaceTimeField
from lagrangian_ml.metrics import errors, reference_samples
from lagrangian_ml.training import Task

QUARTER = Diffusion(0.25)


def decay(equation: Diffusion = QUARTER, horizon: float = 1.0, exact: bool = True) -> Problem:
    """u_t = ν u_xx on [0, 1] from sin πx."""
    domain = Box([0.0], [1.0])
    truth = DecayingSines(equation.diffusivity, jnp.pi)
    reference = truth if exact else None
    return Problem(equation, domain, lambda x: truth(0.0, x), (Dirichlet(domain.boundary),), horizon, reference)


class Shape(eqx.Module):
    """All kinds of parameters."""

    sizes: tuple[int, ...] = (2, 3)
    law: Literal["uniform", "sobol"] = "sobol"
    scale: float | None = None
    squash: Callable = jnp.tanh
    named: Mapping[str, float] | None = None
    axes: Mapping[int, int] | None = None
    offsets: Sequence[float] = (0.0,)
    on: bool = True
    label: str = "a"


class Noise(eqx.Module):
    """Draws its amplitude: its constructor requires a key."""

    amplitude: jax.Array

    def __init__(self, scale: float = 1.0, *, key):
        self.amplitude = scale * jax.random.normal(key)


class Points(eqx.Module):
    """Points of (0, 1)² drawn anew at every step."""

    num: int = eqx.field(static=True)

    def init(self, key):
        return key

    def next(self, state, model, objective):
        state, draw = jax.random.split(state)
        z = jax.random.uniform(draw, (self.num, 2))
        return {name: Point(z[:, :1], z[:, 1]) for name in objective}, state


def points(problem: Problem, *, num: int = 32) -> Points:
    if num < 1:
        raise ValueError(f"num={num}: at least one point is drawn.")
    return Points(num)


def regression(
    problem: Problem,
    model: Callable,
    source: Callable,
    *,
    shape: Shape | None = None,
    noise: Noise | None = None,
    poison: float = 1.0,
    kind: Literal["residual", "loss"] = "residual",
    key: jax.Array,
) -> Task:
    """Fit a network to the exact solution; `poison` multiplies the residual."""
    network = SpaceTimeField(model(2, 1, key=key))
    residual = lambda model, point: poison * (model(point.t, point.x) - problem.reference(point.t, point.x))
    return Task(
        model=network,
        objective={"data": Term(residual, kind)},
        source=source(problem),
        field=lambda model: model,
        errors=lambda model: errors(model, reference_samples(problem, (5, 9))),
    )


def reciprocal(scale: float) -> float:
    return 1 / scale


def anything(**options):
    return options
