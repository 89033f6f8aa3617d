"""Gauss–Newton steps with a fixed rule of damping, a line search, and momentum: natural gradients of PINNs.

    δ = β p + argmin_q ½‖J q + (r + β J p)‖² + ½ μ‖q‖²,     θ ← θ + η δ,     p the last δ

For a loss of squares this is the natural gradient of its energy, and by the settings it is

- exact Gauss–Newton (Korbit, Adeoye, Bemporad & Zanon 2024, arXiv 2405.14402): batch space, η by backtracking;
- energy natural gradients (Müller & Zeinhofer 2023, arXiv 2302.13163): η the best of 1, ½, ¼, …; in batch space after
  Woodbury as in Guzmán-Cordero, Dangel, Goldshlager & Zeinhofer 2025 (arXiv 2505.12149);
- SPRING (Goldshlager, Abrahamsen & Lin 2024, arXiv 2401.10190, eq. 29): β near 1, so that what the residuals of one
  batch do not determine is kept from the batches before.

Differences: μ may be in units of ‖r‖ or of ‖Jᵀr‖ (`damping_unit`), so that steps become Gauss–Newton's as the loss
falls; a step that lowers the loss at no η is not taken, and its momentum is dropped.
"""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Batch, Objective, partition
from ._checks import require_float64
from ._residuals import DampingUnit, Residuals, System, check_unit, damping_unit

Search = Literal["backtracking", "grid", "none"]


class GaussNewtonState(NamedTuple):
    """p, the last step before its length was chosen."""

    momentum: Float[Array, " P"]


class GaussNewton(eqx.Module):
    """Gauss–Newton steps, see the module, in float64.

    Args:
        damping: μ, in `damping_unit`s: "constant" is 1, "residual" ‖r‖, "gradient" ‖Jᵀr‖.
        momentum: β, at least 0 and below 1.
        search: of the length η: "backtracking" halves it to Armijo's condition, "grid" takes the best of all, "none"
            takes `max_length`.
        max_length: the largest η.
        max_tries: lengths that a search has, each half of the one before.
        max_norm: a longer step is shortened to it; 0 for no limit.
        system: how the system is solved.

    `step` reports loss (before the step), step_size η and grad_norm. Raises ValueError in float32 and for a term of
    kind "loss".
    """

    damping: float | int = 1e-8
    damping_unit: DampingUnit = "constant"
    momentum: float | int = 0.0
    search: Search = "backtracking"
    max_length: float | int = 1.0
    max_tries: int = 20
    max_norm: float | int = 0.0
    system: System = System()

    def __check_init__(self):
        check_unit(self.damping_unit)
        if self.search not in ("backtracking", "grid", "none"):
            raise ValueError(f"search={self.search!r}; choose backtracking, grid or none.")
        if not (self.damping >= 0 and 0 <= self.momentum < 1 and self.max_length > 0 and self.max_norm >= 0):
            raise ValueError(
                f"damping={self.damping} and max_norm={self.max_norm} must be at least 0, momentum={self.momentum} in "
                f"[0, 1) and max_length={self.max_length} > 0."
            )
        if self.damping == 0 and self.system.solver != "svd":
            raise ValueError("damping=0 needs system.solver=svd, which leaves out what J does not determine.")
        if self.max_tries < 1:
            raise ValueError(f"max_tries={self.max_tries} must be at least 1.")

    def init(self, model: Any) -> GaussNewtonState:
        require_float64("GaussNewton", model)
        size = sum(leaf.size for leaf in jax.tree.leaves(partition(model)[0]))
        return GaussNewtonState(jnp.zeros(size, float))

    def step(
        self, model: Any, state: GaussNewtonState, objective: Objective, batch: Batch
    ) -> tuple[Any, GaussNewtonState, dict[str, Array]]:
        """One step; see the class."""
        problem = Residuals(objective, model, batch)
        gradient = problem.pull(problem.r)
        system = self.system.prepare(problem)
        factor = system.factor(self.damping * damping_unit(self.damping_unit, problem.r, gradient))
        if self.momentum:
            kept = self.momentum * state.momentum
            delta = kept + system.solve(factor, problem.r + problem.push(kept))
        else:
            delta = system.solve(factor, problem.r)
        if self.max_norm:
            delta = delta * jnp.minimum(1.0, self.max_norm / jnp.maximum(jnp.linalg.norm(delta), 1e-300))
        loss = 0.5 * jnp.sum(problem.r**2)
        loss = jnp.where(jnp.isfinite(gradient).all(), loss, jnp.nan)  # for the loop to report
        after = lambda length: 0.5 * jnp.sum(problem.at(problem.theta + length * delta) ** 2)
        length = self._length(after, loss, gradient @ delta)
        info = {"loss": loss, "step_size": length, "grad_norm": jnp.linalg.norm(gradient)}
        delta = jnp.where(length > 0, delta, 0.0)
        return problem.model(problem.theta + length * delta), GaussNewtonState(delta), info

    def _length(self, after, loss, slope):
        """η; 0 where no length lowers the loss, as where the step is not finite."""
        if self.search == "none":
            return jnp.where(jnp.isfinite(slope), jnp.asarray(self.max_length, float), jnp.nan)
        lengths = self.max_length * 0.5 ** jnp.arange(self.max_tries, dtype=float)
        if self.search == "grid":
            losses = jax.lax.map(after, lengths)
            best = jnp.nanargmin(jnp.append(losses, loss))
            return jnp.append(lengths, 0.0)[best]
        low_enough = lambda k: after(lengths[k]) <= loss + 1e-4 * lengths[k] * jnp.minimum(slope, 0.0)
        missed = lambda k: (k < self.max_tries) & ~low_enough(jnp.minimum(k, self.max_tries - 1))
        k = jax.lax.while_loop(missed, lambda k: k + 1, jnp.zeros((), jnp.int32))
        return jnp.append(lengths, 0.0)[k]
