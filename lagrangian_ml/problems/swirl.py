"""A smooth blob in LeVeque's swirl on the unit square: drawn out into a spiral, and brought back to its start at t = T.

LeVeque 1996 (doi 10.1137/0733033), with T = 1.5 and a Gaussian of width 0.1 at (0.5, 0.75). Nothing crosses the
walls, where the velocity vanishes. The truth is the initial value at the foot of the characteristic, which an adaptive
solver of order 8 follows back in time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax.numpy as jnp

from ..core import Problem, Samples
from ..domains import Box
from ..equations import PassiveTransport, Swirl
from ..flows import OdeFlow
from ..metrics import blank_samples, evaluate_field


@dataclass(frozen=True)
class TracedBack:
    """`samples()` are the exact values of the blob that `velocity` carries.

    The characteristics are computed when they are first asked for, to 1e-10, on the grid of `metrics.blank_samples`.
    """

    problem: Problem
    velocity: Callable
    _found: list[Samples] = field(default_factory=list, init=False, repr=False, compare=False)

    def samples(self) -> Samples:
        if not self._found:
            points, flow = blank_samples(self.problem), OdeFlow(self.velocity)
            u = evaluate_field(lambda t, x: _blob(flow.inverse(t, x)[0]), points.point)
            self._found.append(Samples(points.point, u, points.grid))
        return self._found[0]


def swirl(equation: PassiveTransport | None = None, *, horizon: float = 1.5) -> Problem:
    """u_t + v·∇u = 0 with the velocity of the swirl, u(0, x) = exp(−|x − (0.5, 0.75)|²/(2·0.1²))."""
    equation = PassiveTransport(Swirl(1.5)) if equation is None else equation
    problem = Problem(equation, Box([0.0, 0.0], [1.0, 1.0]), _blob, horizon=horizon)
    is_carried_only = isinstance(equation.diffusivity, int | float) and equation.diffusivity == 0
    return replace(problem, reference=TracedBack(problem, equation.field)) if is_carried_only else problem


def _blob(x):
    return jnp.exp(-50 * jnp.sum((x - jnp.asarray([0.5, 0.75], x.dtype)) ** 2))[None]
