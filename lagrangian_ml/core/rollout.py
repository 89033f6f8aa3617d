"""The verb `rollout`: one loop for solvers, emulators and particles, with bounded memory in reverse mode."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .nouns import Stepper


def rollout(
    step: Stepper,
    state: Any,
    num_steps: int,
    *,
    save_every: int = 1,
    save: Callable[[Any], Any] = lambda state: state,
    memory_budget: int | None = None,
) -> Any:
    """Apply `step` num_steps times; returns `save(state)` after every `save_every` steps, stacked in front.

    For reverse-mode gradients, `memory_budget` bounds in bytes the states kept for the backward pass: loops are
    nested under `jax.checkpoint`, L levels deep, keeping about L·num_steps^(1/L) states at L times the work.

    Raises:
        ValueError: if save_every does not divide num_steps, or not even log₂(num_steps) levels fit the budget.
    """
    if num_steps < 1 or save_every < 1 or num_steps % save_every:
        raise ValueError(f"save_every={save_every} must divide num_steps={num_steps}, both at least 1.")
    levels = 1 if memory_budget is None else _levels(state, num_steps, memory_budget)

    def frame(state, _):
        state, _ = _nested_scan(lambda s, _: (step(s), None), state, save_every, levels)
        return state, save(state)

    return _nested_scan(frame, state, num_steps // save_every, levels)[1]


def _levels(state, num_steps, memory_budget):
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state) if eqx.is_array(leaf))
    for levels in range(1, max(2, num_steps.bit_length() + 1)):
        if levels * num_steps ** (1 / levels) * size <= memory_budget:
            return levels
    raise ValueError(
        f"memory_budget={memory_budget} bytes holds too few states of {size} bytes for {num_steps} "
        f"steps; allow at least {num_steps.bit_length() * 2 * size} bytes."
    )


def _nested_scan(body, state, length, levels):
    """`lax.scan(body, state, length=length)` with its carries recomputed in `levels` nested checkpoints."""
    chunk = max(1, round(length ** ((levels - 1) / levels)))
    if levels == 1 or chunk == 1:
        return jax.lax.scan(body if levels == 1 else jax.checkpoint(body), state, length=length)
    inner = jax.checkpoint(lambda s, _: _nested_scan(body, s, chunk, levels - 1))
    state, saved = jax.lax.scan(inner, state, length=length // chunk)
    saved = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), saved)
    if length % chunk:
        state, rest = _nested_scan(body, state, length % chunk, levels - 1)
        saved = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), saved, rest)
    return state, saved
