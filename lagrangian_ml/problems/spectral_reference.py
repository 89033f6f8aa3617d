"""The truth of a periodic problem without a closed form: its own equation solved by ETDRK4, in float64."""

from dataclasses import dataclass, field
from math import prod

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Point, Problem, Samples, rollout
from ..jets import PeriodicGrid
from ..solvers import ETDRK4


@dataclass(frozen=True)
class SpectralReference:
    """`samples()` solves on `resolution` points an axis in `num_steps` steps and keeps `num_times` + 1 frames.

    Every `stride`-th grid point is stored. The solution is computed when first asked for, in float64 whatever the
    precision of the run; how far it has converged is tested for each problem that uses it.
    """

    problem: Problem
    resolution: int
    num_steps: int
    num_times: int = 100
    stride: int = 1
    dealias: float = 2 / 3
    _solved: list[Samples] = field(default_factory=list, init=False, repr=False, compare=False)

    def samples(self) -> Samples:
        """The frames on the stored grid points, (t, *s)."""
        if not self._solved:
            with jax.enable_x64(True):
                self._solved.append(self._solve())
        return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), self._solved[0])  # float32 where float64 is off

    def _solve(self):
        problem, domain = self.problem, self.problem.domain
        if problem.horizon is None or problem.initial is None:
            raise ValueError("a steady problem has nothing to step in time; give another reference.")
        grid = PeriodicGrid((self.resolution,) * domain.dim, *domain.bounds)
        stepper = ETDRK4(problem.equation, grid, problem.horizon / self.num_steps, dealias=self.dealias)
        start = stepper.init(problem.initial)
        save_every = self.num_steps // self.num_times
        stored = (slice(None),) + (slice(None, None, self.stride),) * domain.dim
        solve = jax.jit(
            lambda u: rollout(stepper, u, self.num_steps, save_every=save_every, save=lambda s: s.values[stored])
        )
        frames = jnp.concatenate([start.values[stored][None], solve(start)])  # (t, c, *s)
        x = grid.points[stored]
        num_frames, num_points = frames.shape[0], prod(x.shape[1:])
        t = jnp.repeat(jnp.linspace(0.0, problem.horizon, num_frames), num_points)
        x = jnp.tile(x.reshape(domain.dim, -1).T, (num_frames, 1))
        u = jnp.moveaxis(frames, 1, -1).reshape(num_frames * num_points, -1)
        return Samples(Point(x, t), u, (num_frames, *frames.shape[2:]))
