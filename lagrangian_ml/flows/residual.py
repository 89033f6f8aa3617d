"""Invertible residual blocks, x = X + g(t, X) with a certified Lipschitz constant of g below 1.

Behrmann et al. 2019 (arXiv 1811.00995), theorem 1. Every weight is divided by an upper bound of its spectral norm,
‖W‖₂ ≤ ‖(WᵀW)^(2ᵏ⁻¹)‖_F^(1/2ᵏ) by Gram iteration (Delattre et al. 2023, arXiv 2305.16173), which holds at every step of
training, where power iteration gives a lower bound. Time enters the biases alone, which do not count. Differences: the
log-determinant is that of the Jacobian itself, and the inverse is Newton's, as d is small.
`Inverted(Residual(...))` makes densities the explicit direction.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap
from ..linalg import newton_root
from .conditioners import TimePolynomial


class Residual(FlowMap):
    """x = X + c·Wₙ sin(… W₁X + b₁(t) …) with ‖Wᵢ‖₂ ≤ 1 and c = `lipschitz` < 1; `depth` hidden layers."""

    weights: tuple[Float[Array, "a b"], ...]
    biases: tuple[Callable[[Array], Array], ...]
    lipschitz: float = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        law: Callable[..., Callable] = TimePolynomial,
        *,
        width: int = 32,
        depth: int = 2,
        lipschitz: float = 0.9,
        key: Key[Array, ""],
    ):
        if not 0 < lipschitz < 1 or width < 1 or depth < 1:
            raise ValueError(
                f"lipschitz={lipschitz} must be between 0 and 1; width={width} and depth={depth} at least 1."
            )
        sizes = [dim, *[width] * depth, dim]
        weight_keys, bias_keys = jax.random.split(key, (2, depth + 1))
        make = lambda m, n, key: math.sqrt(1 / m) * jax.random.normal(key, (n, m))
        self.weights = tuple(make(m, n, k) for m, n, k in zip(sizes[:-1], sizes[1:], weight_keys))
        self.biases = tuple(law(n, key=k) for n, k in zip(sizes[1:], bias_keys))
        self.lipschitz = lipschitz

    def forward(self, t, X):
        return self.place(t, X), self._log_det(t, X)

    def place(self, t, X):
        return X + self._residual(t, X)

    def inverse(self, t, x):
        guess = jax.lax.stop_gradient(x - self._residual(t, x))
        X = newton_root(lambda X: self.place(t, X) - x, guess)
        return X, -self._log_det(t, X)

    def _residual(self, t, X):
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            X = (weight / jnp.maximum(spectral_bound(weight), 1.0)) @ X + bias(t)
            if i < len(self.weights) - 1:
                X = jnp.sin(X)
        return self.lipschitz * X

    def _log_det(self, t, X):
        return jnp.linalg.slogdet(jnp.eye(X.shape[0], dtype=X.dtype) + jax.jacfwd(self._residual, argnums=1)(t, X))[1]


def spectral_bound(weight: Float[Array, "a b"], num_steps: int = 5) -> Float[Array, ""]:
    """An upper bound of ‖W‖₂, rescaled at every step; five steps are tight to 2⁻⁵ log(rank)/2."""
    gram = weight @ weight.T if weight.shape[0] < weight.shape[1] else weight.T @ weight
    tiny = jnp.finfo(weight.dtype).tiny ** 0.5
    gram = gram + tiny * jnp.eye(gram.shape[0], dtype=gram.dtype)  # so that zero has a bound, and a derivative
    log_bound, power = jnp.zeros((), weight.dtype), 2.0  # ‖W‖₂^power ≤ exp(log_bound) ‖gram‖_F
    for _ in range(num_steps - 1):
        norm = jnp.linalg.norm(gram)
        gram, log_bound, power = (gram / norm) @ (gram / norm), 2 * (log_bound + jnp.log(norm)), 2 * power
    return jnp.exp((log_bound + jnp.log(jnp.linalg.norm(gram))) / power)
