"""Mixtures of experts (Jacobs, Jordan, Nowlan & Hinton 1991, doi 10.1162/neco.1991.3.1.79) of operators.

    u = Σ_k g_k(v) G_k(v),   g(v) = softmax(A ∫ σ(B v(x) + C x + b) dx + a)

Experts G_k are operators of one kind; a router g of the whole input function says how much each of them counts.

Differs from the paper, where experts are trained to be right alone: here their sum is, and all are evaluated. Mixtures
of neural operators (Kratsios, Furuya, Benitez, Lassas & de Hoop 2024, arXiv 2404.09101) route each input to one expert
by a tree, which no gradient can train.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields.mlp import activation_by_name, check_sizes
from .channels import Affine
from .cloud import Cloud, as_cloud, components
from .pod import fitted


class Mixture(eqx.Module):
    """An `Operator` of what its experts take, to what they give; their parameters have an axis of experts in front."""

    experts: Any
    features: Affine
    gate: Affine
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        inputs: Cloud | Sequence[int],
        outputs: Sequence[int],
        *,
        operator: Callable[..., Any],
        num_experts: int = 4,
        num_features: int = 32,
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes on the grids or points of the training, as the experts take them.
            operator: makes an expert, `operator(inputs, outputs, key=key)`: a class or a `functools.partial` of one.
            num_features: of the router, pooled over space.

        Raises:
            ValueError: for numbers below 1, and what `operator` refuses.
        """
        check_sizes(num_experts=num_experts, num_features=num_features)
        keys = jax.random.split(key, 3)
        self.experts = eqx.filter_vmap(lambda key: operator(inputs, outputs, key=key))(
            jax.random.split(keys[0], num_experts)
        )
        num_in, self.dim = components(inputs)
        self.features = Affine(num_in + self.dim, num_features, key=keys[1])
        self.gate = Affine(num_features, num_experts, key=keys[2])

    def fitted(self, inputs: Any, outputs: Float[Array, "n ..."]) -> "Mixture":
        """This mixture after each expert has been fitted to the training data, if it can be."""
        experts = eqx.filter_vmap(lambda expert: fitted(expert, inputs, outputs))(self.experts)
        return eqx.tree_at(lambda model: model.experts, self, experts)

    def shares(self, v: Cloud | Float[Array, "c *s"]) -> Float[Array, " k"]:
        """g(v): what each expert counts, ≥ 0 with the sum 1."""
        values, points, mask = as_cloud(v, self.features.weight.shape[0] - self.dim, self.dim)
        features = activation_by_name("gelu")(self.features(jnp.concatenate([values, points], -1)))
        pooled = jnp.sum(features * mask[:, None], 0) / jnp.maximum(jnp.sum(mask), 1)
        return jax.nn.softmax(self.gate(pooled))

    def __call__(
        self, v: Cloud | Float[Array, "c *s"], points: Float[Array, "m d"] | None = None
    ) -> Float[Array, "..."]:
        """ValueError for what the experts refuse."""
        apply = lambda expert: expert(v) if points is None else expert(v, points)
        return jnp.tensordot(self.shares(v), eqx.filter_vmap(apply)(self.experts), 1)
