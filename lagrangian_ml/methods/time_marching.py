"""Time marching: windows of time solved one after another, each from where the last one ended.

Krishnapriyan et al. 2021 (arXiv 2109.01050), "sequence-to-sequence learning": a network for each window. Here a
window is a `Problem` of its own whose initial value is the last solution, so any method solves it. A window's time
starts at 0: for an equation that reads the time, `shift` says what it is from a later time on. It is used from Python:
a config describes one fit. The initial value of window k calls the solutions of all k before it, so that K windows
cost as K² evaluations of networks: K is a handful.
"""

from collections.abc import Callable
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Equation, Field, Problem
from ..domains import Periodic
from ..jets import point_jet


class Windows(eqx.Module):
    """The field of solutions on windows of equal `length`, one after the other."""

    fields: tuple[Field, ...]
    length: float

    def __call__(self, t: float | Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " c"]:
        t = jnp.asarray(t, x.dtype)
        last = len(self.fields) - 1
        index = jnp.clip(jnp.floor(t / self.length), 0, last).astype(jnp.int32)
        branches = [lambda t, x, i=i: self.fields[i](t - i * self.length, x) for i in range(len(self.fields))]
        return jax.lax.switch(index, branches, t, x)


def time_marching(
    problem: Problem,
    num_windows: int,
    solve: Callable[[Problem, Key[Array, ""]], Field],
    *,
    shift: Callable[[Equation, float], Equation] | None = None,
    key: Key[Array, ""],
) -> Windows:
    """The field of `problem` from `num_windows` solutions `solve(window, key) -> field`.

    `shift(equation, start)` is the equation whose time 0 is `start`; without it nothing may read the time.

    Raises:
        ValueError: for a problem that is steady, has no initial value or values that depend on time, or less than one
            window.
    """
    if problem.horizon is None or problem.initial is None or num_windows < 1:
        raise ValueError(
            f"num_windows={num_windows}, horizon={problem.horizon}, initial={problem.initial}: time marching needs at "
            "least one window, and a problem in time with an initial value."
        )
    _require_autonomous(problem, shift is not None)
    length, fields, initial = problem.horizon / num_windows, [], problem.initial
    for i, window_key in enumerate(jax.random.split(key, num_windows)):
        equation = problem.equation if shift is None else shift(problem.equation, i * length)
        window = replace(problem, equation=equation, initial=initial, horizon=length, reference=None)
        fields.append(solve(window, window_key))
        initial = _at(fields[-1], length)
    return Windows(tuple(fields), length)


def _at(field, time):
    return lambda x: field(jnp.asarray(time, x.dtype), x)


def _require_autonomous(problem, shifted):
    """ValueError if an equation not `shifted`, or a boundary value reads the time: t = NaN would give NaN."""
    x = problem.domain.sample(1, key=jax.random.key(0))[0]
    nowhen = jnp.full((), jnp.nan, x.dtype)
    jet = point_jet(lambda t, x: problem.initial(x), x, jnp.zeros((), x.dtype))
    jet.t = nowhen
    found = [] if shifted else [("the equation", problem.equation.residual(jet))]
    for condition in problem.boundary:
        if not isinstance(condition, Periodic):
            found.append(("a boundary value", condition.value(nowhen, x)))
    for what, value in found:
        if not jnp.isfinite(value).all():
            raise ValueError(
                f"{what} depends on time, but the time of every window starts at 0: solve it in one piece"
                f"{', or give `shift`' if what == 'the equation' else ''}."
            )
