"""Norms of an error û − u, over all stored points at once.

Published tables mix conventions: a ratio of sums (`relative_l2`, ours everywhere) is not a mean of ratios
(`nrmse` with `axes`, as PDEBench averages it), and both differ from ratios to the variance (`vrmse`, `r2`).
A truth that cannot be divided by is a ValueError; under `jit`, where values are unknown, the result is NaN or inf.
"""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Inexact, Real

Values = Inexact[Array | np.ndarray, "..."]


def relative_l2(prediction: Values, truth: Values) -> Real[Array, ""]:
    """‖û − u‖ / ‖u‖ over all entries, safe against overflow of the squares.

    Raises ValueError for different shapes, no entries, and a truth that is not finite or is zero everywhere.
    """
    prediction, truth = _pair(prediction, truth)
    scale = jnp.max(jnp.abs(truth))
    _need(scale > 0, "the truth is zero everywhere: no relative error exists; use `rmse` or `max_error`.")
    return jnp.linalg.norm(jnp.ravel((prediction - truth) / scale)) / jnp.linalg.norm(jnp.ravel(truth / scale))


def max_error(prediction: Values, truth: Values) -> Real[Array, ""]:
    """max |û − u|, in the units of u; ValueError as in `rmse`."""
    prediction, truth = _pair(prediction, truth)
    return jnp.max(jnp.abs(prediction - truth))


def rmse(prediction: Values, truth: Values) -> Real[Array, ""]:
    """The root of mean |û − u|², in the units of u; ValueError for different shapes, none, or a non-finite truth."""
    prediction, truth = _pair(prediction, truth)
    return jnp.sqrt(_mean_square(prediction - truth))


def nrmse(prediction: Values, truth: Values, axes: tuple[int, ...] | None = None) -> Real[Array, ""]:
    """The mean over all other axes of rms(û − u) / rms(u), each taken over `axes`; for None it is `relative_l2`.

    PDEBench's nRMSE takes the space axes here and averages over samples, times and components. ValueError as in
    `relative_l2`, for any of the ratios.
    """
    prediction, truth = _pair(prediction, truth)
    norm = _mean_square(truth, axes)
    _need(jnp.all(norm > 0), f"the truth is zero over axes={axes} somewhere: no ratio exists; take more axes.")
    return jnp.mean(jnp.sqrt(_mean_square(prediction - truth, axes) / norm))


def vrmse(prediction: Values, truth: Values) -> Real[Array, ""]:
    """‖û − u‖ / ‖u − mean u‖, the mean that of each component (n, c): what is constant in u does not count.

    The variance-scaled error of The Well (arXiv 2412.00568), over all entries at once. ValueError for a constant truth
    too.
    """
    prediction, truth = _pair(prediction, truth)
    variance = _mean_square(truth - jnp.mean(truth, axis=tuple(range(max(1, truth.ndim - 1))), keepdims=True))
    _need(variance > 0, "the truth is constant: it has no variance to compare with; use `rmse` or `relative_l2`.")
    return jnp.sqrt(_mean_square(prediction - truth) / variance)


def r2(prediction: Values, truth: Values) -> Real[Array, ""]:
    """1 − Σ|û − u|² / Σ|u − mean u|²: 1 is perfect, 0 as good as the mean. ValueError for a constant truth too."""
    prediction, truth = _pair(prediction, truth)
    variance = _mean_square(truth - jnp.mean(truth))
    _need(variance > 0, "the truth is constant: R² does not exist; use `rmse` or `relative_l2`.")
    return 1.0 - _mean_square(prediction - truth) / variance


def _mean_square(values, axes=None):
    return jnp.mean(jnp.square(jnp.abs(values)), axis=axes)


def _pair(prediction, truth):
    """Both as arrays of one dtype, after the checks which all norms share."""
    prediction, truth = jnp.asarray(prediction), jnp.asarray(truth)
    if prediction.shape != truth.shape or truth.size == 0:
        raise ValueError(
            f"prediction {prediction.shape} and truth {truth.shape} need the same shape, with one entry at least."
        )
    _need(jnp.all(jnp.isfinite(truth)), "the truth is not finite somewhere; leave those points out.")
    dtype = jnp.promote_types(prediction.dtype, truth.dtype)
    return prediction.astype(dtype), truth.astype(dtype)


def _need(condition, message):
    if not isinstance(condition, Tracer) and not condition:
        raise ValueError(message)
