"""The problems of `pinn_table.py` as its peers see them, and their network; run in the interpreters of the peers."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RECORDS = 40  # predictions in a run, about


class Work(NamedTuple):
    """A problem: z = (t, x), or (x, y) if steady; `xp` is the library's module of sin and cos.

    `lift(xp, *z)` is (g, D); `residual(xp, z, u, d)` has the derivatives `d(axis, …)`; `initial(xp, x)` is left to a
    soft term where it is given.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    lift: Callable
    residual: Callable
    steady: bool = False
    periodic: bool = False
    odd: bool = False
    initial: Callable | None = None


def _distance(x, lower, upper):
    """As that of our boxes, near the ends the distance itself."""
    return (x - lower) * (upper - x) / (upper - lower)


def _convection(speed):
    return Work(
        (0.0, 0.0),
        (1.0, 2 * np.pi),
        lambda xp, t, x: (0.0 * x, 1.0 + 0.0 * x),
        lambda xp, z, u, d: d(0) + speed * d(1),
        periodic=True,
        initial=lambda xp, x: xp.sin(x),
    )


WORKS = {
    "poisson": Work(
        (0.0, 0.0),
        (1.0, 1.0),
        lambda xp, x, y: (0.0 * x, 4.0 * _distance(x, 0.0, 1.0) * _distance(y, 0.0, 1.0)),
        lambda xp, z, u, d: -d(0, 0) - d(1, 1) - 2 * np.pi**2 * xp.sin(np.pi * z[0]) * xp.sin(np.pi * z[1]),
        steady=True,
    ),
    "heat": Work(
        (0.0, 0.0),
        (1.0, 1.0),
        lambda xp, t, x: (xp.sin(np.pi * x), t * _distance(x, 0.0, 1.0)),
        lambda xp, z, u, d: d(0) - 0.25 * d(1, 1),
    ),
    "burgers": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (-xp.sin(np.pi * x), t * _distance(x, -1.0, 1.0)),
        lambda xp, z, u, d: d(0) + u * d(1) - 0.01 / np.pi * d(1, 1),
        odd=True,
    ),
    "allen_cahn": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (0.0 * x, 1.0 + 0.0 * x),
        lambda xp, z, u, d: d(0) - 1e-4 * d(1, 1) - 5 * u + 5 * u**3,
        periodic=True,
        initial=lambda xp, x: x**2 * xp.cos(np.pi * x),
    ),
    "kdv": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (xp.cos(np.pi * x), t),
        lambda xp, z, u, d: d(0) + u * d(1) + 0.022**2 * d(1, 1, 1),
        periodic=True,
    ),
    "convection": _convection(50.0),
    "advection": _convection(100.0),
}


def features(work: Work, xp: Any, z: list, options: dict) -> list:
    """The inputs of the network at the coordinates z."""
    *rest, x = [(2 * a - lo - up) / (up - lo) for a, lo, up in zip(z, work.lower, work.upper, strict=True)]
    rest = rest if work.steady else [options["time_scale"] * rest[0]]
    if not work.periodic:
        return [*rest, x]
    harmonics = range(1, options["harmonics"] + 1)
    return [*rest, *(wave(k * np.pi * x) for wave in (xp.sin, xp.cos) for k in harmonics)]


def num_features(work: Work, options: dict) -> int:
    return 1 + (2 * options["harmonics"] if work.periodic else 1)


def mirrored(work: Work, z: list) -> list:
    """The point on the other side of the middle of the last axis."""
    return [*z[:-1], work.lower[-1] + work.upper[-1] - z[-1]]


class Stopwatch:
    """Says when to predict: `RECORDS` times in the given seconds, of which pauses are no part."""

    def __init__(self, seconds: float):
        self.seconds, self.paused, self.due, self.begin = seconds, 0.0, 0.0, time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self.begin - self.paused

    def is_due(self) -> bool:
        return self.elapsed() >= self.due

    def pause(self, act: Callable[[], Any]) -> Any:
        """`act()`, whose time does not count."""
        start = time.perf_counter()
        result = act()
        self.paused += time.perf_counter() - start
        self.due = self.elapsed() + self.seconds / RECORDS
        return result


def jax_field(work: Work, options: dict, key: Any) -> Any:
    """The ansatz around a network of one point as an Equinox module: an MLP, or sines of random frequencies."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    class Net(eqx.Module):
        frequencies: jax.Array | None
        layers: Any

        def __call__(self, z):
            z = list(z)
            n = 0.5 * (self.network(z) - self.network(mirrored(work, z))) if work.odd else self.network(z)
            g, D = work.lift(jnp, *z)
            return (g + D * n)[None]

        def network(self, z):
            inputs = jnp.stack(features(work, jnp, z, options))
            frequencies = fixed if self.frequencies is None else self.frequencies
            if frequencies is not None:
                phases = 2 * np.pi * frequencies @ inputs
                inputs = jnp.concatenate([jnp.sin(phases), jnp.cos(phases)])
            return self.layers(inputs)[0]

    inputs, waves, fixed = num_features(work, options), options["waves"], None
    if waves:
        wave_key, key = jax.random.split(key)
        frequencies = options["wave_scale"] * jax.random.normal(wave_key, (waves, inputs))
        fixed = None if options["learned_waves"] else frequencies
        return Net(frequencies if options["learned_waves"] else None, eqx.nn.Linear(2 * waves, 1, key=key))
    return Net(None, eqx.nn.MLP(inputs, 1, options["width"], options["depth"], jnp.tanh, key=key))
