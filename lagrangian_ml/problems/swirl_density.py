"""A mass in LeVeque's swirl: at half the period it is a thin arc, in the end it is where it was.

LeVeque 1996 (doi 10.1137/0733033), on the unit square with the period T = 1.5: the velocity is free of divergence, so
ρ(t, x) = ρ₀(X) at the label X, found by 48 Runge–Kutta steps backwards. ρ₀ is one Gaussian.
"""

from ..core import Problem
from ..domains import Box
from ..equations import Continuity, Swirl
from ..flows import NormalMixture, OdeFlow, TransportedDensity

PERIOD = 1.5


def swirl_density(*, width: float | int = 0.08, horizon: float | int = PERIOD) -> Problem:
    """The continuity equation for (ρ, v) on the unit square; a Gaussian of `width` starts at (0.5, 0.75)."""
    base = NormalMixture([(0.5, 0.75)], width=width)
    return Problem(
        equation=Continuity(2),
        domain=Box([0.0, 0.0], [1.0, 1.0]),
        horizon=float(horizon),
        reference=TransportedDensity(OdeFlow(Swirl(PERIOD), num_steps=48), base),
    )
