"""The exact solution of Riemann problems of the Euler equations (Toro 2009, chapter 4).

Two uniform gases meet at x = center on the first axis. A wave, shock or rarefaction, runs into each; between the
waves the pressure p* and the velocity v* are uniform, and the density jumps at the contact, which moves with v*.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .coefficients import Scalar, Vector, as_vector
from .euler import Euler


class EulerRiemann(eqx.Module):
    """The states `left` and `right` are primitive, (ρ, v, p). ValueError if ρ or p ≤ 0, or a vacuum would open."""

    equation: Euler
    left: Vector = eqx.field(converter=as_vector)
    right: Vector = eqx.field(converter=as_vector)
    center: Scalar = 0.0

    def __check_init__(self):
        numbers = (self.equation.gamma, *self.left, *self.right)
        for name, state in (("left", self.left), ("right", self.right)):
            if len(state) != self.equation.num_components:
                raise ValueError(f"{name}={state} needs {self.equation.num_components} numbers: (ρ, v…, p).")
            if any(isinstance(q, int | float) and not q > 0 for q in (state[0], state[-1])):
                raise ValueError(f"{name}={state} needs a density and a pressure > 0.")
        if all(isinstance(q, int | float) for q in numbers):
            gamma = self.equation.gamma
            c_l, c_r = (math.sqrt(gamma * state[-1] / state[0]) for state in (self.left, self.right))
            if self.right[1] - self.left[1] >= 2 * (c_l + c_r) / (gamma - 1):
                raise ValueError(f"left={self.left} and right={self.right} part so fast that a vacuum opens.")

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " c"]:
        """The conserved variables (ρ, ρv, E)."""
        left, right = (jnp.asarray(state, x.dtype) for state in (self.left, self.right))
        p, v = self.middle(left, right)
        t = jnp.maximum(jnp.asarray(t, x.dtype), jnp.finfo(x.dtype).tiny ** 0.5)
        ray = (x[0] - self.center) / t
        # the right half is the left half seen in a mirror
        on_left = self._half(left, p, v, ray)
        on_right = self._half(right.at[1].multiply(-1), p, -v, -ray).at[1].multiply(-1)
        return self.equation.conserved(jnp.where(ray < v, on_left, on_right))

    def middle(self, left: Float[Array, " c"], right: Float[Array, " c"]) -> tuple[Array, Array]:
        """Pressure and velocity between the waves: the root of a concave, increasing function of p."""
        gamma = self.equation.gamma
        excess = lambda p: self._push(left, p) + self._push(right, p) + right[1] - left[1]
        slope = jax.grad(excess)
        lowest = 1e-9 * jnp.minimum(left[-1], right[-1])
        # Newton's steps do not overshoot from the left, where the first one leads to
        step = lambda _, p: jnp.maximum(p - excess(p) / slope(p), lowest)
        c_l, c_r = (jnp.sqrt(gamma * state[-1] / state[0]) for state in (left, right))
        z = (gamma - 1) / (2 * gamma)
        guess = c_l + c_r - 0.5 * (gamma - 1) * (right[1] - left[1])
        guess = jnp.maximum(guess, 0.01 * (c_l + c_r)) / (c_l / left[-1] ** z + c_r / right[-1] ** z)
        p = jax.lax.fori_loop(0, 40, step, jnp.maximum(guess ** (1 / z), lowest))
        return p, 0.5 * (left[1] + right[1] + self._push(right, p) - self._push(left, p))

    def _push(self, state, p):
        """By how much a wave from the pressure of a state to p changes the velocity."""
        gamma, rho, p_k = self.equation.gamma, state[0], state[-1]
        shock = (p - p_k) * jnp.sqrt(2 / (rho * ((gamma + 1) * p + (gamma - 1) * p_k)))
        ratio = (p / p_k) ** ((gamma - 1) / (2 * gamma))
        return jnp.where(p > p_k, shock, 2 * jnp.sqrt(gamma * p_k / rho) / (gamma - 1) * (ratio - 1))

    def _half(self, state, p, v, ray):
        """The primitive state on a ray x/t left of the contact."""
        gamma = self.equation.gamma
        rho_k, v_k, p_k = state[0], state[1], state[-1]
        c_k, mu = jnp.sqrt(gamma * p_k / rho_k), (gamma - 1) / (gamma + 1)
        ratio = p / p_k
        shock_speed = v_k - c_k * jnp.sqrt((gamma + 1) / (2 * gamma) * ratio + (gamma - 1) / (2 * gamma))
        compressed = state.at[0].set(rho_k * (ratio + mu) / (mu * ratio + 1)).at[1].set(v).at[-1].set(p)
        # In the fan v − c = ray; its ends are the state itself and the one of pressure p.
        c = jnp.clip(mu * (v_k - ray) + 2 / (gamma + 1) * c_k, c_k * ratio ** ((gamma - 1) / (2 * gamma)), c_k)
        expanded = state.at[0].set(rho_k * (c / c_k) ** (2 / (gamma - 1)))
        expanded = expanded.at[1].set(v_k + 2 / (gamma - 1) * (c_k - c))
        expanded = expanded.at[-1].set(p_k * (c / c_k) ** (2 * gamma / (gamma - 1)))
        return jnp.where(ratio > 1, jnp.where(ray < shock_speed, state, compressed), expanded)


def sod(equation: Euler | None = None, center: float = 0.5) -> EulerRiemann:
    """Sod's shock tube (1978), usually seen at t = 0.2 on [0, 1]."""
    return EulerRiemann(equation or Euler(), (1.0, 0.0, 1.0), (0.125, 0.0, 0.1), center)


def lax(equation: Euler | None = None, center: float = 0.5) -> EulerRiemann:
    """Lax's shock tube (1954), usually seen at t = 0.13 on [0, 1]."""
    return EulerRiemann(equation or Euler(), (0.445, 0.698, 3.528), (0.5, 0.0, 0.571), center)


def problem_123(equation: Euler | None = None, center: float = 0.5) -> EulerRiemann:
    """Two rarefactions that leave almost a vacuum (Einfeldt et al. 1991), usually seen at t = 0.15 on [0, 1]."""
    return EulerRiemann(equation or Euler(), (1.0, -2.0, 0.4), (1.0, 2.0, 0.4), center)
