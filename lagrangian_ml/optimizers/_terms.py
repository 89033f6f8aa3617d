"""What balancing and constraints share: terms one by one."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ..core import Batch, Objective, loss, partition


def unweighted(objective: Objective) -> Objective:
    """The same terms with weight 1."""
    return {name: replace(term, weight=1.0) for name, term in objective.items()}


def term_losses(objective: Objective, model: Any, batch: Batch) -> Float[Array, " m"]:
    """The loss of every term, in the objective's order; `loss` is their sum."""
    return jnp.stack([loss({name: term}, model, batch) for name, term in objective.items()])


def term_gradients(objective: Objective, model: Any, batch: Batch) -> tuple[Float[Array, " m"], dict[str, PyTree]]:
    """(the loss of every term, its gradient in the trained part of the model by name).

    Every term costs its own backward pass only, so that all are about as dear as the gradient of the sum.
    """
    trained, rest = partition(model)
    values, gradients = [], {}
    for name, term in objective.items():
        of_term = lambda trained, one={name: term}: loss(one, eqx.combine(trained, rest), batch)
        value, gradient = jax.value_and_grad(of_term)(trained)
        values.append(value)
        gradients[name] = jax.tree.map(jnp.conj, gradient)  # steepest ascent in complex parameters, as in from_optax
    return jnp.stack(values), gradients


def require_terms(what: str, objective: Objective | None) -> Objective:
    """The objective; ValueError where none is given."""
    if not objective:
        raise ValueError(
            f"{what} keeps something for every term of an objective and was given none. Give it to `init` with a "
            "batch, or to `begin` as objective=…; `fit` does so."
        )
    return objective
