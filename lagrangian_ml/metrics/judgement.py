"""A field judged against a problem's truth: evaluated at samples in chunks, on a grid which the domain chooses.

Errors are ‖û − u‖/‖u‖ over all stored points of the reference, ‖û − u‖/‖u − mean u‖, and the maximum. An exact
reference is sampled once, by `reference_samples`; a stored one brings its own points. Keep the samples: making them
costs more than the norms.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ..core import Field, Point, Problem, Samples
from .norms import max_error, relative_l2, vrmse

_DEFAULT_STEADY = {1: (257,), 2: (65, 65), 3: (33, 33, 33)}
_DEFAULT_EVOLVING = {1: (101, 257), 2: (21, 65, 65), 3: (11, 17, 17, 17)}
_DEFAULT_SCATTERED = {"steady": (4096,), "evolving": (11, 1024)}


def errors(field: Field, samples: Samples, *, batch_size: int = 4096) -> dict[str, float]:
    """{"relative_l2", "vrmse", "max"} of a field at the samples, as Python floats (NaN where the field is).

    A constant truth has no "vrmse".

    Raises ValueError if the field's shape is not that of the truth, or if the truth is not finite or is zero.
    """
    prediction = evaluate_field(field, samples.point, batch_size=batch_size)
    truth = samples.u
    if prediction.shape != truth.shape:
        raise ValueError(f"the field gives {prediction.shape} at the samples, their truth is {truth.shape}.")
    norms = {"relative_l2": relative_l2, "vrmse": vrmse, "max": max_error}
    if not jnp.any(jnp.ptp(truth, axis=0) > 0):
        del norms["vrmse"]
    return {name: float(norm(prediction, truth)) for name, norm in norms.items()}


def evaluate_field(field: Field, point: Point, *, batch_size: int = 4096) -> Inexact[Array, "*n c"]:
    """u(t, x), or u(x) where `point.t` is None, at all points: chunks of `batch_size` under one `jit`.

    Fields that are Equinox modules of one structure share the compiled function; a new closure compiles anew.
    """
    leading = point.x.shape[:-1]
    x = jnp.reshape(jnp.asarray(point.x), (-1, point.x.shape[-1]))
    arguments = (x,) if point.t is None else (jnp.reshape(jnp.asarray(point.t), (-1,)), x)
    values = _evaluate(field, arguments, min(batch_size, max(1, x.shape[0])))
    return values.reshape(*leading, *values.shape[1:])


@eqx.filter_jit
def _evaluate(field, arguments, batch_size):
    return jax.lax.map(lambda z: field(*z), arguments, batch_size=batch_size)


def reference_samples(problem: Problem, shape: tuple[int, ...] | None = None) -> Samples | None:
    """The problem's truth at known points; None if it has none.

    A reference with `.samples()` brings its own; an exact field is taken on the grid of `blank_samples`. Raises
    ValueError if the truth is not finite, or if the shape does not fit the problem.
    """
    reference = problem.reference
    if reference is None:
        return None
    if callable(getattr(reference, "samples", None)):
        samples = reference.samples()
        u = samples.u
    else:
        samples = blank_samples(problem, shape)
        u = evaluate_field(reference, samples.point)
    finite = jnp.all(jnp.isfinite(u), axis=-1)
    if not jnp.all(finite):
        first = jnp.unravel_index(jnp.argmin(finite), finite.shape)
        where = {name: value[first].tolist() for name, value in _named(samples.point).items()}
        raise ValueError(f"the reference is not finite at {int(jnp.sum(~finite))} of its points, first at {where}.")
    return Samples(samples.point, u, samples.grid)


def _named(point):
    return {"x": point.x} if point.t is None else {"t": point.t, "x": point.x}


def blank_samples(problem: Problem, shape: tuple[int, ...] | None = None) -> Samples:
    """The default points of a problem with u = NaN: where to show a solution that has no reference.

    Domains with a `grid` and up to three dimensions have the grid `shape` = (t, *s), or (*s) if steady; others have
    `shape` = (t, n) or (n,), Sobol points in space at each time, uniform ones where there are none of Sobol's; fewer by
    default where the coordinates of all would exceed 2²⁷. ValueError if the shape does not fit.
    """
    domain, steady = problem.domain, problem.horizon is None
    gridded = hasattr(domain, "grid") and domain.dim <= 3
    shape = tuple(shape or _default_shape(domain.dim, steady, gridded))
    need = (domain.dim if gridded else 1) + (not steady)
    if len(shape) != need or min(shape) < 1:
        names = ("" if steady else "t, ") + (", ".join("xyz"[: domain.dim]) if gridded else "n")
        raise ValueError(f"shape={shape} for this problem; it needs {need} positive numbers, ({names}).")
    space = shape if steady else shape[1:]
    x = domain.grid(space) if gridded else domain.sample(space[0], key=jax.random.key(0), law=domain.best_law)
    t = None
    if not steady:
        times = jnp.linspace(0, jnp.asarray(problem.horizon, x.dtype), shape[0], dtype=x.dtype)
        t = jnp.repeat(times, x.shape[0])
        x = jnp.tile(x, (shape[0], 1))
    u = jnp.full((math.prod(shape), problem.equation.num_components), jnp.nan, x.dtype)
    return Samples(Point(x, t), u, shape if gridded else None)


def _default_shape(dim: int, steady: bool, gridded: bool) -> tuple[Any, ...]:
    if gridded:
        return (_DEFAULT_STEADY if steady else _DEFAULT_EVOLVING)[dim]
    *times, n = _DEFAULT_SCATTERED["steady" if steady else "evolving"]
    return (*times, min(n, max(1, 2**27 // (dim * math.prod(times)))))
