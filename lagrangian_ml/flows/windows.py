"""A flow map cut in time: one map for each of K windows of equal length, applied one after the other.

φ(t) = φₖ(t − tₖ) ∘ φₖ₋₁(L) ∘ … ∘ φ₁(L) for t in window k, each piece the identity at the start of its window. Drawn-out
spirals are compositions of a few mild deformations, which small networks represent; all pieces are trained together,
unlike in time marching, and the labels stay those of t = 0. The velocity may jump between windows until it is trained.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap, Problem
from ..fields import MLP
from .characteristics import displacement, evolving_box


class Windowed(FlowMap):
    """`pieces` is one flow map whose arrays have a leading axis of windows; each lasts `length`.

    At a time where two windows meet the velocity is that of the later one.
    """

    pieces: FlowMap
    length: float
    num_windows: int = eqx.field(static=True)

    def forward(self, t, X):
        return self._through(lambda piece, s, X: piece.forward(s, X), t, X)

    def inverse(self, t, x):
        return self._through(lambda piece, s, x: piece.inverse(s, x), t, x, reverse=True)

    def place(self, t: Array, X: Float[Array, " d"]) -> Float[Array, " d"]:
        """φ(t, X) alone."""
        return self._through(lambda piece, s, X: (piece.place(s, X), jnp.zeros((), X.dtype)), t, X)[0]

    def _through(self, apply, t, X, reverse=False):
        """(the point after all pieces, the sum of their log-determinants); one scan, compiled once for all pieces."""
        arrays, rest = eqx.partition(self.pieces, eqx.is_array)

        def body(carry, piece):
            X, total = carry
            arrays, k = piece
            X, log_det = apply(eqx.combine(arrays, rest), self._local_time(t, k), X)
            return (X, total + log_det), None

        start = (X, jnp.zeros((), X.dtype))
        return jax.lax.scan(body, start, (arrays, jnp.arange(self.num_windows)), reverse=reverse)[0]

    def _local_time(self, t, k):
        """The time since window k began, at rest before it and after it; the first and the last have no outer end."""
        s = t - k.astype(t.dtype) * self.length
        s = jnp.where((k > 0) & (s < 0), 0.0, s)
        return jnp.where((k < self.num_windows - 1) & (s >= self.length), self.length, s)


def windowed(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    *,
    num_windows: int = 4,
    piece: Callable[..., FlowMap] = displacement,
    key: Key[Array, ""],
) -> Windowed:
    """A map of `num_windows` pieces, each built by `piece(problem, model, *, key)` for its share of the horizon.

    Raises ValueError for less than one window.
    """
    if num_windows < 1:
        raise ValueError(f"num_windows={num_windows}: a map needs at least one window of time.")
    length = evolving_box(problem)[2] / num_windows
    window = replace(problem, horizon=length)
    make = eqx.filter_vmap(lambda key: piece(window, model, key=key))
    return Windowed(make(jax.random.split(key, num_windows)), length, num_windows)
