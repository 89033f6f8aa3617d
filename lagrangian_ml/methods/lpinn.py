"""Lagrangian PINNs: a network for the characteristics and one for the state that they carry.

Mojgani, Balajewicz & Hassanzadeh 2023 (doi 10.1016/j.cma.2022.115810, arXiv 2205.02902): with the characteristics
x = φ(t, X) and the state w(t, X) = u(t, φ(t, X)) minimise the mean squares of ∂_tφ − v(w) and of D_t w − forcing on
points (t, X), where u_x and u_xx follow by the chain rule. Differences: initial values, periodicity and walls are built
in; any equation with a transport velocity is read as it stands, through `jets.MovingJet`, in any dimension; maps that
cannot fold are an option; u(t, x) itself is evaluated, through the inverse map. The map starts near the identity: a
random map of full size folds, where u_xx is infinite.

`slip` keeps (v − ∂_tφ)·∇u in D_t w, so that the equation holds exactly in whatever frame; without it, the paper's form,
the frame has to move with the flow. It is the default: after 100 steps on Burgers' moving front from sin x + 10 the
error relative to ‖u − 10‖ was 3.1e-5 with it and 5.0e-4 without, on convection after 80 steps 2.2e-9 and 7.6e-10, one
seed each.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Equation, Field, Fixed, FlowMap, Objective, Point, Problem, Source, Term, reweight
from ..domains import BoundaryPoint, Constant, Dirichlet, Periodic, boundary_residual, collocation
from ..fields import MLP, hard_constraints
from ..flows import check_invertible
from ..flows.characteristics import Wrap, displacement, evolving_box, periodic_axes
from ..jets import MovingJet
from ..metrics import blank_samples, errors, evaluate_field, reference_samples
from ..training import Task


class Particle(NamedTuple):
    """The place x at the time t of the particle with the label X."""

    x: Float[Array, " d"]
    t: Float[Array, ""]
    label: Float[Array, " d"]


class LPINN(eqx.Module):
    """The state w(t, X) on the characteristics x = φ(t, X), and the equation that both are to satisfy.

    As a field it is u(t, x) = w(t, φ⁻¹(t, x)).
    """

    state: Field
    characteristics: FlowMap
    stated: Fixed
    wrap: Callable[[Array], Array]
    slip: bool = eqx.field(static=True, default=True)

    @property
    def equation(self) -> Equation:
        return self.stated.value

    def __call__(self, t: Float[Array, ""] | float, x: Float[Array, " d"]) -> Float[Array, " c"]:
        t = jnp.asarray(t, x.dtype)
        return self.state(t, self.wrap(self.characteristics.inverse(t, x)[0]))

    def particle(self, point: Point) -> Particle:
        """The particle with the label `point.x`."""
        assert point.t is not None
        return Particle(self.characteristics.forward(point.t, point.x)[0], point.t, point.x)

    def jet(self, point: Point) -> MovingJet:
        """The local view of u where the particle with the label `point.x` is."""
        assert point.t is not None
        return MovingJet(self.state, self.characteristics, point.t, point.x, slip=self.slip)


class OnSamePoints(eqx.Module):
    """A source whose points of the term "equation" also serve the term "characteristics"."""

    source: Any

    def init(self, key: Key[Array, ""]) -> Any:
        return self.source.init(key)

    def next(self, state: Any, model: Any, objective: Objective) -> tuple[Any, Any]:
        others = {name: term for name, term in objective.items() if name != "characteristics"}
        needed = {"equation": objective["characteristics"], **others}
        batch, state = self.source.next(state, model, needed)
        return {name: batch["equation" if name == "characteristics" else name] for name in objective}, state


def moving_form(problem: Problem, satisfied: frozenset[str] = frozenset()) -> Objective:
    """The residual terms of a problem for an `LPINN` at labels, less those that its state has `satisfied`.

    Samples: "equation", "characteristics" and "initial" `Point`, "boundary" a tuple of `BoundaryPoint`.
    """
    terms: dict[str, Callable] = {
        "equation": lambda model, point: model.equation.residual(model.jet(point)),
        "characteristics": lambda model, point: _drift(model.equation, model.jet(point)),
    }
    initial = problem.initial
    if initial is not None:
        terms["initial"] = lambda model, point: model.state(point.t, point.x) - initial(point.x)
    if problem.boundary:
        jet_at = lambda model: lambda particle: model.jet(Point(particle.label, particle.t))
        moved = lambda model, points: [
            BoundaryPoint(model.particle(p), n, q and model.particle(q)) for p, n, q in points
        ]
        terms["boundary"] = lambda model, points: boundary_residual(
            problem.boundary, jet_at(model), moved(model, points)
        )
    return {name: Term(residual) for name, residual in terms.items() if name not in satisfied}


def _drift(equation, jet):
    return jet.frame_velocity - equation.transport_velocity(jet)


def lpinn(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    source: Callable[[Problem], Source] = collocation,
    *,
    state: Callable[..., Field] = hard_constraints,
    characteristics: Callable[..., FlowMap] = displacement,
    slip: bool = True,
    weights: Mapping[str, float] | None = None,
    key: Key[Array, ""],
) -> Task:
    """The task of solving `problem` along its characteristics.

    Args:
        problem: its equation has a transport velocity, its domain is a box that the flow does not leave.
        model: the constructor `(in_size, out_size, *, key)` of both networks.
        source: makes the source of points (t, X) from the problem.
        state: builds w around a network, `(problem, model, *, key)`; its `satisfies` names terms that hold. For
            blobs `flows.grown`, a factor on u₀; for pure transport `flows.carried`, u₀(X) itself: with `slip` the term
            "equation" is then the rate at which the error of u grows, and weighs the characteristics where u varies.
        characteristics: builds φ, `(problem, model, *, key)`: `displacement`, `monotone` or `windowed`.
        slip: keep (v − ∂_tφ)·∇u in the material derivative, see the module.
        weights: weights of terms by name, 1 unless given.
        key: draws the networks' parameters.
    """
    state_key, map_key = jax.random.split(key)
    frame = characteristics(problem, model, key=map_key)
    kept = tuple(condition for condition in problem.boundary if _holds_at_labels(condition, problem.domain))
    field = state(replace(problem, boundary=kept), model, key=state_key)
    wrap = Wrap(evolving_box(problem)[0], periodic_axes(problem))
    unmet = {name for name, left in {"boundary": kept != problem.boundary, "equation": slip}.items() if left}
    satisfied = getattr(field, "satisfies", frozenset()) - unmet
    truth = cache(lambda: reference_samples(problem))
    return Task(
        model=LPINN(field, frame, Fixed(problem.equation), wrap, slip),
        objective=reweight(moving_form(problem, satisfied), weights or {}),
        source=OnSamePoints(source(problem)),
        field=lambda model: model,
        errors=lambda model: _errors(model, truth()),
        figures=lambda model, history, directory, title: _figures(
            model, truth() or blank_samples(problem), history, directory, title
        ),
    )


def _holds_at_labels(condition, domain):
    """Whether a condition of u at a place is the same one of w at the label: particles slide along walls."""
    if isinstance(condition, Dirichlet):
        return domain.dim == 1 or isinstance(condition.value, Constant)
    return isinstance(condition, Periodic)


def _errors(model, truth):
    if truth is None:
        return {}
    found = errors(model, truth)
    if not all(map(math.isfinite, found.values())):
        _warn_of_folds(model, truth.point)
    return found


def _warn_of_folds(model, point):
    try:
        check_invertible(model.characteristics, point)
    except ValueError as error:
        warnings.warn(f"u(t, x) is not known everywhere: {error}", stacklevel=2)


def _figures(model, samples, history, directory, title):
    from ..plots import save_characteristics, save_run_figures  # matplotlib is imported only when it draws

    prediction = evaluate_field(model, samples.point)
    paths = save_run_figures(title, samples, prediction, history, directory)
    return paths + save_characteristics(title, samples, prediction, model.characteristics, directory)
