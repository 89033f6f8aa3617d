"""Rational-quadratic splines (Durkan, Bekasov, Murray & Papamakarios 2019, arXiv 1906.04032, eqs. 4–8).

An increasing, once differentiable map of [−B, B] onto itself, with the identity outside. Differences: the slopes at the
knots are exp of bounded numbers, 1 where the parameters are zero, and a bin is picked by comparisons and sums, without
searches or gathers. Second derivatives jump at the knots: use smooth layers where ∇v or accelerations are a loss.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .conditioners import bounded
from .coupling import Transformer


class RationalQuadraticSpline(Transformer):
    """A spline of `num_bins` bins on [−bound, bound]; `log_slope` bounds the logarithm of the slopes at its knots."""

    num_bins: int = eqx.field(static=True, default=8)
    bound: float = eqx.field(static=True, default=4.0)
    log_slope: float = eqx.field(static=True, default=3.0)
    min_bin: float = eqx.field(static=True, default=1e-2)

    def __check_init__(self):
        if not (self.num_bins >= 2 and self.bound > 0 and self.log_slope > 0 and 0 < self.min_bin * self.num_bins < 1):
            raise ValueError(
                f"num_bins={self.num_bins} must be at least 2, bound={self.bound} and log_slope={self.log_slope} > 0, "
                f"min_bin={self.min_bin} between 0 and 1/num_bins."
            )

    @property
    def num_parameters(self) -> int:
        return 3 * self.num_bins - 1

    def forward(self, x, p):
        inside = jnp.abs(x) < self.bound
        x_in = jnp.where(inside, x, 0.0)
        (x0, w, y0, h, d0, d1), s, bend = self._bin(x_in, p, of_heights=False)
        xi = (x_in - x0) / w
        product = xi * (1 - xi)
        y = y0 + h * (s * xi**2 + d0 * product) / (s + bend * product)
        return jnp.where(inside, y, x), jnp.where(inside, self._log_derivative(xi, s, d0, d1, bend), 0.0)

    def inverse(self, y, p):
        inside = jnp.abs(y) < self.bound
        y_in = jnp.where(inside, y, 0.0)
        (x0, w, y0, h, d0, d1), s, bend = self._bin(y_in, p, of_heights=True)
        eta = y_in - y0
        b = h * d0 - eta * bend
        root = jnp.sqrt(b**2 + 4 * (h * (s - d0) + eta * bend) * s * eta)
        xi = 2 * s * eta / (b + root)
        x = x0 + w * xi
        return jnp.where(inside, x, y), jnp.where(inside, -self._log_derivative(xi, s, d0, d1, bend), 0.0)

    def _log_derivative(self, xi, s, d0, d1, bend):
        product = xi * (1 - xi)
        top = d1 * xi**2 + 2 * s * product + d0 * (1 - xi) ** 2
        return 2 * jnp.log(s) + jnp.log(top) - 2 * jnp.log(s + bend * product)

    def _bin(self, value, p, *, of_heights):
        """(left x, width, left y, height, left slope, right slope) of the bin of `value`; its mean slope and bend."""
        k = self.num_bins
        sizes = self._sizes(p[: 2 * k].reshape(2, k))
        before = jnp.asarray(np.tri(k, k=-1), p.dtype)  # sums of the bins to the left
        left = sizes @ before.T - self.bound
        slopes = jnp.pad(p[2 * k :], 1)
        reached = (value >= left[int(of_heights), 1:]).astype(p.dtype)  # knots but the first
        here = jnp.pad(reached, (1, 0), constant_values=1) - jnp.pad(reached, (0, 1))
        x0, y0, w, h, d0, d1 = jnp.concatenate([left, sizes, slopes[None, :-1], slopes[None, 1:]]) @ here
        d0, d1 = jnp.exp(bounded(d0, self.log_slope)), jnp.exp(bounded(d1, self.log_slope))
        s = h / w
        return (x0, w, y0, h, d0, d1), s, d0 + d1 - 2 * s

    def _sizes(self, p):
        return 2 * self.bound * (self.min_bin + (1 - self.num_bins * self.min_bin) * jax.nn.softmax(p))
