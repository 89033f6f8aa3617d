"""Sources of samples: collocation points drawn from a problem, stored arrays, and several sources joined.

A source draws for the terms it knows ("equation", "initial", "boundary", "data") and hands over those that the
objective names. Its whole state is arrays and keys, so that a run is resumed from a checkpoint bit by bit.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from ..core import Batch, Objective, Point, Problem, Samples, Weighted
from .adaptive import ResidualAdaptive, RetainResampleRelease
from .attention import ResidualAttention
from .conditions import BoundaryPoint, Periodic
from .region import Domain, Region
from .sobol import LAWS, Law

Redraw = ResidualAdaptive | RetainResampleRelease


class Interior(eqx.Module):
    """Points of the domain, at times of [0, horizon] drawn jointly; at t = 0 if `initial`."""

    domain: Domain
    num: int = eqx.field(static=True)
    horizon: float | int | None = eqx.field(static=True)
    law: Law = eqx.field(static=True)
    initial: bool = eqx.field(static=True, default=False)

    def __call__(self, *, key: Key[Array, ""], num: int | None = None) -> Point:
        n = num or self.num
        units, x = self.domain.draw(n, key=key, law=self.law, extra=int(self.horizon is not None and not self.initial))
        return Point(x, jnp.zeros(n, x.dtype) if self.initial else _times(units, self.horizon))


class OnBoundary(eqx.Module):
    """One point on the region of every condition, with its outward normal and, if periodic, its partner."""

    regions: tuple[Region, ...]
    shifts: tuple[tuple[float, ...] | None, ...] = eqx.field(static=True)  # from a periodic point to its partner
    num: int = eqx.field(static=True)
    horizon: float | int | None = eqx.field(static=True)
    law: Law = eqx.field(static=True)

    def __call__(self, *, key: Key[Array, ""]) -> tuple[BoundaryPoint, ...]:
        keys = jax.random.split(key, len(self.regions))
        return tuple(self._draw(*args) for args in zip(self.regions, self.shifts, keys, strict=True))

    def _draw(self, region, shift, key):
        units, (x, normal) = region.draw(self.num, key=key, law=self.law, extra=int(self.horizon is not None))
        t = _times(units, self.horizon)
        partner = None if shift is None else Point(x + jnp.asarray(shift, x.dtype)[None, :], t)
        return BoundaryPoint(Point(x, t), normal, partner)


def _times(units, horizon):
    return None if horizon is None else horizon * units[:, 0]


class Collocation(eqx.Module):
    """Points for every term, those in use redrawn together every `resample_every` steps (0 keeps the first).

    With `attention` the points of the equation come as `Weighted` samples.
    """

    samplers: tuple[tuple[str, Callable], ...]
    resample_every: int = eqx.field(static=True)
    adaptive: Redraw | None = None
    attention: ResidualAttention | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.samplers)

    def init(self, key: Key[Array, ""]) -> PyTree:
        key, draw_key = jax.random.split(key)
        samples = eqx.filter_jit(self._draw)(draw_key, self.terms)
        state = {"key": key, "step": jnp.zeros((), jnp.int32), "samples": samples}
        if self.attention is None:
            return state
        return state | {"weights": jnp.ones(jax.tree.leaves(samples["equation"])[0].shape[0], float)}

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        _require(objective, self.terms)
        key, samples = state["key"], state["samples"]
        due = jnp.zeros((), bool)
        if self.resample_every:
            due = (state["step"] > 0) & (state["step"] % self.resample_every == 0)
            redraw = lambda key, samples: self._redraw(key, samples, model, objective)
            key, samples = jax.lax.cond(due, redraw, lambda key, samples: (key, samples), key, samples)
        batch = {name: samples[name] for name in objective}
        new = {"key": key, "step": state["step"] + 1, "samples": samples}
        if self.attention is None:
            return batch, new
        if "equation" not in objective:
            return batch, new | {"weights": state["weights"]}
        sizes = jax.vmap(lambda sample: jnp.linalg.norm(_residual(objective, model)(sample)))(samples["equation"])
        first = (state["step"] == 0) | due
        weights = jnp.where(first, self.attention.settled(sizes), self.attention.update(state["weights"], sizes))
        weights = jax.lax.stop_gradient(weights)
        return batch | {"equation": Weighted(samples["equation"], weights**2)}, new | {"weights": weights}

    def _draw(self, key, names):
        samplers, keys = dict(self.samplers), jax.random.split(key, len(names))
        return {name: samplers[name](key=k) for name, k in zip(names, keys, strict=True)}

    def _redraw(self, key, samples, model, objective):
        key, draw_key, adapt_key = jax.random.split(key, 3)
        if self.adaptive is None or "equation" not in objective:
            return key, samples | self._draw(draw_key, tuple(objective))
        residual = _residual(objective, model)
        fresh = self._draw(draw_key, tuple(name for name in objective if name != "equation"))
        points = self.adaptive(dict(self.samplers)["equation"], samples["equation"], residual, key=adapt_key)
        return key, samples | fresh | {"equation": points}


def _residual(objective, model):
    """Of the equation at one point. ValueError for a loss."""
    term = objective["equation"]
    if term.kind != "residual":
        raise ValueError(f"adaptive points need kind='residual' in the term 'equation', not kind={term.kind!r}.")
    return lambda sample: term(model, sample)


def collocation(
    problem: Problem,
    *,
    num_points: int = 4096,
    num_initial: int = 256,
    num_boundary: int = 256,
    law: Law = "sobol",
    resample_every: int = 25,
    adaptive: Redraw | None = None,
    attention: ResidualAttention | None = None,
) -> Collocation:
    """Collocation points of the problem; `num_boundary` counts on each condition. Balanced best for powers of two.

    Samples: "equation" and "initial" are `Point`s, "boundary" is a tuple of one `BoundaryPoint` for each condition.
    Raises ValueError for an unknown law, a number below 1, or a periodic axis that the domain does not have.
    """
    if law not in LAWS:
        raise ValueError(f"law={law!r} is unknown; choose one of {', '.join(LAWS)}.")
    for name, num in {"num_points": num_points, "num_initial": num_initial, "num_boundary": num_boundary}.items():
        if num < 1:
            raise ValueError(f"{name}={num}: a source draws at least 1 point for a term.")
    if resample_every < 0:
        raise ValueError(f"resample_every={resample_every} must be a number of steps; 0 keeps the first points.")
    domain, horizon = problem.domain, problem.horizon
    samplers: dict[str, Callable] = {"equation": Interior(domain, num_points, horizon, law)}
    if problem.initial is not None:
        samplers["initial"] = Interior(domain, num_initial, horizon, law, initial=True)
    if problem.boundary:
        regions, shifts = zip(*(_region_and_shift(domain, condition) for condition in problem.boundary), strict=True)
        samplers["boundary"] = OnBoundary(regions, shifts, num_boundary, horizon, law)
    return Collocation(tuple(samplers.items()), resample_every, adaptive, attention)


def _region_and_shift(domain, condition):
    if not isinstance(condition, Periodic):
        return condition.region, None
    face = domain.face(condition.axis, "lower")
    lower, upper = domain.bounds
    shift = tuple(
        b - a if axis == condition.axis else 0.0 for axis, (a, b) in enumerate(zip(lower, upper, strict=True))
    )
    return face, shift


class ArraySource(eqx.Module):
    """Stored samples, `{"data": Samples(point, u)}`: all of them, or mini-batches without repetition in an epoch.

    Any PyTree of arrays with a leading sample axis will do. A remainder that fills no batch is left out of its epoch.
    """

    arrays: dict[str, Any]
    batch_size: int | None = eqx.field(static=True, default=None)

    def __init__(self, arrays: dict[str, Any], batch_size: int | None = None):
        drop_grid = lambda node: Samples(node.point, node.u) if isinstance(node, Samples) else node
        self.arrays = {name: drop_grid(samples) for name, samples in arrays.items()}
        self.batch_size = batch_size
        for name, samples in self.arrays.items():
            lengths = sorted({leaf.shape[0] for leaf in jax.tree.leaves(samples)})
            if len(lengths) != 1 or not 1 <= (batch_size or 1) <= lengths[0]:
                raise ValueError(
                    f"the arrays of {name!r} have leading sizes {lengths}, batch_size={batch_size}: they need "
                    "one common number of samples, and a batch has at least 1 and at most that many."
                )

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(self.arrays)

    def init(self, key: Key[Array, ""]) -> PyTree:
        if self.batch_size is None:
            return {}
        keys = jax.random.split(key, len(self.arrays))
        return {name: self._shuffle(name, key) for name, key in zip(self.arrays, keys, strict=True)}

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        _require(objective, self.terms)
        if self.batch_size is None:
            return {name: self.arrays[name] for name in objective}, state
        batch, state = {}, dict(state)
        for name in objective:
            batch[name], state[name] = self._next_batch(name, state[name], self.batch_size)
        return batch, state

    def _next_batch(self, name, state, size):
        spent = state["cursor"] + size > state["order"].shape[0]
        state = jax.lax.cond(spent, lambda state: self._shuffle(name, state["key"]), lambda state: state, state)
        rows = jax.lax.dynamic_slice_in_dim(state["order"], state["cursor"], size)
        return jax.tree.map(lambda a: a[rows], self.arrays[name]), {**state, "cursor": state["cursor"] + size}

    def _shuffle(self, name, key):
        key, order_key = jax.random.split(key)
        n = jax.tree.leaves(self.arrays[name])[0].shape[0]
        return {"key": key, "order": jax.random.permutation(order_key, n), "cursor": jnp.zeros((), jnp.int32)}


class JoinedSource(eqx.Module):
    """Several sources that draw for different terms: `JoinedSource((collocation(problem), ArraySource(...)))`."""

    sources: tuple[Any, ...]

    def __check_init__(self):
        if len(set(self.terms)) < len(self.terms):
            raise ValueError(f"every term comes from one source only; got {', '.join(self.terms)}.")

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(name for source in self.sources for name in source.terms)

    def init(self, key: Key[Array, ""]) -> PyTree:
        return tuple(
            source.init(k) for source, k in zip(self.sources, jax.random.split(key, len(self.sources)), strict=True)
        )

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        _require(objective, self.terms)
        batch, states = {}, []
        for source, part in zip(self.sources, state, strict=True):
            drawn, part = source.next(
                part, model, {name: objective[name] for name in source.terms if name in objective}
            )
            batch.update(drawn)
            states.append(part)
        return batch, tuple(states)


def _require(objective, terms):
    missing = [name for name in objective if name not in terms]
    if missing:
        raise ValueError(
            f"the source draws nothing for the term {missing[0]!r}: it draws for {', '.join(terms)}. Join a source "
            "that has it by `JoinedSource`, or leave the term out of the objective."
        )
