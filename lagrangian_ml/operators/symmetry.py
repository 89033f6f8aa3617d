"""Training samples that a symmetry of the problem gives for nothing."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from .problem import Pairs


def mirrored(pairs: Pairs, parity: Literal["even", "odd"] = "even", axis: int = 0) -> Pairs:
    """The samples, and after them their mirror images v(−x), u(−x) along an axis of space; both change sign if "odd".

    Nodes are those of a periodic grid, j/n ↦ (n − j)/n. Burgers' equation is odd: with u(t, x) it has −u(t, −x).

    Raises:
        ValueError: for another parity, and an axis that the samples do not have.
    """
    if parity not in ("even", "odd"):
        raise ValueError(f"parity={parity!r}; choose even or odd.")
    return Pairs(*(_with_image(values, parity, axis) for values in (pairs.inputs, pairs.outputs)))


def _with_image(values: Float[Array, "n c *s"], parity, axis):
    if not 0 <= axis < values.ndim - 2:
        raise ValueError(f"axis={axis}: samples {values.shape} have {values.ndim - 2} axes of space, from 0.")
    image = jnp.roll(jnp.flip(values, 2 + axis), 1, 2 + axis)
    return jnp.concatenate([values, -image if parity == "odd" else image])
