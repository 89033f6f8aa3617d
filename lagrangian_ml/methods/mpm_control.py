"""Control through differentiable particles: what moves a scene is trained on where its particles end up.

ChainQueen (Hu et al. 2019, arXiv 1810.01054) and DiffTaichi (Hu et al. 2020, arXiv 1910.00935): the gradient of an
objective at the end of a rollout of MLS-MPM goes back through every step into a controller, a sequence of actuations,
or an initial velocity. One term, by the scene's task, with c the centre of mass of its marked particles:
- "distance", a loss: −(c(T) − c(0))·direction;
- "target", a residual: (c(T) − target)/L, L the distance at the start;
- "goal", a residual: (c(T) − goal)/L for goals drawn in the scene's box; L is half its diagonal.
Differences: reverse mode within a memory budget; any optimizer, also on the residuals; goals are a batch, rolled out at
once.
"""

import math
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from ..core import Batch, Fixed, Objective, Source, Term
from ..domains import ArraySource, collocation
from ..linalg.components import Vector
from ..particles import MPM, Scene, Sines, State, final_state, play, save_npz
from ..training import Task

_NUM_FRAMES = 60
_HELD_OUT = 16  # goals by which a controller is judged; none of them is trained on
_HIT = 0.05  # a target or goal counts as reached within this part of L


class Launch(eqx.Module):
    """The initial velocity (d,) of the marked particles, as what is trained; others start as the scene says."""

    velocity: Float[Array, " d"]

    def __init__(self, plant: Any, *, velocity: tuple[float, ...] | None = None, key: Key[Array, ""] | None = None):
        """Begins at rest unless `velocity` is given; no `key` is used. ValueError if it has not d entries."""
        self.velocity = jnp.asarray(velocity or (0.0,) * plant.dim, jnp.result_type(float))
        if self.velocity.shape != (plant.dim,):
            raise ValueError(f"velocity={velocity}: the scene has {plant.dim} dimensions.")

    def apply(self, step: MPM, state: State, marked: Float[Array, " p"]) -> tuple[MPM, State]:
        marked = marked[step.order] > 0
        v = Vector(*(jnp.where(marked, new, old) for new, old in zip(self.velocity, state.v, strict=True)))
        return step, eqx.tree_at(lambda state: state.v, state, v)


def mpm_control(
    problem: Scene,
    model: Callable[..., Any] = Sines,
    source: Callable[..., Source] = collocation,
    *,
    num_goals: int = 4,
    memory_budget: int = 256_000_000,
    key: Key[Array, ""],
) -> Task:
    """The task of driving `problem`; the trained model is a controller, or what has `apply(step, state, weights)`.

    Errors: "distance" covered, or "target_distance" over L; for goals the mean over goals that were never trained on,
    and "success", the part of them reached within 5 % of L. Figures: stills, an animation, and the frames as npz.

    Args:
        problem: a scene with a direction, a target or goals.
        model: its constructor, `model(plant, *, key)`.
        source: not used: nothing but goals is sampled.
        num_goals: drawn for a step and rolled out at once.
        memory_budget: bytes for the states kept in reverse mode, those of all goals together.
        key: draws the initial parameters.

    Raises:
        ValueError: for a scene without a task, or where not even nested checkpoints fit into the budget.
    """
    if not isinstance(problem, Scene) or (problem.direction is problem.target is problem.goals is None):
        raise ValueError(
            f"there is nothing to reach in this {type(problem).__name__}: control needs a Scene with direction, target "
            "or goals, such as walker, throw, arm or finger."
        )
    if num_goals < 1:
        raise ValueError(f"num_goals={num_goals} must be at least 1.")
    drive = _Drive(problem, memory_budget if problem.goals is None else memory_budget // num_goals)
    controller = model(problem.plant, key=key)
    if problem.goals is not None and not hasattr(controller, "goal"):
        raise ValueError(f"{type(controller).__name__} has no `goal` to be told; take Feedback, or give one target.")
    if not hasattr(controller, "apply") and not problem.plant.num_actuators:
        raise ValueError(f"this scene has no actuators for {type(controller).__name__} to drive; take Launch.")
    jax.eval_shape(lambda: drive.end(controller, None))  # refuses a small budget and a controller that does not fit
    return Task(
        model=controller,
        objective=drive.objective,
        source=drive.source(num_goals),
        field=None,
        errors=drive.errors,
        figures=lambda model, history, directory, title: _figures(drive, model, history, directory, title),
    )


class _Drive:
    """A scene with its compiled rollouts."""

    def __init__(self, scene: Scene, memory_budget: int):
        self.scene, self.memory_budget = scene, memory_budget
        self.base, self.weights = scene.stepper(), scene.weights
        self.start = scene.center(scene.particles.x)
        self.end = eqx.filter_jit(self._end)

    @property
    def length(self) -> float:
        """L, by which distances count."""
        if self.scene.goals is not None:
            return 0.5 * math.dist(*self.scene.goals)
        return math.dist(np.asarray(self.start), self.scene.target) if self.scene.target is not None else 1.0

    @property
    def objective(self) -> Objective:
        scene = self.scene
        like = lambda values: jnp.asarray(values, self.start.dtype)
        if scene.direction is not None:
            travel = lambda model, _: -jnp.vdot(self.end(model, None) - self.start, like(scene.direction))[None]
            return {"distance": Term(travel, kind="loss")}
        if scene.target is not None:
            return {"target": Term(lambda model, _: (self.end(model, None) - like(scene.target)) / self.length)}
        return {"goal": Term(lambda model, goal: (self.end(model, goal) - goal) / self.length)}

    def source(self, num_goals: int) -> Source:
        if self.scene.goals is not None:
            return Goals(*self.scene.goals, num=num_goals)
        return ArraySource({name: jnp.zeros(1, self.start.dtype) for name in self.objective})

    def begin(self, model: Any, goal: Any) -> tuple[MPM, State]:
        if goal is not None:
            model = eqx.tree_at(lambda model: model.goal, model, Fixed(goal))
        state = self.base.init(self.scene.particles)
        if hasattr(model, "apply"):
            return model.apply(self.base, state, self.weights)
        return eqx.tree_at(lambda step: step.controller, self.base, model, is_leaf=lambda node: node is None), state

    def _end(self, model: Any, goal: Any) -> Float[Array, " d"]:
        step, state = self.begin(model, goal)
        center = lambda state: self.scene.center(step.positions(state))
        return final_state(step, state, self.scene.num_steps, self.memory_budget, center)

    def errors(self, model: Any) -> dict[str, float]:
        scene = self.scene
        if scene.direction is not None:
            travelled = self.end(model, None) - self.start
            return {"distance": float(travelled @ jnp.asarray(scene.direction, self.start.dtype))}
        if scene.target is not None:
            return {"target_distance": float(self._miss(model, jnp.asarray(scene.target, self.start.dtype), None))}
        misses = np.asarray([self._miss(model, goal, goal) for goal in self.held_out])
        return {"target_distance": float(misses.mean()), "success": float((misses <= _HIT).mean())}

    @property
    def held_out(self) -> Float[Array, "n d"]:
        """Goals that `Goals` does not draw, but by chance: their key is another one."""
        goals = self.source(_HELD_OUT)
        return goals.next(jax.random.key(20_261_126), None, {})[0]["goal"]

    def _miss(self, model, target, goal):
        return jnp.linalg.norm(self.end(model, goal) - target) / self.length


class Goals(eqx.Module):
    """The source of "goal": `num` places in a box, drawn anew for every step; its state is a key."""

    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    num: int = eqx.field(static=True)

    @property
    def terms(self) -> tuple[str, ...]:
        return ("goal",)

    def init(self, key: Key[Array, ""]) -> PyTree:
        return key

    def next(self, state: PyTree, model: Any, objective: Objective) -> tuple[Batch, PyTree]:
        state, key = jax.random.split(state)
        ends = (jnp.asarray(end, jnp.result_type(float))[None] for end in (self.lower, self.upper))
        lower, upper = ends
        return {"goal": lower + (upper - lower) * jax.random.uniform(key, (self.num, lower.shape[1]))}, state


def _figures(drive, model, history, directory, title):
    from ..plots import animate_particles, save_particle_stills, save_run_figures  # matplotlib is slow to import

    scene = drive.scene
    goal = None if scene.goals is None else drive.held_out[0]
    target = scene.target if scene.target is not None else goal
    times, x, tension, escaped = play(scene, drive.begin(model, goal), _NUM_FRAMES)
    if escaped:
        warnings.warn(f"{escaped} particles left the grid in this rollout.", stacklevel=2)
    save_npz(directory / "frames.npz", SimpleNamespace(x=x), times)
    actuator = np.asarray(scene.particles.actuator)
    shown = np.where(actuator >= 0, tension[:, np.maximum(actuator, 0)], 0.0) if tension.shape[1] else None
    look = {
        "color_by": shown if shown is not None else np.asarray(scene.particles.material),
        "box": scene.box,
        "targets": None if target is None else np.asarray(target)[None],
        "label": "tension" if shown is not None else "",
        "title": title,
    }
    paths = save_particle_stills(x, times, directory / "particles", **look)
    paths.append(animate_particles(x, times, directory / "particles.gif", **look))
    return [*paths, *save_run_figures(title, None, None, history, directory)]
