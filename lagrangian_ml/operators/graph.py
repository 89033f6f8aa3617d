"""Graph and Fourier: GINO (Li, Kovachki, Choy et al. 2023, arXiv 2309.00583), from clouds to clouds by way of a grid.

    h(x) = B Σ_y w(x, y) κ(x, y, v(y)) / (ε + Σ_y w(x, y)) + b,   w(x, y) = max(1 − |x − y|²/r², 0)²,
    κ(x, y, v) = σ(A (x, (y − x)/r, v) + a)

An average of a kernel over the neighbours y takes the values v of the cloud to a regular grid of the unit box, an
operator of grids (an FNO in the paper) acts there, and another such average takes it to the places asked for.

Differs from the paper: neighbours lose weight smoothly up to the radius r, there all have the same; the sum fades to 0
where no neighbour is; the network B κ + b has one hidden layer. To keep shapes fixed, the nearest `num_neighbours` are
seen, and where more lie within r, it shrinks to the first one left out, so that h stays continuous. A signed distance
is no input unless it is among the values.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ..fields.mlp import activation_by_name, check_sizes
from .channels import Affine
from .cloud import Cloud, as_cloud, at_its_points, same_points
from .fno import FNO
from .layout import components_first, nodes, space_first

small_fno = partial(FNO, modes=8, width=32, num_hidden=64)


class KernelAverage(eqx.Module):
    """h above: values (n, c) at y (n, d) ↦ (m, k) at x (m, d).

    What is linear in κ is done once a point, not once a pair; distances are computed of all pairs.
    """

    first: Affine
    second: Affine
    radius: float = eqx.field(static=True)
    num_neighbours: int = eqx.field(static=True)

    def __call__(
        self, v: Float[Array, "n c"], y: Float[Array, "n d"], mask: Bool[Array, " n"], x: Float[Array, "m d"]
    ) -> Float[Array, "m k"]:
        weight, index = self._neighbours(y, mask, x)
        of_place, of_offset, of_value = jnp.split(self.first.weight, (x.shape[1], 2 * x.shape[1]))
        of_offset = of_offset / self.radius
        here, there = x @ (of_place - of_offset) + self.first.bias[None], y @ of_offset + v @ of_value
        seen = activation_by_name("gelu")(here[:, None] + there[index])
        return self.second(jnp.einsum("mk,mkh->mh", weight, seen) / (jnp.sum(weight, 1, keepdims=True) + 1e-2))

    def _neighbours(self, y, mask, x):
        """Weights w and rows of y, (m, k)."""
        reach = self.radius**2
        squares = jnp.sum(jnp.stack([(a[:, None] - b[None]) ** 2 for a, b in zip(x.T, y.T, strict=True)]), 0)
        squares, index = jax.lax.top_k(-jnp.where(mask[None], squares, 2 * reach), min(len(y), self.num_neighbours + 1))
        if len(y) > self.num_neighbours:
            # The farthest is the last one, but XLA would make a full sort of the slice, ten times as long on a CPU.
            farthest = jnp.max(-squares, 1, keepdims=True)
            reach = jnp.clip(farthest, 1e-12 * reach, reach)
        return jnp.maximum(1 + squares / reach, 0) ** 2, index


class GraphOperator(eqx.Module):
    """An `Operator` of clouds in the unit box, `Cloud` ↦ (n, c_out) at its points, or of values on grids.

    With points it gives (m, c_out) there. Any number of points is served.
    """

    encode: KernelAverage
    operator: Any
    decode: KernelAverage
    project: Affine
    grid: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        inputs: Cloud | Sequence[int],
        outputs: Sequence[int],
        *,
        grid: int | Sequence[int] = 32,
        radius: float | None = None,
        num_neighbours: int = 16,
        width: int = 32,
        num_hidden: int = 64,
        operator: Callable[..., Any] = small_fno,
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes on the points of the training, see `Cloud`, or (c_in, *s) and (c_out, *s).
            grid: nodes of the latent grid on every axis, or on all axes.
            radius: r of both averages; twice the widest spacing of the grid if None.
            num_neighbours: that are seen from every node and every place asked for.
            width: channels on the grid.
            num_hidden: size of κ.
            operator: makes the operator on the grid, `operator((width, *grid), (width, *grid), key=key)`.

        Raises:
            ValueError: for numbers below 1, a radius ≤ 0, a grid of other dimension, shapes on different points, and
                what `operator` refuses.
        """
        num_in, num_out, dim = same_points(inputs, outputs)
        self.grid = (grid,) * dim if isinstance(grid, int) else tuple(grid)
        check_sizes(grid=min(self.grid), num_neighbours=num_neighbours, width=width, num_hidden=num_hidden)
        if len(self.grid) != dim:
            raise ValueError(f"grid={self.grid} for points of {dim} dimensions; give one number an axis.")
        radius = 2 / min(self.grid) if radius is None else radius
        if not radius > 0:
            raise ValueError(f"radius={radius} is not allowed: it is a length in the unit box, above 0.")
        keys = iter(jax.random.split(key, 6))
        affine = lambda *sizes: Affine(*sizes, key=next(keys))
        average = lambda num_in: KernelAverage(
            affine(2 * dim + num_in, num_hidden), affine(num_hidden, width), float(radius), num_neighbours
        )
        self.encode, self.decode = average(num_in), average(width)
        self.operator = operator((width, *self.grid), (width, *self.grid), key=next(keys))
        self.project = affine(width, num_out)

    def __call__(
        self, v: Cloud | Float[Array, "c *s"], points: Float[Array, "m d"] | None = None
    ) -> Float[Array, "..."]:
        """ValueError for other numbers of components or dimensions than it was made for."""
        dim = len(self.grid)
        values, places, mask = as_cloud(v, self.encode.first.weight.shape[0] - 2 * dim, dim)
        if points is not None and points.shape[1] != dim:
            raise ValueError(f"the points have the shape {points.shape}; expected (m, {dim}).")
        x = nodes(self.grid, places.dtype)
        latent = self.encode(values, places, mask, x).reshape(*self.grid, -1)
        latent = space_first(self.operator(components_first(latent))).reshape(len(x), -1)
        u = self.decode(latent, x, jnp.ones(len(x), bool), places if points is None else points)
        return at_its_points(self.project(u), v) if points is None else self.project(u)
