"""Deep operator network (Lu, Jin, Pang, Zhang & Karniadakis 2021, doi 10.1038/s42256-021-00302-5; arXiv 1910.03193).

    u_j(y) = Σ_k b_jk(v(x₁), …, v(x_m)) t_k(y) + β_j

(its eq. 2, unstacked): the branch b sees the input at m fixed sensors, the trunk t the place y. Several outputs share
the trunk, and each has basis coefficients of its own. The trunk ends with an activation, as there.
"""

import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields import MLP
from ..fields.mlp import Activation, activation_by_name, check_sizes
from .layout import check_sensors, evaluate


class DeepONet(eqx.Module):
    """An `Operator` from values at fixed sensors to values anywhere: (c_in, *s), points (m, d) ↦ (m, c_out).

    The sensors are the nodes of the grid on which it is trained; the network itself knows only their values. Without
    points the outputs are those on the nodes of the grid of the outputs, (c_out, *r).
    """

    branch: MLP
    trunk: MLP
    bias: Float[Array, " k"]
    inputs: tuple[int, ...] = eqx.field(static=True)
    outputs: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        num_basis: int = 64,
        width: int = 64,
        depth: int = 3,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            inputs, outputs: shapes (c_in, *s) and (c_out, *r) on the grids of the training.
            num_basis: functions t_k.
            width, depth: of the hidden layers of branch and trunk.

        Raises:
            ValueError: for numbers below 1 and an unknown activation.
        """
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        check_sizes(inputs=min(self.inputs), outputs=min(self.outputs), num_basis=num_basis, width=width, depth=depth)
        keys, settings = jax.random.split(key), {"width": width, "depth": depth, "activation": activation}
        self.branch = MLP(math.prod(self.inputs), self.outputs[0] * num_basis, **settings, key=keys[0])
        self.trunk = MLP(len(self.outputs) - 1, num_basis, **settings, key=keys[1])
        self.bias = jnp.zeros(self.outputs[0])

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"] | None = None) -> Float[Array, "..."]:
        """ValueError for an input at other sensors, and points of another dimension, than it was made for."""
        check_sensors(v, points, self.inputs, len(self.outputs) - 1)
        coefficients = self.branch(v.reshape(-1)).reshape(self.bias.shape[0], -1)
        basis = lambda x: activation_by_name(self.trunk.activation)(jax.vmap(self.trunk)(x))
        return evaluate(lambda x: basis(x) @ coefficients.T + self.bias[None], points, self.outputs, v.dtype)
