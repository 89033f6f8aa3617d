"""Fields from networks: u(t, x) = network((t, x)) in time, u(x) = network(x) when steady."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Inexact


class SpaceTimeField(eqx.Module):
    """u(t, x) = network((t, x₀, …, x_{d−1})): the network's input size is d + 1."""

    network: Callable
    satisfies: ClassVar[frozenset[str]] = frozenset()  # no term holds by construction

    def __call__(self, t: Inexact[Array, ""] | float, x: Inexact[Array, " d"]) -> Inexact[Array, " c"]:
        return self.network(jnp.concatenate([jnp.reshape(jnp.asarray(t, x.dtype), (1,)), x]))


class SpaceField(eqx.Module):
    """u(x) = network(x): the network's input size is d."""

    network: Callable
    satisfies: ClassVar[frozenset[str]] = frozenset()  # no term holds by construction

    def __call__(self, x: Inexact[Array, " d"]) -> Inexact[Array, " c"]:
        return self.network(x)
