"""Lagrangian flow networks: a density and its velocity from scattered noisy observations, mass conserved exactly.

Torres, Negri, Inversi, Aellen & Roth 2024 (arXiv 2305.16846): ρ(t, x) = M ρ₀(X) |det ∂X/∂x| and v = ∂_tφ(t, X) of one
flow map x = φ(t, X) satisfy ∂_tρ + ∇·(ρ v) = 0 whatever the parameters, so that only data are left to fit. The terms:
- "data": log(1 + ρ) and v against observations, both from one traversal of the map;
- "samples": −log(ρ/M) at places of particles, the loss of maximum likelihood;
- "transport": E|∂_tφ(t, X)|² over labels X of the base, the cost of motion; no inverse is needed;
- "mass": log(1 + M), which keeps the trained mass from growing where nobody looks.
Differences: the velocity is a forward derivative instead of a linear solve, and its error counts relative to
`velocity_scale` + |v|: else the walls, where all is fast and nothing is, decide the fit.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ..core import Batch, Field, Objective, Point, Problem, Samples, Source, Term, reweight
from ..domains import ArraySource, JoinedSource, collocation
from ..flows import Base, TransportedDensity, coupling_flow
from ..flows.checks import check_observations, check_places
from ..metrics import blank_samples, evaluate_field, max_error, r2, reference_samples, relative_l2
from ..training import Task

Scores = Callable[[Problem], Callable[[Field], dict[str, float]]]


def lflow(
    problem: Problem,
    model: Callable[..., Any] = coupling_flow,
    source: Callable[[Problem], Source] = collocation,
    *,
    observations: Samples | Callable[..., Samples] | None = None,
    batch_size: int | None = None,
    base: Base | None = None,
    weights: Mapping[str, float] | None = None,
    velocity_scale: float | int = 10.0,
    scores: Scores | None = None,
    key: Key[Array, ""],
) -> Task:
    """The task of finding (ρ, v) on a box; the trained model is a `TransportedDensity`.

    Args:
        problem: gives the box, the horizon and the truth; its equation holds by construction.
        model: the flow's constructor `(lower, upper, *, key)`.
        source: makes the source of "data", `Samples` of (ρ, v), or of "samples", `Point`s of particles.
        observations: stored data instead of a source, or a function of the problem that makes or reads them.
        batch_size: of stored data, all of them unless given.
        base: the density of labels, N(0, I) unless given.
        weights: of "data" and "samples", 1 unless given; of "transport", 0; of "mass", 1e-6.
        velocity_scale: speeds far above it count relative to themselves.
        scores: makes what judges a field from the problem, `density_scores` unless given.
        key: draws the flow's parameters.

    Raises:
        ValueError: for bad observations, naming the first row, for none, and for weights of terms that do not exist.
    """
    density = TransportedDensity(model(*problem.domain.bounds, key=key), base)
    points = observed(problem, source, observations, batch_size, ("data", "samples"))
    objective = _objective(points.terms, weights or {}, velocity_scale)
    extra: list[Any] = [ArraySource({"mass": jnp.zeros(1)})]
    if "transport" in objective:
        extra.append(Labels(problem.domain.dim, problem.horizon or 0.0))
    judge, truth = (
        (scores or density_scores)(problem),
        cache(lambda: reference_samples(problem) or blank_samples(problem)),
    )
    return Task(
        model=density,
        objective=objective,
        source=JoinedSource((points, *extra)),
        field=lambda model: model,
        errors=lambda model: judge(model) | {"mass": float(jnp.exp(model.log_mass))},
        figures=lambda model, *where: _figures(model, truth(), *where),
    )


class Labels(eqx.Module):
    """The source of "transport": labels of the model's base, at times of [0, horizon]; its state is a key."""

    dim: int = eqx.field(static=True)
    horizon: float = eqx.field(static=True)
    num: int = eqx.field(static=True, default=256)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("transport",)

    def init(self, key: Key[Array, ""]) -> PyTree:
        return key

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        state, time_key, label_key = jax.random.split(state, 3)
        draw = lambda key: model.base.sample(self.dim, key=key)
        labels = jax.vmap(draw)(jax.random.split(label_key, self.num))
        return {"transport": Point(labels, self.horizon * jax.random.uniform(time_key, (self.num,)))}, state


def data_residual(
    log_density: Float[Array, ""], velocity: Float[Array, " d"], u: Float[Array, " c"], velocity_scale: float | int
) -> Float[Array, " c"]:
    """(log(1 + ρ) − log(1 + ρ_obs), (v − v_obs)/(scale + |v_obs|)) for an observation u = (ρ_obs, v_obs)."""
    speed = jnp.sqrt(jnp.sum(u[1:] ** 2))
    density = jax.nn.softplus(log_density) - jnp.log1p(u[0])
    return jnp.concatenate([density[None], (velocity - u[1:]) / (velocity_scale + speed)])


def density_scores(problem: Problem) -> Callable[[Field], dict[str, float]]:
    """r2, relative_l2 and max of ρ, and velocity_relative_l2, at the points of the problem's truth; {} without one."""
    truth = cache(lambda: reference_samples(problem))

    def scores(field):
        samples = truth()
        if samples is None:
            return {}
        found = _values(field, samples)
        rho, true = found[:, 0], samples.u[:, 0]
        return {
            "r2": float(r2(rho, true)),
            "relative_l2": float(relative_l2(rho, true)),
            "max": float(max_error(rho, true)),
            "velocity_relative_l2": float(relative_l2(found[:, 1:], samples.u[:, 1:])),
        }

    return scores


def observed(
    problem: Problem,
    source: Callable[[Problem], Source],
    observations: Samples | Callable[..., Samples] | None,
    batch_size: int | None,
    terms: tuple[str, ...],
) -> Any:
    """The source of the given terms: stored observations, or what `source` makes; what is stored is checked.

    Raises ValueError for a bad observation, naming its row, and if there are none.
    """
    data = observations(problem) if callable(observations) else observations
    points: Any = source(problem) if data is None else ArraySource({"data": data}, batch_size)
    drawn = getattr(points, "terms", ())
    if not set(terms) & set(drawn):
        raise ValueError(
            f"there is nothing to fit: the source draws {', '.join(drawn) or 'nothing'}. Give `observations`, or a "
            f"source of {' or '.join(map(repr, terms))}."
        )
    for part in getattr(points, "sources", (points,)):
        stored = getattr(part, "arrays", {})
        if isinstance(stored.get("data"), Samples):
            check_observations(stored["data"], problem)
        if isinstance(stored.get("samples"), Point):
            check_places(stored["samples"], problem)
    return points


def _objective(drawn, weights, velocity_scale):
    """The terms of what is drawn, "mass", and "transport" if it has a weight."""
    if not velocity_scale > 0:
        raise ValueError(f"velocity_scale={velocity_scale} must be > 0: it is a speed.")

    def data(model, sample):
        log_density, velocity = model.observe(sample.point.t, sample.point.x)
        return data_residual(log_density, velocity, sample.u, velocity_scale)

    def transport(model, point):
        place = lambda t: model.flow.forward(t, point.x)[0]
        return jax.jvp(place, (point.t,), (jnp.ones_like(point.t),))[1]

    terms = {
        "data": Term(data),
        "samples": Term(lambda model, point: (model.log_mass - model.log_density(point.t, point.x))[None], "loss"),
        "transport": Term(transport, weight=0.0),
        "mass": Term(lambda model, _: jnp.sqrt(2 * jax.nn.softplus(model.log_mass))[None], weight=1e-6),
    }
    terms = {name: term for name, term in terms.items() if name in (*drawn, "transport", "mass")}
    return reweight(terms, weights)


def _values(field, samples):
    """The field at the samples, frame by frame: equal chunks are compiled once."""
    frame = math.prod(samples.grid[1:]) if samples.grid else 1024
    return evaluate_field(field, samples.point, batch_size=frame)


def _figures(model, samples, history, directory, title):
    from ..plots import save_density_figures  # matplotlib is imported only when it draws

    return save_density_figures(title, samples, _values(model, samples), history, directory)
