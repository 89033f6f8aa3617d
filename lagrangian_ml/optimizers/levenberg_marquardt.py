"""Levenberg–Marquardt on the residual vectors, with gain-ratio damping and geodesic acceleration.

Levenberg 1944, Marquardt 1963; the damping rule is Nielsen's (IMM-REP-1999-05, sec. 3.2): a step δ solves (JᵀJ + μI) δ
= −Jᵀr, and with its gain ratio ρ = (F(θ) − F(θ + δ)) / (predicted decrease), F = ½‖r‖², it is taken if ρ > 0 and then μ
← μ·max(1/3, 1 − (2ρ − 1)³); else μ ← νμ, ν ← 2ν. The step follows the bend of its valley to second order (Transtrum &
Sethna 2012, arXiv 1201.5885, eq. 7): it is δ + a with (JᵀJ + μI) a = −½ Jᵀ D²r[δ, δ], unless 2‖a‖ > `acceleration`·‖δ‖,
where D²r is two forward derivatives. After a step that was taken come up to `lazy_steps` others with the same factors
of JᵀJ + μI and gradients of their own, as with lazy Hessians (Doikov, Chayti & Jaggi 2023, arXiv 2212.00781), each only
if it lowers the loss: on Burgers' front they came down earlier for five seeds of eight, later for two
(benchmarks/burgers_error_vs_seconds.py). Differences: a refused step is tried again at once with the same Jacobian, at
most `max_tries` times in all; if rounding hides the decrease, μ shrinks; the system is solved in any way of `System`,
and μ may be in units of ‖r‖ or ‖Jᵀr‖. Samples may change between steps: only μ and ν are carried over.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from ..core import Batch, Objective
from ._checks import require_float64
from ._residuals import DampingUnit, Residuals, System, check_unit, damping_unit


class LevenbergMarquardtState(NamedTuple):
    """The damping μ of the next step and the factor ν by which it grows if that step is refused."""

    damping: Float[Array, ""]
    growth: Float[Array, ""]


class _Attempt(NamedTuple):
    theta: Float[Array, " P"]
    loss: Float[Array, ""]
    damping: Float[Array, ""]
    growth: Float[Array, ""]
    gain: Float[Array, ""]
    tries: Int[Array, ""]
    over: Bool[Array, ""]
    factor: PyTree


class LevenbergMarquardt(eqx.Module):
    """Damped Gauss–Newton steps for up to a few thousand parameters, in float64.

    Args:
        damping: the first μ, in `damping_unit`s of the loss's curvature.
        min_damping: μ is kept above it.
        damping_unit: "constant", or ‖r‖ ("residual") or ‖Jᵀr‖ ("gradient"), by which μ is multiplied.
        acceleration: the largest 2‖a‖/‖δ‖ at which the second-order correction a is used; 0 switches it off.
        lazy_steps: at most so many more steps with the same factors, until one would not lower the loss.
        max_tries: at most so many dampings are tried in one step; if none lowers the loss, the model stays.
        system: how the system is solved, see `System`.

    `step` reports loss (before the step), damping, gain, tries and lazy, the number of lazy steps taken. Raises
    ValueError in float32 and for an objective with a term of kind "loss".
    """

    damping: float = 1e-2
    min_damping: float = 1e-14
    damping_unit: DampingUnit = "constant"
    acceleration: float | int = 0.75
    lazy_steps: int = 4
    max_tries: int = 8
    system: System = System()

    def __check_init__(self):
        check_unit(self.damping_unit)
        if not (self.damping > 0 and self.min_damping > 0 and self.acceleration >= 0):
            raise ValueError(
                f"damping={self.damping} and min_damping={self.min_damping} must be > 0, "
                f"acceleration={self.acceleration} at least 0."
            )
        if self.max_tries < 1 or self.lazy_steps < 0:
            raise ValueError(
                f"max_tries={self.max_tries} must be at least 1 and lazy_steps={self.lazy_steps} at least 0."
            )

    def init(self, model: Any) -> LevenbergMarquardtState:
        require_float64("LevenbergMarquardt", model)
        return LevenbergMarquardtState(jnp.array(self.damping, float), jnp.array(2.0, float))

    def step(
        self, model: Any, state: LevenbergMarquardtState, objective: Objective, batch: Batch
    ) -> tuple[Any, LevenbergMarquardtState, dict[str, Array]]:
        """One step; see the class."""
        problem = Residuals(objective, model, batch)
        theta, residuals, r = problem.theta, problem.at, problem.r
        loss = 0.5 * jnp.sum(r**2)
        system, gradient = self.system.prepare(problem), problem.pull(r)
        # A Jacobian that is not finite is an error for the loop to report, not a step to be refused.
        loss = jnp.where(jnp.isfinite(gradient).all(), loss, jnp.nan)
        unit = damping_unit(self.damping_unit, r, gradient)
        # More damping than this only shortens a gradient step that is tiny already, and would take long to shrink.
        most = 1e3 * system.largest / unit + self.damping

        def attempt(last: _Attempt) -> _Attempt:
            mu = unit * last.damping
            factor = system.factor(mu)
            delta = system.solve(factor, r)
            predicted = 0.5 * jnp.dot(delta, mu * delta - gradient)
            step = delta
            if self.acceleration > 0:
                bend = 0.5 * system.solve(factor, _second_derivative(residuals, theta, delta))
                small = 2 * jnp.linalg.norm(bend) <= self.acceleration * jnp.linalg.norm(delta)
                step = delta + jnp.where(small, bend, 0.0)
            after = 0.5 * jnp.sum(residuals(theta + step) ** 2)
            gain = jnp.where(jnp.isfinite(after) & (predicted > 0), (loss - after) / predicted, -jnp.inf)
            taken = gain > 0
            # What rounding hides, as at a minimum, says nothing against the step: μ must not grow until it is stuck.
            unseen = ~taken & (jnp.abs(predicted) <= jnp.finfo(loss.dtype).eps * loss)
            share = jnp.where(unseen, 1 / 3, jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3))
            shrunk = jnp.maximum(last.damping * share, self.min_damping)
            return _Attempt(
                theta=jnp.where(taken, theta + step, theta),
                loss=jnp.where(taken, after, loss),
                damping=jnp.where(taken | unseen, shrunk, jnp.minimum(last.damping * last.growth, most)),
                growth=jnp.where(taken | unseen, 2.0, jnp.minimum(2 * last.growth, 1e3)),
                gain=gain,
                tries=last.tries + 1,
                over=taken | unseen,
                factor=factor,
            )

        none = {"gain": -jnp.ones(()), "tries": jnp.zeros((), jnp.int32), "over": jnp.zeros((), bool)}
        factor = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(system.factor, unit))
        start = _Attempt(theta, loss, *state, **none, factor=factor)
        end = jax.lax.while_loop(lambda a: ~a.over & (a.tries < self.max_tries), attempt, start)
        theta, lazy = self._lazy(residuals, system, end)
        info = {"loss": loss, "damping": state.damping, "gain": jnp.maximum(end.gain, -1.0)}
        info |= {"tries": end.tries, "lazy": lazy}
        return problem.model(theta), LevenbergMarquardtState(end.damping, end.growth), info

    def _lazy(self, residuals, system, end: _Attempt):
        """θ after the lazy steps that follow a taken step, and their number."""

        def step(now):
            theta, loss, count, _ = now
            r, pull = jax.vjp(residuals, theta)
            moved = theta + system.descend(end.factor, pull(r)[0])
            after = 0.5 * jnp.sum(residuals(moved) ** 2)
            lower = after < loss
            return (
                jnp.where(lower, moved, theta),
                jnp.where(lower, after, loss),
                count + lower.astype(count.dtype),
                lower,
            )

        start = (end.theta, end.loss, jnp.zeros((), jnp.int32), end.gain > 0)
        theta, _, count, _ = jax.lax.while_loop(lambda now: now[3] & (now[2] < self.lazy_steps), step, start)
        return theta, count


def _second_derivative(residuals, theta, delta):
    """D²r(δ, δ); a ValueError where a residual has derivatives in reverse mode only."""
    slope = lambda theta: jax.jvp(residuals, (theta,), (delta,))[1]
    try:
        return jax.jvp(slope, (theta,), (delta,))[1]
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "acceleration takes forward derivatives, which a term of this objective does not have (a custom reverse "
            f"rule, say: {str(error).splitlines()[0]}). Set acceleration=0."
        ) from error
