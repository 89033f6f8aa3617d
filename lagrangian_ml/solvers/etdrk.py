"""Exponential time differencing, fourth order (Cox & Matthews 2002), on periodic grids in any dimension.

u_t = L u + N(u, t): the linear part is integrated exactly in Fourier space, the remainder N by a Runge–Kutta method,
whose weights are functions φ₁, φ₂, φ₃ of L dt. Kassam & Trefethen (2005) evaluate them by contour integrals; here it
is by scaling and doubling (Skaflestad & Wright 2009), exact to rounding for scalars and for the matrices of systems.
L is found by probing the equation, N is all the rest. N is explicit: dt is bounded by advection, about
3 / (max|u| · largest kept wave number), not by L; the order falls to about 3 while dt leaves stiff modes unresolved.
"""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Complex, Float

from ..core import Equation, Field, ValueJet
from ..equations import at_points
from ..jets import PeriodicGrid, SpectralJet, linear_symbol


class GridState(eqx.Module):
    """A real field on a grid, (c, *s), at the time t."""

    values: Float[Array, "c *s"]
    t: Float[Array, ""]


class ETDRK4(eqx.Module):
    """A stepper of `GridState`s by dt. `dealias` is the kept fraction of the modes of N on every axis:
    2/3 removes the aliases of quadratic terms exactly; a cubic term such as Allen–Cahn's needs 1/2.

    Raises:
        ValueError: if the equation is steady, its `linear` has no Fourier symbol, or dt or `dealias` is out of range.
    """

    equation: Equation
    grid: PeriodicGrid
    dt: float | Float[Array, ""]
    dealias: float = eqx.field(static=True)
    half: tuple[Array, ...]  # exp(L dt/2) and (dt/2) φ₁(L dt/2)
    full: tuple[Array, ...]  # exp(L dt) and the weights of N at the beginning, twice in the middle, and at the end

    def __init__(
        self, equation: Equation, grid: PeriodicGrid, dt: int | float | Float[Array, ""], dealias: float = 2 / 3
    ):
        if equation.steady:
            raise ValueError(f"{type(equation).__name__} is steady: it has no time to step in.")
        if isinstance(dt, int | float) and not dt > 0:
            raise ValueError(f"dt={dt} must be > 0.")
        if not 0 < dealias <= 1:
            raise ValueError(f"dealias={dealias} must lie in (0, 1]; 2/3 suits quadratic terms, 1/2 cubic ones.")
        self.equation, self.grid, self.dt, self.dealias = equation, grid, dt, dealias
        symbol = _diagonal_if_possible(linear_symbol(equation, grid.wavevectors()))
        is_matrix = symbol.ndim == grid.dim + 2
        e_half, phi1, _, _ = _phi(symbol * (0.5 * dt), is_matrix)
        self.half = (e_half, 0.5 * dt * phi1)
        e_full, phi1, phi2, phi3 = _phi(symbol * dt, is_matrix)
        weights = (phi1 - 3 * phi2 + 4 * phi3, 2 * phi2 - 4 * phi3, 4 * phi3 - phi2)
        self.full = (e_full, *(dt * weight for weight in weights))

    def init(self, initial: Field, t: int | float | Float[Array, ""] = 0.0) -> GridState:
        """The state at time t of a steady field `initial(x) -> (c,)`, such as a problem's."""
        points = self.grid.points
        values = jax.jit(partial(at_points, initial))(points)
        if values.shape != (self.equation.num_components, *self.grid.shape):
            raise ValueError(
                f"the initial field has {values.shape[0]} components; {type(self.equation).__name__} needs "
                f"{self.equation.num_components}."
            )
        return GridState(values, jnp.asarray(t, points.dtype))

    def __call__(self, state: GridState) -> GridState:
        (e_half, q), (e_full, first, middle, last) = self.half, self.full
        t, t_half, t_end = state.t, state.t + 0.5 * self.dt, state.t + self.dt
        u = self.grid.to_modes(state.values)
        if not any(map(self.equation.states, ("flux", "velocity", "nonlinear"))):
            return GridState(self.grid.to_values(_times(e_full, u)), t_end)
        n_u = self.remainder(u, t)
        half_way = _times(e_half, u)
        a = half_way + _times(q, n_u)
        n_a = self.remainder(a, t_half)
        n_b = self.remainder(half_way + _times(q, n_a), t_half)
        n_c = self.remainder(_times(e_half, a) + _times(q, 2 * n_b - n_u), t_end)
        out = _times(e_full, u) + _times(first, n_u) + _times(middle, n_a + n_b) + _times(last, n_c)
        return GridState(self.grid.to_values(out), t_end)

    def remainder(self, modes: Complex[Array, "c *k"], t: Float[Array, ""]) -> Complex[Array, "c *k"]:
        """N in Fourier space: nonlinear − ik·F̂, or nonlinear − velocity·∇u."""
        equation, grid = self.equation, self.grid
        has_flux, has_velocity, has_nonlinear = map(equation.states, ("flux", "velocity", "nonlinear"))
        kept = jnp.asarray(self._kept())[None]
        jet = SpectralJet(grid.to_values(jnp.where(kept, modes, 0)), grid, t)
        total = jnp.zeros_like(modes)
        if has_flux:
            fluxes = grid.to_modes(equation.flux(ValueJet(jet.value, grid.points, t)))
            total = total - 1j * jnp.einsum("d...,cd...->c...", grid.wavevectors(), fluxes)
        local = equation.nonlinear(jet) if has_nonlinear else jnp.zeros_like(jet.value)
        if has_velocity and not has_flux:
            local = local - jnp.einsum("d...,cd...->c...", equation.velocity(jet), jet.gradient)
        if has_nonlinear or not has_flux:
            total = total + grid.to_modes(local)
        return jnp.where(kept, total, 0)

    def _kept(self) -> np.ndarray:
        half = np.reshape(self.grid.shape, (-1,) + (1,) * self.grid.dim) / 2
        return np.all(np.abs(self.grid.mode_numbers()) < self.dealias * half, axis=0)


def _times(coefficient: Array, modes: Array) -> Array:
    """(c, *k) or (c, c, *k) times (c, *k)."""
    if coefficient.ndim == modes.ndim:
        return coefficient * modes
    return jnp.einsum("ij...,j...->i...", coefficient, modes)


def _diagonal_if_possible(symbol: Complex[Array, "c c *k"]) -> Array:
    """The diagonal (c, *k) of a symbol that is diagonal; a traced one is only known to be if c = 1."""
    c = symbol.shape[0]
    if c > 1:
        off_diagonal = symbol[~np.eye(c, dtype=bool)]
        if isinstance(symbol, Tracer) or bool(jnp.any(off_diagonal != 0)):
            return symbol
    return jnp.stack([symbol[i, i] for i in range(c)])


@partial(jax.jit, static_argnums=1)  # many small operations, compiled as one
def _phi(z: Array, is_matrix: bool) -> tuple[Array, ...]:
    """exp z, φ₁, φ₂, φ₃ with φₖ = (φₖ₋₁ − 1/(k−1)!)/z, of scalars (c, *k) or of matrices (c, c, *k)."""
    if is_matrix:
        return tuple(jnp.moveaxis(phi, (-2, -1), (0, 1)) for phi in _matrix_phi(jnp.moveaxis(z, (0, 1), (-2, -1))))
    return jnp.exp(z), *(phi[..., 0, 0] for phi in _matrix_phi(z[..., None, None])[1:])


def _matrix_phi(z: Complex[Array, "*k c c"]) -> tuple[Array, ...]:
    """Taylor series at Z/2ˢ, of norm ≤ 1, then s times φₖ(2Z) = 2⁻ᵏ (φ₀(Z) φₖ(Z) + Σ φⱼ(Z)/(k − j)!), j = 1 … k."""
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(z), axis=-1), axis=-1)[..., None, None])
    doublings = jnp.ceil(jnp.log2(jnp.maximum(norm, 1)))
    z, one = z * jnp.exp2(-doublings), jnp.broadcast_to(jnp.eye(z.shape[-1], dtype=z.dtype), z.shape)
    phi3 = one / float(math.factorial(21))
    for k in range(20, 2, -1):
        phi3 = z @ phi3 + one / float(math.factorial(k))
    phi2 = z @ phi3 + one / 2
    phi1 = z @ phi2 + one

    def double(phi, i):
        p0, p1, p2, p3 = phi
        twice = (p0 @ p0, (p0 @ p1 + p1) / 2, (p0 @ p2 + p1 + p2) / 4, (p0 @ p3 + p1 / 2 + p2 + p3) / 8)
        return tuple(jnp.where(i < doublings, a, b) for a, b in zip(twice, phi, strict=True)), None

    return jax.lax.scan(double, (z @ phi1 + one, phi1, phi2, phi3), jnp.arange(64))[0]
