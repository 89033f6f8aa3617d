"""A Gaussian that is sheared while it spreads: u_t + a y u_x = κ Δu from a round blob at the origin.

On [−1.5, 1.5] × [−1, 1], periodic in x, zero on the walls y = ±1, which the blob does not feel: there it is below
1e-10 for the width 0.1 and κ = 0.005 up to t = 1, so that the exact solution of the plane serves.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Problem
from ..domains import Box, Dirichlet, Periodic
from ..equations import PassiveTransport, Shear


class ShearedGaussian(eqx.Module):
    """The solution of u_t + rate·y u_x = κ Δu in the plane from exp(−|x|²/2σ²), σ = `width`: a Gaussian of mass 2πσ².

    Its covariance obeys Σ̇ = AΣ + ΣAᵀ + 2κI with A = [[0, rate], [0, 0]]:
    Σ_yy = σ² + 2κt, Σ_xy = rate·t (σ² + κt), Σ_xx = σ² + 2κt + rate²t² (σ² + ⅔κt).
    """

    rate: float | int
    diffusivity: float | int
    width: float | int

    def __call__(self, t: float | Float[Array, ""], x: Float[Array, "2"]) -> Float[Array, "1"]:
        start, spread, bend = self.width**2, self.diffusivity * t, self.rate * t
        yy = start + 2 * spread
        xy = bend * (start + spread)
        xx = yy + bend**2 * (start + 2 / 3 * spread)
        determinant = xx * yy - xy**2
        distance = (yy * x[0] ** 2 - 2 * xy * x[0] * x[1] + xx * x[1] ** 2) / determinant
        return (start / jnp.sqrt(determinant) * jnp.exp(-0.5 * distance))[None]


def shear(
    *, rate: float | int = 1.0, diffusivity: float | int = 0.005, width: float | int = 0.1, horizon: float = 1.0
) -> Problem:
    """u_t + rate·y u_x = κ Δu, u(0, x) = exp(−|x|²/2σ²), κ = `diffusivity`, σ = `width`.

    Raises ValueError if the blob would reach the walls or its own image.
    """
    domain = Box([-1.5, -1.0], [1.5, 1.0])
    spread = width**2 + 2 * diffusivity * horizon
    along = spread + (rate * horizon) ** 2 * (width**2 + 2 / 3 * diffusivity * horizon)
    if not max(spread, along / 1.5**2) <= 1 / 46:  # exp(−23) ≈ 1e-10
        raise ValueError(
            f"width={width}, diffusivity={diffusivity}, rate={rate} and horizon={horizon} bring the blob to the walls, "
            "where the exact solution of the plane is none: make one of them smaller."
        )
    return Problem(
        equation=PassiveTransport(Shear(rate), diffusivity),
        domain=domain,
        initial=lambda x: jnp.exp(-0.5 * jnp.sum(x**2) / width**2)[None],
        boundary=(Periodic(0), *(Dirichlet(domain.face(1, side)) for side in ("lower", "upper"))),
        horizon=horizon,
        reference=ShearedGaussian(rate, diffusivity, width),
    )
