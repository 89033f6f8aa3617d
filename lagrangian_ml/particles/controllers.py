"""Controllers: `controller(t, observation) -> (a,)`, the tension of each actuator, bounded by `strength` (a stress).

Any callable of that form will do, an Equinox module or a Flax one (`fields.FlaxNetwork`); its arrays are trained.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import Fixed
from ..fields import MLP
from .scene import Plant


class Sines(eqx.Module):
    """α = strength · tanh(Σ_k W_ak sin(ω t + 2π k/K) + b_a): as in DiffTaichi (Hu et al. 2020, arXiv 1910.00935)."""

    weights: Float[Array, "a k"]
    bias: Float[Array, " a"]
    frequency: float = eqx.field(static=True)
    strength: float = eqx.field(static=True)

    def __init__(
        self,
        plant: Plant,
        *,
        num_waves: int = 4,
        frequency: float | int = 20.0,
        strength: float | int = 4.0,
        scale: float = 0.01,
        key: Key[Array, ""],
    ):
        """`frequency` is ω in radians per unit of time; the weights are drawn from scale · N(0, 1), the bias is 0."""
        self.weights = scale * jax.random.normal(key, (plant.num_actuators, num_waves))
        self.bias = jnp.zeros(plant.num_actuators)
        self.frequency, self.strength = float(frequency), float(strength)

    def __call__(self, t: Float[Array, ""], observation: Any) -> Float[Array, " a"]:
        phases = 2 * math.pi / self.weights.shape[1] * jnp.arange(self.weights.shape[1], dtype=self.weights.dtype)
        waves = jnp.sin(self.frequency * t.astype(self.weights.dtype) + phases)
        return self.strength * jnp.tanh(self.weights @ waves + self.bias)


class Sequences(eqx.Module):
    """Piecewise constant in time, α = strength · tanh(values[⌊t/interval⌋]): open loop, one decision for each entry."""

    values: Float[Array, "k a"]
    interval: float = eqx.field(static=True)
    strength: float = eqx.field(static=True)

    def __init__(
        self, plant: Plant, *, interval_steps: int = 10, strength: float | int = 4.0, key: Key[Array, ""] | None = None
    ):
        """As many intervals, of `interval_steps` steps each, as fill the duration. All values begin at 0; no `key`
        is used."""
        if interval_steps < 1:
            raise ValueError(f"interval_steps={interval_steps} must be at least 1.")
        num = -(-round(plant.duration / plant.dt) // interval_steps)
        self.values = jnp.zeros((num, plant.num_actuators))
        self.interval, self.strength = interval_steps * plant.dt, float(strength)

    def __call__(self, t: Float[Array, ""], observation: Any) -> Float[Array, " a"]:
        # Half a millionth of an interval: t = 3 · 0.1 belongs to the fourth one, whatever its last bit.
        index = jnp.clip(jnp.floor(t / self.interval + 5e-7 * len(self.values)), 0, len(self.values) - 1)
        return self.strength * jnp.tanh(self.values[index.astype(jnp.int32)])


class Feedback(eqx.Module):
    """α = strength · tanh(network(centers, velocities, goal)): closed loop, as in ChainQueen (arXiv 1810.01054).

    Centers and goal are relative to `origin`, and divided by `length`; velocities by `speed`. `goal` is not trained:
    give another one by `eqx.tree_at(lambda c: c.goal, controller, Fixed(goal))`.
    """

    network: Any
    goal: Fixed
    origin: tuple[float, ...] = eqx.field(static=True)
    length: float = eqx.field(static=True)
    speed: float = eqx.field(static=True)
    strength: float = eqx.field(static=True)

    def __init__(
        self,
        plant: Plant,
        *,
        origin: Sequence[float] | None = None,
        width: int = 32,
        depth: int = 2,
        length: float = 0.1,
        speed: float = 1.0,
        strength: float = 4.0,
        key: Key[Array, ""],
    ):
        num, d, num_goals = plant.num_actuators, plant.dim, plant.num_goals
        self.network = MLP(2 * d * (num + 1) + num_goals, num, width=width, depth=depth, key=key)
        self.goal = Fixed(jnp.zeros(num_goals))
        self.origin = tuple(float(value) for value in origin or (0.5,) * d)
        if len(self.origin) != d:
            raise ValueError(f"origin={self.origin} has {len(self.origin)} entries; the scene has {d} dimensions.")
        self.length, self.speed, self.strength = float(length), float(speed), float(strength)

    def __call__(self, t: Float[Array, ""], observation: Any) -> Float[Array, " a"]:
        centers, goal = observation.centers, jax.lax.stop_gradient(self.goal.value)
        places = (centers - jnp.asarray(self.origin, centers.dtype)[None]) / self.length
        inputs = [places.reshape(-1), observation.velocities.reshape(-1) / self.speed]
        if goal.size:
            inputs.append((goal.astype(centers.dtype) - jnp.asarray(self.origin, centers.dtype)) / self.length)
        return self.strength * jnp.tanh(self.network(jnp.concatenate(inputs)))
