"""Many seeds of one method at once: members that differ in their random start, trained side by side by `vmap`.

The objective is the sum of the members' own, on the same batches. Steps that act on every parameter by itself, such as
Adam's, are then those of each member trained alone; optimizers that look at all parameters together, such as
Levenberg–Marquardt or clipping by a global norm, see one large model.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Key, PyTree

from ..core import Source, Term
from ..training import Task


def ensemble(
    problem: Any,
    model: Callable[..., Any],
    source: Callable[..., Source],
    *,
    method: Callable[..., Task],
    num_seeds: int = 4,
    key: Key[Any, ""],
) -> Task:
    """The task of `method` for `num_seeds` models at once, with their arrays stacked in front.

    Every error is reported as its mean over the members, and with `_std` behind its name as their standard deviation.
    The field is the mean of the members' fields, figures are those of the first; `members` gives each of them.

    Args:
        method: any method, `method(problem, model, source, *, key) -> Task`.
        num_seeds: at least 2.
        key: its parts are the members' keys.

    Raises:
        ValueError: for fewer than 2, and for a method that brings its own optimizer.
    """
    if num_seeds < 2:
        raise ValueError(f"num_seeds={num_seeds} must be at least 2.")
    tasks = [method(problem, model, source, key=k) for k in jax.random.split(key, num_seeds)]
    first = tasks[0]
    if first.optimizer is not None:
        raise ValueError("this method has an optimizer of its own; run its seeds one by one, by a sweep.")
    arrays, static = zip(*(eqx.partition(task.model, eqx.is_array) for task in tasks), strict=True)
    stacked = eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), static[0])
    against = first.against
    return replace(
        first,
        model=stacked,
        objective={name: _summed(term) for name, term in first.objective.items()},
        field=None if first.field is None else lambda model: _mean_field(first.field, model),
        errors=lambda model: _spread([first.errors(member) for member in members(model)]),
        test_errors=lambda model: _spread([first.test_errors(member) for member in members(model)]),
        against=None if against is None else lambda model, file: _against(against, model, file),
        figures=lambda model, *rest: first.figures(members(model)[0], *rest),
    )


def members(model: PyTree) -> list[PyTree]:
    """The models of an ensemble, one by one."""
    arrays, static = eqx.partition(model, eqx.is_array)
    count = jax.tree.leaves(arrays)[0].shape[0]
    return [eqx.combine(jax.tree.map(lambda leaf, k=k: leaf[k], arrays), static) for k in range(count)]


def _summed(term):
    """The term of all members: their residuals one after the other, so that losses add up."""

    def fn(model, sample):
        arrays, static = eqx.partition(model, eqx.is_array)
        return jax.vmap(lambda leaves: term.fn(eqx.combine(leaves, static), sample))(arrays).reshape(-1)

    return Term(fn, term.kind, term.weight)


def _mean_field(field, model):
    fields = [field(member) for member in members(model)]
    return lambda *point: sum(one(*point) for one in fields) / len(fields)


def _spread(found):
    """The mean and deviation of every error."""
    values = {name: [errors[name] for errors in found] for name in found[0]}
    means = {name: float(np.mean(value)) for name, value in values.items()}
    return means | {f"{name}_std": float(np.std(value, ddof=1)) for name, value in values.items()}


def _against(against, model, file):
    found = [against(member, file) for member in members(model)]
    predictions = np.stack([np.asarray(arrays["prediction"]) for _, arrays in found])
    return _spread([errors for errors, _ in found]), found[0][1] | {"prediction": predictions}
