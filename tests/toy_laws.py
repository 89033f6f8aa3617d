"""Initial laws with known faults, named by `--module toy_laws`."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Spiky:
    """One sine of random phase; with the probability `share` it is NaN, as after a step that was unstable."""

    share: float = 0.4

    def __call__(self, grid, *, key):
        draw = jax.random.uniform(key, (2,))
        wave = jnp.sin(2 * jnp.pi * (grid.points + draw[0]))
        return jnp.where(draw[1] < self.share, jnp.nan, wave)
