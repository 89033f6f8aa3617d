"""Points that follow the residual: where it is large, more of them, or those that were there stay.

RAD of Wu, Zhu, Tan, Kartha and Lu (2023), arXiv 2207.10289, equation 2: from a pool of candidates, points are drawn
without replacement with density p ∝ |r|^k / mean |r|^k + c. Unlike in the paper, a share of the points may be kept at a
redraw, the oldest leaving first, so that the loss changes smoothly.

R3 of Daw, Bu, Wang, Perdikaris and Karpatne (2023), arXiv 2207.02338, algorithm 1: points with |r| above the mean are
retained, all others released and drawn again. Its causal gate, tanh in time, is left out: `optimizers.Causal` serves
that purpose here.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key


class ResidualAdaptive(eqx.Module):
    """`power` is k and `floor` is c of the density; `pool` candidates are tried for every new point.

    `keep` is the share of points that stay at a redraw. Residuals are computed `chunk` candidates at a time.
    """

    power: float | int = eqx.field(static=True, default=1.0)
    floor: float | int = eqx.field(static=True, default=1.0)
    pool: int = eqx.field(static=True, default=4)
    keep: float | int = eqx.field(static=True, default=0.0)
    chunk: int = eqx.field(static=True, default=2048)

    def __check_init__(self):
        if not (self.power >= 0 and self.floor >= 0 and self.pool >= 1 and 0 <= self.keep < 1 and self.chunk >= 1):
            raise ValueError(f"{self} needs power, floor ≥ 0, pool, chunk ≥ 1 and 0 ≤ keep < 1.")

    def __call__(
        self, sampler: Callable, current: Any, residual: Callable[[Any], Array], *, key: Key[Array, ""]
    ) -> Any:
        """The points that follow `current`; `sampler(key=key, num=n)` draws candidates, `residual(sample) -> (k,)`."""
        n = jax.tree.leaves(current)[0].shape[0]
        num_new = n - int(self.keep * n)
        pool_key, choice_key = jax.random.split(key)
        candidates = sampler(key=pool_key, num=num_new * self.pool)
        size = lambda sample: jnp.linalg.norm(residual(sample))
        sizes = jax.lax.map(size, candidates, batch_size=self.chunk) ** self.power
        density = sizes / jnp.maximum(jnp.mean(sizes), jnp.finfo(sizes.dtype).tiny) + self.floor
        # The largest of log p + Gumbel noise are a draw without replacement.
        order = jax.lax.top_k(jnp.log(density) + jax.random.gumbel(choice_key, density.shape, density.dtype), num_new)[
            1
        ]
        return jax.tree.map(lambda old, new: jnp.concatenate([old[num_new:], new[order]]), current, candidates)


class RetainResampleRelease(eqx.Module):
    """Points whose residual is above the mean stay, all others are drawn anew; `chunk` residuals at a time."""

    chunk: int = eqx.field(static=True, default=2048)

    def __check_init__(self):
        if self.chunk < 1:
            raise ValueError(f"chunk={self.chunk} must be at least 1.")

    def __call__(
        self, sampler: Callable, current: Any, residual: Callable[[Any], Array], *, key: Key[Array, ""]
    ) -> Any:
        """The points that follow `current`, as for `ResidualAdaptive`."""
        sizes = jax.lax.map(lambda sample: jnp.linalg.norm(residual(sample)), current, batch_size=self.chunk)
        fresh, stays = sampler(key=key, num=sizes.shape[0]), sizes > jnp.mean(sizes)
        keep = lambda old, new: jnp.where(jnp.expand_dims(stays, range(1, old.ndim)), old, new)
        return jax.tree.map(keep, current, fresh)
