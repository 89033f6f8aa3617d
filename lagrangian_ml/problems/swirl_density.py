"""A mass in LeVeque's swirl: at half the period it is a thin arc, in the end it is where it was.

LeVeque 1996 (doi 10.1137/0733033), sec. 4, on the unit square with the period T = 1.5: the velocity is free of
divergence, so ρ(t, x) = ρ₀(X) at the label X, found by 48 Runge–Kutta steps backwards. ρ₀ is one Gaussian.
"""

from dataclasses import dataclass, field

import jax

from ..core import Problem, Samples
from ..domains import Box
from ..equations import Continuity, Swirl
from ..flows import NormalMixture, OdeFlow, TransportedDensity
from ..metrics import blank_samples, evaluate_field
from .fresh_observations import FreshObservations

PERIOD = 1.5
_NUM_TIMES, _NUM_POINTS = 31, 49  # of the stored truth, along time and along an axis


@dataclass(frozen=True)
class CarriedMass:
    """The truth: `density` is (ρ, v) at a point, `samples()` its values on a grid, computed when first asked for."""

    density: TransportedDensity
    problem: Problem
    _kept: list[Samples] = field(default_factory=list, init=False, repr=False, compare=False)

    def samples(self) -> Samples:
        if not self._kept:
            blank = blank_samples(self.problem, (_NUM_TIMES, _NUM_POINTS, _NUM_POINTS))
            known = evaluate_field(self.density, blank.point, batch_size=_NUM_POINTS**2)
            self._kept.append(Samples(blank.point, known, blank.grid))
        return self._kept[0]


def swirl_density(*, width: float | int = 0.08, horizon: float | int = PERIOD) -> Problem:
    """The continuity equation for (ρ, v) on the unit square; a Gaussian of `width` starts at (0.5, 0.75)."""
    settings = {"equation": Continuity(2), "domain": Box([0.0, 0.0], [1.0, 1.0]), "horizon": float(horizon)}
    base = NormalMixture([(0.5, 0.75)], width=width)
    carried = TransportedDensity(OdeFlow(Swirl(PERIOD), num_steps=48), base)
    return Problem(**settings, reference=CarriedMass(carried, Problem(**settings)))


def swirl_observations(
    problem: Problem,
    *,
    num_samples: int = 8192,
    num_times: int = 31,
    pool: int = 4,
    log_density_noise: float | int = 0.023,
    velocity_noise: float | int = 0.014,
    seed: int = 0,
) -> Samples:
    """Noisy (ρ, v) at `num_times` equal times, see `FreshObservations`; `seed` decides all."""
    times = tuple(problem.horizon * i / (num_times - 1) for i in range(num_times)) if problem.horizon else ()
    source = FreshObservations(
        problem.reference.density,
        problem.domain.from_unit,
        2,
        times,
        num_samples,
        pool,
        log_density_noise,
        velocity_noise,
    )
    return jax.jit(lambda key: source.draw(key))(jax.random.key(seed))
