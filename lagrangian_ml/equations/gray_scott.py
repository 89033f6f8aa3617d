"""The Gray–Scott reaction, u_t = D_u Δu − u v² + F (1 − u), v_t = D_v Δv + u v² − (F + k) v, in any dimension.

The substance u is fed at the rate F, v eats it (u + 2v → 3v) and is removed at the rate F + k: spots, worms, spirals
and mazes, by F and k (Pearson 1993). The product u v² is cubic: grids keep half of their modes to be free of aliases.
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, require_nonnegative


class GrayScott(Equation):
    """The components are (u, v); `diffusivities` are (D_u, D_v), `feed` is F and `kill` is k, all ≥ 0.

    In Pearson's setting D_v = D_u/2 = 1e-5 on a square of side 2.5.
    """

    num_components: ClassVar[int] = 2
    diffusivities: Vector = eqx.field(converter=as_vector, default=(2e-5, 1e-5))
    feed: Scalar = 0.04
    kill: Scalar = 0.06

    def __check_init__(self):
        if len(self.diffusivities) != 2:
            raise ValueError(f"diffusivities={self.diffusivities} must be two, of u and of v.")
        require_nonnegative(feed=self.feed, kill=self.kill)
        require_nonnegative(**{f"diffusivities[{i}]": value for i, value in enumerate(self.diffusivities)})

    def linear(self, u: Jet) -> Inexact[Array, "2 *s"]:
        (of_u, of_v), (u_now, v_now), spread = self.diffusivities, u.value, u.laplacian
        return jnp.stack([of_u * spread[0] - self.feed * u_now, of_v * spread[1] - (self.feed + self.kill) * v_now])

    def products(self, u: Jet) -> Inexact[Array, "1 *s"]:
        """u v², one transform for both components."""
        return u.value[:1] * u.value[1:] ** 2

    def combine(self, eaten: Jet) -> Inexact[Array, "2 *s"]:
        return jnp.concatenate([eaten.value, -eaten.value])

    def source(self, x: Float[Array, "d *s"]) -> Float[Array, "2 *s"]:
        fed = self.feed * jnp.ones_like(x[0])
        return jnp.stack([fed, jnp.zeros_like(fed)])

    def uniform_states(self) -> Float[Array, "3 2"]:
        """The states (u, v) at rest: (1, 0), and u = ½ ∓ √(¼ − (F + k)²/F), v = F(1 − u)/(F + k), of which the last
        is a saddle; both are NaN where F < 4 (F + k)²."""
        feed, removal = jnp.asarray(self.feed), self.feed + self.kill
        u = 0.5 + jnp.array([-1.0, 1.0]) * jnp.sqrt(0.25 - removal**2 / feed)
        return jnp.stack([jnp.array([1.0, 0.0]), *jnp.stack([u, feed * (1 - u) / removal], axis=1)])
