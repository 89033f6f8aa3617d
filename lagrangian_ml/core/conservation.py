"""Conservation laws: what a system tells finite volumes besides its flux. Scalar laws need nothing of this file.

A scalar law is any `Equation` with a flux; its wave speed is flux′. A system of conservation laws tells its wave
speeds too, and, where it has them, primitive and characteristic variables, what must stay positive, what a wall
reflects, the motion that carries it, and the bed on which it rests. Methods take and return values (c, *s).
"""

import abc
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .equation import Equation, Jet, ValueJet


class ConservationLaw(Equation):
    """u_t + div flux(u) = …, a hyperbolic system. Abstract: `flux` and `wave_speeds` must be stated.

    Optional, each with a default that does without:
        riemann_speeds(left, right)         bounds of the waves between two states
        primitive(u), conserved(w)          the variables in which limited slopes are harmless; u itself
        to_characteristic, from_characteristic   waves along an axis, from changes of the primitive variables
        positive(u)                         what must not become negative
        reflection                          the signs of a reflecting wall
        motion(u), pressure_flux(p, v)      flux = v u + pressure_flux(p, v): for the contact wave of HLLC, for beds
        bed                                 the ground under u₀; u₀ + bed is constant at rest
    """

    if TYPE_CHECKING:  # optional, as in `Equation`

        def motion(self, value: Array, /) -> tuple[Array, Array, Array]:
            """Inertial density (*s), velocity (d, *s) and pressure (*s)."""
            ...

        def pressure_flux(self, pressure: Array, velocity: Array, /) -> Array:
            """The part (c, d, *s) of the flux that is not carried along."""
            ...

    @abc.abstractmethod
    def wave_speeds(self, jet: Jet) -> tuple[Float[Array, "d *s"], Float[Array, "d *s"]]:
        """The slowest and the fastest signed wave speed along every axis."""

    def riemann_speeds(self, left: Jet, right: Jet) -> tuple[Float[Array, "d *s"], Float[Array, "d *s"]]:
        """Bounds of the wave speeds, along every axis, when the state `left` meets the state `right`."""
        (low_left, high_left), (low_right, high_right) = self.wave_speeds(left), self.wave_speeds(right)
        return jnp.minimum(low_left, low_right), jnp.maximum(high_left, high_right)

    def primitive(self, value: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        return value

    def conserved(self, primitive: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        return primitive

    def to_characteristic(
        self, change: Float[Array, "c *s"], at: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """The amplitudes of the waves along an axis in a change of the primitive variables, linearised there."""
        return change

    def from_characteristic(
        self, amplitudes: Float[Array, "c *s"], at: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """The inverse of `to_characteristic`."""
        return amplitudes

    def positive(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """Quantities that must not become negative, each concave in u where those before it are positive."""
        return ()

    @property
    def reflection(self) -> Int[np.ndarray, "c d"] | None:
        """−1 where a component changes sign when the axis is reflected, 1 elsewhere; None if a wall is not known."""
        return None

    @property
    def bed(self) -> Any:
        """The elevation under the first component, a field `x (d,) -> (1,)` or an array (*s), or None.

        Its force on u is what `nonlinear` states; finite volumes balance it against the pressure and do not read
        `nonlinear` then.
        """
        return None


def with_rows(values: Float[Array, "c *s"], rows: dict[int, Float[Array, "*s"]]) -> Float[Array, "c *s"]:
    """`values` with some components replaced, by stacking: compilers fuse that, which they do not with scatters."""
    return jnp.stack([rows.get(i, values[i]) for i in range(values.shape[0])])


class ScalarLaw(ConservationLaw):
    """The conservation law in any scalar equation with a flux: the wave speed is flux′."""

    equation: Equation

    def flux(self, jet: Jet) -> Float[Array, "1 d *s"]:
        return self.equation.flux(jet)

    def wave_speeds(self, jet: Jet) -> tuple[Float[Array, "d *s"], Float[Array, "d *s"]]:
        flux = lambda value: self.equation.flux(ValueJet(value, jet.x, jet.t))
        speed = jax.jvp(flux, (jet.value,), (jnp.ones_like(jet.value),))[1][0]
        return speed, speed


def as_law(equation: Equation) -> ConservationLaw:
    """The conservation law that an equation states.

    ValueError if it has no flux, is a system without speeds, or has parts that finite volumes do not read.
    """
    name = type(equation).__name__
    if not equation.steady:
        equation.require_parts()
    if equation.states("products"):
        raise ValueError(f"{name} states `products`, which finite volumes do not read; MethodOfLines does.")
    if isinstance(equation, ConservationLaw):
        return equation
    if equation.steady or not equation.states("flux"):
        raise ValueError(
            f"{name} is no conservation law: it needs a `flux(jet) -> (c, d, *s)`"
            + (" and an evolution in time." if equation.steady else "; `velocity` alone does not conserve u.")
        )
    if equation.num_components != 1:
        raise ValueError(
            f"{name} is a system of {equation.num_components} components that does not tell its wave speeds: make it "
            "a subclass of core.ConservationLaw."
        )
    return ScalarLaw(equation)
