"""POD-DeepONet (Lu, Meng, Cai, Mao, Goswami, Zhang & Karniadakis 2022, arXiv 2111.05512).

    u_j(y) = φ̄_j(y) + Σ_k b_jk(v) φ_jk(y)

φ̄ is the mean of the outputs in the training data, φ_k are their leading POD modes: only the branch b is trained.

Differs from the paper: each of several outputs has modes of its own; a mode is scaled by the standard deviation of its
coefficient, so that what the branch has to learn is of order one whatever the units. Between the nodes of the grid the
function is interpolated linearly, and held behind the last node of every axis.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Key

from ..core import Fixed
from ..fields import MLP
from ..fields.mlp import Activation, check_sizes
from .layout import check_sensors


class PODDeepONet(eqx.Module):
    """An `Operator` from values at fixed sensors to values anywhere, as `DeepONet`; zero until it is `fitted`."""

    branch: MLP
    mean: Fixed
    modes: Fixed
    inputs: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        num_basis: int = 32,
        width: int = 64,
        depth: int = 3,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *r) on the grids of the training.
            num_basis: modes of every output.
            width, depth: of the hidden layers of the branch.

        Raises:
            ValueError: for numbers below 1, more modes than nodes, and an unknown activation.
        """
        self.inputs, outputs = tuple(inputs), tuple(outputs)
        check_sizes(inputs=min(self.inputs), outputs=min(outputs), num_basis=num_basis)
        if num_basis > math.prod(outputs[1:]):
            raise ValueError(f"num_basis={num_basis}: outputs={outputs} have {math.prod(outputs[1:])} modes at most.")
        settings = {"width": width, "depth": depth, "activation": activation}
        self.branch = MLP(math.prod(self.inputs), outputs[0] * num_basis, **settings, key=key)
        self.mean, self.modes = Fixed(jnp.zeros(outputs)), Fixed(jnp.zeros((outputs[0], num_basis, *outputs[1:])))

    def fitted(self, inputs: Float[Array, "n c *s"], outputs: Float[Array, "n k *r"]) -> "PODDeepONet":
        """This operator with mean and modes of the training data; to be called once, before it is trained.

        ValueError for outputs of another shape than it was made for, and fewer samples than modes.
        """
        mean, modes = self.mean.value, self.modes.value
        if outputs.shape[1:] != mean.shape or outputs.shape[0] < modes.shape[1]:
            raise ValueError(
                f"outputs of the shape {outputs.shape} for {modes.shape[1]} modes: expected as many samples at least,"
                f" each {mean.shape}; or choose a smaller num_basis."
            )
        mean = jnp.mean(outputs, 0)
        rows = jnp.moveaxis(outputs - mean[None], 1, 0).reshape(*outputs.shape[1::-1], -1)
        _, sizes, found = jnp.linalg.svd(rows, full_matrices=False)
        scaled = sizes[:, : modes.shape[1], None] * found[:, : modes.shape[1]] / math.sqrt(outputs.shape[0])
        new = Fixed(mean.astype(modes.dtype)), Fixed(scaled.reshape(modes.shape).astype(modes.dtype))
        return eqx.tree_at(lambda model: (model.mean, model.modes), self, new)

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"] | None = None) -> Float[Array, "..."]:
        """ValueError for an input at other sensors, and points of another dimension, than it was made for."""
        mean, modes = self.mean.value, self.modes.value
        check_sensors(v, points, self.inputs, mean.ndim - 1)
        coefficients = self.branch(v.reshape(-1)).reshape(modes.shape[:2])
        u = mean + jnp.einsum("ck,ck...->c...", coefficients, modes)
        if points is None:
            return u
        places = list(points.T * jnp.asarray(u.shape[1:], points.dtype)[:, None])
        return jax.vmap(lambda u_j: map_coordinates(u_j, places, order=1, mode="nearest"), out_axes=1)(u)


def fitted(model: Any, inputs: Any, outputs: Array) -> Any:
    """`model.fitted(inputs, outputs)` of models that take something from the training data; others as they are."""
    return model.fitted(inputs, outputs) if hasattr(model, "fitted") else model
