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


class DeepONet(eqx.Module):
    """An `Operator` from values at fixed sensors to values anywhere: (c_in, *s), points (m, d) ↦ (m, c_out).

    The sensors are the nodes of the grid on which it is trained; the network itself knows only their values.
    """

    branch: MLP
    trunk: MLP
    bias: Float[Array, " k"]
    sensors: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        sensors: Sequence[int],
        dim: int,
        *,
        num_out: int = 1,
        num_basis: int = 64,
        width: int = 64,
        depth: int = 3,
        activation: str | Activation = "gelu",
        key: Key[Array, ""],
    ):
        """
        Args:
            sensors: the shape (c_in, *s) of an input.
            dim: d, coordinates of a point.
            num_basis: functions t_k.
            width, depth: of the hidden layers of branch and trunk.

        Raises:
            ValueError: for numbers below 1 and an unknown activation.
        """
        self.sensors = tuple(sensors)
        check_sizes(sensors=min(self.sensors), dim=dim, num_out=num_out, num_basis=num_basis, width=width, depth=depth)
        keys, settings = jax.random.split(key), {"width": width, "depth": depth, "activation": activation}
        self.branch = MLP(math.prod(self.sensors), num_out * num_basis, **settings, key=keys[0])
        self.trunk = MLP(dim, num_basis, **settings, key=keys[1])
        self.bias = jnp.zeros(num_out)

    def __call__(self, v: Float[Array, "c *s"], points: Float[Array, "m d"]) -> Float[Array, "m k"]:
        """ValueError for an input at other sensors, and points of another dimension, than it was made for."""
        dim = self.trunk.layers[0].weight.shape[1]
        if v.shape != self.sensors or points.ndim != 2 or points.shape[1] != dim:
            raise ValueError(
                f"the input {v.shape} and the points {points.shape} do not fit; expected {self.sensors} and (m, {dim})."
            )
        coefficients = self.branch(v.reshape(-1)).reshape(self.bias.shape[0], -1)
        basis = activation_by_name(self.trunk.activation)(jax.vmap(self.trunk)(points))
        return basis @ coefficients.T + self.bias[None]
