"""What the parameters of a layer depend on: time alone, or time and some of the coordinates.

Low powers of t are the features of time, because they can be trusted a little beyond the data, where networks and
harmonics cannot. A coordinate enters a network `bounded` by 4: far away the parameters are constant.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..fields import MLP

REACH = 4.0  # of a coordinate, beyond which parameters hardly change


class TimePolynomial(eqx.Module):
    """p(t) = rate · Σₖ cₖ tᵏ, k = 0 … degree; a constant for degree 0. It starts small, of the size `scale`.

    Coefficients are trained in units of `rate`: else an angle of several turns takes thousands of small steps.
    """

    coefficients: Float[Array, "k m"]
    rate: float = eqx.field(static=True)

    def __init__(
        self,
        out_size: int,
        *,
        degree: int = 2,
        scale: float | int = 0.1,
        rate: float | int = 1.0,
        key: Key[Array, ""],
    ):
        if degree < 0 or out_size < 1 or not rate > 0:
            raise ValueError(f"degree={degree} must be at least 0, out_size={out_size} at least 1, rate={rate} > 0.")
        self.coefficients = scale / rate * jax.random.normal(key, (degree + 1, out_size))
        self.rate = float(rate)

    def __call__(self, t: Float[Array, ""]) -> Float[Array, " m"]:
        value = self.coefficients[-1]
        for coefficient in self.coefficients[-2::-1]:
            value = coefficient + t * value
        return self.rate * value


class TimeNetwork(eqx.Module):
    """p(t) by a network of the powers t … t^degree, and linear in them besides."""

    network: MLP
    linear: TimePolynomial
    degree: int = eqx.field(static=True)

    def __init__(self, out_size: int, *, degree: int = 2, width: int = 32, depth: int = 1, key: Key[Array, ""]):
        network_key, linear_key = jax.random.split(key)
        self.network = small_last_layer(MLP(degree, out_size, width=width, depth=depth, key=network_key))
        self.linear = TimePolynomial(out_size, degree=degree, key=linear_key)
        self.degree = degree

    def __call__(self, t: Float[Array, ""]) -> Float[Array, " m"]:
        return self.linear(t) + self.network(powers(t, self.degree))


class Conditioner(eqx.Module):
    """The parameters (m,) of a coupling: a network of the squashed passive coordinates and of t … t^degree.

    At first they are small, so that the layer is near the identity.
    """

    network: MLP
    degree: int = eqx.field(static=True)

    def __init__(
        self, in_size: int, out_size: int, *, width: int = 64, depth: int = 1, degree: int = 1, key: Key[Array, ""]
    ):
        self.degree = degree
        inputs = max(1, in_size + degree)  # without any, the network of a constant
        self.network = small_last_layer(MLP(inputs, out_size, width=width, depth=depth, key=key))

    def __call__(self, t: Float[Array, ""], passive: Float[Array, " a"]) -> Float[Array, " m"]:
        inputs = jnp.concatenate([bounded(passive, REACH), powers(t, self.degree)])
        return self.network(inputs if inputs.size else jnp.ones(1, passive.dtype))


def powers(t: Float[Array, ""], degree: int) -> Float[Array, " k"]:
    """(t, t², …, t^degree)"""
    return jnp.stack([t**k for k in range(1, degree + 1)]) if degree else jnp.zeros(0, t.dtype)


def bounded(p: Float[Array, "..."], bound: float) -> Float[Array, "..."]:
    """p/√(1 + (p/bound)²): p near zero, never beyond ±bound; cheaper than tanh."""
    return p / jnp.sqrt(1 + (p / bound) ** 2)


def small_last_layer(network: MLP, factor: float = 0.1) -> MLP:
    """The network with its last weights scaled down."""
    last = lambda network: network.layers[-1].weight
    return eqx.tree_at(last, network, factor * last(network))
