"""Whole maps from ℝᵈ to a box, ready to be fitted, φ(t) = box ∘ W(t) ∘ (X + c(t)) ∘ G: the `model` of methods.

G, of couplings and linear maps, shapes the density; a shift c and a linear map W move it. What moves is shifted before
it is turned, so that the shift need not turn with it: then c, the angles and the logarithms of the stretches of W are
smooth, and low powers of t carry them beyond the data, as a shift after W, c(t) turned by W, would not be.

`coupling_flow` conditions every layer of G on time too. `factored_flow` has a G without time: it learns faster, but can
move a density by affine maps only (inside the box's map). `continuous_flow` is the flow of a network instead.
"""

from collections.abc import Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap
from ..fields import MLP
from .box import ToBox
from .chain import Chain
from .conditioners import TimePolynomial
from .coupling import Coupling, Transformer
from .linear import LinearSVD, Shift
from .ode import OdeFlow

RATE = 10.0  # of the motion: it may turn fast


def coupling_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    num_layers: int = 8,
    width: int = 64,
    depth: int = 2,
    degree: int = 4,
    layer_degree: int = 2,
    transformer: Transformer | None = None,
    key: Key[Array, ""],
) -> FlowMap:
    """A flow whose every layer is conditioned on time.

    Args:
        lower, upper: the corners of the box; its map has slope 1 at the centre, along the shortest side.
        num_layers, width, depth: of G and its conditioners.
        degree: powers of t in c and W.
        layer_degree: powers of t on which every layer of G depends, 0 for none.
        transformer: of the couplings, affine unless given.
        key: draws the parameters.
    """
    dim = len(lower)
    keys = jax.random.split(key, (num_layers + 1, 2))
    law = partial(TimePolynomial, degree=layer_degree)
    layers: list[FlowMap] = []
    for i in range(num_layers):
        options = {"width": width, "depth": depth, "degree": layer_degree}
        layers.append(Coupling(dim, active_axes(dim, i), transformer, **options, key=keys[i, 0]))
        layers.append(LinearSVD(dim, law, key=keys[i, 1]))
    motion = partial(TimePolynomial, degree=degree, rate=RATE)
    layers += [Shift(dim, motion, key=keys[-1, 0]), LinearSVD(dim, motion, key=keys[-1, 1])]
    return Chain((*layers, _into_box(lower, upper)))


def factored_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    num_layers: int = 8,
    width: int = 64,
    depth: int = 2,
    degree: int = 4,
    transformer: Transformer | None = None,
    key: Key[Array, ""],
) -> FlowMap:
    """A `coupling_flow` whose couplings do not know time: only the shift and the linear map after them do."""
    options = {"num_layers": num_layers, "width": width, "depth": depth, "degree": degree, "transformer": transformer}
    return coupling_flow(lower, upper, **options, layer_degree=0, key=key)


class NetworkVelocity(eqx.Module):
    """v(t, y) = network(t, y / length)."""

    network: MLP
    length: float

    def __call__(self, t: Float[Array, ""], y: Float[Array, " d"]) -> Float[Array, " d"]:
        return self.network(jnp.concatenate([t[None], y / self.length]))


def continuous_flow(
    lower: Sequence[float | int],
    upper: Sequence[float | int],
    *,
    width: int = 64,
    depth: int = 3,
    num_steps: int = 8,
    key: Key[Array, ""],
) -> FlowMap:
    """A continuous normalizing flow into a box: `num_steps` steps of `OdeFlow` with a network for the velocity."""
    box = _into_box(lower, upper)
    network = MLP(len(lower) + 1, len(lower), width=width, depth=depth, key=key)
    return Chain((OdeFlow(NetworkVelocity(network, box.scale), num_steps=num_steps), box))


def _into_box(lower, upper):
    return ToBox(lower, upper, 0.5 * min(b - a for a, b in zip(lower, upper)))


def active_axes(dim: int, layer: int) -> tuple[int, ...]:
    """Half of the axes, another half in every layer."""
    count = max(1, dim // 2)
    return tuple((layer * count + i) % dim for i in range(count))
