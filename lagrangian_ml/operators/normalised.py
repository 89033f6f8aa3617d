"""Scales that belong to an operator: it takes and gives values in their own units, and is saved with its scales."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Fixed
from .cloud import Cloud


class Scale(eqx.Module):
    """Mean and standard deviation of every component, (c,) each; a component that never changes has deviation 1."""

    mean: Float[Array, " c"]
    std: Float[Array, " c"]

    @classmethod
    def of(cls, values: Float[Array, "n ..."], axis: int = 1, mask: Float[Array, "n ..."] | None = None) -> "Scale":
        """Over all samples and points, those within the mask if there is one; `axis` is that of the components."""
        others = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
        inside = None if mask is None else jnp.broadcast_to(jnp.expand_dims(mask.astype(bool), axis), values.shape)
        std = jnp.std(values, axis=others, where=inside)
        return cls(jnp.mean(values, axis=others, where=inside), jnp.where(std > 0, std, 1.0))

    def normalise(self, v: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
        mean, std = self._along(v, axis)
        return (v - mean) / std

    def restore(self, v: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
        """The inverse of `normalise`."""
        mean, std = self._along(v, axis)
        return v * std + mean

    def _along(self, v, axis):
        others = [a for a in range(v.ndim) if a != axis % v.ndim]
        return (jnp.expand_dims(a, others) for a in (self.mean, self.std))


class Normalised(eqx.Module):
    """An operator between normalised values, as an `Operator` between values: v ↦ scale_out(operator(scale_in(v)))."""

    operator: Any
    scales: Fixed  # (of inputs, of outputs)

    def __init__(self, operator: Any, inputs: Cloud | Float[Array, "n c *s"], outputs: Float[Array, "n ..."]):
        """The scales are those of these samples: (n, c, *s) each, or clouds and (n, m, k) at their points."""
        if isinstance(inputs, Cloud):
            scales = Scale.of(inputs.values, -1, inputs.mask), Scale.of(outputs, -1, inputs.mask)
        else:
            scales = Scale.of(inputs), Scale.of(outputs)
        self.operator, self.scales = operator, Fixed(scales)

    def normalise(self, v: Cloud | Float[Array, "c *s"]) -> Cloud | Float[Array, "c *s"]:
        """The input as the operator sees it."""
        scale = self.scales.value[0]
        return v._replace(values=scale.normalise(v.values, -1)) if isinstance(v, Cloud) else scale.normalise(v)

    def __call__(
        self, v: Cloud | Float[Array, "c *s"], points: Float[Array, "m d"] | None = None
    ) -> Float[Array, "..."]:
        scale = self.scales.value[1]
        if points is not None:
            return scale.restore(self.operator(self.normalise(v), points), -1)
        u = self.operator(self.normalise(v))
        if isinstance(v, Cloud):
            return jnp.where(v.mask.astype(bool)[:, None], scale.restore(u, -1), 0)
        return scale.restore(u)
