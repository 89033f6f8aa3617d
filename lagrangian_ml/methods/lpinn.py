"""Lagrangian PINNs: a network for the characteristics and one for the state that they carry.

Mojgani, Balajewicz & Hassanzadeh 2023 (doi 10.1016/j.cma.2022.115810, arXiv 2205.02902): with the characteristics
x = φ(t, X) and the state w(t, X) = u(t, φ(t, X)) minimise the mean squares of ∂_tφ − v(w) and of D_t w − forcing on
points (t, X), where u_x and u_xx follow by the chain rule. Differences: initial values, periodicity and walls are built
in; any equation with a transport velocity is read as it stands, through `jets.MovingJet`, in any dimension; maps that
cannot fold are an option; u(t, x) itself is evaluated, through the inverse map. The map starts near the identity: a
random map of full size folds, where u_xx is infinite.

`slip` keeps (v − ∂_tφ)·∇u in D_t w, so that the equation holds exactly in whatever frame; without it, the paper's form,
the frame has to move with the flow. It is the default: after 100 steps on Burgers' moving front the relative error was
2.2e-6 with it and 3.6e-5 without (C = 10; for C = 0 2.9e-5 and 2.7e-5), on convection after 80 steps 2.2e-9 and
7.6e-10, one seed each.
"""

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
from ..flows.characteristics import Wrap, displacement, evolving_box, periodic_axes
from ..jets import MovingJet, point_jet
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


class Carried(eqx.Module):
    """w(t, X) = u₀(X): what particles keep, without parameters."""

    initial: Callable
    satisfies: frozenset[str] = eqx.field(static=True)

    def __call__(self, t: Float[Array, ""], X: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.initial(X)


def carried(problem: Problem, model: Callable[..., Any] = MLP, *, key: Key[Array, ""]) -> Carried:
    """The state of pure transport, D_t u = 0: the characteristics are all that is left to learn.

    Raises ValueError if the equation changes u along particles, or the problem has no initial value.
    """
    equation, initial = problem.equation, problem.initial
    x = problem.domain.sample(64, key=key)
    wave = lambda t, x: jnp.sin(jnp.arange(1, equation.num_components + 1) + 3 * jnp.sum(x) - t)
    change = jax.vmap(lambda x: equation.forcing(point_jet(wave, x, jnp.zeros((), x.dtype))))(x)
    if initial is None or jnp.any(change != 0):
        raise ValueError(
            f"state=carried keeps the initial value on every particle; got {type(equation).__name__} with "
            f"initial={initial}, which changes u by up to {float(jnp.max(jnp.abs(change))):.3g} per unit of time. "
            "Use state=hard_constraints."
        )
    periodic = all(isinstance(condition, Periodic) for condition in problem.boundary)
    return Carried(initial, frozenset({"equation", "initial"} | ({"boundary"} if periodic else set())))


class Grown(eqx.Module):
    """w(t, X) = u₀(X) exp(t/T · N(t, X)): positive as u₀ is, and the tails of a blob need no fine network."""

    initial: Callable
    exponent: Field
    horizon: float
    satisfies: frozenset[str] = eqx.field(static=True)

    def __call__(self, t: Float[Array, ""], X: Float[Array, " d"]) -> Float[Array, " c"]:
        return self.initial(X) * jnp.exp(t / self.horizon * self.exponent(t, X))


def grown(problem: Problem, model: Callable[..., Any] = MLP, *, key: Key[Array, ""]) -> Grown:
    """The state as a factor on a positive initial value; N vanishes on Dirichlet regions, where u₀ stays.

    Raises ValueError if the initial value is not positive at sampled points.
    """
    box, initial, horizon = evolving_box(problem)
    least = float(jnp.min(jax.vmap(initial)(box.sample(256, key=jax.random.key(0), law="sobol"))))
    if not least > 0:
        raise ValueError(
            f"state=grown multiplies the initial value, which has to be positive; it is {least:.3g} somewhere. "
            "Use state=hard_constraints."
        )
    still = tuple(Dirichlet(c.region) if isinstance(c, Dirichlet) else c for c in problem.boundary)
    exponent = hard_constraints(replace(problem, initial=None, boundary=still), model, key=key)
    walls = [c for c in problem.boundary if isinstance(c, Dirichlet)]
    stays = all(isinstance(c.value, Constant) and _starts_with(initial, c) for c in walls)
    return Grown(initial, exponent, horizon, exponent.satisfies - (set() if stays else {"boundary"}) | {"initial"})


def _starts_with(initial, condition, tolerance=1e-5):
    """Whether the initial value is the boundary's, on sampled points."""
    x, _ = condition.region.sample(64, key=jax.random.key(0))
    gap = jax.vmap(lambda x: initial(x) - condition.value(jnp.zeros((), x.dtype), x))(x)
    return bool(jnp.max(jnp.abs(gap)) <= tolerance)


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
        state: builds w around a network, `(problem, model, *, key)`; its `satisfies` names terms that hold. `grown`
            is a factor on a positive u₀, for blobs.
            `carried` is u₀(X) itself, for pure transport: with `slip` the term "equation" is then the rate at which
            the error of u grows, and weighs the characteristics where u varies.
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
    return {} if truth is None else errors(model, truth)


def _figures(model, samples, history, directory, title):
    from ..plots import save_run_figures  # matplotlib is imported only when it draws
    from ..plots.frame import save_characteristics

    prediction = evaluate_field(model, samples.point)
    paths = save_run_figures(title, samples, prediction, history, directory)
    return paths + save_characteristics(title, samples, prediction, model.characteristics, directory)
