"""Batches of windows cut from trajectories: a `Source` of frames that follow each other, each with a random key."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from ..core import Batch, Objective, Source


class Window(NamedTuple):
    """A sample: w frames that follow each other, and a key for what is random about it."""

    frames: Float[Array, "..."]  # (w, c, *s)
    key: Key[Array, "*n"]


class Windows(eqx.Module):
    """Windows of `length` frames of trajectories (n, t, c, *s) for the term "data", every one of them once an epoch."""

    trajectories: Float[Array, "n t c *s"]
    places: Any  # a source of (trajectory, first frame)
    length: int = eqx.field(static=True)

    def __init__(self, trajectories: Float[Array, "n t c *s"], length: int, source: Callable[[dict], Source]):
        """`source` makes the batches, such as `partial(ArraySource, batch_size=20)`. ValueError if none is so long."""
        n, t = trajectories.shape[:2]
        if not 1 <= length <= t:
            raise ValueError(f"windows of {length} frames do not fit trajectories of {t}: unroll less, or give longer.")
        places = np.stack(np.meshgrid(np.arange(n), np.arange(t - length + 1), indexing="ij"), -1).reshape(-1, 2)
        self.trajectories, self.length = trajectories, length
        self.places = source({"data": jnp.asarray(places, jnp.int32)})

    def init(self, key: Key[Array, ""]) -> PyTree:
        place_key, key = jax.random.split(key)
        return {"places": self.places.init(place_key), "key": key}

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        batch, places = self.places.next(state["places"], model, objective)
        key, window_key = jax.random.split(state["key"])

        def cut(place):
            trajectory = jax.lax.dynamic_index_in_dim(self.trajectories, place[0], keepdims=False)
            return jax.lax.dynamic_slice_in_dim(trajectory, place[1], self.length)

        frames = jax.vmap(cut)(batch["data"])
        return {"data": Window(frames, jax.random.split(window_key, len(frames)))}, {"places": places, "key": key}
