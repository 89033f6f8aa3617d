"""The other nouns: fields, flow maps, operators, steppers, problems, objectives, sources, optimizers."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Key, PyTree

from .equation import Equation

# A Field is any callable on ONE point: `u(x: (d,)) -> (c,)`, in time `u(t, x) -> (c,)`.
Field = Callable[..., Inexact[Array, " c"]]
# A Stepper advances a state, a PyTree that carries `t` whenever the step reads time.
Stepper = Callable[[Any], Any]
# An Operator maps a field on a grid to a field on a grid or at points: `(c_in, *s), points=None -> (c_out, *s)`.
Operator = Callable[..., Inexact[Array, "..."]]


class Point(NamedTuple):
    """Where a field is sampled, the usual sample of a term. `t` is None in steady problems."""

    x: Float[Array, "*n d"]
    t: Float[Array, "*n"] | None = None


class Samples(eqx.Module):
    """Known values of a field, a truth or observations; `grid` is (t, *s) or (*s) in C order if they form one."""

    point: Point
    u: Float[Array, "*n c"]
    grid: tuple[int, ...] | None = eqx.field(static=True, default=None)


@dataclass(frozen=True)
class Problem:
    """What is to be solved, and the truth to measure against when there is one.

    `boundary` holds conditions of `domains` (Dirichlet, Neumann, Robin, Periodic). Time runs over [0, horizon];
    `horizon` is None in steady problems. `initial(x) -> (c,)` is None there, and where the state is sought from data.
    `reference` is an exact `Field`, or an object whose `samples() -> Samples` computes the truth when first asked for.
    """

    equation: Equation
    domain: Any
    initial: Field | None = None
    boundary: Any = ()  # a condition or a tuple of them; kept as a tuple
    horizon: float | None = None
    reference: Any = None

    def __post_init__(self):
        conditions = self.boundary if isinstance(self.boundary, tuple | list) else [self.boundary]
        object.__setattr__(self, "boundary", tuple(conditions))
        if (self.horizon is None) != self.equation.steady:
            kind, need = ("steady", "none") if self.equation.steady else ("evolving", "a horizon > 0")
            raise ValueError(
                f"horizon={self.horizon} for the {kind} equation {type(self.equation).__name__}; it needs {need}."
            )
        if self.horizon is not None and not self.horizon > 0:
            raise ValueError(f"an evolving problem needs a horizon > 0; got horizon={self.horizon}.")


class Weighted(NamedTuple):
    """Samples whose squared residuals, or losses, count `weight` times; any source or optimizer may give them."""

    sample: Any
    weight: Float[Array, "*n"]


@dataclass(frozen=True)
class Term:
    """One term of an objective: `fn(model, sample) -> (k,)`, the unsquared residual of ONE sample (or a loss).

    The term itself, `term(model, sample)`, is that of a `Weighted` sample too: √weight · residual, or weight · loss.
    """

    fn: Callable[[Any, Any], Float[Array, " k"]]
    kind: Literal["residual", "loss"] = "residual"
    weight: float | int | Float[Array, ""] = 1.0  # an array where an optimizer balances the terms

    def __call__(self, model: Any, sample: Any) -> Float[Array, " k"]:
        if not isinstance(sample, Weighted):
            return self.fn(model, sample)
        scale = sample.weight if self.kind == "loss" else jnp.sqrt(sample.weight)
        return scale * self.fn(model, sample.sample)


Objective = Mapping[str, Term]
Batch = Mapping[str, Any]  # for every term its samples, a PyTree with leading axis n


def reweight(objective: Objective, weights: Mapping[str, float]) -> Objective:
    """The objective with other weights for some terms, without those of weight 0.

    ValueError for a term that it does not have, or a weight < 0.
    """
    for name, weight in weights.items():
        if name not in objective or not weight >= 0:
            raise ValueError(f"weights.{name}={weight}: weights are ≥ 0, for the terms {', '.join(objective)}.")
    terms = {name: Term(term.fn, term.kind, weights.get(name, term.weight)) for name, term in objective.items()}
    return {name: term for name, term in terms.items() if term.weight > 0}


def evaluate_terms(objective: Objective, model: Any, batch: Batch) -> dict[str, Float[Array, "n k"]]:
    """The residuals of every term on its samples."""
    return {name: jax.vmap(partial(term, model))(batch[name]) for name, term in objective.items()}


def loss(objective: Objective, model: Any, batch: Batch) -> Float[Array, ""]:
    """½ Σ_terms weight · mean_n ‖r_n‖²; a term of kind "loss" adds weight · mean_n instead."""
    total = jnp.zeros(())
    for name, value in evaluate_terms(objective, model, batch).items():
        term = objective[name]
        mean = jnp.sum(value) if term.kind == "loss" else 0.5 * jnp.sum(value**2)
        total = total + term.weight * mean / value.shape[0]
    return total


@runtime_checkable
class Source(Protocol):
    """Where batches come from; all its state is a PyTree and is checkpointed."""

    def init(self, key: Key[Array, ""]) -> PyTree: ...
    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]: ...


@runtime_checkable
class Optimizer(Protocol):
    """A pair of pure functions; `info` is a flat record of scalars. Wrap optax with `optimizers.from_optax`.

    The first is `init(model)`, or `init(model, objective, batch)` of an optimizer that keeps something for every term,
    such as a weight: a state keeps its structure, so it must know the terms before the first step.
    """

    @property
    def init(self) -> Callable[..., PyTree]: ...
    def step(self, model: Any, state: PyTree, objective: Objective, batch: Batch) -> tuple[Any, PyTree, dict]: ...


def keeps_terms(optimizer: Optimizer) -> bool:
    """Whether the optimizer's `init` takes the objective and a batch too."""
    return "objective" in inspect.signature(optimizer.init).parameters


def first_state(optimizer: Optimizer, model: Any, objective: Objective | None, batch: Batch | None) -> PyTree:
    """The state before the first step, whichever `init` the optimizer has; the batch may consist of shapes only."""
    return optimizer.init(model, objective, batch) if keeps_terms(optimizer) else optimizer.init(model)


class Fixed(eqx.Module):
    """Wraps leaves that are never trained: frozen features, normalisers, grids. Read them by `.value`."""

    value: PyTree


def partition(model: PyTree) -> tuple[PyTree, PyTree]:
    """(trained, rest): inexact arrays are trained unless inside `Fixed`; `eqx.combine` puts them together."""
    is_fixed = lambda node: isinstance(node, Fixed)
    spec = jax.tree.map(lambda node: not is_fixed(node) and eqx.is_inexact_array(node), model, is_leaf=is_fixed)
    return eqx.partition(model, spec, is_leaf=None)
