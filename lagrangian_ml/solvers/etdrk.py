"""Exponential time differencing of orders 1–4 (Cox & Matthews 2002) in Fourier, sine or cosine modes, in 1–3-D.

u_t = L u + N(u, t): the linear part is integrated exactly in Fourier space, the remainder N by a Runge–Kutta method,
whose weights are functions φ₁, φ₂, φ₃ of L dt. L is found by probing the equation, N is all the rest. The state is
the Galerkin truncation: only the modes kept by dealiasing exist. N is explicit: dt is bounded by advection
(`courant`), not by L; the order falls by about one while dt leaves stiff modes unresolved.

Walls: "dirichlet" (u = 0) and "neumann" (no flux) expand in sines and cosines, which converge spectrally where N has
the parity of u about the walls: all powers of u between Neumann walls, odd ones and fluxes between Dirichlet walls.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Grid
from ..linalg import Transform, make_transform
from .phi import phi_functions, times
from .remainder import Remainder, check_flux, has_explicit_terms, is_real, linear_part, walled
from .state import values_on

# Bounds of `courant` on the imaginary axis. Orders 1 and 2 have none: there the highest mode grows by 12 % a step.
_MAX_COURANT = {1: 0.5, 2: 1.0, 3: 3**0.5, 4: 8**0.5}


class ModeState(eqx.Module):
    """The kept modes of a field, (c, *k), at the time t."""

    modes: Inexact[Array, "c *k"]
    t: Float[Array, ""]


class ETDRK(eqx.Module):
    """A stepper of `ModeState`s by dt, of order 1 to 4.

    `dealias` is the fraction of the modes that is kept on every axis: 2/3 removes the aliases of quadratic terms
    exactly; a cubic term such as Allen–Cahn's needs 1/2. Linear equations keep all. `walls` is "periodic",
    "dirichlet" or "neumann", or a tuple of these by axis; `transform` chooses the back end of the transforms.
    `paired` steps two samples at once, as real and imaginary part of one complex field, which is faster on CPUs:
    `init` takes both, `values` and `courant` speak of arrays (2, c, *s).

    Raises:
        ValueError: if the equation is steady, its `linear` has no Fourier symbol or does not fit the walls, or an
            option is out of range.
    """

    remainder: Remainder
    dt: float | Float[Array, ""]
    order: int = eqx.field(static=True)
    stages: tuple[Array, ...]  # exp(L dt) and what else the order needs, see `_weights`
    reach: Float[Array, " d"]  # dt times the largest wave number on each axis; damped ones count less

    def __init__(
        self,
        equation: Equation,
        grid: Grid,
        dt: int | float | Float[Array, ""],
        order: int = 4,
        dealias: float = 2 / 3,
        walls: str | tuple[str, ...] = "periodic",
        transform: str = "auto",
        paired: bool = False,
    ):
        if equation.steady:
            raise ValueError(f"{type(equation).__name__} is steady: it has no time to step in.")
        equation.require_parts()
        if isinstance(dt, int | float) and not dt > 0:
            raise ValueError(f"dt={dt} must be > 0.")
        if order not in _MAX_COURANT:
            raise ValueError(f"order={order} must be 1, 2, 3 or 4.")
        self.dt, self.order = dt, order
        self.remainder = Remainder(equation, grid, _basis(equation, grid, dealias, walls, transform, paired))
        check_flux(equation, grid, self.basis)
        symbol = linear_part(equation, grid, self.basis)
        self.stages = _weights(symbol, dt, order, grid.dim)
        self.reach = _reach(self.stages[1], grid, self.basis)

    @property
    def equation(self) -> Equation:
        return self.remainder.equation

    @property
    def grid(self) -> Grid:
        return self.remainder.grid

    @property
    def basis(self) -> Transform:
        return self.remainder.basis

    @property
    def max_courant(self) -> float:
        return _MAX_COURANT[self.order]

    @property
    def paired(self) -> bool:
        return not is_real(self.basis)

    def init(self, initial: Any, t: int | float | Float[Array, ""] = 0.0) -> ModeState:
        """The state at time t of a field `initial(x) -> (c,)` or of values (c, *s) on the grid; `paired`: of two.

        The modes that are not kept are dropped.
        """
        if self.paired and (callable(initial) or len(initial) != 2):
            raise ValueError("a paired solver steps two samples: give `init` two fields, or values (2, c, *s).")
        samples = [values_on(self.grid, self.equation, one) for one in (initial if self.paired else [initial])]
        values = lax.complex(*samples) if self.paired else samples[0]
        return ModeState(self.basis.to_modes(values), jnp.asarray(t, samples[0].dtype))

    def values(self, state: ModeState) -> Inexact[Array, "..."]:
        values = self.basis.to_values(state.modes)
        return jnp.stack([values.real, values.imag]) if self.paired else values

    def courant(self, values: Inexact[Array, "..."]) -> Float[Array, ""]:
        """The advective number Σᵢ max|velocityᵢ| · max|kᵢ| · dt; 0 if the equation states no velocity."""
        velocity = self.remainder.velocity(lax.complex(*values) if self.paired else values)
        if velocity is None:
            return jnp.zeros(())
        largest = jnp.max(jnp.abs(velocity), axis=[i for i in range(velocity.ndim) if i != 1])
        return jnp.sum(largest * self.reach)

    def __call__(self, state: ModeState) -> ModeState:
        u, t = state.modes, state.t
        if self.remainder.is_steady:
            modes = times(self.stages[0], u)
            if self.remainder.source is not None:
                modes = modes + times(self.stages[1], self.remainder.source)
        else:
            modes = _STEPS[self.order](u, t, self.dt, self.remainder, *self.stages)
        return ModeState(modes, t + self.dt)


def _basis(equation, grid, dealias, walls, backend, paired) -> Transform:
    """The modes a solution is expanded in. All are kept if no term of the equation could alias."""
    basis = make_transform(grid.shape, dealias, backend, real=not paired, walls=walls)
    if walled(basis) and not grid.centred:
        raise ValueError("walls need a grid of cell centres: Grid(…, centred=True).")
    if paired and (walled(basis) or dealias == 1 or not has_explicit_terms(equation)):
        raise ValueError("`paired` needs periodic axes, dealias < 1 and an equation that is not linear.")
    return basis if has_explicit_terms(equation) else make_transform(grid.shape, 1.0, backend, walls=walls)


def _weights(symbol, dt, order, dim) -> tuple[Array, ...]:
    """exp(L dt) and dt φ₁(L dt), then what the order adds: (22) to (29) of Cox & Matthews, without cancellation."""
    is_matrix = symbol.ndim == dim + 2
    full, phi1, phi2, phi3 = phi_functions(symbol * dt, is_matrix)
    first = (full, dt * phi1)
    if order == 1:
        return first
    if order == 2:
        return (*first, dt * phi2)
    half, half_phi1, _, _ = phi_functions(symbol * (0.5 * dt), is_matrix)
    ends = (phi1 - 3 * phi2 + 4 * phi3, 2 * phi2 - 4 * phi3, 4 * phi3 - phi2)  # beginning, middle, end
    return (*first, half, 0.5 * dt * half_phi1, *(dt * weight for weight in ends))


def _euler(u, t, dt, N, e, q):
    return times(e, u) + times(q, N(u, t))


def _second_order(u, t, dt, N, e, q, r):
    n_u = N(u, t)
    a = times(e, u) + times(q, n_u)
    return a + times(r, N(a, t + dt) - n_u)


def _third_order(u, t, dt, N, e, q, e_half, q_half, first, middle, last):
    n_u, e_u = N(u, t), times(e, u)
    n_a = N(times(e_half, u) + times(q_half, n_u), t + 0.5 * dt)
    n_b = N(e_u + times(q, 2 * n_a - n_u), t + dt)
    return e_u + times(first, n_u) + times(middle, 2 * n_a) + times(last, n_b)


def _fourth_order(u, t, dt, N, e, q, e_half, q_half, first, middle, last):
    n_u, half_way = N(u, t), times(e_half, u)
    a = half_way + times(q_half, n_u)
    n_a = N(a, t + 0.5 * dt)
    n_b = N(half_way + times(q_half, n_a), t + 0.5 * dt)
    n_c = N(times(e_half, a) + times(q_half, 2 * n_b - n_u), t + dt)
    return times(e, u) + times(first, n_u) + times(middle, n_a + n_b) + times(last, n_c)


_STEPS = {1: _euler, 2: _second_order, 3: _third_order, 4: _fourth_order}


def _reach(dt_phi1, grid, basis) -> Float[Array, " d"]:
    """max |kᵢ dt φ₁(L dt)| over the modes: an explicit term acts on a mode by dt φ₁, less than dt if it is damped."""
    action = jnp.abs(dt_phi1)
    action = jnp.max(jnp.sum(action, axis=1) if action.ndim == grid.dim + 2 else action, axis=0)
    wavevectors = np.abs(basis.wavevectors(grid.lengths)) * basis.kept
    return jnp.max(jnp.asarray(wavevectors) * action[None], axis=range(1, grid.dim + 1))
