"""Noisy observations of a known density and its velocity, drawn anew at every step, or once and stored."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from ..core import Batch, Fixed, Objective, Point, Problem, Samples
from ..domains import unit_points


class FreshObservations(eqx.Module):
    """A source of "data": Samples of u = (ρ, v); its whole state is a key.

    Args:
        field: the truth, (ρ, v) at a point.
        place: a point from `num_units` numbers of (0, 1).
        times: those of observations, each equally likely.
        num_points: observations a step.
        pool: so many times more are drawn; kept are those with the chance 1 + ρ/mean ρ, without repetition, or most
            would lie where there is nothing. 1 keeps all.
        log_density_noise, velocity_noise: standard deviations of normal noise on log ρ and on v.
    """

    field: Fixed
    place: Callable[[Float[Array, " k"]], Float[Array, " d"]] = eqx.field(static=True)
    num_units: int = eqx.field(static=True)
    times: tuple[float, ...] = eqx.field(static=True)
    num_points: int = eqx.field(static=True)
    pool: int = eqx.field(static=True)
    log_density_noise: float = eqx.field(static=True)
    velocity_noise: float = eqx.field(static=True)

    def __init__(
        self, field, place, num_units, times, num_points=1024, pool=1, log_density_noise=0.0, velocity_noise=0.0
    ):
        self.field, self.place, self.num_units, self.times = Fixed(field), place, num_units, tuple(times)
        self.num_points, self.pool = num_points, pool
        self.log_density_noise, self.velocity_noise = float(log_density_noise), float(velocity_noise)
        if min(num_points, pool, len(self.times)) < 1 or min(self.log_density_noise, self.velocity_noise) < 0:
            raise ValueError(
                f"num_points={num_points}, pool={pool}, {len(self.times)} times, noise {log_density_noise} and "
                f"{velocity_noise}: observations need at least 1 of each, and noise ≥ 0."
            )

    @property
    def terms(self) -> tuple[str, ...]:
        return ("data",)

    def init(self, key: Key[Array, ""]) -> PyTree:
        return key

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        state, key = jax.random.split(state)
        return {"data": self.draw(key)} if "data" in objective else {}, state

    def draw(self, key: Key[Array, ""]) -> Samples:
        """`num_points` observations."""
        unit_key, noise_key, choice_key = jax.random.split(key, 3)
        units = unit_points(self.pool * self.num_points, self.num_units + 1, key=unit_key)
        x, times = jax.vmap(self.place)(units[:, 1:]), jnp.asarray(self.times, units.dtype)
        t = times[(units[:, 0] * len(self.times)).astype(jnp.int32)]
        u = jax.vmap(self.field.value)(t, x)
        noise = jax.random.normal(noise_key, u.shape, u.dtype)
        rho = u[:, :1] * jnp.exp(self.log_density_noise * noise[:, :1])
        samples = Samples(Point(x, t), jnp.concatenate([rho, u[:, 1:] + self.velocity_noise * noise[:, 1:]], axis=1))
        return samples if self.pool == 1 else self._keep(samples, choice_key)

    def _keep(self, samples, key):
        """Without repetition: the largest log-chances with Gumbel noise (Vieira 2014)."""
        rho = samples.u[:, 0]
        chance = jnp.log1p(rho / jnp.mean(rho)) + jax.random.gumbel(key, rho.shape, rho.dtype)
        _, kept = jax.lax.top_k(chance, self.num_points)
        return jax.tree.map(lambda a: a[kept], samples)


def exact_field(problem: Problem) -> Any:
    """The problem's exact solution. ValueError if it has none."""
    field: Any = problem.reference
    if not callable(field):
        raise ValueError("this problem has no exact solution to observe; give observations, arrays or a file of them.")
    return field


def equal_times(num_times: int, until: float) -> tuple[float, ...]:
    """`num_times` equal times of [0, until], ends included. ValueError for less than two."""
    if num_times < 2:
        raise ValueError(f"num_times={num_times}: observations at equal times need at least 2, the first and the last.")
    return tuple(until * i / (num_times - 1) for i in range(num_times))


def stored_observations(
    problem: Problem,
    *,
    num_samples: int = 8192,
    num_times: int = 31,
    pool: int = 4,
    log_density_noise: float | int = 0.023,
    velocity_noise: float | int = 0.014,
    seed: int = 0,
) -> Samples:
    """`num_samples` of `fresh_observations`, drawn once; `seed` decides all."""
    noise = {"log_density_noise": log_density_noise, "velocity_noise": velocity_noise}
    source = fresh_observations(problem, num_points=num_samples, num_times=num_times, pool=pool, **noise)
    return jax.jit(lambda key: source.draw(key))(jax.random.key(seed))


def fresh_observations(
    problem: Problem,
    *,
    num_points: int = 1024,
    num_times: int = 21,
    until: float | None = None,
    pool: int = 1,
    log_density_noise: float | int = 0.023,
    velocity_noise: float | int = 0.014,
) -> FreshObservations:
    """Observations anywhere in the domain, at `num_times` equal times of [0, `until`], the horizon unless given."""
    last = problem.horizon if until is None else until
    if last is None or not 0 < last <= (problem.horizon or 0.0):
        raise ValueError(f"until={until} must be a time in (0, {problem.horizon}].")
    times = equal_times(num_times, last)
    domain, field = problem.domain, exact_field(problem)
    return FreshObservations(
        field, domain.from_unit, domain.unit_dim, times, num_points, pool, log_density_noise, velocity_noise
    )
