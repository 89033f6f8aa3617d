"""Densities carried by a flow map: ρ(t, x) = M ρ₀(X) |det ∂X/∂x| with X = φ⁻¹(t, x), and their velocity.

Whatever the map, ∂_tρ + ∇·(ρ v) = 0 holds to rounding and the mass is M at all times (Torres et al. 2024,
arXiv 2305.16846). ρ is a density of mass, not of probability.
"""

import abc
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap


class Base(eqx.Module):
    """A probability density of the labels X."""

    @abc.abstractmethod
    def log_prob(self, X: Float[Array, " d"]) -> Float[Array, ""]: ...

    @abc.abstractmethod
    def sample(self, dim: int, *, key: Key[Array, ""]) -> Float[Array, " d"]: ...


class StandardNormal(Base):
    """N(0, I) in any number of dimensions."""

    def log_prob(self, X):
        return -0.5 * jnp.sum(X**2) - 0.5 * X.shape[0] * math.log(2 * math.pi)

    def sample(self, dim, *, key):
        return jax.random.normal(key, (dim,))


class NormalMixture(Base):
    """Σᵢ wᵢ N(centerᵢ, width² I), equal weights unless given."""

    centers: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    width: float = eqx.field(static=True, default=1.0)
    weights: tuple[float, ...] | None = eqx.field(static=True, default=None)

    def __init__(
        self,
        centers: Sequence[Sequence[float | int]],
        width: float | int = 1.0,
        weights: Sequence[float | int] | None = None,
    ):
        self.centers = tuple(tuple(map(float, center)) for center in centers)
        self.width = float(width)
        self.weights = None if weights is None else tuple(map(float, weights))
        if not self.centers or len({len(center) for center in self.centers}) != 1 or not self.width > 0:
            raise ValueError(f"a mixture needs centers of one dimension and width > 0; got {centers}, {width}.")
        if self.weights is not None and not (len(self.weights) == len(self.centers) and min(self.weights) > 0):
            raise ValueError(f"weights={weights}: give one > 0 for each of the {len(self.centers)} centers.")

    def log_prob(self, X):
        centers = jnp.asarray(self.centers, X.dtype)
        exponents = -0.5 * jnp.sum(((X[None] - centers) / self.width) ** 2, axis=1)
        norm = X.shape[0] * (0.5 * math.log(2 * math.pi) + math.log(self.width))
        return jax.nn.logsumexp(exponents + self._log_weights(X.dtype)) - norm

    def sample(self, dim, *, key):
        choice, noise = jax.random.split(key)
        centers = jnp.asarray(self.centers)
        index = jax.random.categorical(choice, self._log_weights(centers.dtype))
        return centers[index] + self.width * jax.random.normal(noise, (dim,))

    def _log_weights(self, dtype):
        weights = jnp.ones(len(self.centers), dtype) if self.weights is None else jnp.asarray(self.weights, dtype)
        return jnp.log(weights / jnp.sum(weights))


class TransportedDensity(eqx.Module):
    """The mass M = exp(log_mass) with the density `base` of labels, carried by `flow`.

    As a field, `(t, x) -> (1 + d,)`, it is (ρ, v).
    """

    flow: FlowMap
    base: Base
    log_mass: Float[Array, ""]

    def __init__(self, flow: FlowMap, base: Base | None = None, log_mass: float | int | Float[Array, ""] = 0.0):
        self.flow = flow
        self.base = StandardNormal() if base is None else base
        self.log_mass = jnp.asarray(log_mass, float)

    def observe(self, t: Array, x: Float[Array, " d"]) -> tuple[Float[Array, ""], Float[Array, " d"]]:
        """(log ρ, v) at a point, in one pass."""
        X, log_det, velocity = self.flow.observe(t, x)
        return self.base.log_prob(X) + log_det + self.log_mass, velocity

    def log_density(self, t: Array, x: Float[Array, " d"]) -> Float[Array, ""]:
        X, log_det = self.flow.inverse(t, x)
        return self.base.log_prob(X) + log_det + self.log_mass

    def density(self, t: Array, x: Float[Array, " d"]) -> Float[Array, ""]:
        return jnp.exp(self.log_density(t, x))

    def velocity(self, t: Array, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.flow.velocity(t, x)

    def sample(self, t: Array, dim: int, *, key: Key[Array, ""]) -> Float[Array, " d"]:
        """The place at time t of a particle drawn from the base."""
        return self.flow.forward(t, self.base.sample(dim, key=key))[0]

    def __call__(self, t: Array, x: Float[Array, " d"]) -> Float[Array, " c"]:
        log_density, velocity = self.observe(jnp.asarray(t, x.dtype), x)
        return jnp.concatenate([jnp.exp(log_density)[None], velocity])
