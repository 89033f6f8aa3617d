"""Whole maps from ℝᵈ to a box, ready to be fitted: the `model` of methods that learn flows.

`coupling_flow` conditions every layer on time. `factored_flow` is φ(t) = box ∘ W(t) ∘ G: couplings G that do not know
time shape the density, one linear map that depends on time moves it. The second learns faster and extrapolates in
time; it can move a density by affine maps only (inside the box's map).
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
from jaxtyping import Array, Key

from ..core import FlowMap
from .box import ToBox
from .chain import Chain
from .conditioners import TimePolynomial
from .coupling import Coupling, Transformer
from .linear import LinearSVD

CONSTANT = partial(TimePolynomial, degree=0)
QUARTIC = partial(TimePolynomial, degree=4)


def coupling_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    num_layers: int = 8,
    width: int = 64,
    depth: int = 1,
    degree: int = 2,
    scale: float | int = 1.0,
    transformer: Transformer | None = None,
    key: Key[Array, ""],
) -> FlowMap:
    """Couplings, each followed by a linear map, all conditioned on powers of t up to `degree`; then the box."""
    dim = len(lower)
    keys = jax.random.split(key, (num_layers, 2))
    layers: list[FlowMap] = []
    for i, (coupling_key, linear_key) in enumerate(keys):
        layers.append(
            Coupling(dim, active_axes(dim, i), transformer, width=width, depth=depth, degree=degree, key=coupling_key)
        )
        layers.append(LinearSVD(dim, partial(TimePolynomial, degree=degree), key=linear_key))
    return Chain((*layers, ToBox(lower, upper, scale)))


def factored_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    num_layers: int = 8,
    width: int = 64,
    depth: int = 1,
    scale: float | int = 1.0,
    transformer: Transformer | None = None,
    law: Callable[..., Callable] = QUARTIC,
    key: Key[Array, ""],
) -> FlowMap:
    """Couplings and linear maps without time, then one linear map whose parameters are `law` of time; then the box."""
    dim = len(lower)
    *keys, last = jax.random.split(key, 2 * num_layers + 1)
    layers: list[FlowMap] = []
    for i in range(num_layers):
        layers.append(
            Coupling(dim, active_axes(dim, i), transformer, width=width, depth=depth, degree=0, key=keys[2 * i])
        )
        layers.append(LinearSVD(dim, CONSTANT, key=keys[2 * i + 1]))
    return Chain((*layers, LinearSVD(dim, law, key=last), ToBox(lower, upper, scale)))


def active_axes(dim: int, layer: int) -> tuple[int, ...]:
    """Half of the axes, another half in every layer."""
    count = max(1, dim // 2)
    return tuple((layer * count + i) % dim for i in range(count))
