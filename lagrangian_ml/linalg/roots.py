"""Roots of functions, differentiated implicitly: the derivative at a root does not pass through the iterations.

Both roots may be differentiated any number of times, in forward and reverse mode, in whatever the function closes
over: at f(x) = 0 the tangent is ẋ = −(∂f/∂x)⁻¹ ḟ, with the Jacobian itself, by `jax.lax.custom_root`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def newton_root(
    f: Callable[[Float[Array, " d"]], Float[Array, " d"]],
    guess: Float[Array, " d"],
    max_steps: int = 50,
) -> Float[Array, " d"]:
    """x (d,) with f(x) = 0, by Newton's method; a step is halved, up to eight times, until |f| falls.

    Where it does not converge the result is NaN: at a fold ∂f/∂x is singular, beyond it there may be no root.
    """

    def solve(f, guess):
        size = lambda r: jnp.linalg.norm(r)

        def body(carry):
            x, r, step, _ = carry
            direction = jnp.linalg.solve(jax.jacfwd(f)(x), r)
            lengths = jnp.asarray(0.5, x.dtype) ** jnp.arange(9).astype(x.dtype)
            trials = x[None] - lengths[:, None] * direction[None]
            residuals = jax.vmap(f)(trials)
            sizes = jnp.where(jnp.isfinite(residuals).all(axis=1), jax.vmap(size)(residuals), jnp.inf)
            first = jnp.argmax(sizes < size(r))
            better = jnp.any(sizes < size(r))
            return jnp.where(better, trials[first], x), jnp.where(better, residuals[first], r), step + 1, better

        # The last step that helps ends at rounding; from there none does.
        carry = guess, f(guess), jnp.zeros((), jnp.int32), jnp.ones((), bool)
        x, r, _, _ = jax.lax.while_loop(lambda c: c[3] & (c[2] < max_steps), body, carry)
        scale = 1 + jnp.max(jnp.abs(x)) + jnp.max(jnp.abs(f(guess)))
        return jnp.where(size(r) <= jnp.finfo(x.dtype).eps ** 0.75 * scale, x, jnp.nan)

    def tangent_solve(linear, r):
        return jnp.linalg.solve(jax.jacfwd(linear)(r), r)

    return jax.lax.custom_root(f, guess, solve, tangent_solve)


def monotone_root(
    f: Callable[[Float[Array, ""]], Float[Array, ""]], lower: Float[Array, ""], upper: Float[Array, ""]
) -> Float[Array, ""]:
    """The root of an increasing scalar function between two bounds, by Newton steps kept inside the bracket.

    NaN if f has no change of sign between the bounds, or is not finite.
    """

    def solve(f, guess):
        least = jnp.finfo(guess.dtype).eps * (jnp.abs(lower) + jnp.abs(upper) + (upper - lower))

        def body(carry):
            low, high, x, step, _ = carry
            value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
            low, high = jnp.where(value <= 0, x, low), jnp.where(value >= 0, x, high)
            newton = x - value / jnp.where(slope > 0, slope, 1)
            inside = (slope > 0) & (newton >= low) & (newton <= high)
            done = (inside & (jnp.abs(newton - x) <= 0.5 * least)) | (high - low <= 0.5 * least)
            # Where the slope nearly vanishes Newton's steps are short on one side: bisect every third time.
            next_x = jnp.where(inside & (done | (step % 3 < 2)), newton, 0.5 * (low + high))
            return low, high, next_x, step + 1, done

        carry = lower, upper, guess, jnp.zeros((), jnp.int32), jnp.zeros((), bool)
        x = jax.lax.while_loop(lambda c: ~c[4] & (c[3] < 150), body, carry)[2]
        size = jnp.maximum(jnp.abs(f(lower)), jnp.abs(f(upper)))
        sound = jnp.abs(f(x)) <= jnp.finfo(x.dtype).eps ** 0.75 * size + 100 * least
        return jnp.where(sound, x, jnp.nan)

    def tangent_solve(linear, r):
        return r / linear(jnp.ones_like(r))

    guess = jax.lax.stop_gradient(0.5 * (lower + upper))
    lower, upper = jax.lax.stop_gradient(lower), jax.lax.stop_gradient(upper)
    return jax.lax.custom_root(f, guess, solve, tangent_solve)
