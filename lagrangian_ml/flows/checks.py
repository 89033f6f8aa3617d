"""What flows cannot use, found before anything is trained; every message names the first row that is wrong."""

import jax
import jax.numpy as jnp
import numpy as np

from ..core import FlowMap, Point, Problem, Samples

_SLACK = 1e-5  # of the extent: files in single precision overstep a domain by rounding


def check_observations(samples: Samples, problem: Problem) -> None:
    """ValueError unless these are finite (ρ, v), ρ ≥ 0, inside the domain and within the time of the problem."""
    dim = problem.domain.dim
    check_places(samples.point, problem)
    rows, u = samples.point.x.shape[0], np.asarray(samples.u)
    if u.shape != (rows, 1 + dim):
        raise ValueError(f"u has the shape {u.shape}; expected ({rows}, {1 + dim}): ρ and {dim} velocities a row.")
    _refuse(~np.isfinite(u).all(axis=1), "u", u, "is not finite; leave such observations out")
    _refuse(u[:, 0] < 0, "u", u, "has a density ρ < 0, the first entry; densities are not logarithms, and not negative")


def check_places(point: Point, problem: Problem) -> None:
    """ValueError unless x (n, d) lies in the domain and t (n,) in [0, horizon]."""
    x, dim, horizon = np.asarray(point.x), problem.domain.dim, problem.horizon
    t = np.asarray(np.nan if point.t is None else point.t)
    if x.ndim != 2 or x.shape[1] != dim or t.shape != x.shape[:1]:
        raise ValueError(f"x {x.shape} and t {t.shape} are no observations; expected (n, {dim}) and (n,).")
    _refuse(~np.isfinite(x).all(axis=1), "x", x, "is not finite; leave such observations out")
    _refuse(~np.isfinite(t), "t", t, "is not finite; leave such observations out")
    lower, upper = (np.asarray(corner) for corner in problem.domain.bounds)
    slack = _SLACK * (upper - lower)
    clipped = np.clip(x, lower, upper)
    inside = np.asarray(jax.vmap(problem.domain.contains)(jnp.asarray(clipped, jnp.result_type(float))))
    far = (np.abs(clipped - x) > slack).any(axis=1)
    _refuse(far | ~inside, "x", x, f"lies outside the domain, within {lower.tolist()} … {upper.tolist()}")
    assert horizon is not None
    late = (t < -_SLACK * horizon) | (t > (1 + _SLACK) * horizon)
    _refuse(late, "t", t, f"lies outside the time of the problem, [0, {horizon:g}]; give it a longer one")


def check_invertible(flow: FlowMap, point: Point, *, tolerance: float = 1e-4) -> None:
    """ValueError where the map is folded at these places x and times t, or its inverse does not lead back.

    Checked are finite labels, |φ(t, φ⁻¹(t, x)) − x| ≤ tolerance · (1 + |x|), and det ∂x/∂X > 0 both at the label that
    the inverse finds, one of several where the map is folded, and at the label X = x.
    """
    if point.t is None:
        raise ValueError("a flow map is examined at times: give Point(x, t) with t (n,).")
    x, t = jnp.asarray(point.x), jnp.asarray(point.t)
    labels, back, det, there = jax.jit(jax.vmap(lambda t, x: _examine(flow, t, x)))(t, x)
    x, labels, back, det, there = (np.asarray(a) for a in (x, labels, back, det, there))
    where = np.concatenate([np.asarray(t)[:, None], x], axis=1)
    _refuse(~np.isfinite(labels).all(axis=1), "(t, x)", where, "has no finite label: the inverse does not exist there")
    _refuse(~(det > 0), "(t, x)", where, "is where the map is folded, det ∂x/∂X ≤ 0", {"det": det})
    _refuse(there <= 0, "(t, X)", where, "is a label where the map is folded, det ∂x/∂X ≤ 0", {"det": there})
    gap = np.linalg.norm(back - x, axis=1)
    off = ~(gap <= tolerance * (1 + np.linalg.norm(x, axis=1)))
    _refuse(off, "(t, x)", where, "does not come back: forward(inverse(x)) is another place", {"gap": gap})


def _examine(flow, t, x):
    X, _ = flow.inverse(t, x)
    det = lambda X: jnp.linalg.det(flow.deformation_gradient(t, X))
    return X, flow.forward(t, X)[0], det(X), det(x)


def _refuse(bad, name, rows, why, values=None):
    """ValueError about the first of the bad rows."""
    if bad.any():
        first = int(np.argmax(bad))
        more = "".join(f", {label} = {value[first]:.3g}" for label, value in (values or {}).items())
        raise ValueError(f"row {first}: {name} = {rows[first].tolist()} {why}{more} ({int(bad.sum())} such rows).")
