"""The incompressible Navier–Stokes equations, u_t + (u·∇)u + ∇p = νΔu − λu + f, ∇·u = 0, in three forms.

`NavierStokes` has (u, p) for its components and is local: for PINNs. `VelocityNavierStokes` has u, with the pressure
solved for, and `VorticityNavierStokes` the vorticity in 2-D: nonlocal, for grids. In both the products are those of
Basdevant (1983): what the pressure absorbs is taken out first, which leaves 4 transforms in 2-D and 8 in 3-D.

Signs: ω = ∂x v − ∂y u, axis 0 is x and axis 1 is y; u = (∂y ψ, −∂x ψ) with −Δψ = ω. A positive drag λ damps.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations_with_replacement
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Jet
from .coefficients import Scalar, Vector, as_vector, at_points, require_dimension, require_nonnegative, require_positive
from .operators import curl

Force = Callable[[Array], Array]


class VorticityNavierStokes(Equation):
    """ω_t + u·∇ω = νΔω − λω + ∇×f in 2-D; `viscosity` is ν, `drag` is λ, `force(x: (2,)) -> (2,)` is f or None.

    Vorticity does not know the mean of the velocity: it is the constant `mean_flow`.
    """

    local: ClassVar[bool] = False
    viscosity: Scalar = 1e-3
    drag: Scalar = 0.0
    mean_flow: Vector = eqx.field(converter=as_vector, default=(0.0, 0.0))
    force: Force | None = None

    def __check_init__(self):
        require_nonnegative(viscosity=self.viscosity, drag=self.drag)
        if len(self.mean_flow) != 2:
            raise ValueError(f"mean_flow={self.mean_flow} must have 2 components.")

    def linear(self, omega: Jet) -> Inexact[Array, "1 *s"]:
        require_dimension(omega, 2, "the vorticity equation")
        return self.viscosity * omega.laplacian - self.drag * omega.value

    def source(self, x: Float[Array, "2 *s"]) -> Float[Array, "1 *s"]:
        return jnp.zeros_like(x[:1]) if self.force is None else at_points(partial(curl, self.force), x)

    def velocity(self, omega: Jet) -> Inexact[Array, "2 *s"]:
        minus_psi = omega.inverse_laplacian
        swirl = jnp.concatenate([-minus_psi.d(1), minus_psi.d(0)])
        return swirl + jnp.asarray(self.mean_flow, swirl.dtype).reshape(2, *(1 for _ in swirl.shape[1:]))

    def products(self, omega: Jet) -> Inexact[Array, "2 *s"]:
        u, v = self.velocity(omega)
        return jnp.stack([u * v, v**2 - u**2])

    def combine(self, products: Jet) -> Inexact[Array, "1 *s"]:
        """u·∇ω = (∂x² − ∂y²)(uv) + ∂x∂y(v² − u²)"""
        return (products.d(0, 0) - products.d(1, 1))[:1] + products.d(0, 1)[1:]


class VelocityNavierStokes(Equation):
    """u_t + P∇·(u⊗u) = νΔu − λu + f in `dim` = 2 or 3 dimensions, P = 1 − ∇Δ⁻¹∇· the projection on ∇·u = 0.

    `viscosity` is ν, `drag` is λ. The initial velocity and `force(x: (d,)) -> (d,)`, f, must be free of divergence.
    """

    local: ClassVar[bool] = False
    viscosity: Scalar = 1e-3
    drag: Scalar = 0.0
    force: Force | None = None
    dim: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        require_nonnegative(viscosity=self.viscosity, drag=self.drag)
        _require_plane_or_space(self.dim)

    @property
    def num_components(self) -> int:
        return self.dim

    def linear(self, u: Jet) -> Inexact[Array, "d *s"]:
        require_dimension(u, self.dim, f"VelocityNavierStokes(dim={self.dim})")
        return self.viscosity * u.laplacian - self.drag * u.value

    def source(self, x: Float[Array, "d *s"]) -> Float[Array, "d *s"]:
        return jnp.zeros_like(x) if self.force is None else at_points(self.force, x)

    def velocity(self, u: Jet) -> Inexact[Array, "d *s"]:
        return u.value

    def products(self, u: Jet) -> Inexact[Array, "m *s"]:
        """The entries of u⊗u − u_d² 1 on and above its diagonal, the last one, 0, left out: the pressure has u_d²."""
        v, last = u.value, u.value[-1] ** 2
        return jnp.stack([v[i] * v[j] - last if i == j else v[i] * v[j] for i, j in self._entries()])

    def combine(self, products: Jet) -> Inexact[Array, "d *s"]:
        """PF = −∇×Δ⁻¹∇×F, (PF)ᵢ = Δ⁻¹ Σⱼ ∂ⱼ(∂ⱼFᵢ − ∂ᵢFⱼ), of F = ∇·T, for the symmetric matrix T of `products`."""
        axes, potential = range(self.dim), products.inverse_laplacian
        third: dict[tuple[int, ...], Array] = {
            triple: potential.d(*triple) for triple in combinations_with_replacement(axes, 3)
        }
        index = {place: n for n, (i, j) in enumerate(self._entries()) for place in ((i, j), (j, i))}

        def slope(i, j, k):  # ∂ⱼ∂ₖΔ⁻¹Fᵢ
            return sum(third[tuple(sorted((j, k, m)))][index[i, m]] for m in axes if (i, m) in index)

        return jnp.stack([sum(slope(i, j, j) - slope(j, i, j) for j in axes if j != i) for i in axes])

    def _entries(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(self.dim) for j in range(i, self.dim)][:-1]


class NavierStokes(Equation):
    """u_t + (u·∇)u + ∇p − νΔu − f = 0 and ∇·u = 0 for the `dim` + 1 components (u, p); without u_t if `steady`.

    A residual only: the pressure has no rate of its own, so this form is not for solvers.
    """

    viscosity: Scalar = 1e-2
    force: Force | None = None
    dim: int = eqx.field(static=True, default=2)
    steady: bool = eqx.field(static=True, default=False, kw_only=True)

    def __check_init__(self):
        require_nonnegative(viscosity=self.viscosity)
        _require_plane_or_space(self.dim)

    @property
    def num_components(self) -> int:
        return self.dim + 1

    def rate(self, jet: Jet) -> Inexact[Array, "c *s"]:
        raise ValueError("NavierStokes has no rate; solvers need VelocityNavierStokes or VorticityNavierStokes.")

    def residual(self, jet: Jet) -> Inexact[Array, "c *s"]:
        """(u_t + (u·∇)u + ∇p − νΔu − f, ∇·u)"""
        d = self.dim
        require_dimension(jet, d, f"NavierStokes(dim={d})")
        u, slope = jet.value[:d], jet.gradient
        carried = jnp.einsum("j...,ij...->i...", u, slope[:d]) if self.steady else jet.material_dt(u)[:d]
        momentum = carried + slope[d] - self.viscosity * jet.laplacian[:d]
        if self.force is not None:
            momentum = momentum - at_points(self.force, jet.x)
        return jnp.concatenate([momentum, jnp.einsum("ii...->...", slope[:d])[None]])


def _require_plane_or_space(dim):
    if dim not in (2, 3):
        raise ValueError(f"dim={dim} is not allowed: give 2 or 3.")


class Kolmogorov(eqx.Module):
    """The force f = A sin(2πm y/L) e_x, of curl −A (2πm/L) cos(2πm y/L): m = `mode` waves across the `length` L."""

    mode: int | float = 4
    amplitude: Scalar = 1.0
    length: Scalar = 2 * math.pi

    def __check_init__(self):
        require_positive(length=self.length)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        wave = self.amplitude * jnp.sin(2 * math.pi * self.mode / self.length * x[1])
        return jnp.zeros_like(x).at[0].set(wave)


class DiagonalForce(eqx.Module):
    """The force (AL/4π)(cos θ − sin θ)(1, −1), θ = 2π(x + y)/L, of curl A(sin θ + cos θ): that of Li et al. (2021)."""

    amplitude: Scalar = 0.1
    length: Scalar = 1.0

    def __check_init__(self):
        require_positive(length=self.length)

    def __call__(self, x: Float[Array, "2"]) -> Float[Array, "2"]:
        theta = 2 * math.pi / self.length * (x[0] + x[1])
        wave = self.amplitude * self.length / (4 * math.pi) * (jnp.cos(theta) - jnp.sin(theta))
        return jnp.stack([wave, -wave])
