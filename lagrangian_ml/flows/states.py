"""States w(t, X) on the particles of a problem that are built on its initial value u₀, for Lagrangian PINNs.

`carried` is u₀(X), what pure transport leaves; `grown` multiplies u₀(X) by a positive factor. Any other state of a
problem, such as `fields.hard_constraints`, serves as well. `satisfies` names the terms of the problem that hold.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Field, Problem
from ..domains import Constant, Dirichlet, Periodic
from ..fields import MLP, hard_constraints
from ..jets import point_jet
from .characteristics import evolving_box


class Carried(eqx.Module):
    """w(t, X) = u₀(X): what particles keep, without parameters."""

    initial: Callable
    satisfies: frozenset[str] = eqx.field(static=True)

    def __call__(self, t: Float[Array, ""], X: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.initial(X)


def carried(problem: Problem, model: Callable[..., Any] = MLP, *, key: Key[Array, ""]) -> Carried:
    """The state of pure transport, D_t u = 0: the characteristics are all that is left to learn.

    Raises ValueError if the equation changes u along particles, or the problem has no initial value.
    """
    equation, initial = problem.equation, problem.initial
    x = problem.domain.sample(64, key=key)
    t = jnp.linspace(0.0, problem.horizon or 0.0, 64, dtype=x.dtype)
    wave = lambda t, x: jnp.sin(jnp.arange(1, equation.num_components + 1) + 3 * jnp.sum(x) - t)
    change = jax.jit(jax.vmap(lambda t, x: equation.forcing(point_jet(wave, x, t))))(t, x)
    if initial is None or jnp.any(change != 0):
        raise ValueError(
            f"state=carried keeps the initial value on every particle; got {type(equation).__name__} with "
            f"initial={initial}, which changes u by up to {float(jnp.max(jnp.abs(change))):.3g} per unit of time. "
            "Use state=hard_constraints."
        )
    periodic = all(isinstance(condition, Periodic) for condition in problem.boundary)
    return Carried(initial, frozenset({"equation", "initial"} | ({"boundary"} if periodic else set())))


class Grown(eqx.Module):
    """w(t, X) = u₀(X) exp(t/T · N(t, X)): positive as u₀ is, and the tails of a blob need no fine network."""

    initial: Callable
    exponent: Field
    horizon: float
    satisfies: frozenset[str] = eqx.field(static=True)

    def __call__(self, t: Float[Array, ""], X: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.initial(X) * jnp.exp(t / self.horizon * self.exponent(t, X))


def grown(problem: Problem, model: Callable[..., Any] = MLP, *, key: Key[Array, ""]) -> Grown:
    """The state as a factor on a positive initial value; N vanishes on Dirichlet regions, where u₀ stays.

    Raises ValueError if the initial value is not positive at sampled points.
    """
    box, initial, horizon = evolving_box(problem)
    least = float(jnp.min(jax.vmap(initial)(box.sample(256, key=jax.random.key(0), law="sobol"))))
    if not least > 0:
        raise ValueError(
            f"state=grown multiplies the initial value, which has to be positive; it is {least:.3g} somewhere. "
            "Use state=hard_constraints."
        )
    still = tuple(Dirichlet(c.region) if isinstance(c, Dirichlet) else c for c in problem.boundary)
    exponent = hard_constraints(replace(problem, initial=None, boundary=still), model, key=key)
    walls = [c for c in problem.boundary if isinstance(c, Dirichlet)]
    stays = all(isinstance(c.value, Constant) and _starts_with(initial, c) for c in walls)
    return Grown(initial, exponent, horizon, exponent.satisfies - (set() if stays else {"boundary"}) | {"initial"})


def _starts_with(initial, condition, tolerance=1e-5):
    """Whether the initial value is the boundary's, on sampled points."""
    x, _ = condition.region.sample(64, key=jax.random.key(0))
    gap = jax.vmap(lambda x: initial(x) - condition.value(jnp.zeros((), x.dtype), x))(x)
    return bool(jnp.max(jnp.abs(gap)) <= tolerance)
