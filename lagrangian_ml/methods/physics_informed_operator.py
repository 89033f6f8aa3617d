"""Operators from the equation alone: u₀ ↦ u(t₁), …, u(t_m), trained on the residual of what they predict.

As in physics-informed operators (Wang, Wang & Perdikaris 2021, arXiv 2103.10974; Li et al. 2021, arXiv 2111.03794),
no solution is needed, initial values only. Differs from both in time, which is collocated, as the discrete-time PINN of
Raissi et al. 2019 (doi 10.1016/j.jcp.2018.10.045, sec. 3.2) does at Gauss nodes: the operator gives the values at m
Chebyshev nodes of (0, T],

    u(t_i) = u₀ + (t_i/T) operator(u₀)_i,    Σ_j D_ij u(t_j) − rate(u(t_i)) = 0,

with D the matrix of differentiation of their polynomial through u₀ at t = 0. Initial values hold exactly; `rate` is the
equation's, on the spectral jet of each u(t_i). Times in between are those of the polynomial. Periodic grids only.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Fixed, Source, Term
from ..domains import ArraySource
from ..jets import SpectralJet
from ..operators import Normalised, OperatorProblem, shapes_of
from ..training import Task
from .operator_regression import against_file, check_sets, errors_on, save_figures, stored_source, test_errors


class TimeCollocation(eqx.Module):
    """An `Operator` u₀ (c, *s) ↦ (k c, *s), the values at k times, one after the other."""

    operator: Any  # (c, *s) -> (m c, *s)
    nodes: Fixed  # (m + 1,) in [0, T], the first is 0
    interpolation: Fixed  # (k, m + 1)

    def __init__(self, operator: Any, horizon: float, num_nodes: int, times: Float[np.ndarray, " k"]):
        nodes = chebyshev_nodes(horizon, num_nodes)
        self.operator, self.nodes = operator, Fixed(jnp.asarray(nodes, jnp.result_type(float)))
        self.interpolation = Fixed(jnp.asarray(interpolation_matrix(nodes, times), jnp.result_type(float)))

    def at_nodes(self, u0: Float[Array, "c *s"]) -> Float[Array, "m c *s"]:
        """u at all nodes, t = 0 first."""
        nodes = self.nodes.value
        given = self.operator(u0).reshape(len(nodes) - 1, *u0.shape)
        share = jnp.expand_dims(nodes[1:] / nodes[-1], range(1, given.ndim))
        return jnp.concatenate([u0[None], u0[None] + share * given])

    def __call__(self, u0: Float[Array, "c *s"]) -> Float[Array, "k *s"]:
        values = jnp.tensordot(self.interpolation.value, self.at_nodes(u0), 1)
        return values.reshape(-1, *u0.shape[1:])


def physics_informed_operator(
    problem: OperatorProblem,
    model: Callable[..., Any],
    source: Callable[[dict[str, Any]], Source] = ArraySource,
    *,
    num_nodes: int = 10,
    key: Key[Array, ""],
) -> Task:
    """The task of learning u₀ ↦ u(t) from the equation of the problem. The outputs of the training samples are not
    used; errors are those of the validation samples, and of the test samples at the end, at their times.

    Args:
        problem: initial values and, to judge, solutions at `problem.times`, with equation and grid.
        model: the operator's constructor, `model(inputs, outputs, *, key)`.
        source: makes the batches of `{"equation": u₀ (n, c, *s)}`.
        num_nodes: m, in time.
        key: draws the network's parameters.

    Raises:
        ValueError: for a problem without equation, grid and times, and for numbers that do not fit.
    """
    (c, *shape), (k, *_) = shapes_of(problem)
    equation, grid, times = problem.equation, problem.grid, problem.times
    if equation is None or grid is None or not times or k != c * len(times) or grid.shape != tuple(shape):
        raise ValueError(
            "the problem needs an equation, its grid, and outputs at known times: those of a recipe that evolves, "
            "frame 0 as input."
        )
    if num_nodes < 2:
        raise ValueError(f"num_nodes={num_nodes} must be at least 2.")
    check_sets(lambda u0: jnp.zeros((k, *u0.shape[1:]), u0.dtype), problem)
    if not jnp.std(problem.train.inputs) > 0:
        raise ValueError("the initial values of the training samples are all the same constant.")
    horizon = max(times)
    initial = problem.train.inputs
    inner = Normalised(model((c, *shape), (num_nodes * c, *shape), key=key), initial, _like(initial, num_nodes))
    collocated = TimeCollocation(inner, horizon, num_nodes, np.asarray(times))
    nodes = chebyshev_nodes(horizon, num_nodes)
    slope = interpolation_slopes(nodes)[1:]
    scale = horizon / float(jnp.std(initial))

    def residual(model, u0):
        u = model.at_nodes(u0)
        dt = jnp.tensordot(jnp.asarray(slope, u.dtype), u, 1)
        rate = jax.vmap(lambda values: equation.rate(SpectralJet(values, grid)))(u[1:])
        return scale * (dt - rate).reshape(-1) / np.sqrt(dt.size)

    validation = problem.validation
    return Task(
        model=collocated,
        objective={"equation": Term(residual)},
        source=stored_source(source, {"equation": initial}),
        field=None,
        errors=lambda model: {} if validation is None else errors_on(model, validation),
        test_errors=lambda model: test_errors(model, problem),
        against=against_file(problem),
        figures=lambda model, history, directory, title: save_figures(model, problem, history, directory, title),
    )


def _like(initial, num_nodes):
    """Samples whose deviations are those of the initial values and whose mean is 0: the unit of the changes."""
    centred = initial - jnp.mean(initial, axis=(0, *range(2, initial.ndim)), keepdims=True)
    return jnp.tile(centred, (1, num_nodes, *(1,) * (initial.ndim - 2)))


def chebyshev_nodes(horizon: float, num_nodes: int) -> Float[np.ndarray, " m"]:
    """T (1 − cos πj/m)/2, j = 0, …, m."""
    return 0.5 * horizon * (1 - np.cos(np.pi * np.arange(num_nodes + 1) / num_nodes))


def interpolation_matrix(nodes: Float[np.ndarray, " m"], times: Float[np.ndarray, " k"]) -> Float[np.ndarray, "k m"]:
    """Values at `times` of the polynomial through values at the nodes (barycentric formula)."""
    weights = _barycentric(nodes)
    distance = times[:, None] - nodes[None]
    at_node = np.isclose(distance, 0, atol=1e-12 * np.ptp(nodes))
    terms = weights / np.where(at_node, 1.0, distance)
    matrix = terms / terms.sum(axis=1, keepdims=True)
    return np.where(at_node.any(axis=1, keepdims=True), at_node.astype(float), matrix)


def interpolation_slopes(nodes: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m m"]:
    """D: the derivatives at the nodes of the polynomial through values at the nodes."""
    weights = _barycentric(nodes)
    distance = nodes[:, None] - nodes[None] + np.eye(len(nodes))
    slopes = weights[None] / weights[:, None] / distance
    np.fill_diagonal(slopes, 0.0)
    return slopes - np.diag(slopes.sum(axis=1))


def _barycentric(nodes):
    distance = (nodes[:, None] - nodes[None]) / (np.ptp(nodes) / 4)
    np.fill_diagonal(distance, 1.0)
    return 1 / distance.prod(axis=1)
