"""Reduced models in the Lagrangian frame: one low-rank basis for the positions and the states of moving particles.

Mojgani & Balajewicz 2017 (arXiv 1701.04343): proper orthogonal decomposition (POD) of snapshots z = (x, u) on
particles, ẋ = v(u), u̇ = forcing(u), then z ≈ Φ a with the coefficients advanced by least squares. What moves as a whole
has low rank there, where a fixed grid needs a mode for every place that it passes. The usual reduction on a fixed grid,
z = u, differs in the rate only. Differences: any `Equation` with a velocity; steps by the implicit midpoint rule.

Limits: periodic boxes, derivatives on the particles by differences along their labels. Particles crowd where the flow
converges, as e^∫∇·v: the frame ends where they cross (`check_order` says where), and nothing is remeshed. Every step
costs rates on all particles (no hyper-reduction): it is the basis that is small, not yet the work.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import Equation, Field, Grid, Jet
from ..jets import StencilJet
from ..solvers.state import values_on


class ParticleJet(Jet):
    """The jet of values (c, *s) on particles at `places` (d, *s), by differences of both along their labels.

    With F = ∂x/∂X and the columns gᵢ of F⁻¹: ∂ᵢu = Du[gᵢ] and ∂ᵢ∂ⱼu = D²u[gᵢ, gⱼ] − Σₘ ∂ₘu D²xₘ[gᵢ, gⱼ]. The labels
    are a periodic grid, and the places that grid displaced. Derivatives of first and second order only.
    """

    moving = True

    def __init__(self, values: Float[Array, "c *s"], places: Float[Array, "d *s"], labels: Grid, t: Any = None):
        self.value, self.x, self.t, self.labels = values, places, t, labels

    @cached_property
    def _label_jets(self):
        return [StencilJet(v, self.labels, order=4) for v in (self.value, self.x - self.labels.points)]

    @cached_property
    def deformation_gradient(self) -> Float[Array, "d d *s"]:
        """F = ∂x/∂X."""
        identity = jnp.eye(self.labels.dim).reshape(2 * (self.labels.dim,) + (1,) * self.labels.dim)
        return identity + self._label_jets[1].gradient

    @cached_property
    def _directions(self):
        """g (d, d, *s): the columns gᵢ of F⁻¹ along the second axis."""
        return jnp.moveaxis(jnp.linalg.inv(jnp.moveaxis(self.deformation_gradient, (0, 1), (-2, -1))), (-2, -1), (0, 1))

    @cached_property
    def gradient(self):
        return jnp.einsum("ck...,ki...->ci...", self._label_jets[0].gradient, self._directions)

    @property
    def laplacian(self):
        return sum((self.d(i, i) for i in range(1, self.labels.dim)), start=self.d(0, 0))

    def d(self, *axes):
        if len(axes) == 1:
            return self.gradient[:, axes[0]]
        if len(axes) != 2:
            raise ValueError(f"a ParticleJet has first and second derivatives; d{axes} is of order {len(axes)}.")
        bend_u, bend_x = (self._bend(jet, *axes) for jet in self._label_jets)
        return bend_u - jnp.einsum("cm...,m...->c...", self.gradient, bend_x)

    def _bend(self, jet, i, j):
        """D²[gᵢ, gⱼ] of the values of a jet in the labels."""
        g, axes = self._directions, range(self.labels.dim)
        return sum(jet.d(k, m) * (g[k, i] * g[m, j])[None] for k in axes for m in axes)

    def divergence(self, flux):
        raise ValueError("a ParticleJet moves with the flow and has no `divergence`: state the equation's velocity.")

    @property
    def dt(self):
        raise ValueError("a ParticleJet is a snapshot in time and has no `dt`; use the rate of `LagrangianModel`.")


class EulerianModel(eqx.Module):
    """ż = rate(t, z) for the values z = u of an equation on a fixed periodic grid, by fourth-order differences."""

    equation: Equation
    grid: Grid

    def init(self, initial: Field | Array) -> Float[Array, " m"]:
        return values_on(self.grid, self.equation, initial).ravel()

    def rate(self, t: Array, z: Float[Array, " m"]) -> Float[Array, " m"]:
        return self.equation.rate(StencilJet(self.split(z)[1], self.grid, t=t, order=4)).ravel()

    def split(self, z: Float[Array, " m"]) -> tuple[Float[Array, "d *s"], Float[Array, "c *s"]]:
        """(places, values) of a state."""
        return self.grid.points, z.reshape(self.equation.num_components, *self.grid.shape)


class LagrangianModel(eqx.Module):
    """ż = rate(t, z) for z = (places, values) on particles that move with the velocity of an equation.

    They start on the grid, whose points stay their labels; places are not wrapped around. Raises ValueError for an
    equation without a velocity.
    """

    equation: Equation
    grid: Grid

    def __check_init__(self):
        states, scalar = self.equation.states, self.equation.num_components == 1
        if not (states("velocity") or (states("flux") and scalar)):
            raise ValueError(
                f"{type(self.equation).__name__} states no velocity: particles do not know how to move. Use an "
                "equation with `velocity`, a scalar law with `flux`, or an EulerianModel."
            )

    def init(self, initial: Field | Array) -> Float[Array, " m"]:
        return jnp.concatenate([self.grid.points.ravel(), values_on(self.grid, self.equation, initial).ravel()])

    def rate(self, t: Array, z: Float[Array, " m"]) -> Float[Array, " m"]:
        jet = self._jet(t, z)
        velocity: Any = self.equation.transport_velocity(jet)
        return jnp.concatenate([velocity.ravel(), self.equation.forcing(jet).ravel()])

    def split(self, z: Float[Array, " m"]) -> tuple[Float[Array, "d *s"], Float[Array, "c *s"]]:
        """(places, values) of a state."""
        places, values = jnp.split(z, [self.grid.dim * int(np.prod(self.grid.shape))])
        return places.reshape(self.grid.dim, *self.grid.shape), values.reshape(-1, *self.grid.shape)

    def check_order(self, states: Float[Array, "t m"]) -> Float[Array, " t"]:
        """The smallest det ∂x/∂X of every state; ValueError at the first where particles have crossed (det ≤ 0)."""
        gradients = jax.lax.map(lambda z: self._jet(None, z).deformation_gradient, states)
        volumes = jnp.linalg.det(jnp.moveaxis(gradients, (1, 2), (-2, -1))).reshape(len(states), -1)
        least = jnp.min(volumes, axis=1)
        crossed = ~(least > 0)
        if crossed.any():
            row = int(jnp.argmax(crossed))
            raise ValueError(
                f"particles have crossed in state {row}, worst at particle {int(jnp.argmin(volumes[row]))} "
                f"(det ∂x/∂X = {float(least[row]):.1e}): end earlier, start with more particles, or give the equation "
                "more diffusion; nothing is remeshed."
            )
        return least

    def _jet(self, t, z):
        places, values = self.split(z)
        return ParticleJet(values, places, self.grid, t)


Model = EulerianModel | LagrangianModel


def snapshots(
    model: Model, initial: Field | Array, times: Float[Array, " t"], *, tolerance: float = 1e-9
) -> Float[Array, "t m"]:
    """States of the full model at increasing times from 0 on, by diffrax's Tsit5; ValueError for other times."""
    ascending = times.shape[0] > 1 and bool(jnp.all(jnp.diff(times) > 0))
    if not ascending or not bool(times[0] >= 0):
        raise ValueError(f"times={times.tolist()}: give at least two increasing times from 0 on.")
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, z, _: model.rate(jnp.asarray(t), z)),
        diffrax.Tsit5(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=model.init(initial),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        max_steps=10**6,
    )
    assert solution.ys is not None
    return solution.ys


def pod(states: Float[Array, "t m"], rank: int) -> tuple[Float[Array, "m r"], Float[Array, " k"]]:
    """(Φ, singular values): the `rank` orthonormal modes that fit the snapshots best in the mean square.

    Raises:
        ValueError: if the rank is not in 1 … min(t, m), or a snapshot is not finite, naming the first.
    """
    most = min(states.shape)
    if not 1 <= rank <= most:
        raise ValueError(f"rank={rank}: snapshots of the shape (t, m) = {states.shape} give 1 to {most} modes.")
    sound = jnp.isfinite(states).all(axis=1)
    if not sound.all():
        raise ValueError(f"{int((~sound).sum())} snapshots are not finite, first in row {int(jnp.argmin(sound))}.")
    modes, singular_values, _ = jnp.linalg.svd(states.T, full_matrices=False)
    return modes[:, :rank], singular_values


class ReducedState(NamedTuple):
    """The coefficients a of the modes, at the time t."""

    coefficients: Float[Array, " r"]
    t: Float[Array, ""]


class ReducedStepper(eqx.Module):
    """A stepper of `ReducedState`s by dt: Φ(a' − a) = dt rate(t + dt/2, Φ(a + a')/2), m equations for r coefficients.

    "least squares" minimises the residual (LSPG), "galerkin" makes it orthogonal to the modes; both by `num_iterations`
    of Gauss–Newton's or Newton's method. With all modes, Φ square, it is the implicit midpoint rule of the full model.
    """

    rate: Callable[[Array, Array], Array]
    modes: Float[Array, "m r"]
    dt: float | Float[Array, ""]
    projection: Literal["least squares", "galerkin"] = eqx.field(static=True, default="least squares")
    num_iterations: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        if self.projection not in ("least squares", "galerkin"):
            raise ValueError(f'projection={self.projection!r}; choose "least squares" or "galerkin".')
        if self.num_iterations < 1 or (isinstance(self.dt, float) and not self.dt > 0):
            raise ValueError(f"dt={self.dt} must be > 0 and num_iterations={self.num_iterations} at least 1.")

    def init(self, z: Float[Array, " m"], t: float | int = 0.0) -> ReducedState:
        """The state of the modes nearest to a full state."""
        return ReducedState(self.modes.T @ z, jnp.asarray(t, z.dtype))

    def values(self, state: ReducedState) -> Float[Array, " m"]:
        """The full state z = Φ a."""
        return self.modes @ state.coefficients

    def __call__(self, state: ReducedState) -> ReducedState:
        a, middle = state.coefficients, state.t + 0.5 * self.dt

        def residual(change):
            return self.modes @ change - self.dt * self.rate(middle, self.modes @ (a + 0.5 * change))

        def improve(change, _):
            r, jacobian = residual(change), jax.jacfwd(residual)(change)
            if self.projection == "galerkin":
                return change - jnp.linalg.solve(self.modes.T @ jacobian, self.modes.T @ r), None
            q, upper = jnp.linalg.qr(jacobian)
            return change - jax.scipy.linalg.solve_triangular(upper, q.T @ r), None

        change, _ = jax.lax.scan(improve, jnp.zeros_like(a), length=self.num_iterations)
        return ReducedState(a + change, state.t + self.dt)
