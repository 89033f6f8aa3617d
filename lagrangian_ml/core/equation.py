"""Jets and equations: the two nouns that let a PDE be written once.

An equation reads a jet, the local view of a field. Which jet it is given decides what the equation becomes: a
PINN residual (automatic differentiation at a point), a spectral solver (grid), its own Fourier symbol, …
"""

import abc
from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact


class Jet(abc.ABC):
    """The local view of a field: its value and derivatives, computed when asked for. Makers are in `jets`."""

    moving: ClassVar[bool] = False  # whether it is taken in a frame that moves with the flow
    x: Any  # (d, *s), where it is taken
    t: Any  # scalar, None in steady problems
    value: Any  # (c, *s)
    gradient: Any  # (c, d, *s)
    laplacian: Any  # (c, *s)
    dt: Any  # (c, *s)

    @abc.abstractmethod
    def d(self, *axes: int) -> Inexact[Array, "c *s"]:
        """The space derivative ∂ᵢ∂ⱼ… of every component: `jet.d(0, 0, 1)` is u_xxy."""

    @abc.abstractmethod
    def divergence(self, flux: Callable[["Jet"], Array]) -> Inexact[Array, "c *s"]:
        """div F for a flux `F(jet) -> (c, d, *s)` that reads the jet's value (and x, t) only."""

    @property
    def bilaplacian(self) -> Inexact[Array, "c *s"]:
        """Δ²u = Σᵢ ∂ᵢ⁴u + 2 Σ_{i<j} ∂ᵢ²∂ⱼ²u."""
        axes = range(self.gradient.shape[1])
        mixed = (self.d(i, i, j, j) for i, j in combinations(axes, 2))
        return sum(self.d(i, i, i, i) for i in axes) + 2 * sum(mixed, jnp.zeros_like(self.value))

    @property
    def inverse_laplacian(self) -> "Jet":
        """The jet of Δ⁻¹u (zero mean where the mean is free): grid jets only."""
        raise ValueError(f"a {type(self).__name__} is local: nonlocal laws (`inverse_laplacian`) need a grid jet.")

    def of(self, law: Callable[["Jet"], Array]) -> "Jet":
        """The jet of the values `law(jet) -> (m, *s)` formed from this one; off grids it reads value, x and t only."""
        raise ValueError(f"a {type(self).__name__} cannot differentiate other values: `of` needs a grid or point jet.")

    def material_dt(self, velocity: Array) -> Inexact[Array, "c *s"]:
        """u_t + (velocity·∇)u; a moving frame overrides this, where transport is already in the frame."""
        return self.dt + jnp.einsum("d...,cd...->c...", velocity, self.gradient)


class Equation(eqx.Module):
    """A PDE, u_t = linear + nonlinear + source − transport, written once against a `Jet`.

    A subclass states any of `linear(jet)`, `nonlinear(jet)`, `source(x: (d, *s)) -> (c, *s)`, which is steady, and
    one form of its transport: `velocity(jet) -> (d, *s)` for velocity·∇u, `flux(jet) -> (c, d, *s)` for div flux. A
    scalar law with a flux has the velocity flux′. If both are stated they are two forms of the same term.
    `diffusive_flux(jet) -> (c, d, *s)`, which reads value and gradient, adds its divergence. Transport may
    also be `combine` of the jet of `products`: powers and products of values (m, *s), then a linear map of their jet,
    (c, *s), with constant coefficients, which is subtracted; it comes before flux and velocity, and nonlocal laws
    (`local = False`) need it. Steady equations override `residual`.
    """

    num_components: ClassVar[int] = 1
    steady: ClassVar[bool] = False
    local: ClassVar[bool] = True  # nonlocal laws need a grid jet (`inverse_laplacian`)

    if TYPE_CHECKING:  # each is optional: a part that is not stated does not exist

        def linear(self, jet: Jet, /) -> Array: ...
        def nonlinear(self, jet: Jet, /) -> Array: ...
        def source(self, x: Array, /) -> Array: ...
        def velocity(self, jet: Jet, /) -> Array: ...
        def flux(self, jet: Jet, /) -> Array: ...
        def diffusive_flux(self, jet: Jet, /) -> Array: ...
        def products(self, jet: Jet, /) -> Array: ...
        def combine(self, products: Jet, /) -> Array: ...

    def states(self, part: str) -> bool:
        """Whether this equation states a part, such as `linear`, `nonlinear`, `source`, `velocity` or `flux`."""
        return hasattr(self, part)

    def require_parts(self) -> None:
        """ValueError unless the rate is the sum of stated parts, which is what solvers that treat them apart read."""
        parts = ("linear", "nonlinear", "source", "velocity", "flux", "diffusive_flux", "products")
        if type(self).rate is not Equation.rate or not any(map(self.states, parts)):
            raise ValueError(
                f"{type(self).__name__} gives its `rate` as a whole; this solver reads the parts {', '.join(parts)}. "
                "State those, or use MethodOfLines, which needs the rate only."
            )

    def forcing(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """linear + nonlinear + source + div diffusive_flux: all but the transport."""
        parts = [getattr(self, part)(jet) for part in ("linear", "nonlinear") if self.states(part)]
        if self.states("source"):
            parts.append(self.source(jet.x))
        if self.states("diffusive_flux"):
            parts.append(_diffusion(self.diffusive_flux, jet))
        return sum(parts, start=jnp.zeros_like(jet.value))

    def transport_velocity(self, jet: Jet) -> Inexact[Array, "d *s"] | None:
        """The velocity that carries u, or None if the transport has only a flux form or is absent."""
        if self.states("velocity"):
            return self.velocity(jet)
        if self.states("flux") and self.num_components == 1:
            flux = lambda value: self.flux(ValueJet(value))
            return jax.jvp(flux, (jet.value,), (jnp.ones_like(jet.value),))[1][0]
        return None

    def rate(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """u_t as the equation gives it from the space derivatives alone."""
        if self.states("products"):
            return self.forcing(jet) - self.combine(jet.of(self.products))
        if self.states("flux") and not self.states("velocity"):
            return self.forcing(jet) - jet.divergence(self.flux)
        velocity = self.transport_velocity(jet)
        if velocity is None:
            return self.forcing(jet)
        return self.forcing(jet) - jnp.einsum("d...,cd...->c...", velocity, jet.gradient)

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """What vanishes on a solution: u_t − rate, and D_t u − forcing where the frame carries the transport."""
        velocity = self.transport_velocity(jet) if jet.moving and not self.states("products") else None
        if velocity is None:
            return jet.dt - self.rate(jet)
        return jet.material_dt(velocity) - self.forcing(jet)


class ValueJet(Jet):
    """A jet that knows values only: what a `flux` may read, and what a finite-volume face offers."""

    def __init__(self, value, x=None, t=None):
        self.value = value
        self._place = {"x": x, "t": t}

    def __getattr__(self, name):
        place = self.__dict__.get("_place", {})
        if place.get(name) is not None:
            return place[name]
        raise ValueError(
            f"this jet has values only: `{name}` is not available to a flux here. State terms with "
            "derivatives in `linear` or `nonlinear`; a flux that reads x or t has no derived velocity."
        )

    def d(self, *axes):
        return self.__getattr__(f"d{axes}")

    def divergence(self, flux):
        return self.__getattr__("divergence")


class GradientJet(ValueJet):
    """A jet that knows the value (c, *s) and the gradient (c, d, *s): what a `diffusive_flux` may read."""

    def __init__(self, value, gradient):
        super().__init__(value)
        self.gradient = gradient


def _diffusion(flux: Callable[[Jet], Array], jet: Jet) -> Array:
    """div of a flux of value and gradient, by the chain rule."""
    at = lambda value, gradient: flux(GradientJet(value, gradient))
    total = jnp.zeros_like(jet.value)
    for i in range(jet.gradient.shape[1]):
        bent = jnp.stack([jet.d(i, j) for j in range(jet.gradient.shape[1])], axis=1)
        total = total + jax.jvp(at, (jet.value, jet.gradient), (jet.gradient[:, i], bent))[1][:, i]
    return total
