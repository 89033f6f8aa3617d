"""What a fit carries from step to step, what it returns, and how it fails."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from ..core import Objective, Optimizer, Source, first_state, keeps_terms, partition


class FitState(eqx.Module):
    """Everything a fit depends on; a checkpoint holds all of it, so a resumed run repeats every bit.

    `key` belongs to the run and never changes: fold the step into it to draw anything between steps.
    """

    step: Int[Array, ""]
    model: Any
    optimizer: Any
    source: Any
    key: Key[Array, ""]


class FitResult(NamedTuple):
    """A fitted model, the state it ended in, the logged records and the seconds {compile, run, evaluate}."""

    model: Any
    state: FitState
    history: list[dict]
    seconds: dict[str, float]


class DivergedError(RuntimeError):
    """A step gave a loss or trained leaves that are not finite; `state` is the last sound one."""

    def __init__(self, step: int, leaves: list[str], state: FitState, history: list[dict]):
        self.step, self.leaves, self.state, self.history = step, leaves, state, history
        shown = ", ".join(leaves[:3]) + (f" and {len(leaves) - 3} more" if len(leaves) > 3 else "")
        super().__init__(
            f"step {step} gave values that are not finite: {shown}. The state of step {step - 1} was sound. "
            "Try a smaller learning rate or more damping, and check the samples and the initial model."
        )


def as_optimizer(optimizer: Any) -> Optimizer:
    """Our optimizers as they are; an optax transformation (it has `update`, not `step`) is wrapped."""
    if hasattr(optimizer, "step"):
        return optimizer
    from ..optimizers import from_optax  # optax is imported only where it is used

    return from_optax(optimizer)


def begin(
    model: Any, source: Source, optimizer: Any, *, key: Key[Array, ""], objective: Objective | None = None
) -> FitState:
    """The state before the first step. Its arrays are fresh copies: a fit never changes the caller's.

    Optimizers that keep something for every term need the `objective`; of its first samples only shapes are computed.
    """
    optimizer, batch = as_optimizer(optimizer), None
    source_key, run_key = jax.random.split(key)
    samples = source.init(source_key)
    if objective and keeps_terms(optimizer):
        batch = eqx.filter_eval_shape(lambda samples: source.next(samples, model, objective)[0], samples)
    parts = model, first_state(optimizer, model, objective, batch), samples
    return own(FitState(jnp.zeros((), jnp.int32), *parts, run_key))


def own(state: FitState) -> FitState:
    """A copy whose arrays are strongly typed JAX arrays, no two in one buffer: compiled steps may overwrite them."""

    def copy(leaf):
        if not eqx.is_array(leaf):
            return leaf
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(jnp.array(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        return jax.lax.convert_element_type(jnp.array(leaf), leaf.dtype)

    return jax.tree.map(copy, state)


def num_parameters(model: Any) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(partition(model)[0]))
