"""Finite-time Lyapunov exponents of a problem's prescribed velocity: fields, ridges and their motion in pictures.

Haller 2001 (doi 10.1016/S0167-2789(00)00199-8) and Shadden, Lekien & Marsden 2005 (doi 10.1016/j.physd.2005.10.007);
see `flows.lyapunov`. Nothing is trained: the task has no terms. What is learned elsewhere, the flow of an LFlow, say,
has the same exponents by `LyapunovField(flow, duration)`.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import FlowMap, Grid, Problem, Source
from ..domains import ArraySource, collocation
from ..flows import LyapunovField, OdeFlow, largest_stretch, lyapunov_exponents, ridges
from ..training import Task

_SPACING = 1e-6  # of the finite differences, in units of the domain's shortest side …
_FINE_STEPS = 400  # of the flow of the problem's velocity from which they are taken …
_STRIDE = 7  # … which are taken at every seventh point of the animation's grid
_SHOWN = 99.5  # percentile of the exponents at which colours end: the sharpest ridges are thinner than a cell
_RIDGE_LEVEL = 0.6  # ridges lower than this part of it are not drawn


def ftle(
    problem: Problem,
    model: Callable[..., FlowMap] = OdeFlow,
    source: Callable[..., Source] = collocation,
    *,
    duration: float = 10.0,
    shape: tuple[int, int] = (200, 100),
    num_frames: int = 40,
    num_tracers: int = 500,
    key: Key[Array, ""],
) -> Task:
    """The exponents of the flow of `problem`, forward and backward over `duration`, at the middle of its horizon.

    `field(model)` is the forward exponent, (t, x) -> (1,). Errors: the largest difference to exponents by central
    differences of the velocity's flow in many steps.

    Args:
        problem: on a plane box, its equation with a prescribed velocity `field`.
        model: the flow's constructor, `model(field)`.
        source: not used; there is nothing to sample for.
        duration: T > 0; both directions must stay within the horizon, so at most half of it.
        shape: grid of the figure; the frames of the animation have half as many points on each axis.
        num_frames: of the animation over all starts from which `duration` fits; 0 for none.
        num_tracers: particles in it, which start in a small disc.
        key: not used; nothing is drawn at random.

    Raises:
        ValueError: for another kind of problem, a grid too small for ridges, or a duration out of range.
    """
    field, domain, horizon = getattr(problem.equation, "field", None), problem.domain, problem.horizon
    if field is None or domain.dim != 2 or horizon is None or not hasattr(domain, "bounds"):
        raise ValueError(
            f"exponents are drawn for a prescribed velocity on a plane box; got {type(problem.equation).__name__} on "
            f"{type(domain).__name__}. Use an equation with `field`, such as PassiveTransport; elsewhere LyapunovField."
        )
    if not 0 < duration <= horizon / 2:
        raise ValueError(
            f"duration={duration}: from t = {horizon / 2:g} it has to fit both ways into [0, {horizon:g}]."
        )
    if min(shape) < 10 or num_frames < 0 or num_tracers < 1:
        raise ValueError(f"shape={shape} needs 10 points, num_frames={num_frames} at least 0, num_tracers at least 1.")
    return Task(
        model=model(field),
        objective={},
        source=ArraySource({}),
        field=lambda flow: LyapunovField(flow, duration),
        errors=lambda flow: _errors(flow, field, domain, duration, 0.5 * horizon, shape),
        figures=lambda flow, history, directory, title: _figures(
            flow, domain, horizon, duration, (shape, num_frames, num_tracers), directory, title
        ),
    )


def _errors(flow, field, domain, duration, start, shape):
    found, fine, x = {}, OdeFlow(field, num_steps=_FINE_STEPS), _points(_grid(domain, shape, 2))[::_STRIDE]
    for name, T in {"forward": duration, "backward": -duration}.items():
        differences = by_differences(fine, T, x, start, _SPACING * min(domain.lengths))
        worst = jnp.max(jnp.abs(lyapunov_exponents(flow, T, x, float(start)) - differences))
        found[f"{name}_against_differences"] = float(worst)
    return found


def by_differences(
    flow: FlowMap, duration: float, x: Float[Array, "n d"], t: float, spacing: float
) -> Float[Array, " n"]:
    """Exponents from fourth-order central differences of the flow map with neighbours `spacing` apart."""
    return _by_differences(flow, *(jnp.asarray(a, x.dtype) for a in (duration, x, t, spacing)))


@eqx.filter_jit
def _by_differences(flow, duration, x, t, spacing):
    def exponent(x):
        weights = {1: 8 / 12, -1: -8 / 12, 2: -1 / 12, -2: 1 / 12}
        steps = jnp.asarray(list(weights), x.dtype)[:, None, None] * spacing * jnp.eye(x.size, dtype=x.dtype)[None]
        places = jax.vmap(jax.vmap(lambda step: flow.transition(t, t + duration, x + step)))(steps)
        gradient = jnp.einsum("k,kji->ij", jnp.asarray(list(weights.values()), x.dtype), places) / spacing
        return jnp.log(largest_stretch(gradient)) / jnp.abs(duration)

    return jax.lax.map(exponent, x, batch_size=512)


def _figures(flow, domain, horizon, duration, sizes, directory, title):
    from ..plots import animate, save_ftle_figure  # matplotlib is imported only when it draws

    shape, num_frames, num_tracers = sizes
    grid, coarse, start = _grid(domain, shape), _grid(domain, shape, 2), 0.5 * horizon
    fields = {}
    for T in (duration, -duration):
        values = _on_grid(flow, T, grid, start)
        shown = np.percentile(values, _SHOWN)
        points = ridges(jnp.asarray(values), grid, level=float(_RIDGE_LEVEL * shown)).points
        fields[T] = np.minimum(values, shown), points
    axes = grid.axis(0), grid.axis(1)
    paths = save_ftle_figure(fields, axes, start, directory / "ftle", title=title)
    if not num_frames:
        return paths
    times = np.linspace(duration, horizon - duration, num_frames, endpoint=False)
    frames = np.stack([_on_grid(flow, -duration, coarse, t) for t in times])
    path = animate(
        times,
        directory / "ftle.gif",
        values=np.minimum(frames, np.percentile(frames, _SHOWN)),
        axes=(coarse.axis(0), coarse.axis(1)),
        positions=_tracers(flow, _on_grid(flow, duration, coarse, times[0]), coarse, times, num_tracers),
        label=f"exponent, $T = -{duration:g}$",
        title=title,
    )
    return [*paths, path]


def _grid(domain, shape, coarsening=1):
    return Grid(tuple(n // coarsening for n in shape), *domain.bounds, centred=True)


def _points(grid):
    return jnp.moveaxis(grid.points, 0, -1).reshape(-1, 2)


def _on_grid(flow, duration, grid, start):
    batch_size = 10 * grid.shape[1]  # usually without a remainder, which would be compiled apart
    values = lyapunov_exponents(flow, duration, _points(grid), float(start), batch_size=batch_size)
    return np.asarray(values).reshape(grid.shape)


def _tracers(flow, forward, grid, times, num):
    """Places (t, num, 2) of particles that fill a disc at the first time, where, off the walls, they are torn most."""
    k, margin = jnp.arange(num), [max(1, n // 5) for n in grid.shape]
    inner = tuple(slice(m, -m) for m in margin)
    most = np.unravel_index(np.argmax(forward[inner]), forward[inner].shape)
    center = jnp.stack([jnp.asarray(grid.axis(i)[margin[i] + most[i]]) for i in range(2)])
    # A spiral of golden angles fills the disc evenly.
    radius, angle = 0.1 * min(grid.lengths) * jnp.sqrt((k + 0.5) / num), k * jnp.pi * (3 - 5**0.5)
    x = center[None] + radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    at = jax.vmap(flow.transition, (None, None, 0))
    place = eqx.filter_jit(lambda t: at(jnp.asarray(times[0]), t, x))
    return np.stack([np.asarray(place(jnp.asarray(t))) for t in times])
