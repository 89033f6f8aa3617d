"""Maps of a network's input: rescaling, Fourier features, periodic embedding; and `Chain`, which composes maps.

Fourier features: sin 2πBz and cos 2πBz with normal random frequencies B (Tancik et al. 2020, arXiv 2006.10739).
Periodic embedding: sin and cos of the harmonics of a coordinate, so that the network is periodic exactly (Dong and
Ni 2021, arXiv 2007.07442). Other coordinates pass unchanged.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Key

from ..core import Fixed
from .mlp import MLP, check_sizes


class Chain(eqx.Module):
    """The composition of maps of one vector, the first one applied first."""

    maps: tuple[Callable, ...]

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        for function in self.maps:
            z = function(z)
        return z


class Rescale(eqx.Module):
    """The box of the bounds to [-1, 1]^m; not trained."""

    center: Fixed
    scale: Fixed

    def __init__(self, lower: Sequence[float | int], upper: Sequence[float | int]):
        if len(lower) != len(upper) or any(a >= b for a, b in zip(lower, upper, strict=True)):
            raise ValueError(f"rescaling needs lower < upper for every input; got lower={lower}, upper={upper}.")
        self.center = Fixed(jnp.asarray([0.5 * (a + b) for a, b in zip(lower, upper, strict=True)]))
        self.scale = Fixed(jnp.asarray([2.0 / (b - a) for a, b in zip(lower, upper, strict=True)]))

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " m"]:
        return (z - self.center.value) * self.scale.value


class FourierFeatures(eqx.Module):
    """sin and cos of `num_features` random frequencies of standard deviation `scale` (in cycles per unit of z)."""

    frequencies: Fixed | Float[Array, "k m"]

    def __init__(
        self,
        in_size: int,
        num_features: int = 64,
        *,
        scale: float | int = 1.0,
        trainable: bool = False,
        key: Key[Array, ""],
    ):
        check_sizes(in_size=in_size, num_features=num_features)
        frequencies = scale * jax.random.normal(key, (num_features, in_size))
        self.frequencies = frequencies if trainable else Fixed(frequencies)

    @property
    def out_size(self) -> int:
        return 2 * jax.tree.leaves(self.frequencies)[0].shape[0]

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        frequencies = self.frequencies.value if isinstance(self.frequencies, Fixed) else self.frequencies
        phases = 2 * math.pi * (frequencies @ z)
        return jnp.concatenate([jnp.sin(phases), jnp.cos(phases)])


class PeriodicEmbedding(eqx.Module):
    """Replaces inputs, `{axis: period}`, by sin and cos of their first `num_harmonics` harmonics."""

    in_size: int = eqx.field(static=True)
    periods: tuple[tuple[int, float], ...] = eqx.field(static=True)
    num_harmonics: int = eqx.field(static=True)

    def __init__(self, in_size: int, periods: Mapping[int, float | int], num_harmonics: int = 1):
        check_sizes(in_size=in_size, num_harmonics=num_harmonics)
        self.in_size, self.num_harmonics = in_size, num_harmonics
        self.periods = tuple((axis, float(period)) for axis, period in sorted(periods.items()))
        for axis, period in self.periods:
            if not (0 <= axis < in_size and period > 0):
                raise ValueError(f"periods={dict(periods)}: axes are 0 … {in_size - 1} and periods are > 0.")

    @property
    def out_size(self) -> int:
        return self.in_size + len(self.periods) * (2 * self.num_harmonics - 1)

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " k"]:
        periods, features = dict(self.periods), []
        harmonics = jnp.arange(1, self.num_harmonics + 1).astype(z.dtype)
        for axis in range(self.in_size):
            coordinate = z[axis : axis + 1]
            if axis in periods:
                phases = harmonics * (2 * math.pi / periods[axis]) * coordinate
                features += [jnp.sin(phases), jnp.cos(phases)]
            else:
                features.append(coordinate)
        return jnp.concatenate(features)


def fourier_network(
    in_size: int,
    out_size: int,
    *,
    num_features: int = 64,
    scale: float | int = 1.0,
    trainable: bool = False,
    network: Callable[..., Callable] = MLP,
    key: Key[Array, ""],
) -> Chain:
    """A network constructor: `network`, itself a constructor such as `MLP`, on Fourier features."""
    features_key, network_key = jax.random.split(key)
    features = FourierFeatures(in_size, num_features, scale=scale, trainable=trainable, key=features_key)
    return Chain((features, network(features.out_size, out_size, key=network_key)))
