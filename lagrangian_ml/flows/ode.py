"""The flow of a velocity field, ẋ = v(t, x), x(0) = X: continuous normalizing flows, and the truth for others.

Chen, Rubanova, Bettencourt & Duvenaud 2018 (arXiv 1806.07366), eq. 8: d log|det ∂x/∂X|/dt = div v along a particle;
Grathwohl et al. 2019 (arXiv 1810.01367): the divergence may be estimated by εᵀ(∂v/∂x)ε with one random ε (Hutchinson),
which is not exact: then densities fluctuate with ε and do not obey the continuity equation. Solved by diffrax.
"""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Fixed, FlowMap


class OdeFlow(FlowMap):
    """The flow of `field(t, x) -> (d,)` from time 0.

    Args:
        field: the velocity; its trained leaves are those of the map.
        tolerance: relative and absolute, of adaptive steps.
        num_steps: so many equal steps instead, for training at a fixed cost; `tolerance` is not used then.
        probe: ε (d,) of Hutchinson's estimate, fixed for all particles; None for the exact divergence, d passes.
        solver: diffrax's Dopri8 unless given, Tsit5 for equal steps.
        max_steps: more than these are an error.

    It may be differentiated in forward and reverse mode.
    """

    field: Callable[..., Array]
    tolerance: float = eqx.field(static=True, default=1e-10)
    num_steps: int | None = eqx.field(static=True, default=None)
    probe: Fixed | None = None
    solver: Any = None
    max_steps: int = eqx.field(static=True, default=256)

    def forward(self, t, X):
        return self._solve(jnp.zeros_like(t), t, X)

    def place(self, t, X):
        return self.transition(jnp.zeros_like(t), t, X)

    def transition(self, start, stop, x):
        return self._integrate(lambda t, x: self.field(t, x), start, stop, x)

    def inverse(self, t, x):
        return self._solve(t, jnp.zeros_like(t), x)

    def trace_back(self, t, x):
        X, log_det = self.inverse(t, x)
        ahead = lambda X: self.place(t, X)
        return X, log_det, lambda V: self.field(t, x) + jax.jvp(ahead, (X,), (V,))[1]

    def observe(self, t, x):
        X, log_det = self.inverse(t, x)
        return X, log_det, self.field(t, x)

    def velocity(self, t, x):
        return self.field(t, x)

    def _solve(self, start, stop, x):
        rate = lambda t, state: self._field_and_divergence(t, state[0])
        return self._integrate(rate, start, stop, (x, jnp.zeros((), x.dtype)))

    def _integrate(self, rate, start, stop, state):
        # In units of the interval, so that start = stop needs no exception and derivatives in t are simple.
        length, num_steps = stop - start, self.num_steps
        scaled = lambda s, state, _: jax.tree.map(lambda r: length * r, rate(start + s * length, state))
        adaptive = diffrax.PIDController(rtol=self.tolerance, atol=self.tolerance)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(scaled),
            self.solver or (diffrax.Tsit5() if num_steps else diffrax.Dopri8()),
            t0=0.0,
            t1=1.0,
            dt0=1.0 / num_steps if num_steps else None,
            y0=state,
            stepsize_controller=diffrax.ConstantStepSize() if num_steps else adaptive,
            adjoint=diffrax.DirectAdjoint(),
            max_steps=num_steps or self.max_steps,
        )
        return jax.tree.map(lambda values: values[-1], solution.ys)

    def _field_and_divergence(self, t, x: Float[Array, " d"]):
        at = lambda x: self.field(t, x)
        if self.probe is None:
            velocity, along = jax.vmap(lambda e: jax.jvp(at, (x,), (e,)), out_axes=(None, 0))(
                jnp.eye(x.size, dtype=x.dtype)
            )
            return velocity, jnp.trace(along)
        probe = self.probe.value.astype(x.dtype)
        velocity, along = jax.jvp(at, (x,), (probe,))
        return velocity, probe @ along
