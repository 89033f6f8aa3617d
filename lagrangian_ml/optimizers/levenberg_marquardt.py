"""Levenberg–Marquardt on the residual vectors, with gain-ratio damping and geodesic acceleration.

Levenberg 1944, Marquardt 1963; the damping rule is Nielsen's (IMM-REP-1999-05, sec. 3.2): a step δ solves
(JᵀJ + μI) δ = −Jᵀr, and with its gain ratio ρ = (F(θ) − F(θ + δ)) / (predicted decrease), F = ½‖r‖², it is taken if
ρ > 0 and then μ ← μ·max(1/3, 1 − (2ρ − 1)³); else μ ← νμ, ν ← 2ν. The step follows the bend of its valley to second
order (Transtrum & Sethna 2012, arXiv 1201.5885, eq. 7): it is δ + a with (JᵀJ + μI) a = −½ Jᵀ D²r[δ, δ], unless
2‖a‖ > `acceleration`·‖δ‖, where D²r is two forward derivatives. Differences: a refused step is tried again at once
with the same Jacobian, at most `max_tries` times in all, and the system is solved in parameter or batch space,
whichever is smaller. Samples may change between steps: only μ and ν are carried over.
"""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from ..core import Batch, Objective, evaluate_terms, partition
from ..linalg import DampedLeastSquares
from ._checks import require_float64


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


class LevenbergMarquardt(eqx.Module):
    """Damped Gauss–Newton steps for up to a few thousand parameters, in float64.

    Args:
        damping: the first μ, in units of the loss's curvature.
        min_damping: μ is kept above it.
        acceleration: the largest 2‖a‖/‖δ‖ at which the second-order correction a is used; 0 switches it off.
        max_tries: at most so many dampings are tried in one step; if none lowers the loss, the model stays.
        space: where the system is solved, "parameters" (P×P), "batch" (N×N), or "auto", the smaller.

    `step` reports loss (before the step), damping, gain and tries. Raises ValueError in float32 and for an objective
    with a term of kind "loss".
    """

    damping: float = 1e-2
    min_damping: float = 1e-14
    acceleration: float | int = 0.75
    max_tries: int = 8
    space: Literal["auto", "parameters", "batch"] = "auto"

    def __check_init__(self):
        if not (self.damping > 0 and self.min_damping > 0 and self.acceleration >= 0 and self.max_tries >= 1):
            raise ValueError(
                f"damping={self.damping} and min_damping={self.min_damping} must be > 0, "
                f"acceleration={self.acceleration} at least 0 and max_tries={self.max_tries} at least 1."
            )
        if self.space not in ("auto", "parameters", "batch"):
            raise ValueError(f'space={self.space!r}; choose "auto", "parameters" or "batch".')

    def init(self, model: Any) -> LevenbergMarquardtState:
        require_float64("LevenbergMarquardt", model)
        return LevenbergMarquardtState(jnp.array(self.damping, float), jnp.array(2.0, float))

    def step(
        self, model: Any, state: LevenbergMarquardtState, objective: Objective, batch: Batch
    ) -> tuple[Any, LevenbergMarquardtState, dict[str, Array]]:
        """One step; see the class."""
        trained, rest = partition(model)
        theta, unravel = ravel_pytree(trained)
        rebuild = lambda theta: eqx.combine(unravel(theta), rest)
        residuals = lambda theta: stack_residuals(objective, rebuild(theta), batch)
        r = residuals(theta)
        loss = 0.5 * jnp.sum(r**2)
        system = DampedLeastSquares(stack_jacobian(objective, rebuild, theta, batch), self.space)
        gradient = system.jacobian.T @ r
        # A Jacobian that is not finite is an error for the loop to report, not a step to be refused.
        loss = jnp.where(jnp.isfinite(gradient).all(), loss, jnp.nan)
        # More damping than this only shortens a gradient step that is tiny already, and would take long to shrink.
        most = 1e3 * jnp.max(jnp.diagonal(system.gram)) + self.damping

        def attempt(last: _Attempt) -> _Attempt:
            factor = system.factor(last.damping)
            delta = system.solve(factor, r)
            predicted = 0.5 * jnp.dot(delta, last.damping * delta - gradient)
            step = delta
            if self.acceleration > 0:
                bend = 0.5 * system.solve(factor, _second_derivative(residuals, theta, delta))
                small = 2 * jnp.linalg.norm(bend) <= self.acceleration * jnp.linalg.norm(delta)
                step = delta + jnp.where(small, bend, 0.0)
            after = 0.5 * jnp.sum(residuals(theta + step) ** 2)
            gain = jnp.where(jnp.isfinite(after) & (predicted > 0), (loss - after) / predicted, -jnp.inf)
            taken = gain > 0
            shrunk = jnp.maximum(last.damping * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3), self.min_damping)
            return _Attempt(
                theta=jnp.where(taken, theta + step, theta),
                loss=jnp.where(taken, after, loss),
                damping=jnp.where(taken, shrunk, jnp.minimum(last.damping * last.growth, most)),
                growth=jnp.where(taken, 2.0, jnp.minimum(2 * last.growth, 1e3)),
                gain=gain,
                tries=last.tries + 1,
            )

        start = _Attempt(theta, loss, *state, gain=-jnp.ones(()), tries=jnp.zeros((), jnp.int32))
        end = jax.lax.while_loop(lambda a: ~(a.gain > 0) & (a.tries < self.max_tries), attempt, start)
        info = {"loss": loss, "damping": state.damping, "gain": jnp.maximum(end.gain, -1.0), "tries": end.tries}
        return rebuild(end.theta), LevenbergMarquardtState(end.damping, end.growth), info


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


def stack_residuals(objective: Objective, model: Any, batch: Batch) -> Float[Array, " N"]:
    """All residuals, scaled by √(weight / n), so that the loss is half their square; ValueError for a "loss" term."""
    for name, term in objective.items():
        if term.kind != "residual":
            raise ValueError(
                f"the term {name!r} is of kind {term.kind!r}, not a residual: least-squares optimizers need residuals. "
                "Take a gradient method, such as optax.adam, or a loss that is a square where the method has one, such as "
                "method.loss=relative_square."
            )
    values = evaluate_terms(objective, model, batch)
    return jnp.concatenate([((objective[k].weight / r.shape[0]) ** 0.5 * r).reshape(-1) for k, r in values.items()])


def stack_jacobian(objective: Objective, rebuild: Any, theta: Float[Array, " P"], batch: Batch) -> Float[Array, "N P"]:
    """∂(stacked residuals)/∂θ, one backward pass a component and sample; `rebuild(theta)` is the model."""

    def rows(term, samples):
        jacobian = jax.vmap(jax.jacrev(lambda theta, sample: term.fn(rebuild(theta), sample)), (None, 0))
        of_samples = jacobian(theta, samples)  # (n, k, P)
        return ((term.weight / of_samples.shape[0]) ** 0.5 * of_samples).reshape(-1, theta.shape[0])

    return jnp.concatenate([rows(term, batch[name]) for name, term in objective.items()])
