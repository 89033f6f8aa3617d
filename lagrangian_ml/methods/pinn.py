"""Physics-informed neural networks: the strong form of a problem as named residuals of one sample.

Raissi, Perdikaris & Karniadakis 2019 (doi 10.1016/j.jcp.2018.10.045), eqs. 2–4: with a network u(t, x) minimise
the mean squares of u_t − rate(u) on collocation points, of u(0, x) − u₀(x), of the boundary conditions, and of
u − data on observations. Differences: by default an ansatz satisfies initial and boundary values exactly, so that
only the equation is left (Lagaris, Likas & Fotiadis 1998); derivatives are pushed forward (`jets.forward`);
optimizers see the residuals themselves, not their mean squares.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Equation, Field, Fixed, Jet, Objective, Point, Problem, Samples, Source, Term, reweight
from ..domains import ArraySource, JoinedSource, boundary_residual, collocation
from ..fields import MLP, hard_constraints
from ..jets import point_jet
from ..metrics import blank_samples, errors, evaluate_field, reference_samples
from ..training import Task


def exact_jet(field: Field, point: Any) -> Jet:
    """The jet of a field at a sample, by automatic differentiation."""
    return point_jet(field, point.x, point.t)


class PINN(eqx.Module):
    """A field and the equation that it is to satisfy, whose coefficients are fixed but for those in `learned`.

    `jet_of(field, sample)` makes the local view of the field that the equation and the conditions read.
    """

    field: Field
    stated: Fixed
    learned: dict[str, Array]
    jet_of: Callable[[Field, Any], Jet] = eqx.field(static=True)

    def __init__(
        self,
        field: Field,
        equation: Equation,
        learned: Mapping[str, Array] | None = None,
        jet_of: Callable[[Field, Any], Jet] = exact_jet,
    ):
        self.field, self.stated, self.learned, self.jet_of = field, Fixed(equation), dict(learned or {}), jet_of

    @property
    def equation(self) -> Equation:
        equation = self.stated.value
        for name, value in self.learned.items():
            equation = eqx.tree_at(lambda equation, name=name: getattr(equation, name), equation, value)
        return equation

    def __call__(self, *point: Array) -> Float[Array, " c"]:
        return self.field(*point)

    def jet(self, point: Any) -> Jet:
        return self.jet_of(self.field, point)

    def at(self, point: Point) -> Float[Array, " c"]:
        return self.field(point.x) if point.t is None else self.field(point.t, point.x)


def strong_form(problem: Problem, satisfied: frozenset[str] = frozenset(), *, data: bool = False) -> Objective:
    """The residual terms of a problem for a `PINN`, less those that its ansatz has `satisfied`.

    Samples: "equation" and "initial" `Point`, "boundary" a tuple of `BoundaryPoint`, "data" `Samples`.
    """
    terms: dict[str, Callable] = {"equation": lambda model, point: model.equation.residual(model.jet(point))}
    initial = problem.initial
    if initial is not None:
        terms["initial"] = lambda model, point: model.at(point) - initial(point.x)
    if problem.boundary:
        terms["boundary"] = lambda model, points: boundary_residual(problem.boundary, model.jet, points)
    if data:
        terms["data"] = lambda model, sample: model.at(sample.point) - sample.u
    return {name: Term(residual) for name, residual in terms.items() if name not in satisfied}


def pinn(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    source: Callable[[Problem], Source] = collocation,
    *,
    ansatz: Callable[..., Field] = hard_constraints,
    weights: Mapping[str, float] | None = None,
    observations: Samples | Callable[..., Samples] | None = None,
    trainable: Mapping[str, float] | None = None,
    jet_of: Callable[[Field, Any], Jet] = exact_jet,
    key: Key[Array, ""],
) -> Task:
    """The task of solving `problem` by a PINN.

    Args:
        problem: what is to be solved; its equation's coefficients are used as they are unless trained.
        model: the network's constructor `(in_size, out_size, *, key)`.
        source: makes the source of collocation points from the problem.
        ansatz: builds the field around the network, `(problem, model, *, key)`; its `satisfies` names the terms
            that hold by construction.
        weights: weights of terms by name, 1 unless given.
        observations: data to be fitted in a term "data", or a function of the problem that makes them.
        trainable: coefficients of the equation to be learned, with their first guesses.
        jet_of: makes the jet of a field at a sample; `methods.stde` gives another one.
        key: draws the network's parameters.

    Raises:
        ValueError: for a weight of a term or a coefficient that does not exist.
    """
    field = ansatz(problem, model, key=key)
    learned = _first_guesses(problem.equation, trainable or {})
    satisfied = getattr(field, "satisfies", frozenset())
    data = observations(problem) if callable(observations) else observations
    if problem.horizon is not None and problem.initial is None and data is None:
        raise ValueError("this problem has no initial value: any constant may solve it. Give one, or observations.")
    objective = reweight(strong_form(problem, satisfied, data=data is not None), weights or {})
    points = source(problem)
    if data is not None:
        points = JoinedSource((points, ArraySource({"data": data})))
    truth = cache(lambda: reference_samples(problem))
    return Task(
        model=PINN(field, problem.equation, learned, jet_of),
        objective=objective,
        source=points,
        field=lambda model: model.field,
        errors=lambda model: _errors(model, truth(), problem.equation),
        figures=lambda model, history, directory, title: _figures(
            model, truth() or blank_samples(problem), history, directory, title
        ),
    )


def _first_guesses(equation, trainable):
    is_scalar = lambda value: isinstance(value, int | float) or (eqx.is_array(value) and value.ndim == 0)
    known = [name for name, value in vars(equation).items() if is_scalar(value)]
    for name, guess in trainable.items():
        if name not in known or not is_scalar(guess):
            raise ValueError(
                f"trainable.{name}={guess}: give a number to start from, for a coefficient of "
                f"{type(equation).__name__} that is one: {', '.join(known) or 'it has none'}."
            )
    return {name: jnp.asarray(guess, float) for name, guess in trainable.items()}


def _errors(model, truth, stated):
    found = {} if truth is None else errors(model.field, truth)
    for name, estimate in model.learned.items():
        true = float(getattr(stated, name))
        found[name] = float(estimate)
        if true != 0:
            found[f"{name}_relative"] = abs(found[name] - true) / abs(true)
    return found


def _figures(model, samples, history, directory, title):
    from ..plots import save_run_figures  # matplotlib is imported only when it draws

    return save_run_figures(title, samples, evaluate_field(model.field, samples.point), history, directory)
