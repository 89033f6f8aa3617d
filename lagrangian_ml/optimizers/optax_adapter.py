"""Any optax transformation as an optimizer: the gradient of the loss goes in, its update is added to the model."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from ..core import Batch, Objective, Optimizer, loss, partition


class OptaxOptimizer(eqx.Module):
    """Steps of an optax transformation on ½ Σ_terms weight · mean_n ‖r_n‖²; line searches get their value_fn."""

    transformation: Any

    def init(self, model: Any) -> Any:
        return optax.with_extra_args_support(self.transformation).init(partition(model)[0])

    def step(self, model: Any, state: Any, objective: Objective, batch: Batch) -> tuple[Any, Any, dict]:
        trained, rest = partition(model)
        value_fn = lambda trained: loss(objective, eqx.combine(trained, rest), batch)
        value, grad = jax.value_and_grad(value_fn)(trained)
        grad = jax.tree.map(jnp.conj, grad)  # steepest ascent of a real loss in complex parameters (JAX's convention)
        transformation = optax.with_extra_args_support(self.transformation)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integer counts with floats
            updates, state = transformation.update(grad, state, trained, value=value, grad=grad, value_fn=value_fn)
        model = eqx.combine(optax.apply_updates(trained, updates), rest)
        return model, state, {"loss": value, "grad_norm": optax.tree.norm(grad)}


def from_optax(transformation: Any) -> Optimizer:
    """An optimizer from an optax `GradientTransformation`, e.g. `from_optax(optax.adam(1e-3))` or optax.lbfgs()."""
    if not (hasattr(transformation, "init") and hasattr(transformation, "update")):
        raise ValueError(
            f"expected an optax transformation with `init` and `update`; got {type(transformation).__name__}. "
            "Call the constructor, e.g. optax.adam(1e-3), not optax.adam."
        )
    return OptaxOptimizer(transformation)
