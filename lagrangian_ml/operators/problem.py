"""What is learned by an operator: pairs of input and output functions, or trajectories, split by purpose.

Training never sees the validation samples, by which settings are chosen, nor the test samples, which are looked at
once, at the end of a run. All are checked here: what is not finite, empty, or does not fit is refused by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import Equation, Grid
from ..domains.files import find_file, read_arrays
from .cloud import Cloud

Shapes = tuple[int, ...]


class Pairs(eqx.Module):
    """n samples of an input and an output: `inputs` (n, c_in, *s) and `outputs` (n, c_out, *r); or on irregular points
    a `Cloud` of (n, m, c_in), (n, m, d) and (n, m), and (n, m, c_out)."""

    inputs: Any
    outputs: Float[Array, "n ..."]

    def __len__(self) -> int:
        return self.outputs.shape[0]

    @property
    def shapes(self) -> tuple[Shapes | Cloud, Shapes]:
        """Of the input and the output of one sample: what an operator is made from."""
        one = lambda array: tuple(array.shape[1:])
        inputs = Cloud(*map(one, self.inputs)) if isinstance(self.inputs, Cloud) else one(self.inputs)
        return inputs, one(self.outputs)

    @property
    def num_components(self) -> tuple[int, int]:
        if isinstance(self.inputs, Cloud):
            return self.inputs.values.shape[-1], self.outputs.shape[-1]
        return self.inputs.shape[1], self.outputs.shape[1]

    def __getitem__(self, rows: slice) -> "Pairs":
        return jax.tree.map(lambda array: array[rows], self)


@dataclass(frozen=True)
class OperatorProblem:
    """An operator to be found from pairs. `validation` may be None; `test` are sets by name, of any resolution.

    Attributes:
        equation, grid: what the outputs solve, and where, if it is known: for physics in the loss.
        times: of the outputs, one after the other as components, where the input is the state at t = 0.
        data: what made the samples, for the titles of figures.
    """

    train: Pairs
    validation: Pairs | None = None
    test: Mapping[str, Pairs] = field(default_factory=dict)
    equation: Equation | None = None
    grid: Grid | None = None
    times: tuple[float, ...] | None = None
    data: str = ""

    def __post_init__(self):
        sets = {"train": self.train, "validation": self.validation, **self.test}
        for name, pairs in sets.items():
            if pairs is not None:
                cloud = isinstance(pairs.inputs, Cloud)
                inputs = {"inputs": as_read(pairs.inputs) if cloud else pairs.inputs}
                if cloud:
                    _check_box(name, pairs.inputs)
                _check(name, inputs | {"outputs": pairs.outputs})
                if len(inputs["inputs"]) != len(pairs.outputs):
                    raise ValueError(f"{name} has {len(inputs['inputs'])} inputs and {len(pairs.outputs)} outputs.")
        if self.validation is not None and self.validation.shapes != self.train.shapes:
            raise ValueError(f"validation samples are {self.validation.shapes}, training ones {self.train.shapes}.")
        for name, pairs in self.test.items():
            if pairs.num_components != self.train.num_components:
                raise ValueError(
                    f"{name} has {pairs.num_components} components in and out, training {self.train.num_components}."
                )


@dataclass(frozen=True)
class TrajectoryProblem:
    """A map from frames to the frames that follow, to be found from trajectories (n, t, c, *s) at equal times.

    `interval` is the time between frames, and `data` what made them, for figures.
    """

    train: Float[Array, "n t c *s"]
    validation: Float[Array, "m t2 c *s"] | None = None
    test: Mapping[str, Float[Array, "k t3 c *s"]] = field(default_factory=dict)
    interval: float = 1.0
    data: str = ""

    def __post_init__(self):
        for name, frames in {"train": self.train, "validation": self.validation, **self.test}.items():
            if frames is not None:
                _check(name, {"frames": frames})
                if frames.ndim < 4 or frames.shape[1] < 2 or frames.shape[2:] != self.train.shape[2:]:
                    raise ValueError(
                        f"{name} has the shape {frames.shape}; expected (n, t, c, *s) with at least two frames and "
                        f"{self.train.shape[2:]} as in training."
                    )


def _check_box(name, cloud):
    points = np.asarray(cloud.points)[np.asarray(cloud.mask).astype(bool)]
    if points.size and not (points.min() >= 0 and points.max() <= 1):
        raise ValueError(
            f"{name} has points from {points.min():.3g} to {points.max():.3g}; those of a cloud lie in the unit box, "
            "[0, 1] on every axis: move and scale them."
        )


def _check(name, arrays):
    for kind, values in arrays.items():
        if values.ndim < 3 or values.size == 0:
            raise ValueError(f"{name} has {kind} of the shape {values.shape}: an empty split, or not (n, c, *s).")
        finite = np.isfinite(np.asarray(values)).reshape(values.shape[0], -1).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"{name} has {int((~finite).sum())} samples with {kind} that are not finite, the first is number "
                f"{int(np.argmin(finite))}; leave them out."
            )


def as_read(cloud: Cloud) -> Float[Array, "n m c"]:
    """The values and points of clouds, zero where nothing is."""
    inside = cloud.mask.astype(bool)[..., None]
    return jnp.where(inside, jnp.concatenate([cloud.values, cloud.points], -1), 0)


def pairs_from_file(path: str | Path, like: tuple[Shapes | Cloud, Shapes]) -> Pairs:
    """The arrays `x` (n, c, *s) and `y` (n, k, *r) of an .npz file; one component may go without its axis.

    `like` has the shapes of one sample: the numbers of axes and of components must be these, 0 components are any. For
    clouds x is (n, m, c), y (n, m, k), and `points` (n, m, d); where `mask` (n, m) is 0 there is nothing.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is unreadable, an array is missing or not finite, or the shapes do not fit.
    """
    file = find_file(path)
    if isinstance(like[0], Cloud):
        return _clouds(file, read_arrays(file, ("x", "points", "mask", "y")), like)
    values = []
    for (name, array), (components, *shape) in zip(read_arrays(file, ("x", "y")).items(), like, strict=True):
        full = array[:, None] if array.ndim == 1 + len(shape) else array
        if full.ndim != 2 + len(shape) or components not in (0, full.shape[1]):
            expected = ", ".join(["n", str(components or "c"), *"xyz"[: len(shape)]])
            raise ValueError(f"{file}: {name} has the shape {array.shape}; expected ({expected}).")
        values.append(jnp.asarray(full, jnp.result_type(float)))
    if len(values[0]) != len(values[1]):
        raise ValueError(f"{file}: x has {len(values[0])} samples and y {len(values[1])}.")
    return Pairs(*values)


def _clouds(file, arrays, like):
    (values, points, _), outputs = like
    n, m = arrays["mask"].shape if arrays["mask"].ndim == 2 else (0, 0)
    widths = {"x": values[-1], "points": points[-1], "y": outputs[-1]}
    for name, width in widths.items():
        if arrays[name].ndim != 3 or arrays[name].shape[:2] != (n, m) or width not in (0, arrays[name].shape[2]):
            raise ValueError(
                f"{file}: {name} has the shape {arrays[name].shape}, mask {arrays['mask'].shape}; expected (n, m, "
                f"{width or 'c'}) and (n, m)."
            )
    dtype = jnp.result_type(float)
    x, points, mask, y = (jnp.asarray(arrays[name], dtype) for name in ("x", "points", "mask", "y"))
    return Pairs(Cloud(x, points, mask), y)


def from_files(
    train: str, test: str | None = None, *, dim: int, cloud: bool = False, num_validation: int = 0
) -> OperatorProblem:
    """Pairs of .npz files, by somebody else, with the arrays `x` (n, [c,] *s) and `y` (n, [k,] *r).

    Args:
        train, test: the files.
        dim: the number of axes of space.
        cloud: the files have irregular points, see `pairs_from_file`.
        num_validation: so many of the last training samples are held back.

    Raises:
        ValueError: as `pairs_from_file`, and for more validation samples than there are.
    """
    grid = (0,) * (1 + dim)
    any_of = (Cloud((0, 0), (0, dim), (0,)), (0, 0)) if cloud else (grid, grid)
    pairs = pairs_from_file(train, any_of)
    if not 0 <= num_validation < len(pairs):
        raise ValueError(f"num_validation={num_validation} must be less than the {len(pairs)} samples of {train}.")
    cut = len(pairs) - num_validation
    return OperatorProblem(
        pairs[:cut],
        pairs[cut:] if num_validation else None,
        {} if test is None else {"test": pairs_from_file(test, any_of)},
    )


def shapes_of(problem: Any) -> tuple[Shapes | Cloud, Shapes]:
    """The shapes of one sample of an `OperatorProblem`. ValueError for a problem of another kind."""
    if not isinstance(problem, OperatorProblem):
        raise ValueError(
            f"the problem is of the kind {type(problem).__name__}; this method learns from pairs, an OperatorProblem."
        )
    return problem.train.shapes
