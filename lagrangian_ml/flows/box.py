"""Maps between all of ℝᵈ and a box, so that densities vanish at its walls and no particle leaves it."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp

from ..core import FlowMap


class ToBox(FlowMap):
    """xᵢ = centerᵢ + halfᵢ tanh(Xᵢ/scale), with half the box's widths.

    `scale` is where a label begins to feel the wall. Points on a wall, or beyond it by rounding, are pulled inside by
    the spacing of the float type: their labels are large but finite.
    """

    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    scale: float = eqx.field(static=True, default=1.0)

    def __init__(self, lower: Sequence[float | int], upper: Sequence[float | int], scale: float | int = 1.0):
        self.lower, self.upper, self.scale = tuple(map(float, lower)), tuple(map(float, upper)), float(scale)
        ordered = len(self.lower) == len(self.upper) and all(a < b for a, b in zip(self.lower, self.upper))
        if not self.lower or not ordered or not self.scale > 0:
            raise ValueError(f"a box needs lower < upper on every axis, and scale > 0; got {lower}, {upper}, {scale}.")

    def forward(self, t, X):
        center, half = self._center_and_half(X.dtype)
        u = X / self.scale
        # log sech² u = 2 (log 2 − |u| − log(1 + exp(−2|u|))), without overflow
        log_slope = 2 * (jnp.log(2.0).astype(u.dtype) - jnp.abs(u) - jnp.log1p(jnp.exp(-2 * jnp.abs(u))))
        return center + half * jnp.tanh(u), jnp.sum(log_slope + jnp.log(half / self.scale))

    def inverse(self, t, x):
        X, log_slope = self._label(x)
        return X, jnp.sum(log_slope)

    def trace_back(self, t, x):
        X, log_slope = self._label(x)
        return X, jnp.sum(log_slope), lambda V: V * jnp.exp(-log_slope)

    def _label(self, x):
        """artanh from the distances to both walls, which are exact to rounding, as 1 − tanh² near a wall is not."""
        lower, upper = self._walls(x.dtype)
        tiny = jnp.finfo(x.dtype).eps * jnp.maximum(jnp.abs(lower), jnp.abs(upper))
        below, above = jnp.log(jnp.maximum(x - lower, tiny)), jnp.log(jnp.maximum(upper - x, tiny))
        return 0.5 * self.scale * (below - above), jnp.log(0.5 * self.scale * (upper - lower)) - below - above

    def _walls(self, dtype):
        return jnp.asarray(self.lower, dtype), jnp.asarray(self.upper, dtype)

    def _center_and_half(self, dtype):
        lower, upper = self._walls(dtype)
        return 0.5 * (lower + upper), 0.5 * (upper - lower)
