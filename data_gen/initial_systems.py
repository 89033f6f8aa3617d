"""Initial-condition laws of fields that belong together: gases, water behind a dam, reacting substances, flows.

Like those of `initial`: frozen callables `law(grid, *, key) -> (c, *s)` that draw a function, whatever the grid. Where
extremes scale a field, they are taken on points of the box that do not depend on the grid either.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from lagrangian_ml.core import Grid
from lagrangian_ml.equations.euler import Euler

from .initial import (
    GaussianRandomField,
    InterpolatedNoise,
    Law,
    Range,
    SineWaves,
    require_ranges,
    uniform,
)

REFERENCE_POINTS = 1024  # of an interval, on which extremes are taken


@dataclass(frozen=True)
class DamBreak:
    """Water at rest, of depth `inner` within a circle about the centre of the box and `outer` outside: (h, hv).

    The radius is uniform in `radius`; in one dimension the circle is an interval.
    """

    radius: Range = (0.3, 0.7)
    inner: float = 2.0
    outer: float = 1.0

    def __post_init__(self):
        require_ranges(self, "radius", positive=True)

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "c *s"]:
        center = [0.5 * (a + b) for a, b in zip(grid.lower, grid.upper, strict=True)]
        x = grid.points
        distance = jnp.linalg.norm(x - jnp.reshape(jnp.asarray(center), (-1,) + (1,) * grid.dim), axis=0)
        depth = jnp.where(distance <= uniform(key, 0, self.radius), self.inner, self.outer)
        return jnp.concatenate([depth[None], jnp.zeros_like(x)])


@dataclass(frozen=True)
class GasWaves:
    """A gas on an interval with density, velocity and pressure after `SineWaves`, in conserved form (ρ, ρv, E).

    The waves of density and pressure are moved and scaled to [b, b + m], with b and m log-uniform in their ranges;
    those of the velocity stay as they are drawn. The window of the waves stands at places, not at shares of the box.
    """

    gamma: float = 5 / 3
    density: Range = (1.0, 10.0)
    pressure: Range = (10.0, 100.0)
    waves: SineWaves = SineWaves(num_waves=2, modes=(1, 3), absolute=0.1, flip=True, window=0.5)

    def __post_init__(self):
        require_ranges(self, "density", "pressure", positive=True)

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "3 n"]:
        points = jnp.concatenate([grid.points[0], Grid((REFERENCE_POINTS,), grid.lower, grid.upper).points[0]])
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(3))  # of density, pressure and velocity
        waves = jax.vmap(lambda key: self.waves.at(points, grid, key=key))(keys)
        here, reference = waves[:, : grid.shape[0]], waves[:2, grid.shape[0] :]
        low, high = jnp.min(reference, axis=1, keepdims=True), jnp.max(reference, axis=1, keepdims=True)
        share = jnp.clip((here[:2] - low) / (high - low), 0.0, 1.0)
        least, most = (jnp.log(jnp.asarray(ends))[None] for ends in zip(self.density, self.pressure, strict=True))
        floor, size = jnp.exp(least + (most - least) * uniform(key, 3, (0.0, 1.0), (2, 2)))
        density, pressure = floor[:, None] + size[:, None] * share
        return Euler(gamma=self.gamma).conserved(jnp.stack([density, here[2], pressure]))


@dataclass(frozen=True)
class RiemannProblem:
    """A gas on an interval in two uniform states with one jump between them, in conserved form (ρ, ρv, E).

    Density and pressure are log-uniform in their ranges, the velocity is uniform; the jump is at a share of the
    interval that is uniform in `place`. With `separate` density, velocity and pressure jump at places of their own,
    and with `exponential` the velocity is exp of what was drawn: so the public PDEBench generator has both.
    """

    gamma: float = 5 / 3
    density: Range = (1.0, 10.0)
    velocity: Range = (-0.5, 0.5)
    pressure: Range = (10.0, 100.0)
    place: Range = (0.25, 0.75)
    separate: bool = False
    exponential: bool = False

    def __post_init__(self):
        require_ranges(self, "density", "pressure", positive=True)
        require_ranges(self, "velocity", "place")

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "3 n"]:
        at = uniform(key, 0, (0.0, 1.0), (7,))
        between = lambda ends, at: ends[0] + (ends[1] - ends[0]) * at
        of_log = lambda ends, at: jnp.exp(between(np.log(np.asarray(ends)), at))
        velocity = between(self.velocity, at[2:4])
        velocity = jnp.exp(velocity) if self.exponential else velocity
        left, right = jnp.stack([of_log(self.density, at[:2]), velocity, of_log(self.pressure, at[4:6])], axis=1)
        places = uniform(key, 1, self.place, (3,)) if self.separate else jnp.full(3, between(self.place, at[6]))
        share = (grid.points[0] - grid.lower[0]) / grid.lengths[0]
        primitive = jnp.where(share[None] < places[:, None], left[:, None], right[:, None])
        return Euler(gamma=self.gamma).conserved(primitive)


@dataclass(frozen=True)
class GaussianClusters:
    """Σ_j a_j exp(−s_j |x − c_j|²), periodic in the box, moved and scaled to [0, 1].

    The number of clusters, a and s are uniform in their ranges, the centres in the box. The extremes are those on
    256 points an axis.
    """

    num_clusters: tuple[int, int] = (10, 100)
    amplitude: Range = (1.0, 3.0)
    sharpness: Range = (150.0, 300.0)

    def __post_init__(self):
        require_ranges(self, "num_clusters", "amplitude", "sharpness", positive=True)

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 *s"]:
        least, most = self.num_clusters
        number = least + jnp.floor(uniform(key, 0, (0.0, most - least + 1.0)))
        at = uniform(key, 1, (0.0, 1.0), (2 + grid.dim, most))
        size, sharpness = (a + (b - a) * u for (a, b), u in zip((self.amplitude, self.sharpness), at[:2], strict=True))
        amplitude, centers = jnp.where(jnp.arange(most) < number, size, 0.0), at[2:]
        clusters = lambda grid: _sum_of_bumps(grid, amplitude, sharpness, centers)
        reference = clusters(Grid((256,) * grid.dim, grid.lower, grid.upper))
        low, high = jnp.min(reference), jnp.max(reference)
        return jnp.clip((clusters(grid) - low) / (high - low), 0.0, 1.0)[None]


def _sum_of_bumps(grid, amplitude, sharpness, centers):
    """A sum over the nearest periodic images is a product over the axes."""
    factors: list = [amplitude, [0]]
    for i in range(grid.dim):
        images = grid.lengths[i] * (centers[i, :, None, None] + np.arange(-1, 2)[None, :, None]) + grid.lower[i]
        bumps = jnp.exp(-sharpness[:, None, None] * (grid.axis(i)[None, None] - images) ** 2).sum(axis=1)
        factors += [bumps, [0, 1 + i]]
    return jnp.einsum(*factors, list(range(1, 1 + grid.dim)))


@dataclass(frozen=True)
class GrayScottClusters:
    """(u, v) = (1 − p, q) with independent `clusters` p and q: v has eaten u in spots."""

    clusters: Law = GaussianClusters()

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "2 *s"]:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(2))
        p, q = jax.vmap(lambda key: self.clusters(grid, key=key))(keys)
        return jnp.concatenate([1 - p, q])


@dataclass(frozen=True)
class GrayScottNoise:
    """(u, v) at a uniform state of the Gray–Scott equation with interpolated noise of `num_points` nodes an axis.

    The state is the upper one, v > 0, if k < (√F − 2F)/2, with noise of ±¼ · 0.9 · the distance to 0 or 1, and
    otherwise (1, 0), with noise of ±¼: there v starts with negative values too.
    """

    feed: float
    kill: float
    num_points: int = 32

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "2 *s"]:
        u, v, size_u, size_v = 1.0, 0.0, 1.0, 1.0
        if self.kill < (np.sqrt(self.feed) - 2 * self.feed) / 2:
            removal = self.feed + self.kill
            u = 0.5 - np.sqrt(0.25 - removal**2 / self.feed)
            v = self.feed * (1 - u) / removal
            size_u, size_v = 0.9 * min(u, 1 - u), 0.9 * min(v, 1 - v)
        noise = InterpolatedNoise(self.num_points, components=2)(grid, key=key)
        return jnp.stack([u + 0.5 * size_u * noise[0], v + 0.5 * size_v * noise[1]])


@dataclass(frozen=True)
class LogNormalSpectrum:
    """S(κ) = exp(−(log κ − log peak − s²)²/s²)/κ², s = ½: of vorticity whose velocities are largest near `peak`."""

    peak: float = 4.0

    def __call__(self, wavevector: Float[Array, " d"]) -> Float[Array, ""]:
        square = jnp.sum(wavevector**2)
        kappa = jnp.sqrt(jnp.where(square > 0, square, 1.0))
        amplitude = jnp.exp(-2.0 * (jnp.log(kappa / self.peak) - 0.25) ** 2) / kappa
        return jnp.where(square > 0, amplitude**2, 0.0)


@dataclass(frozen=True)
class FilteredFlow:
    """The vorticity ∂₁v₂ − ∂₂v₁ of a random 2-D flow with the greatest speed `max_speed`, after jax-cfd.

    Modes follow `LogNormalSpectrum(peak)` up to the number `max_mode`; the greatest speed is that on twice as many
    points an axis, and 2 more.
    """

    peak: float = 4.0
    max_speed: float = 7.0
    max_mode: int = 31

    def __call__(self, grid: Grid, *, key: Key[Array, ""]) -> Float[Array, "1 nx ny"]:
        law = GaussianRandomField(LogNormalSpectrum(self.peak), zero_mean=True, max_mode=self.max_mode)
        n = 2 * self.max_mode + 2
        reference = Grid((n, n), grid.lower, grid.upper)
        modes = jnp.fft.fft2(law(reference, key=key)[0])
        kappa = np.stack(np.meshgrid(*(2 * np.pi * np.fft.fftfreq(n, h) for h in reference.spacings), indexing="ij"))
        square = np.where((kappa**2).sum(axis=0) > 0, (kappa**2).sum(axis=0), 1.0)
        velocity = jnp.fft.ifft2(1j * (kappa[::-1] / square) * modes[None]).real  # up to the sign of one component
        speed = jnp.max(jnp.linalg.norm(velocity, axis=0))
        return self.max_speed / speed * law(grid, key=key)
