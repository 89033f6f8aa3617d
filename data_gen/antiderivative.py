"""The first example of operator learning: a random function and its antiderivative, u' = v, u(0) = 0."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from lagrangian_ml.core import Grid

from .quality import spectrum_tail
from .stored import Kind, Outcome, check_counts, check_stored, pairs, strided, strided_grid, variable


@dataclass(frozen=True)
class Antiderivative:
    """v and u(x) = ∫_a^x v on [a, b), exact: v is drawn as a periodic function of twice the length and integrated mode
    by mode; only its first half is kept, which is not periodic.

    Attributes:
        grid: of [a, b) in one dimension.
        initial: the law of v, `(grid, *, key) -> (1, n)`.
        stride: every stride-th point is stored.
        names: what v and u are called.
    """

    grid: Grid
    initial: Callable[..., Array]
    stride: int = 1
    names: Mapping[str, Kind] | None = None
    block: int = 16
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self):
        check_counts(self)
        check_stored(self, {"v": "scalar", "u": "scalar"})
        if self.grid.dim != 1 or self.grid.centred or len(self.names or ()) != 2:
            raise ValueError(f"grid={self.grid.shape}, names={self.names}: one axis of nodes, and two names.")

    @property
    def stored_grid(self) -> Grid:
        return strided_grid(self.grid, self.stride)

    @property
    def times(self) -> None:
        return None

    @property
    def variables(self):
        return tuple(variable(name, kind, self.stored_grid, None) for name, kind in pairs(self.names))

    @property
    def num_updates(self) -> int:
        return self.grid.shape[0]

    def prepare(self, refine: int = 1) -> PyTree:
        return None

    def draw(self, key: Key[Array, ""]) -> Float[Array, "1 m"]:
        (n,), (a,), (b,) = self.grid.shape, self.grid.lower, self.grid.upper
        return self.initial(Grid((2 * n,), (a,), (2 * b - a,)), key=key)

    def solve(self, inputs: Float[Array, "1 m"], refine: int = 1, *, solver: Any = None) -> Outcome:
        n, length = inputs.shape[1], 2 * self.grid.lengths[0]
        modes = jnp.fft.rfft(inputs)
        kappa = 2 * np.pi * np.arange(modes.shape[1]) / length
        factor = np.where(kappa == 0, 0, 1 / (1j * np.where(kappa == 0, 1, kappa)))[None]
        mean = modes[:, :1].real / n
        u = jnp.fft.irfft(modes * factor, n) + mean * (length / n * np.arange(n))[None]
        half = lambda values: strided(values[:, : n // 2], self.grid, self.stride)
        arrays = dict(zip((name for name, _ in pairs(self.names)), (half(inputs), half(u - u[:, :1])), strict=True))
        return Outcome(arrays, jnp.zeros(()), spectrum_tail(inputs))

    def shortened(self) -> "Antiderivative":
        return replace(self, names=dict(pairs(self.names)))
