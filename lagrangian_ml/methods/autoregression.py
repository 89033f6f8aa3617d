"""Emulators of trajectories: an operator that is applied to its own predictions, trained one or several steps long.

Minimised is the misfit of the frames that `unroll` steps from true frames give, with gradients through all of them,
or, with `pushforward`, of the last step only, from a state that was predicted but is taken as given (Brandstetter,
Worrall & Welling 2022, arXiv 2202.03376, sec. 3.1). `noise` on the first frames (Sanchez-Gonzalez et al. 2020, arXiv
2002.09405, sec. 4.3) is another way to see wrong states in training. Training steps are those of `core.rollout`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Point, Samples, Source, Term
from ..domains import ArraySource
from ..domains.files import read_arrays
from ..metrics import correlation_time, max_error, nrmse, relative_l2
from ..operators import Emulator, TrajectoryProblem, Windows
from ..training import Task
from .operator_regression import Loss, check_loss, misfit, stored_source, with_data


def autoregression(
    problem: TrajectoryProblem,
    model: Callable[..., Any],
    source: Callable[[dict[str, Any]], Source] = ArraySource,
    *,
    history: int = 1,
    bundle: int = 1,
    increments: bool = True,
    unroll: int = 1,
    pushforward: bool = False,
    noise: float | int = 0.0,
    loss: Loss = "mean_square",
    key: Key[Array, ""],
) -> Task:
    """The task of learning to continue trajectories. Errors are those of rollouts from the first frames of validation
    trajectories to their end, and of test trajectories at the end of the run, see `rollout_errors`.

    Args:
        problem: the trajectories.
        model: the operator's constructor, `model(inputs, outputs, *, key)`, frames as components.
        source: makes the batches of windows.
        history, bundle: frames that a step sees, and that it predicts.
        increments: predict the change from the last frame.
        unroll: steps in training; 1 is one-step training.
        pushforward: only the last of them is compared and differentiated.
        noise: normal noise on the first frames in training, in units of the frames' deviation.
        loss: of the compared frames: "mean_square" in units of their deviation, "relative_l2", "relative_square".
        key: draws the network's parameters.

    Raises:
        ValueError: for a problem of another kind, numbers out of range, and trajectories that are too short.
    """
    if not isinstance(problem, TrajectoryProblem):
        raise ValueError(
            f"the problem is of the kind {type(problem).__name__}; this method continues a TrajectoryProblem."
        )
    if unroll < 1 or noise < 0 or (pushforward and unroll < 2):
        raise ValueError(f"unroll={unroll} must be at least 1, 2 for pushforward, and noise={noise} at least 0.")
    emulator = Emulator(model, problem.train, history=history, bundle=bundle, increments=increments, key=key)
    length = history + unroll * bundle
    windows = Windows(problem.train, length, lambda arrays: stored_source(source, arrays))
    deviation = emulator.scales.value[0].std
    sets = {"train": problem.train, "validation": problem.validation, **problem.test}
    for name, frames in sets.items():
        if frames is not None and frames.shape[1] <= history:
            raise ValueError(f"{name} trajectories have {frames.shape[1]} frames; history={history} needs more.")
        if (
            loss != "mean_square"
            and frames is not None
            and not jnp.all(jnp.any(frames != 0, (2, *range(3, frames.ndim))))
        ):
            raise ValueError(f"loss={loss}: a {name} trajectory has a frame that is zero; use loss=mean_square.")

    def fn(emulator, window):
        first, future = window.frames[:history], window.frames[history:]
        scale = jnp.expand_dims(deviation, (0, *range(2, first.ndim)))
        if noise:
            first = first + noise * scale * jax.random.normal(window.key, first.shape, first.dtype)
        if pushforward:
            before = jnp.concatenate([first, emulator.unroll(first, unroll - 1)])[-history:]
            return misfit(loss, emulator(jax.lax.stop_gradient(before)), future[-bundle:], scale)
        return misfit(loss, emulator.unroll(first, unroll), future, scale)

    validation = problem.validation
    return Task(
        model=emulator,
        objective={"data": Term(fn, kind=check_loss(loss))},
        source=windows,
        field=None,
        errors=lambda model: {} if validation is None else rollout_errors(model, validation),
        test_errors=lambda model: {
            f"{name}_{kind}": error
            for name, frames in problem.test.items()
            for kind, error in rollout_errors(model, frames).items()
        },
        against=_against,
        figures=lambda model, history, directory, title: _figures(model, problem, history, directory, title),
    )


@eqx.filter_jit
def continue_trajectories(
    emulator: Emulator, first: Float[Array, "n h c *s"], num_frames: int, *, batch_size: int = 20
) -> Float[Array, "n t c *s"]:
    """The frames after the first ones of many trajectories, from its own predictions."""
    num_steps = -(-num_frames // emulator.bundle)
    run = lambda frames: emulator.unroll(frames, num_steps)[:num_frames]
    return jax.lax.map(run, first, batch_size=min(batch_size, first.shape[0]))


def rollout_errors(emulator: Emulator, frames: Float[Array, "n t c *s"]) -> dict[str, float]:
    """From the first `history` frames to the end: `nrmse`, the mean over samples and times of ‖û − u‖ / ‖u‖ of a frame
    (APEBench's mean nRMSE, for one component), `nrmse_first` and `nrmse_last` of its first and last frame,
    `relative_l2` and `max` over all, and `correlation_time`, in frames. Ratios to a truth of zero are left out."""
    first, truth = frames[:, : emulator.history], frames[:, emulator.history :]
    return _measure(continue_trajectories(emulator, first, truth.shape[1]), truth)


def _measure(values, truth):
    space, found = tuple(range(2, truth.ndim)), {}
    if jnp.all(jnp.any(truth != 0, space)):
        frames = {"nrmse": slice(None), "nrmse_first": slice(1), "nrmse_last": slice(-1, None)}
        found = {name: nrmse(values[:, rows], truth[:, rows], space) for name, rows in frames.items()}
    if jnp.any(truth != 0):
        found["relative_l2"] = relative_l2(values, truth)
    found |= {"max": max_error(values, truth), "correlation_time": correlation_time(values, truth)}
    return {name: float(value) for name, value in found.items()}


def _against(emulator, path):
    """Compares with a file's x (n, h, [c,] *s), the first frames, and y (n, t, [c,] *s), those that follow."""
    arrays = read_arrays(path, ("x", "y"))
    frames = {name: _with_components(path, name, array, emulator) for name, array in arrays.items()}
    x, y = frames["x"], frames["y"]
    if x.shape[1] != emulator.history or x.shape[0] != y.shape[0] or x.shape[2:] != y.shape[2:]:
        raise ValueError(
            f"{path}: x {x.shape} and y {y.shape} do not fit; expected {emulator.history} frames in x, and the same "
            "samples, components and points in y."
        )
    prediction = continue_trajectories(emulator, x, y.shape[1])
    return _measure(prediction, y), {"x": x, "y": y, "prediction": prediction}


def _with_components(path, name, array, emulator):
    components = emulator.scales.value[0].mean.shape[0]
    if components == 1 and (array.ndim < 4 or array.shape[2] != 1):
        array = array[:, :, None]
    if array.ndim < 4 or array.shape[2] != components:
        raise ValueError(f"{path}: {name} has the shape {array.shape}; expected (n, t, {components}, *s).")
    return jnp.asarray(array, jnp.result_type(float))


def _figures(emulator, problem, history, directory, title):
    from ..plots import save_run_figures  # matplotlib is slow to import

    sets = [*problem.test.values(), problem.validation, problem.train]
    frames = next(frames for frames in sets if frames is not None)[:1]
    truth = frames[0, emulator.history :]
    values = continue_trajectories(emulator, frames[:, : emulator.history], truth.shape[0])[0]
    shape = (truth.shape[0], *truth.shape[2:])
    axes = [problem.interval * np.arange(1, shape[0] + 1.0), *(np.arange(n) / n for n in shape[1:])]
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(shape))
    last = lambda frames: jnp.moveaxis(frames, 1, -1).reshape(-1, frames.shape[1])
    samples = Samples(Point(jnp.asarray(mesh[:, 1:]), jnp.asarray(mesh[:, 0])), last(truth), shape)
    return save_run_figures(with_data(title, problem), samples, last(values), history, Path(directory))
