"""For how long a predicted trajectory can be trusted."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def correlation_time(
    prediction: Float[Array, "n t c *s"], truth: Float[Array, "n t c *s"], threshold: float | int = 0.8
) -> Float[Array, ""]:
    """The mean over samples of the number of frames before the correlation with the truth falls below the threshold.

    Pearson's correlation of a frame, over its components and points. One that is not finite, or constant, has none.
    ValueError for different shapes.
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"prediction {prediction.shape} and truth {truth.shape} need the same shape.")
    axes = tuple(range(2, truth.ndim))
    u, v = (a - jnp.mean(a, axis=axes, keepdims=True) for a in (prediction, truth))
    norms = jnp.sqrt(jnp.sum(u**2, axis=axes) * jnp.sum(v**2, axis=axes))
    good = (jnp.sum(u * v, axis=axes) >= threshold * norms) & (norms > 0)
    return jnp.mean(jnp.sum(jnp.cumprod(good, axis=1), axis=1).astype(truth.dtype))
