"""Finite-time Lyapunov exponents: how fast neighbours part under a flow map, and the ridges of that field.

With F = ∂φ/∂x, φ carrying particles from t to t + T, the exponent is log σ_max(F)/|T| (Haller 2001, doi
10.1016/S0167-2789(00)00199-8; Shadden, Lekien & Marsden 2005, doi 10.1016/j.physd.2005.10.007). Ridges for T > 0
repel, for T < 0 attract: Lagrangian coherent structures. Difference: F is differentiated, not taken from neighbours on
an auxiliary grid, so a point alone has its exponent, exact and differentiable where the largest stretch is unique.
Through the flow of a velocity field equal steps are several times cheaper than adaptive ones, for which the slowest
particle of a batch sets the number of steps.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..core import FlowMap, Grid, Point
from ..jets import StencilJet
from ..metrics import evaluate_field


class LyapunovField(eqx.Module):
    """The field `(t, x) -> (1,)`: the exponent of particles that are at x at time t, over `duration` (T, not 0)."""

    flow: FlowMap
    duration: Float[Array, ""]  # an array, so that both directions share what is compiled

    def __init__(self, flow: FlowMap, duration: float | int):
        if not abs(duration) > 0:
            raise ValueError(f"duration={duration}: give a time other than 0, negative to follow particles back.")
        self.flow, self.duration = flow, jnp.asarray(duration, float)

    def __call__(self, t: Array, x: Float[Array, " d"]) -> Float[Array, "1"]:
        duration = self.duration.astype(x.dtype)
        gradient = jax.jacfwd(lambda x: self.flow.transition(t, t + duration, x))(x)
        return (jnp.log(largest_stretch(gradient)) / jnp.abs(duration))[None]


def largest_stretch(F: Float[Array, "d d"]) -> Float[Array, ""]:
    """σ_max(F), with finite derivatives also where singular values are equal: there, those of one of them."""
    if F.shape[0] != 2:
        return _first_singular_value(F)
    # With F = a rotation and a reflection, each scaled: σ_max is the sum of the scales, σ_min their difference.
    turning = _norm(F[0, 0] + F[1, 1], F[1, 0] - F[0, 1])
    straining = _norm(F[0, 0] - F[1, 1], F[1, 0] + F[0, 1])
    return 0.5 * (turning + straining)


def _norm(a, b):
    """√(a² + b²), with the derivative 0 at 0."""
    square = a**2 + b**2
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


@jax.custom_jvp
def _first_singular_value(F):
    return jnp.linalg.svd(F, compute_uv=False)[0]


@_first_singular_value.defjvp
def _first_singular_value_jvp(primals, tangents):
    U, sigma, V = jnp.linalg.svd(primals[0])
    return sigma[0], U[:, 0] @ tangents[0] @ V[0]


def lyapunov_exponents(
    flow: FlowMap, duration: float | int, x: Float[Array, "n d"], t: float | int = 0.0, *, batch_size: int = 4096
) -> Float[Array, " n"]:
    """The exponents over `duration` of particles that are at the points x at time t, `batch_size` of them at a time.

    Raises:
        ValueError: if one is not finite, naming the first such point: the map is singular or undefined there.
    """
    points = Point(x, jnp.full(x.shape[0], t, x.dtype))
    values = evaluate_field(LyapunovField(flow, duration), points, batch_size=batch_size)[:, 0]
    bad = ~jnp.isfinite(values)
    if bad.any():
        row = int(jnp.argmax(bad))
        raise ValueError(
            f"the flow map from t = {t} to {t + duration} is not invertible or not finite at {int(bad.sum())} of "
            f"{len(values)} points, first in row {row}, x = {x[row].tolist()}; leave these out, or shorten `duration`."
        )
    return values


class Ridges(NamedTuple):
    """`mask` (*s) says which cells of a grid a ridge passes, `points` (n, d) where, between the grid's points."""

    mask: Bool[Array, "*s"]
    points: Float[Array, "n d"]


def ridges(values: Float[Array, "*s"], grid: Grid, *, curvature: float = 0.0, level: float = -jnp.inf) -> Ridges:
    """Second-derivative ridges of a field on a grid (Shadden et al. 2005): g·n = 0 and λ < −`curvature`.

    λ is the smallest eigenvalue of the Hessian, n its eigenvector, g the gradient, all by central differences. A cell
    has a ridge if the maximum along n, at the offset −(g·n) n/λ, lies inside it and the field is at least `level`.
    Cells at the edge have none.

    Raises:
        ValueError: if the values do not fit the grid, an axis has fewer than 5 points, or a threshold is out of range.
    """
    if values.shape != grid.shape:
        raise ValueError(f"the values {values.shape} do not fit the grid {grid.shape}.")
    if min(grid.shape) < 5:
        raise ValueError(f"the grid {grid.shape} is too small for ridges: give at least 5 points on every axis.")
    if not curvature >= 0:
        raise ValueError(f"curvature={curvature} must be at least 0: a ridge has λ < −curvature.")
    mask, points = _ridge_points(values, grid, jnp.asarray(curvature, values.dtype), jnp.asarray(level, values.dtype))
    return Ridges(mask, points[mask])


@eqx.filter_jit
def _ridge_points(values, grid, curvature, level):
    """The mask, and for every cell (*s, d) the place of the maximum along n."""
    # The jet takes the grid for periodic: in the outermost cells, which are left out, it is wrong.
    jet, d = StencilJet(values[None], grid), grid.dim
    gradient = jnp.moveaxis(jet.gradient[0], 0, -1)
    hessian = jnp.stack([jnp.stack([jet.d(i, j)[0] for j in range(d)], axis=-1) for i in range(d)], axis=-2)
    eigenvalues, vectors = jnp.linalg.eigh(hessian)
    steepest, across = eigenvalues[..., 0], vectors[..., 0]
    curved = (steepest < 0) & (steepest < -curvature)
    slope = jnp.einsum("...i,...i->...", gradient, across)
    offset = -(slope / jnp.where(curved, steepest, 1))[..., None] * across
    inside = jnp.all(jnp.abs(offset) <= 0.5 * jnp.asarray(grid.spacings)[(None,) * d], axis=-1)
    interior = jnp.zeros(grid.shape, bool).at[(slice(1, -1),) * d].set(True)
    mask = interior & curved & inside & (values >= level)
    return mask, jnp.moveaxis(grid.points, 0, -1) + offset
