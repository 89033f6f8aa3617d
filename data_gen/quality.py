"""Figures that say how far the numbers of a data set can be trusted; every shard carries them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact


def spectrum_tail(values: Inexact[Array, "c *s"], kept: float = 1.0) -> Float[Array, ""]:
    """The share of the energy in the top tenth of the modes, the largest of the components; the mean is left out.

    Modes count by max |kᵢ|/(nᵢ/2) over the axes, up to `kept`: a solver that dealiases carries 2/3 of them. A large
    share means that finer modes are missing; between walls the jump across the box adds to it.
    """
    modes = jnp.fft.fftn(values, axes=range(1, values.ndim))
    level = _levels(values.shape[1:])
    energy = jnp.where(level == 0, 0, jnp.abs(modes.reshape(values.shape[0], -1)) ** 2)
    share = energy / jnp.maximum(jnp.sum(energy, axis=1, keepdims=True), jnp.finfo(energy.dtype).tiny)
    return jnp.max(jnp.sum(jnp.where(level > 0.9 * kept, share, 0), axis=1))


def _levels(shape) -> np.ndarray:
    """max |kᵢ|/(nᵢ/2) of every mode, flat."""
    axes = [np.abs(np.fft.fftfreq(n)) * 2 for n in shape]
    return np.max(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0).reshape(-1)


class Judge:
    """Gathers the figures of a shard from its blocks, in float64 and before rounding to what is stored."""

    def __init__(self, evolving: Sequence[str], courant_bound: float = math.inf):
        self.drift, self.bound = dict.fromkeys(evolving, 0.0), courant_bound
        self.courant, self.tail = 0.0, 0.0
        self.rejected = {"not_finite": 0, "courant": 0}

    def add(self, arrays: Mapping[str, np.ndarray], outcome: Any, live: int) -> None:
        """The values (m, …) of the sound samples of a block, and its courant (b,) and tail (b,)."""
        self.courant = max(self.courant, float(np.max(outcome.courant[:live])))
        self.tail = max(self.tail, float(np.max(outcome.tail[:live])))
        for name in self.drift:
            self.drift[name] = max(self.drift[name], mean_drift(arrays[name]))

    def reject(self, not_finite: int, courant: int) -> None:
        self.rejected["not_finite"] += not_finite
        self.rejected["courant"] += courant

    def figures(self) -> dict[str, Any]:
        """As the manifest keeps them."""
        return {
            "max_courant": self.courant,
            "courant_bound": self.bound if math.isfinite(self.bound) else None,
            "spectrum_tail": self.tail,
            "mean_drift": self.drift,
            "rejected": self.rejected,
        }


def mean_drift(values: np.ndarray) -> float:
    """How far the space means of (m, t, c, *s) go from their first, relative to the root mean square of the sample.

    What a law conserves shows rounding here; sources, decay and open walls show what they do.
    """
    flat = values.reshape(*values.shape[:3], -1)
    means = flat.mean(axis=3)
    scale = np.sqrt(np.square(flat).mean(axis=(1, 3)))[:, None]
    return float(np.max(np.abs(means - means[:, :1]) / np.maximum(scale, np.finfo(float).tiny)))


def relative_error(coarse: np.ndarray, fine: np.ndarray, first: int | None) -> dict[str, float]:
    """‖coarse − fine‖/‖fine‖ of a sample: of the frame `first` and of the last, or of all if it is None."""
    coarse, fine = np.asarray(coarse), np.asarray(fine)
    norm = lambda values: float(np.linalg.norm(values.reshape(-1)))
    ratio = lambda i: norm(coarse[i] - fine[i]) / max(norm(fine[i]), np.finfo(float).tiny)
    return {"all": ratio(...)} if first is None else {"first": ratio(first), "last": ratio(-1)}
