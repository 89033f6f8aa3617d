"""The truth of a periodic problem without a closed form: its own equation solved by ETDRK4, in float64."""

import math
import warnings
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Grid, Point, Problem, Samples, rollout
from ..solvers import ETDRK
from ..solvers.state import values_on

_TOLERANCE = 1e-4


@dataclass(frozen=True)
class SpectralReference:
    """`samples()` solves on `resolution` points an axis, in at least `steps_per_time` steps for each unit of time.

    `num_times` + 1 frames are kept, and every `stride`-th grid point of them. The solution is computed when first
    asked for, in float64 whatever the precision of the run, and again with half the points and half the steps; if
    the two differ by more than 1e-4 of u, which is far more than the error of the finer one, a warning says so.
    Raises ValueError for a steady problem, an odd resolution or a number below 1.
    """

    problem: Problem
    resolution: int
    steps_per_time: int
    num_times: int = 100
    stride: int = 1
    dealias: float = 2 / 3
    _solved: list[Samples] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self):
        if self.problem.horizon is None:
            raise ValueError("a steady problem has nothing to step in time; give another reference.")
        numbers = {name: getattr(self, name) for name in ("resolution", "steps_per_time", "num_times", "stride")}
        for name, number in numbers.items():
            if number < 1 or (name == "resolution" and number % 2):
                raise ValueError(f"{name}={number} is not allowed: numbers are at least 1, the resolution is even.")

    def samples(self) -> Samples:
        """The frames on the stored grid points, (t, *s). Warns, once, if they have not converged."""
        if not self._solved:
            with jax.enable_x64(True):
                self._solved.append(self._solve())
        return jax.tree.map(lambda a: jnp.asarray(np.asarray(a)), self._solved[0])  # float32 where float64 is off

    def _solve(self):
        problem, dim = self.problem, self.problem.domain.dim
        assert problem.horizon is not None
        steps = 2 * math.ceil(self.steps_per_time * problem.horizon / (2 * self.num_times))  # for each frame
        frames, x = self._frames(self.resolution, steps, self.stride)
        skip = 1 + self.stride % 2  # the stored points that the coarse grid has too
        coarse, _ = self._frames(self.resolution // 2, steps // 2, self.stride * skip // 2)
        self._judge(frames[(..., *_every(skip, dim))], coarse)
        num_frames, num_points = frames.shape[0], math.prod(x.shape[1:])
        t = jnp.repeat(jnp.linspace(0.0, problem.horizon, num_frames), num_points)
        x = jnp.tile(x.reshape(dim, -1).T, (num_frames, 1))
        u = jnp.moveaxis(frames, 1, -1).reshape(num_frames * num_points, -1)
        return Samples(Point(x, t), u, (num_frames, *frames.shape[2:]))

    def _frames(self, resolution, steps, stride):
        """Frames (t, c, *s) at every `stride`-th point, `steps` steps apart, and these points (d, *s)."""
        problem, domain = self.problem, self.problem.domain
        assert problem.initial is not None and problem.horizon is not None
        grid = Grid((resolution,) * domain.dim, *domain.bounds)
        stepper = ETDRK(problem.equation, grid, problem.horizon / (steps * self.num_times), dealias=self.dealias)
        start, stored = values_on(grid, problem.equation, problem.initial), (..., *_every(stride, domain.dim))
        save = lambda state: stepper.values(state)[stored]
        solve = jax.jit(lambda u: rollout(stepper, u, steps * self.num_times, save_every=steps, save=save))
        return jnp.concatenate([start[stored][None], solve(stepper.init(start))]), grid.points[stored]

    def _judge(self, frames, coarse):
        error, size = (float(jnp.linalg.norm(jnp.ravel(u))) for u in (coarse - frames, frames))
        if not error <= _TOLERANCE * size:
            warnings.warn(
                f"the reference of {type(self.problem.equation).__name__} changes by {error / (size or 1):.1e} of "
                f"itself if resolution={self.resolution} and steps_per_time={self.steps_per_time} are halved: errors "
                "near that mean nothing. Give the problem a SpectralReference with more of both.",
                stacklevel=4,
            )


def _every(stride, dim):
    return (slice(None, None, stride),) * dim
