"""What a material is, from how it moves: parameters of a scene fitted to observed positions of some particles.

As in JAX-MPM (arXiv 2507.04192) for the friction of a floor, and ChainQueen (arXiv 1810.01054) for elasticity.
One term, "positions", a residual: (x(t_k) − x_obs(t_k))/dx over the observed particles and times. The observations are
made by the scene itself with its own parameters, and noise if asked for: the model is exact, only the parameters are
not known. Unknowns have constructors `model(scene, *, key)`; they are trained in logarithms, so that they keep signs.
"""

import warnings
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Source, Term, rollout
from ..domains import ArraySource, collocation
from ..particles import MPM, Bands, Friction, Scene, State, Walls, play, save_npz
from ..training import Task

_NUM_FRAMES = 60


class Elasticity(eqx.Module):
    """Young's modulus and Poisson's ratio of material 0: E = exp(a), ν = ½ / (1 + exp(−b)), between 0 and ½."""

    log_young: Float[Array, ""]
    logit_poisson: Float[Array, ""]

    def __init__(self, scene: Scene, *, young: float | int = 150.0, poisson: float = 0.2, key: Any = None):
        """The first guess; no `key` is used. ValueError unless young > 0 and 0 < poisson < 1/2."""
        if not (young > 0 and 0 < poisson < 0.5) or not hasattr(scene.materials[0], "young"):
            raise ValueError(
                f"young={young} must be positive, poisson={poisson} between 0 and 1/2, and material 0 of the scene, "
                f"{type(scene.materials[0]).__name__}, have both."
            )
        dtype = jnp.result_type(float)
        self.log_young = jnp.log(jnp.asarray(young, dtype))
        self.logit_poisson = jnp.log(jnp.asarray(2 * poisson / (1 - 2 * poisson), dtype))

    def apply(self, step: MPM) -> MPM:
        values = self.values()
        of = lambda step: (step.materials[0].young, step.materials[0].poisson)
        return eqx.tree_at(of, step, (values["young"], values["poisson"]))

    def values(self) -> dict[str, Array]:
        return {"young": jnp.exp(self.log_young), "poisson": 0.5 * jax.nn.sigmoid(self.logit_poisson)}

    @staticmethod
    def truth(scene: Scene) -> dict[str, Any]:
        return {"young": scene.materials[0].young, "poisson": scene.materials[0].poisson}


class FloorFriction(eqx.Module):
    """The coefficients μ = exp(a) of the bands of the floor, from one first guess for all."""

    log_values: Float[Array, " k"]

    def __init__(self, scene: Scene, *, guess: float = 0.3, key: Any = None):
        """No `key` is used. ValueError unless guess > 0 and the floor has bands."""
        if not guess > 0:
            raise ValueError(f"guess={guess} must be a positive coefficient of friction.")
        self.log_values = jnp.full(len(_bands(scene.boundaries).values), jnp.log(guess), jnp.result_type(float))

    def apply(self, step: MPM) -> MPM:
        return eqx.tree_at(lambda step: _bands(step.boundaries).values, step, jnp.exp(self.log_values))

    def values(self) -> dict[str, Array]:
        return {"friction": jnp.exp(self.log_values)}

    @staticmethod
    def truth(scene: Scene) -> dict[str, Any]:
        return {"friction": _bands(scene.boundaries).values}


def _bands(boundaries: Sequence[Any]) -> Bands:
    for wall in boundaries:
        for law in (law for face in wall.faces for law in face) if isinstance(wall, Walls) else ():
            if isinstance(law, Friction) and isinstance(law.coefficient, Bands):
                return law.coefficient
    raise ValueError("no wall of this scene has a friction in bands: give Friction(Bands(edges, values)).")


def mpm_identification(
    problem: Scene,
    model: Callable[..., Any] = Elasticity,
    source: Callable[..., Source] = collocation,
    *,
    num_observed: int = 100,
    num_times: int = 5,
    noise: float | int = 0.0,
    memory_budget: int = 256_000_000,
    key: Key[Array, ""],
) -> Task:
    """The task of finding the parameters of `problem`. Errors: the largest absolute and relative one of each parameter.

    Args:
        problem: a scene; its own parameters are the truth.
        model: the unknowns' constructor, `model(scene, *, key)`, as `Elasticity` and `FloorFriction`.
        source: not used: the observations are the only sample.
        num_observed: particles that are seen, drawn once from all.
        num_times: equally spaced, the last at the end of the scene.
        noise: standard deviation of observed positions, in units of dx.
        memory_budget: bytes for the states kept in reverse mode.
        key: draws the observed particles and the noise.

    Raises:
        ValueError: for numbers that do not fit the scene.
    """
    if not isinstance(problem, Scene):
        raise ValueError(f"problem is a {type(problem).__name__}; parameters of particles are found in a Scene.")
    if not 1 <= num_observed <= problem.particles.num or problem.num_steps % num_times or not noise >= 0:
        raise ValueError(
            f"num_observed={num_observed} must be 1 to {problem.particles.num}, num_times={num_times} divide the "
            f"{problem.num_steps} steps of the scene, and noise={noise} be at least 0."
        )
    model_key, seen_key, noise_key = jax.random.split(key, 3)
    step, dx = problem.stepper(), problem.grid.spacings[0]
    state = step.init(problem.particles)
    seen = jax.random.choice(seen_key, problem.particles.num, (num_observed,), replace=False)
    observe = lambda step: rollout(
        step,
        state,
        problem.num_steps,
        save_every=problem.num_steps // num_times,
        save=lambda state: step.positions(state)[seen],
        memory_budget=memory_budget,
    )
    truth = eqx.filter_jit(observe)(step)
    observed = truth + noise * dx * jax.random.normal(noise_key, truth.shape, truth.dtype)
    unknowns = model(problem, key=model_key)
    residual = lambda model, x: ((observe(model.apply(step)) - x) / dx).reshape(-1)
    return Task(
        model=unknowns,
        objective={"positions": Term(residual)},
        source=ArraySource({"positions": observed[None]}),
        field=None,
        errors=lambda model: _errors(model, problem),
        figures=lambda model, history, directory, title: _figures(
            problem, model.apply(step), state, history, directory, title
        ),
    )


def _errors(model, scene):
    found, truth = {}, model.truth(scene)
    for name, value in model.values().items():
        value, true = np.asarray(value, float), np.asarray(truth[name], float)
        found |= {f"{name}_{k}": float(v) for k, v in enumerate(value)} if value.ndim else {name: float(value)}
        found[f"{name}_absolute"] = float(np.max(np.abs(value - true)))
        found[f"{name}_relative"] = float(np.max(np.abs(value - true) / np.abs(true)))
    return found


def _figures(scene: Scene, step: MPM, state: State, history, directory, title):
    from ..plots import animate_particles, save_particle_stills, save_run_figures  # matplotlib is slow to import

    times, x, _, escaped = play(scene, (step, state), _NUM_FRAMES)
    if escaped:
        warnings.warn(f"{escaped} particles left the grid in this rollout.", stacklevel=2)
    save_npz(directory / "frames.npz", SimpleNamespace(x=x), times)
    look = {
        "color_by": np.asarray(scene.particles.material),
        "box": scene.box,
        "title": title,
    }
    paths = save_particle_stills(x, times, directory / "particles", **look)
    paths.append(animate_particles(x, times, directory / "particles.gif", **look))
    return [*paths, *save_run_figures(title, None, None, history, directory)]
