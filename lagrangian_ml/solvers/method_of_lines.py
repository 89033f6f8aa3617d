"""The method of lines: finite differences in space (`jets.StencilJet`), any solver of diffrax in time.

Every equation that a stencil jet can read is advanced by its own `rate`. Explicit solvers (Tsit5) bound dt by
diffusion and advection, implicit ones (Kvaerno5) do not, but solve with the Jacobian: a dense one suits lines and
small planes, a tridiagonal one long lines. Solvers of sums (KenCarp4) take `linear` implicitly, the rest explicitly.
"""

from functools import partial
from typing import Literal

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
import numpy as np
import optimistix
from jaxtyping import Array, Float, Inexact

from ..core import Equation, Field, Grid, as_walls
from ..core.walls import Boundary, Walls
from ..equations.coefficients import Scalar
from ..jets import StencilJet
from ..linalg import Tridiagonal
from .state import GridState, values_on

TSIT5 = diffrax.Tsit5()


class MethodOfLines(eqx.Module):
    """A stepper of `GridState`s by dt, of second order in space (or `order` = 4; see `StencilJet` about walls).

    One call is one step of `solver`, so that a result does not depend on the other samples of a batch. With a
    `controller`, such as `diffrax.PIDController(rtol=1e-6, atol=1e-6)`, a call takes as many steps as that asks for.
    A step that fails, as implicit equations without a solution do, leaves NaN. `jacobian` is what Newton's method of
    implicit solvers inverts: "dense", or "tridiagonal" for one component on a line and at most second derivatives.

    Raises:
        ValueError: if the equation is steady, dt is not positive, the grid or `order` does not suit the walls, or
            `solver` is not a Runge–Kutta method or not one for this equation.
    """

    equation: Equation
    grid: Grid
    dt: Scalar
    walls: Walls
    solver: diffrax.AbstractSolver
    controller: diffrax.AbstractStepSizeController | None
    order: int = eqx.field(static=True)
    jacobian: str = eqx.field(static=True)

    def __init__(
        self,
        equation: Equation,
        grid: Grid,
        dt: Scalar,
        boundary: Boundary = "periodic",
        solver: diffrax.AbstractSolver = TSIT5,
        controller: diffrax.AbstractStepSizeController | None = None,
        order: int = 2,
        jacobian: Literal["dense", "tridiagonal"] = "dense",
    ):
        if equation.steady:
            raise ValueError(f"{type(equation).__name__} is steady: it has no time to step in.")
        if isinstance(dt, int | float) and not dt > 0:
            raise ValueError(f"dt={dt} must be > 0.")
        if not isinstance(solver, diffrax.AbstractRungeKutta | diffrax.Euler | diffrax.ImplicitEuler):
            raise ValueError(f"solver={solver}: give a Runge–Kutta method of diffrax, such as Tsit5 or Kvaerno5.")
        if _is_split(solver) and not equation.states("linear"):
            raise ValueError(
                f"{type(solver).__name__} takes `linear` implicitly, but {type(equation).__name__} states none: "
                "choose Kvaerno5, which takes all of it implicitly."
            )
        self.equation, self.grid, self.dt, self.walls = equation, grid, dt, as_walls(boundary, grid.dim)
        self.solver, self.controller, self.order, self.jacobian = solver, controller, order, jacobian
        if jacobian not in ("dense", "tridiagonal"):
            raise ValueError(f'jacobian={jacobian!r}; choose "dense" or "tridiagonal".')
        if jacobian == "tridiagonal" and not (
            grid.dim == equation.num_components == 1 and order == 2 and self.walls[0]
        ):
            raise ValueError("a tridiagonal Jacobian needs one component on a line, walls, and order=2.")
        StencilJet(jnp.zeros((1, *grid.shape)), grid, self.walls, order=order)  # refuses what does not fit

    def init(self, initial: Field | Array, t: Scalar = 0.0) -> GridState:
        """The state at time t of a steady field `initial(x) -> (c,)`, or of values (c, *s)."""
        values = values_on(self.grid, self.equation, initial)
        return GridState(values, jnp.asarray(t, values.real.dtype))

    def values(self, state: GridState) -> Inexact[Array, "c *s"]:
        return state.values

    def rate(self, values: Inexact[Array, "c *s"], t: Scalar = 0.0) -> Inexact[Array, "c *s"]:
        """u_t, the right-hand side of the ordinary differential equations."""
        return self.equation.rate(StencilJet(values, self.grid, self.walls, t, self.order))

    def __call__(self, state: GridState) -> GridState:
        terms, solver, t_end = self._terms(), self._solver(state.values.dtype), state.t + self.dt
        if self.controller is None:
            memory = solver.init(terms, state.t, t_end, state.values, None)
            values, _, _, _, result = solver.step(terms, state.t, t_end, state.values, None, memory, False)
        else:
            solution = diffrax.diffeqsolve(
                terms,
                solver,
                state.t,
                t_end,
                None,
                state.values,
                saveat=diffrax.SaveAt(t1=True),
                stepsize_controller=self.controller,
                throw=False,
            )
            values, result = jnp.asarray(solution.ys)[0], solution.result
        return GridState(jnp.where(result == diffrax.RESULTS.successful, values, jnp.nan), t_end)

    def _terms(self) -> diffrax.AbstractTerm:
        if not _is_split(self.solver):
            return diffrax.ODETerm(_Rate(self, "all"))
        return diffrax.MultiTerm(diffrax.ODETerm(_Rate(self, "explicit")), diffrax.ODETerm(_Rate(self, "linear")))

    def _solver(self, dtype) -> diffrax.AbstractSolver:
        """The solver. An implicit one whose root finder states no tolerances gets Newton's method, with tight ones.

        What diffrax uses by default, a Jacobian kept for all stages, relies on a controller that rejects steps.
        """
        finder = getattr(self.solver, "root_finder", None)
        if finder is None or isinstance(finder.rtol, int | float):
            return self.solver
        if self.controller is not None and self.jacobian == "dense":
            return self.solver
        tolerance = float(jnp.finfo(dtype).eps) ** 0.6
        linear = Tridiagonal() if self.jacobian == "tridiagonal" else lineax.LU()
        newton = optimistix.Newton(rtol=tolerance, atol=tolerance, linear_solver=linear)
        return eqx.tree_at(lambda solver: solver.root_finder, self.solver, newton)

    def courant(self, values: Inexact[Array, "c *s"]) -> Float[Array, ""]:
        """dt (|λ|/ρ + |μ|/σ): the largest eigenvalues λ, μ of the symmetric and the skew part of the linearized rate.

        ρ and σ are the stability limits of the solver on the negative real and on the imaginary axis, so that 1 is
        sufficient for stability; it is sharp for diffusion or advection alone, and far too strict for wave equations
        written as systems. Found by power iteration, up to a per cent too small. What is implicit does not count.
        """
        if self.max_courant == np.inf and not _is_split(self.solver):
            return jnp.zeros((), values.real.dtype)
        rate = partial(_Rate(self, "explicit" if _is_split(self.solver) else "all"), jnp.zeros((), values.real.dtype))
        push = jax.linearize(lambda u: rate(u, None), values)[1]
        pull = lambda v: jax.linear_transpose(push, values)(v)[0]
        symmetric = _norm(lambda v: 0.5 * (push(v) + pull(v)), values)
        skew = _norm(lambda v: 0.5 * (push(v) - pull(v)), values)
        rho, sigma = _stability_limits(self.solver)
        return self.dt * (symmetric / rho + skew / sigma)

    @property
    def max_courant(self) -> float:
        """1 for explicit solvers; infinite for implicit ones, and where a controller chooses the steps."""
        is_implicit = isinstance(self.solver, diffrax.AbstractImplicitSolver) and not _is_split(self.solver)
        return np.inf if is_implicit or self.controller is not None else 1.0


class _Rate(eqx.Module):
    """The vector field that diffrax reads, or one part of it."""

    lines: MethodOfLines
    part: str = eqx.field(static=True)

    def __call__(self, t, values, args):
        if self.part == "all":
            return self.lines.rate(values, t)
        lines = self.lines
        linear = lines.equation.linear(StencilJet(values, lines.grid, lines.walls, t, lines.order))
        return linear if self.part == "linear" else lines.rate(values, t) - linear


def _is_split(solver: diffrax.AbstractSolver) -> bool:
    return isinstance(getattr(solver, "tableau", None), diffrax.MultiButcherTableau)


def _norm(linear, like: Array, num_steps: int = 64) -> Float[Array, ""]:
    """The norm of a symmetric or skew map, by power iteration from a fixed rough field."""
    rough = jax.random.normal(jax.random.key(0), like.shape, like.dtype)
    size = lambda v: jnp.sqrt(jnp.sum(jnp.abs(v) ** 2))
    unit = lambda v: v / jnp.maximum(size(v), jnp.finfo(v.dtype).tiny)
    return size(linear(jax.lax.fori_loop(0, num_steps, lambda _, v: unit(linear(v)), unit(rough))))


def _stability_limits(solver: diffrax.AbstractSolver) -> tuple[float, float]:
    """The largest r with |R| ≤ 1 on [−r, 0], and with |R| ≤ 1 + 1e-4 on [0, ir]; R is the stability polynomial."""
    tableau = getattr(solver, "tableau", None)
    if isinstance(tableau, diffrax.MultiButcherTableau):
        tableau = next(one for one in tableau.tableaus if not one.implicit)
    moments = [1.0]
    if tableau is not None:
        matrix = np.zeros((tableau.num_stages, tableau.num_stages))
        for i, row in enumerate(tableau.a_lower, start=1):
            matrix[i, : len(row)] = row
        moments = [tableau.b_sol @ np.linalg.matrix_power(matrix, k).sum(axis=1) for k in range(len(matrix))]
    r = np.linspace(0, 20, 20001)
    limit = lambda z, slack: float(r[np.argmax(np.abs(np.polyval([*moments[::-1], 1.0], z)) > 1 + slack)])
    return limit(-r, 1e-9), limit(1j * r, 1e-4)
