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
    def of(cls, values: Float[Array, "n ..."], axis: int = 1, mask: Array | None = None) -> "Scale":
        """Over all samples and points, those within the mask if there is one; `axis` is that of the components."""
        others = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
        inside = None if mask is None else jnp.broadcast_to(jnp.expand_dims(mask.astype(bool), axis), values.shape)
        mean, std = (take(values, axis=others, where=inside) for take in (jnp.mean, jnp.std))
        varies = std > 1e-6 * jnp.abs(mean)  # below is the rounding of a constant
        return cls(mean, jnp.where(varies, std, 1.0))

    def without_last(self, count: int) -> "Scale":
        """This scale, with the last components left as they are."""
        kept = jnp.arange(self.mean.size) < self.mean.size - count
        return Scale(jnp.where(kept, self.mean, 0.0), jnp.where(kept, self.std, 1.0))

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
            masked = getattr(operator, "mask", False) and inputs.shape[2:] == outputs.shape[2:]
            mask = inputs[:, -1] > 0.5 if masked else None
            count = getattr(operator, "num_unscaled", 0)
            scales = Scale.of(inputs, mask=mask).without_last(count), Scale.of(outputs, mask=mask)
        self.operator, self.scales = operator, Fixed(scales)

    def normalise(self, v: Cloud | Float[Array, "c *s"]) -> Cloud | Float[Array, "c *s"]:
        """The input as the operator sees it."""
        scale = self.scales.value[0]
        return v._replace(values=scale.normalise(v.values, -1)) if isinstance(v, Cloud) else scale.normalise(v)

    def __call__(
        self, v: Cloud | Float[Array, "c *s"], points: Float[Array, "m d"] | None = None
    ) -> Float[Array, "..."]:
        scale = self.scales.value[1]
        arguments = () if points is None else (points,)
        at_points = isinstance(v, Cloud) or points is not None
        u = scale.restore(self.operator(self.normalise(v), *arguments), -1 if at_points else 0)
        if isinstance(v, Cloud) and points is None:
            return jnp.where(v.mask.astype(bool)[:, None], u, 0)
        return self.operator.masked(v, u, points) if hasattr(self.operator, "masked") else u
