"""PINNs in high dimension: the equation reads stochastic Taylor derivatives (STDE) in place of exact ones.

Shi, Hu, Lin & Kawaguchi 2024 (arXiv 2412.00088): a PINN whose Laplacian is estimated from V random
directions, drawn anew for every step, so that a step costs V passes instead of d. Randomness is part of a sample: each
point carries a key. Differences: every point has directions of its own, where the paper's code shares them in a batch;
one forward-Laplacian pass propagates all V directions; and along coordinates a network's first layer reads V columns of
its matrix, so that the cost in d is that of the value.

The loss is ½ mean r̂² with r̂ unbiased; its mean is ½ mean r² plus half the variance of the estimate, as in the paper.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, PyTree

from ..core import Batch, Field, Objective, Point, Problem, Samples, Source, Weighted
from ..domains import collocation
from ..fields import MLP, hard_constraints
from ..jets import Directions, StochasticJet
from ..jets.stochastic import SPARSE
from ..training import Task
from .pinn import pinn


class RandomPoint(NamedTuple):
    """A point with the key that draws its directions."""

    x: Float[Array, "*n d"]
    t: Float[Array, "*n"] | None
    key: Key[Array, "*n"]


class Keyed(eqx.Module):
    """A source whose points of the term "equation" carry keys, new ones in every step."""

    source: Any

    def init(self, key: Key[Array, ""]) -> PyTree:
        key, source_key = jax.random.split(key)
        return {"key": key, "source": self.source.init(source_key)}

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        key, draw_key, shared = jax.random.split(state["key"], 3)
        # Points that are drawn by their residual are judged along directions that all candidates share.
        judged = {
            name: replace(term, fn=_at_points(term.fn, shared)) if name == "equation" else term
            for name, term in objective.items()
        }
        batch, source_state = self.source.next(state["source"], model, judged)
        if "equation" in batch:
            drawn = batch["equation"]
            x, t = drawn.sample if isinstance(drawn, Weighted) else drawn
            keyed = RandomPoint(x, t, jax.random.split(draw_key, x.shape[0]))
            batch = {**batch, "equation": drawn._replace(sample=keyed) if isinstance(drawn, Weighted) else keyed}
        return batch, {"key": key, "source": source_state}


def _at_points(fn, key):
    return lambda model, point: fn(model, RandomPoint(point.x, point.t, key))


@dataclass(frozen=True)
class StochasticJets:
    """Makes the jet of a field at a sample; without a key in the sample it has values and gradients only."""

    directions: Directions

    def __call__(self, field: Field, sample: Point | RandomPoint) -> StochasticJet:
        return StochasticJet(field, sample.x, sample.t, self.directions, key=getattr(sample, "key", None))


def stde(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    source: Callable[[Problem], Source] = collocation,
    *,
    directions: Directions = SPARSE,
    ansatz: Callable[..., Field] = hard_constraints,
    weights: Mapping[str, float] | None = None,
    observations: Samples | Callable[..., Samples] | None = None,
    trainable: Mapping[str, float] | None = None,
    key: Key[Array, ""],
) -> Task:
    """The task of solving `problem` by a PINN with estimated Laplacians: all but `directions` is as for `pinn`.

    Args:
        directions: how many are drawn at a point, and by which law.

    Raises:
        ValueError: for more coordinates than dimensions, and what `pinn` refuses.
    """
    directions.check(problem.domain.dim)
    return pinn(
        problem,
        model,
        lambda problem: Keyed(source(problem)),
        ansatz=ansatz,
        weights=weights,
        observations=observations,
        trainable=trainable,
        jet_of=StochasticJets(directions),
        key=key,
    )
