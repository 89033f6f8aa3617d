"""Multi-task DeepONet (Kumar, Goswami, Kontolati, Shields & Karniadakis 2025, doi 10.1016/j.neunet.2024.107113;
arXiv 2408.02198): one network for several equations of a family, and for several geometries.

    u_j(y) = χ(y) (Σ_k b_jk(χ v, code, χ) t_k(y) + β_j)

The branch sees the values at the sensors, a code of the task (such as coefficients of a source term, or one-hot), and
the mask χ ∈ {0, 1} of the geometry; nothing outside the mask has influence, and the solution is 0 there.

Differs from the paper: the mask multiplies the outputs, where the paper multiplies the error in its loss by it; any
operator of the family may be inside, where the paper has convolutions in the branch.

A sample stays (c_in, *s), so that one data set holds all tasks: its components are the values, the `num_codes` numbers
of the code, constant over the sensors and read at the first one, and last the mask, if there is one.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ..fields.mlp import check_sizes
from .deeponet import DeepONet
from .layout import check_sensors, evaluate
from .pod import fitted


class MultiTaskDeepONet(eqx.Module):
    """An `Operator` from values at fixed sensors to values anywhere, as `DeepONet`, of samples that name their task."""

    operator: Any
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)
    num_codes: int = eqx.field(static=True)
    mask: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        num_codes: int,
        mask: bool = False,
        operator: Callable[..., Any] = DeepONet,
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *r) on the grids of the training.
            num_codes: components of the input that are the code of the task; may be 0 with a mask.
            mask: the last component of the input is the mask on the grid of the input; more than ½ is inside.
            operator: makes the network, `operator((k,), outputs, key=key)` for k numbers at once: `DeepONet`,
                `MultiONet`, `PODDeepONet`, or a `functools.partial` of them with other sizes.

        Raises:
            ValueError: for numbers below 1, an input without values, and a mask for outputs of other axes.
        """
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.num_codes, self.mask = num_codes, mask
        check_sizes(inputs=min(self.inputs), outputs=min(self.outputs))
        if num_codes < 0 or self.num_values < 1:
            raise ValueError(
                f"num_codes={num_codes}, mask={mask}: {self.inputs[0]} components must hold a value besides these."
            )
        if mask and len(self.inputs) != len(self.outputs):
            raise ValueError(f"mask=True with inputs={self.inputs}, outputs={self.outputs}: it needs the same axes.")
        size = (self.num_values + mask) * math.prod(self.inputs[1:]) + num_codes
        self.operator = operator((size,), self.outputs, key=key)

    @property
    def num_values(self) -> int:
        return self.inputs[0] - self.num_codes - self.mask

    def fitted(self, inputs: Float[Array, "n c *s"], outputs: Float[Array, "n k *r"]) -> "MultiTaskDeepONet":
        """This operator after its part has been fitted to the training data, if it can be."""
        part = fitted(self.operator, jax.vmap(self._numbers)(inputs), outputs)
        return eqx.tree_at(lambda model: model.operator, self, part)

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"] | None = None) -> Float[Array, "..."]:
        """ValueError for an input at other sensors, and points of another dimension, than it was made for."""
        check_sensors(v, points, self.inputs, len(self.outputs) - 1)
        return self.masked(v, self.operator(self._numbers(v), points), points)

    @property
    def num_unscaled(self) -> int:
        """Components of the input, the last ones, that are no values and have no scale: the code and the mask."""
        return self.num_codes + self.mask

    def masked(
        self, v: Float[Array, "c *s"], u: Float[Array, "..."], points: Float[Array, "m d"] | None = None
    ) -> Float[Array, "..."]:
        """The outputs u of the input v, 0 outside its mask."""
        if not self.mask:
            return u
        inside = evaluate(lambda x: nearest(v[-1] > 0.5, x)[:, None], points, (1, *self.outputs[1:]), v.dtype)
        return jnp.where(inside, u, 0)

    def _numbers(self, v):
        first = (0,) * (v.ndim - 1)
        code = v[(slice(self.num_values, self.num_values + self.num_codes), *first)]
        values = v[: self.num_values]
        if not self.mask:
            return jnp.concatenate([values.reshape(-1), code])
        inside = v[-1:] > 0.5
        return jnp.concatenate([jnp.where(inside, values, 0).reshape(-1), code, inside.reshape(-1).astype(v.dtype)])


def nearest(mask: Bool[Array, "*s"], x: Float[Array, "m d"]) -> Bool[Array, " m"]:
    """The mask at the node that is nearest to every place in the unit box."""
    index = jnp.round(x * jnp.asarray(mask.shape, x.dtype)[None]).astype(int)
    return mask[tuple(jnp.clip(j, 0, n - 1) for j, n in zip(index.T, mask.shape, strict=True))]
