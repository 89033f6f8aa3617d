"""Observations for inverse problems: of a problem's exact solution with seeded noise, or from a file."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from ..core import Point, Problem, Samples
from ..domains.files import read_samples
from ..metrics import evaluate_field


def observations(
    problem: Problem,
    *,
    path: str | Path | None = None,
    num_samples: int = 2000,
    noise: float | int = 0.01,
    seed: int = 0,
) -> Samples:
    """Values of u at `num_samples` scattered points of the problem, or all those of the file `path`.

    Without a file the exact reference is sampled uniformly in space and time, and normal noise of standard deviation
    `noise` times that of u is added; `seed` decides both. A file is used as it is, without further noise.

    Raises:
        ValueError: if there is neither a file nor an exact reference, or a number is out of range.
    """
    if path is not None:
        return read_samples(path, problem)
    exact: Any = problem.reference if callable(problem.reference) else None
    if exact is None:
        raise ValueError("this problem has no exact solution to observe; name a file of observations by `path`.")
    if num_samples < 1 or noise < 0:
        raise ValueError(f"num_samples={num_samples} must be at least 1 and noise={noise} at least 0.")
    x_key, t_key, noise_key = jax.random.split(jax.random.key(seed), 3)
    x = problem.domain.sample(num_samples, key=x_key, law="uniform")
    t = None if problem.horizon is None else problem.horizon * jax.random.uniform(t_key, (num_samples,))
    u = evaluate_field(exact, Point(x, t))
    return Samples(Point(x, t), u + noise * jnp.std(u) * jax.random.normal(noise_key, u.shape))
