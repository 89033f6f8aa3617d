"""A scene: all that a simulation needs but the unknowns, and what is wanted of it. The `Problem` of particles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..core import Grid, rollout
from ..linalg.components import Vector
from .boundaries import Walls
from .state import Particles
from .stepper import MPM, State

# What a scene finds of its frames: `(times (t,), positions (t, p, d)) -> {name: number}`.
Judge = Callable[[Float[np.ndarray, " t"], Float[np.ndarray, "t p d"]], Mapping[str, float]]


class Plant(NamedTuple):
    """What a controller has to know of a scene: its constructor is `controller(plant, *, key)`."""

    num_actuators: int
    dim: int
    duration: float
    dt: float
    num_goals: int = 0


@dataclass(frozen=True)
class Scene:
    """Particles, grid, materials and boundaries; `num_steps` steps of `dt`; and a task for the `marked` particles.

    Their centre is to move along `direction` as far as it can, or to end at `target`, or, with `goals`, at any place in
    that box (lower, upper), which the controller is told. `judge` compares frames with a known truth.

    Raises ValueError for a scene that `MPM` refuses, for num_steps < 1, and for more than one task.
    """

    particles: Particles
    grid: Grid
    dt: float
    num_steps: int
    materials: tuple[Any, ...]
    boundaries: tuple[Callable[..., Vector], ...] = ()
    gravity: Sequence[float] | None = None
    fibres: Any = None
    marked: Bool[np.ndarray, " p"] | None = None
    direction: Sequence[float] | None = None
    target: Sequence[float] | None = None
    goals: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    judge: Judge | None = None
    settings: Mapping[str, Any] | None = None  # of MPM: kernel, scheme, flip, backend

    def __post_init__(self):
        if self.num_steps < 1:
            raise ValueError(f"num_steps={self.num_steps}: a scene has at least one step.")
        if sum(task is not None for task in (self.direction, self.target, self.goals)) > 1:
            raise ValueError("a scene has one task: give direction, target or goals.")
        goals = self.goals or ()
        for name, value in {"direction": self.direction, "target": self.target, "goals": goals}.items():
            for vector in goals if name == "goals" else (value,):
                if vector is not None and (len(vector) != self.dim or not np.all(np.isfinite(vector))):
                    raise ValueError(f"{name}={value} needs {self.dim} finite numbers for a grid of {self.dim} axes.")
        if self.marked is not None and (np.shape(self.marked) != (self.particles.num,) or not np.any(self.marked)):
            raise ValueError(
                f"marked has the shape {np.shape(self.marked)}; give ({self.particles.num},), true for some particles."
            )
        self.stepper()  # says what is wrong with the rest

    def stepper(self) -> MPM:
        """The step of the scene, without a controller."""
        return MPM(
            self.particles,
            self.grid,
            self.dt,
            materials=self.materials,
            boundaries=self.boundaries,
            gravity=None if self.gravity is None else tuple(self.gravity),
            fibres=self.fibres,
            **(self.settings or {}),
        )

    @property
    def dim(self) -> int:
        return self.grid.dim

    @property
    def duration(self) -> float:
        return self.num_steps * self.dt

    @property
    def plant(self) -> Plant:
        num = int(np.max(np.asarray(self.particles.actuator), initial=-1)) + 1
        return Plant(num, self.dim, self.duration, self.dt, 0 if self.goals is None else len(self.goals[0]))

    @property
    def weights(self) -> Float[Array, " p"]:
        """By which positions sum to the centre of mass of the marked particles."""
        counts = self.particles.alive if self.marked is None else self.particles.alive & jnp.asarray(self.marked)
        mass = jnp.where(counts, self.particles.mass, 0.0)
        return mass / jnp.sum(mass)

    def center(self, x: Float[Array, "p d"]) -> Float[Array, " d"]:
        """The centre of mass of the marked particles."""
        return self.weights @ jnp.where(self.particles.alive[:, None], x, 0.0)

    @property
    def box(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(lower, upper) of the first walls, or of the grid, and of what is held inside them: what figures show."""
        inside = next((boundary for boundary in self.boundaries if isinstance(boundary, Walls)), self.grid)
        x = np.asarray(self.particles.x)[np.asarray(self.particles.alive)]
        lower, upper = np.minimum(inside.lower, x.min(axis=0)), np.maximum(inside.upper, x.max(axis=0))
        return tuple(map(float, lower)), tuple(map(float, upper))


def play(
    scene: Scene, start: tuple[MPM, State], num_frames: int
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, "t p d"], Float[np.ndarray, "t a"], int]:
    """(times, positions, tensions of the actuators, number of particles that escaped) of frames, the first at t = 0.

    At most `num_frames` follow, equally far apart, the last at the end; so the first may be a little later.
    """
    step, state = start
    every = -(-scene.num_steps // num_frames)
    rest = scene.num_steps % every
    first = np.asarray(step.positions(state))[None], np.asarray(step.tension(state))[None]
    x, tension, escaped = _play(step, state, scene.num_steps, every)
    times = scene.dt * np.concatenate([[0], rest + every * np.arange(1, len(x) + 1)])
    return times, np.concatenate([first[0], x]), np.concatenate([first[1], tension]), int(escaped[-1])


@eqx.filter_jit
def _play(step, state, num_steps, every):
    save = lambda state: (step.positions(state), step.tension(state), state.escaped)
    rest = num_steps % every
    state = final_state(step, state, rest, None, lambda state: state) if rest else state
    return rollout(step, state, num_steps - rest, save_every=every, save=save)


def final_state(
    step: MPM, state: State, num_steps: int, memory_budget: int | None, save: Callable[[State], Any]
) -> Any:
    """`save` of the last state, to be differentiated within `memory_budget` bytes for stored states."""
    saved = rollout(step, state, num_steps, save_every=num_steps, save=save, memory_budget=memory_budget)
    return jax.tree.map(lambda leaf: leaf[-1], saved)
