"""Neural conservation laws: a density and its velocity from a field free of divergence in space-time.

Richter-Powell, Lipman & Chen 2022 (arXiv 2210.01741): with a network A(t, x) of antisymmetric matrices
of size 1 + d, the field Fᵢ = Σⱼ ∂ⱼAᵢⱼ has no divergence, whatever the parameters; (ρ, ρv) = F obeys the continuity
equation. Nothing keeps ρ positive, so v = F/ρ is useless where ρ is near zero: observations are compared with the
flux there, not with the velocity. Here they are a baseline for `lflow`, which has neither flaw.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..core import Problem, Samples, Source, Term
from ..domains import collocation
from ..fields import MLP, Rescale
from ..training import Task
from .lflow import Scores, density_scores, observed


class DivergenceFree(eqx.Module):
    """F = row divergence of an antisymmetric matrix of `network`'s outputs; as a field, (t, x) -> (ρ, v)."""

    network: Callable[[Array], Array]
    rescale: Rescale

    def flux(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " c"]:
        """(ρ, ρv)"""
        z = jnp.concatenate([jnp.asarray(t, x.dtype)[None], x])
        size = z.size
        slopes = jax.jacfwd(lambda z: self.network(self.rescale(z)))(z)  # (pairs, 1 + d)
        row, column = np.triu_indices(size, 1)
        pairs = np.arange(len(row))
        flux = jnp.zeros(size, x.dtype).at[row].add(slopes[pairs, column])
        return flux.at[column].add(-slopes[pairs, row])

    def __call__(self, t: Float[Array, ""], x: Float[Array, " d"]) -> Float[Array, " c"]:
        flux = self.flux(t, x)
        return jnp.concatenate([flux[:1], flux[1:] / flux[0]])


def divergence_free(
    problem: Problem,
    model: Callable[..., Any] = MLP,
    source: Callable[[Problem], Source] = collocation,
    *,
    observations: Samples | Callable[..., Samples] | None = None,
    batch_size: int | None = None,
    velocity_scale: float | int = 10.0,
    scores: Scores | None = None,
    key: Key[Array, ""],
) -> Task:
    """The task of fitting (ρ, ρv) to observations (ρ, v); the arguments are those of `lflow`.

    `model` is a network's constructor `(in_size, out_size, *, key)`. ρv is compared relative to `velocity_scale` + |v|.
    """
    lower, upper = problem.domain.bounds
    size = 1 + problem.domain.dim
    network = model(size, size * (size - 1) // 2, key=key)
    field = DivergenceFree(network, Rescale((0.0, *lower), (problem.horizon or 1.0, *upper)))
    judge = (scores or density_scores)(problem)

    def data(model, sample):
        flux, (rho, v) = model.flux(sample.point.t, sample.point.x), (sample.u[0], sample.u[1:])
        scale = velocity_scale + jnp.sqrt(jnp.sum(v**2))
        density = jnp.log1p(jnp.maximum(flux[0], 0.0)) + jnp.minimum(flux[0], 0.0) - jnp.log1p(rho)
        return jnp.concatenate([density[None], (flux[1:] - rho * v) / scale])

    return Task(
        model=field,
        objective={"data": Term(data)},
        source=observed(problem, source, observations, batch_size, ("data",)),
        field=lambda model: model,
        errors=judge,
    )
