"""The precision of a run, set once before arrays are built."""

import warnings
from typing import Literal

import jax
import jax.numpy as jnp


def set_precision(precision: Literal["float64", "float32"]) -> None:
    """Make float64 or float32 the type of every new array; products are never done in less, also on accelerators.

    Warns if the type changes while arrays of the other one exist: the two would meet in one computation.
    """
    if precision not in ("float64", "float32"):
        raise ValueError(f"precision={precision!r}; allowed are 'float64' and 'float32'.")
    wanted, given = precision == "float64", jnp.zeros(()).dtype == jnp.float64
    if wanted != given and any(jnp.issubdtype(array.dtype, jnp.inexact) for array in jax.live_arrays()):
        warnings.warn(
            f"the precision changes to {precision} after arrays were built; those keep their type. "
            "Set the precision before building models, problems and samples.",
            stacklevel=2,
        )
    jax.config.update("jax_enable_x64", wanted)
    jax.config.update("jax_default_matmul_precision", "highest")
