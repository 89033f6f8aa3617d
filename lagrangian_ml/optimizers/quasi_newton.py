"""Quasi-Newton methods of the Broyden family with self-scaling, for up to a few thousand parameters, in float64.

The inverse Hessian H is updated, after a step s = −α H g that changes the gradient by y, as (Urbán, Stefanou & Pons
2025, doi 10.1016/j.jcp.2024.113656, arXiv 2405.04230, eqs. 10–23, after Al-Baali and Khalfan)

    H ← (H − Hy yᵀH/(yᵀHy) + φ (yᵀHy) v vᵀ)/τ + s sᵀ/(sᵀy),     v = s/(sᵀy) − Hy/(yᵀHy)

- "bfgs": τ = φ = 1;
- "self_scaled_bfgs": φ = 1, τ = min(1, 1/b);
- "self_scaled_broyden": φ = (1 − θ)/(1 + aθ), τ = ρ min(σ^(1/(1−P)), 1/θ), or min(ρ σ^(1/(1−P)), σ) where θ ≤ 0,

with b = sᵀH⁻¹s/(sᵀy) = −α gᵀs/(sᵀy), h = yᵀHy/(sᵀy), a = bh − 1, ρ = min(1, 1/b), σ = 1 + aθ, and θ = max(θ⁻, min(θ⁺,
(1 − b)/b)), θ⁻ = (ρ⁻ − 1)/a, θ⁺ = 1/ρ⁻, ρ⁻ = min(1, h (1 − √(a/(1 + a)))). The very first update is scaled by the
observed curvature, τ = h/(1 + aθ). α satisfies the strong Wolfe conditions (Nocedal & Wright 2006, alg. 3.5 and 3.6).

Differs from the paper: y is always a change on the same samples, so that H survives when points are drawn again; one
step is several iterations on its samples, whose first gradient is the only one that is not the line search's. An update
that would not keep H positive is left out, and a search that fails where the decrease is not below rounding starts
again from a scaled identity.
"""

from typing import Any, Literal, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from ..core import Batch, Objective, loss, partition
from ._checks import require_float64

MOST = 20_000  # parameters
Update = Literal["bfgs", "self_scaled_bfgs", "self_scaled_broyden"]


class QuasiNewtonState(NamedTuple):
    """H, and whether no curvature is in it yet."""

    inverse_hessian: Float[Array, "P P"]
    fresh: Bool[Array, ""]


class _Iterate(NamedTuple):
    theta: Float[Array, " P"]
    value: Float[Array, ""]
    grad: Float[Array, " P"]
    scaled: Float[Array, " P"]  # H g
    state: QuasiNewtonState
    tries: Int[Array, ""]
    length: Float[Array, ""]
    failed: Int[Array, ""]


class QuasiNewton(eqx.Module):
    """Quasi-Newton iterations with a strong-Wolfe line search; H has the square of the number of parameters.

    Args:
        update: the rule, see the module.
        iterations: how many make one step, on the samples of that step.
        max_tries: at most so many evaluations in one line search.

    `step` reports loss (before the step), evaluations (by iteration), step_size (the last) and failed, the searches of
    this step that found no lower loss. Raises ValueError in float32 and for more than 20,000 parameters.
    """

    update: Update = "self_scaled_broyden"
    iterations: int = 10
    max_tries: int = 20

    def __check_init__(self):
        if self.update not in _SCALES:
            raise ValueError(f"update={self.update!r} is unknown; choose one of {', '.join(_SCALES)}.")
        if self.iterations < 1 or self.max_tries < 1:
            raise ValueError(f"iterations={self.iterations} and max_tries={self.max_tries} must be at least 1.")

    def init(self, model: Any) -> QuasiNewtonState:
        require_float64("QuasiNewton", model)
        size = sum(leaf.size for leaf in jax.tree.leaves(partition(model)[0]))
        if size > MOST:
            raise ValueError(
                f"the model has {size:,} parameters: an inverse Hessian would need {8e-9 * size**2:.0f} GB. At most "
                f"{MOST:,} are allowed: take optimizer=lbfgs, soap or adam, or a smaller network."
            )
        return QuasiNewtonState(jnp.eye(size, dtype=float), jnp.ones((), bool))

    def step(
        self, model: Any, state: QuasiNewtonState, objective: Objective, batch: Batch
    ) -> tuple[Any, QuasiNewtonState, dict[str, Array]]:
        """`iterations` of the method; see the class."""
        trained, rest = partition(model)
        theta, unravel = ravel_pytree(trained)
        value_fn = lambda theta: loss(objective, eqx.combine(unravel(theta), rest), batch)
        value, grad = jax.value_and_grad(value_fn)(theta)
        zero = jnp.zeros((), jnp.int32)
        start = _Iterate(theta, value, grad, state.inverse_hessian @ grad, state, zero, jnp.zeros_like(value), zero)
        end = jax.lax.fori_loop(0, self.iterations, lambda _, now: self._iterate(value_fn, now), start)
        info = {
            "loss": jnp.where(jnp.isfinite(grad).all(), value, jnp.nan),  # for the loop to report, not to be refused
            "evaluations": end.tries / self.iterations,
            "step_size": end.length,
            "failed": end.failed,
        }
        return eqx.combine(unravel(end.theta), rest), end.state, info

    def _iterate(self, value_fn, now):
        hessian, fresh = now.state
        # A first step of length 1 at most: without curvature the gradient's scale says nothing about θ.
        shrink = jnp.where(fresh, 1 / jnp.maximum(jnp.linalg.norm(now.scaled), 1.0), 1.0)
        search = optax.scale_by_zoom_linesearch(self.max_tries, initial_guess_strategy="one")
        direction = -shrink * now.scaled
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            known: Any = {"value": now.value, "grad": now.grad, "value_fn": value_fn}
            s, found = cast(Any, search.update(direction, search.init(now.theta), now.theta, **known))
        value, grad = jnp.asarray(found.value), found.grad
        lower = jnp.isfinite(value) & jnp.isfinite(grad).all() & (value <= now.value) & (s @ now.grad < 0)
        y, length = grad - now.grad, found.learning_rate * shrink
        # H y without a product with H: y is the difference of two gradients, and H g of the first is known.
        new_scaled = hessian @ grad
        Hy = new_scaled - now.scaled
        sy, yHy = s @ y, y @ Hy
        curved = lower & (sy > 1e-12 * jnp.linalg.norm(s) * jnp.linalg.norm(y)) & (yHy > 0)
        b, h = -length * (now.grad @ s) / jnp.where(curved, sy, 1.0), yHy / jnp.where(curved, sy, 1.0)
        sy, yHy = jnp.where(curved, sy, 1.0), jnp.where(curved, yHy, 1.0)
        phi, tau = _SCALES[self.update](jnp.where(curved, b, 1.0), jnp.where(curved, h, 1.0), now.theta.size, fresh)
        v = s / sy - Hy / yHy
        updated = (hessian - _outer(Hy, Hy / yHy) + _outer(phi * yHy * v, v)) / tau + _outer(s, s / sy)
        moved = (new_scaled - Hy * (Hy @ grad / yHy) + v * (phi * yHy * (v @ grad))) / tau + s * (s @ grad / sy)
        # A failed search: back to steepest descent, once; if there is no curvature to be dropped, nothing changes, and
        # neither where rounding hides the decrease, as at a minimum.
        hidden = jnp.abs(now.scaled @ now.grad) <= jnp.finfo(value.dtype).eps * now.value
        stays = lower | hidden
        identity = jnp.eye(now.theta.size, dtype=now.theta.dtype)
        hessian = jnp.where(curved, updated, jnp.where(stays, hessian, identity))
        keep = lambda new, old: jnp.where(lower, new, old)
        theta, value, grad = keep(now.theta + s, now.theta), keep(value, now.value), keep(grad, now.grad)
        kept = jnp.where(lower, new_scaled, now.scaled)
        scaled = jnp.where(curved, moved, jnp.where(stays, kept, now.grad))
        return _Iterate(
            theta,
            value,
            grad,
            scaled,
            QuasiNewtonState(hessian, jnp.where(curved, False, fresh | ~stays)),
            now.tries + jnp.asarray(found.info.num_linesearch_steps, now.tries.dtype),
            jnp.where(lower, length, 0.0),
            now.failed + (~lower).astype(now.failed.dtype),
        )


def _outer(a, b):
    return a[:, None] * b[None, :]


def _bfgs(b, h, size, fresh):
    return jnp.ones_like(b), jnp.where(fresh, h, 1.0)


def _self_scaled_bfgs(b, h, size, fresh):
    return jnp.ones_like(b), jnp.where(fresh, h, jnp.minimum(1.0, 1 / b))


def _self_scaled_broyden(b, h, size, fresh):
    a = jnp.maximum(b * h - 1, 1e-14)  # ≥ 0 by the inequality of Cauchy and Schwarz
    rho = jnp.minimum(1.0, h * (1 - jnp.sqrt(a / (1 + a))))
    theta = jnp.maximum((rho - 1) / a, jnp.minimum(1 / rho, (1 - b) / b))
    sigma = jnp.maximum(1 + theta * a, 1e-14)
    shared = sigma ** (1 / (1 - size)) if size > 1 else jnp.ones_like(sigma)
    least = jnp.minimum(1.0, 1 / b)
    positive = theta > 0
    tau = jnp.where(
        positive,
        least * jnp.minimum(shared, 1 / jnp.where(positive, theta, 1.0)),
        jnp.minimum(least * shared, sigma),
    )
    return (1 - theta) / sigma, jnp.where(fresh, h / sigma, tau)


_SCALES = {"bfgs": _bfgs, "self_scaled_bfgs": _self_scaled_bfgs, "self_scaled_broyden": _self_scaled_broyden}
