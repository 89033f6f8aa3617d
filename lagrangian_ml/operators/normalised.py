"""Scales that belong to an operator: it takes and gives values in their own units, and is saved with its scales."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Fixed


class Scale(eqx.Module):
    """Mean and standard deviation of every component, (c,) each; a component that never changes has deviation 1."""

    mean: Float[Array, " c"]
    std: Float[Array, " c"]

    @classmethod
    def of(cls, values: Float[Array, "n c *s"]) -> "Scale":
        """Over all samples and points."""
        axes = (0, *range(2, values.ndim))
        std = jnp.std(values, axis=axes)
        return cls(jnp.mean(values, axis=axes), jnp.where(std > 0, std, 1.0))

    def normalise(self, v: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        mean, std = (jnp.expand_dims(a, range(1, v.ndim)) for a in (self.mean, self.std))
        return (v - mean) / std

    def restore(self, v: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
        """The inverse; `axis` is that of the components."""
        others = [a for a in range(v.ndim) if a != axis]
        mean, std = (jnp.expand_dims(a, others) for a in (self.mean, self.std))
        return v * std + mean


class Normalised(eqx.Module):
    """An operator between normalised values, as an `Operator` between values: v ↦ scale_out(operator(scale_in(v)))."""

    operator: Any
    scales: Fixed  # (of inputs, of outputs)

    def __init__(self, operator: Any, inputs: Float[Array, "n c *s"], outputs: Float[Array, "n k *r"]):
        """The scales are those of these samples."""
        self.operator, self.scales = operator, Fixed((Scale.of(inputs), Scale.of(outputs)))

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"] | None = None) -> Float[Array, "..."]:
        scale_in, scale_out = self.scales.value
        v = scale_in.normalise(v)
        if points is None:
            return scale_out.restore(self.operator(v))
        return scale_out.restore(self.operator(v, points), axis=1)
