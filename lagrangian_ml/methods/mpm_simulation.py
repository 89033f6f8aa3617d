"""A simulation by MLS-MPM as a run: nothing is trained, the particles march on from frame to frame.

Hu et al. 2018 (doi 10.1145/3197517.3201293); see `particles.stepper`. A step of the run is one frame, so a simulation
is checkpointed and resumed like any run.
"""

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Fixed, Source, rollout
from ..domains import ArraySource, collocation
from ..optimizers import March
from ..particles import MPM, Scene, State, conserved, save_npz, save_vtk
from ..training import Task


class Recording(eqx.Module):
    """A step and its state, with the positions of the frames so far; the first is the start."""

    step: MPM
    state: State
    frames: Float[Array, "t p d"]
    count: Array


def mpm_simulation(
    problem: Scene,
    model: Callable[..., Any] = Recording,
    source: Callable[..., Source] = collocation,
    *,
    num_frames: int = 60,
    key: Key[Array, ""],
) -> Task:
    """The task of playing `problem`; the model is a `Fixed` `Recording`. Errors: those of the scene's judge.

    Args:
        problem: a scene.
        model: not used, nor is `source`: nothing is trained or sampled.
        num_frames: into which the steps of the scene are cut; give as many `trainer.num_steps`.
        key: not used.

    Raises:
        ValueError: for another problem than a scene, or frames that do not divide its steps.
    """
    if not isinstance(problem, Scene):
        raise ValueError(f"problem is a {type(problem).__name__}; a simulation plays a Scene, such as dam_break.")
    if num_frames < 1 or problem.num_steps % num_frames:
        raise ValueError(f"num_frames={num_frames} must divide the {problem.num_steps} steps of the scene.")
    step = problem.stepper()
    state = step.init(problem.particles)
    frames = jnp.full((num_frames + 1, *problem.particles.x.shape), jnp.nan, problem.particles.x.dtype)
    start = Recording(step, state, frames.at[0].set(problem.particles.x), jnp.zeros((), jnp.int32))
    every = problem.num_steps // num_frames
    return Task(
        model=Fixed(start),
        objective={},
        source=ArraySource({}),
        field=None,
        errors=lambda model: _errors(problem, model.value, every),
        figures=lambda model, history, directory, title: _figures(problem, model.value, every, directory, title),
        optimizer=March(lambda model: Fixed(_next_frame(model.value, every)), lambda model: _info(model.value)),
    )


def _next_frame(now: Recording, every: int) -> Recording:
    """A run that is extended beyond the end of the scene stays there: longer ones are given by problem.num_steps."""
    step = now.step

    def play(state, frames, count):
        state = jax.tree.map(lambda leaf: leaf[0], rollout(step, state, every, save_every=every))
        return state, frames.at[count + 1].set(step.positions(state)), count + 1

    goes_on = now.count + 1 < now.frames.shape[0]
    stay = lambda *unchanged: unchanged
    return Recording(step, *jax.lax.cond(goes_on, play, stay, now.state, now.frames, now.count))


def _info(now):
    found = conserved(now.step, now.state)
    energies = {name: found[name] for name in ("kinetic", "elastic")}
    return {"t": now.state.count * now.step.dt, "escaped": now.state.escaped, **energies}


def _shown(problem, now, every):
    count = int(now.count)
    return problem.dt * every * np.arange(count + 1), np.asarray(now.frames[: count + 1])


def _errors(problem, now, every):
    found = {"escaped": float(now.state.escaped)}
    if problem.judge is not None:
        found |= {name: float(value) for name, value in problem.judge(*_shown(problem, now, every)).items()}
    return found


def _figures(problem, now, every, directory, title):
    from ..plots import animate_particles, save_particle_stills  # matplotlib is imported only when it draws

    times, x = _shown(problem, now, every)
    if now.state.escaped:
        warnings.warn(
            f"{int(now.state.escaped)} particles left the grid; if the material blew up, lower problem.dt.",
            stacklevel=2,
        )
    save_npz(directory / "frames.npz", SimpleNamespace(x=x), times)
    save_vtk(directory / "last.vtk", now.step.particles(now.state))
    look = {
        "color_by": np.asarray(problem.particles.material),
        "box": problem.box,
        "title": title,
    }
    paths = save_particle_stills(x, times, directory / "particles", **look)
    return [*paths, animate_particles(x, times, directory / "particles.gif", **look)]
