"""Checks that optimizers share."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import partition


def require_float64(name: str, model: Any = None) -> None:
    """ValueError unless float64 is enabled and, where a model is given, all its trained leaves have 64-bit parts."""
    low = {str(leaf.dtype) for leaf in jax.tree.leaves(partition(model)[0]) if jnp.finfo(leaf.dtype).bits < 64}
    if low or not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        given = f"a model in {', '.join(sorted(low))}" if low else "float32 (64-bit types are off)"
        raise ValueError(
            f"{name} was given {given}; it solves ill-conditioned least-squares problems and needs float64. "
            'Set precision=float64, or call lagrangian_ml.training.set_precision("float64") before building the '
            "model; in float32 use a first-order optimizer such as optax.adam."
        )
