"""Operators from pairs of functions: supervised regression of outputs on inputs.

Minimised is the mean over the training samples of ‖û − u‖ / ‖u‖, û = operator(v), the loss of the FNO paper (Li et
al., arXiv 2010.08895, sec. 5), or of its square, or the mean square of û − u. Scales of every component are taken from
the training samples and stored in the model. The losses that are squares are residuals, for least-squares optimizers.
"""

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Source, Term
from ..domains import ArraySource
from ..metrics import relative_l2, vrmse
from ..metrics.norms import max_error, nrmse
from ..operators import (
    Cloud,
    Normalised,
    OperatorProblem,
    Pairs,
    TrajectoryProblem,
    fitted,
    nodes,
    pairs_from_file,
    shapes_of,
)
from ..training import Task

Loss = Literal["relative_l2", "relative_square", "mean_square"]


def operator_regression(
    problem: OperatorProblem,
    model: Callable[..., Any],
    source: Callable[[dict[str, Any]], Source] = ArraySource,
    *,
    loss: Loss = "relative_l2",
    normalise: bool = True,
    augment: Callable[[Pairs], Pairs] | None = None,
    key: Key[Array, ""],
) -> Task:
    """The task of learning an operator from pairs. Errors are those of the validation samples, and of the test samples
    at the end: `nrmse` is the mean of the samples' ratios, the figure of most papers, `relative_l2` the ratio of sums.

    Args:
        problem: the samples.
        model: the operator's constructor, `model(inputs, outputs, *, key)` from the shapes of one sample. One with a
            method `fitted(inputs, outputs)` is shown the training samples once before.
        source: makes the batches of `{"data": Pairs}`; all samples are one batch unless it says otherwise.
        loss: "relative_l2", ‖û − u‖ / ‖u‖; "relative_square", its square; "mean_square", for outputs that may vanish.
        normalise: give and take values in units of their deviations, (v − mean) / std of every component.
        augment: makes more training samples of those there are, such as `operators.mirrored`.
        key: draws the network's parameters.

    Raises:
        ValueError: for a problem of another kind, an unknown loss, and a relative one of an output that is zero.
    """
    train = problem.train if augment is None else augment(problem.train)
    operator = fit_scales(model(*shapes_of(problem), key=key), train, normalise)
    check_sets(operator, problem)
    return Task(
        model=operator,
        objective={"data": regression_term(loss, train.outputs)},
        source=stored_source(source, {"data": train}),
        field=None,
        errors=lambda model: {} if problem.validation is None else errors_on(model, problem.validation),
        test_errors=lambda model: test_errors(model, problem),
        against=against_file(problem),
        figures=lambda model, history, directory, title: save_figures(model, problem, history, directory, title),
    )


def stored_source(source: Callable[..., Source], arrays: dict[str, Any]) -> Source:
    """`source(arrays)`. ValueError for a source of another kind, such as one of collocation points."""
    try:
        return source(arrays)
    except AttributeError as error:
        raise ValueError("source: this method draws from stored samples; use source=batches.") from error


def fit_scales(operator: Any, train: Pairs, normalise: bool) -> Any:
    """The operator with what it takes from the training samples before any step: its scales, and its own bases."""
    if not normalise:
        return fitted(operator, train.inputs, train.outputs)
    scaled = Normalised(operator, train.inputs, train.outputs)
    axis = -1 if isinstance(train.inputs, Cloud) else 0
    outputs = jax.vmap(lambda u: scaled.scales.value[1].normalise(u, axis))(train.outputs)
    shown = jax.vmap(scaled.normalise)(train.inputs), outputs
    return eqx.tree_at(lambda model: model.operator, scaled, fitted(operator, *shown))


def regression_term(loss: Loss, outputs: Float[Array, "n k *r"]) -> Term:
    """The term for one sample of `Pairs`. ValueError for an unknown loss, and a relative one of zero outputs."""
    kind = check_loss(loss)
    size = np.linalg.norm(np.asarray(outputs).reshape(len(outputs), -1), axis=1)
    if loss != "mean_square" and not size.all():
        raise ValueError(f"loss={loss}: output {int(np.argmin(size))} is zero everywhere; use loss=mean_square.")
    return Term(lambda model, pair: misfit(loss, model(pair.inputs), pair.outputs), kind=kind)


def check_loss(loss: Loss) -> Literal["loss", "residual"]:
    """The kind of its term. ValueError for an unknown one."""
    kinds: dict[str, Any] = {"relative_l2": "loss", "relative_square": "residual", "mean_square": "residual"}
    if loss not in kinds:
        raise ValueError(f"loss={loss!r} is unknown; choose one of {', '.join(kinds)}.")
    return kinds[loss]


def misfit(loss: Loss, prediction: Array, truth: Array, scale: Array | None = None) -> Float[Array, " k"]:
    """What a term of this loss is for one sample; `scale` is the unit of "mean_square"."""
    error = prediction - truth
    if loss == "mean_square":
        return (error if scale is None else error / scale).reshape(-1) / np.sqrt(error.size)
    error = error.reshape(-1) / jnp.linalg.norm(truth.reshape(-1))
    return error if loss == "relative_square" else jnp.sqrt(jnp.sum(error**2, keepdims=True))


@eqx.filter_jit
def predict(
    model: Any, inputs: Any, points: Float[Array, "m d"] | None = None, *, batch_size: int = 20
) -> Float[Array, "n ..."]:
    """The outputs of many inputs (n, c, *s), or a `Cloud` of them, in batches; at points (n, m, k)."""
    run = model if points is None else lambda v: model(v, points)
    return jax.lax.map(run, inputs, batch_size=min(batch_size, len(jax.tree.leaves(inputs)[0])))


def predict_like(model: Any, pairs: Pairs) -> Float[Array, "n k *r"]:
    """The outputs on the grid of those of `pairs`. ValueError for an operator that cannot give them there."""
    shape = pairs.outputs.shape[1:]
    if _gives_them(model, pairs):
        return predict(model, pairs.inputs)
    values = predict(model, pairs.inputs, nodes(shape[1:], pairs.inputs.dtype))
    return jnp.moveaxis(values, -1, 1).reshape(pairs.outputs.shape)


def _gives_them(model, pairs):
    """Whether the operator gives the outputs by itself, else at points. ValueError if it does neither."""
    shape = pairs.outputs.shape[1:]
    one = jax.tree.map(lambda array: array[0], pairs.inputs)
    here = eqx.filter_eval_shape(model, one).shape
    if here == shape:
        return True
    if isinstance(pairs.inputs, Cloud) or here[0] != shape[0] or len(here) != len(shape):
        raise ValueError(f"this operator makes {here} of a sample; the outputs are {shape}.")
    inner = model.operator if isinstance(model, Normalised) else model
    if "points" not in inspect.signature(type(inner).__call__).parameters:
        raise ValueError(
            f"the outputs are on {shape[1:]} points and the inputs on {pairs.inputs.shape[2:]}: this operator gives "
            "values on the grid of its input, so give both on one grid."
        )
    return False


def check_sets(model: Any, problem: OperatorProblem) -> None:
    """ValueError, naming the set, if the operator cannot give the outputs of the validation or of a test set."""
    sets = {} if problem.validation is None else {"validation": problem.validation}
    for name, pairs in (sets | dict(problem.test)).items():
        try:
            _gives_them(model, pairs)
        except ValueError as error:
            raise ValueError(f"the {name} samples: {error} Give others, such as by problem.test_strides.") from error


def errors_on(model: Any, pairs: Pairs) -> dict[str, float]:
    """`nrmse`, the mean over samples of ‖û − u‖ / ‖u‖, then `relative_l2`, `vrmse` and `max` over all."""
    return _measure(predict_like(model, pairs), pairs.outputs, -1 if isinstance(pairs.inputs, Cloud) else 1)


def _measure(values, truth, components):
    axes, found = tuple(range(1, truth.ndim)), {}
    if jnp.all(jnp.any(truth != 0, axis=axes)):
        found["nrmse"] = nrmse(values, truth, axes)
    if jnp.any(truth != 0):
        found["relative_l2"] = relative_l2(values, truth)
    found["max"] = max_error(values, truth)
    values, truth = (jnp.moveaxis(a, components, -1) for a in (values, truth))
    if jnp.any(jnp.ptp(truth, axis=tuple(range(truth.ndim - 1))) > 0):
        found["vrmse"] = vrmse(values, truth)
    return {name: float(value) for name, value in found.items()}


def test_errors(model: Any, problem: OperatorProblem) -> dict[str, float]:
    """The errors on every test set, named `NAME_nrmse` and so on."""
    return {
        f"{name}_{kind}": error
        for name, pairs in problem.test.items()
        for kind, error in errors_on(model, pairs).items()
    }


def against_file(problem: OperatorProblem) -> Callable[[Any, Path], tuple[dict[str, float], dict[str, Any]]]:
    """Compares with the arrays x and y of a file, of any resolution that the operator takes."""

    def against(model, path):
        pairs = pairs_from_file(path, problem.train.shapes)
        prediction, cloud = predict_like(model, pairs), isinstance(pairs.inputs, Cloud)
        inputs = {"points": pairs.inputs.points, "mask": pairs.inputs.mask} if cloud else {}
        arrays = {"x": pairs.inputs.values if cloud else pairs.inputs, **inputs, "y": pairs.outputs}
        return _measure(prediction, pairs.outputs, -1 if cloud else 1), arrays | {"prediction": prediction}

    return against


def with_data(title: str, problem: OperatorProblem | TrajectoryProblem) -> str:
    """The title of a figure, with what made the samples that it shows."""
    return f"{title}, data {problem.data}" if problem.data else title


def save_figures(model: Any, problem: OperatorProblem, history: list[dict], directory: Path, title: str) -> list[Path]:
    """Samples of the first test set (else of the validation or training set) as figures, with the history."""
    from ..plots import save_operator_figures, save_run_figures  # matplotlib is slow to import

    title = with_data(title, problem)
    pairs = next(iter(problem.test.values()), problem.validation or problem.train)[:3]
    if isinstance(pairs.inputs, Cloud):
        return save_run_figures(title, None, None, history, directory)
    try:
        shown = (pairs.inputs, pairs.outputs, predict_like(model, pairs))
        paths = save_operator_figures(*shown, directory, title=title)
    except ValueError as error:
        warnings.warn(f"the samples are not drawn: {error}", stacklevel=2)
        paths = []
    return [*paths, *save_run_figures(title, None, None, history, directory)]
