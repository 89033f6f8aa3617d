"""Elliptic problems on the cells of a box: −∇·(a∇p) + σp = f, with a coefficient a > 0 that varies and may jump.

The flux through a face is −aₑ (p₊ − p₋)/h, with the harmonic mean aₑ of both cells: what leaves one cell enters the
next, and interfaces along faces are resolved (Patankar 1980). Second order where a is smooth. Conjugate gradients are
preconditioned by the operator with a constant coefficient, inverted by fast transforms, so that their number depends
on max a/min a and not on the grid; for a constant a that alone is the solution. Derivatives with respect to a, σ, f
and the walls are implicit: one more solve, whatever the number of steps.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ..core import Grid, RobinWall, ValueWall, as_walls
from ..core.walls import Boundary, Wall, Walls, pad
from ..equations.coefficients import Scalar
from ..linalg import Transform, make_transform

GROUNDED = ValueWall(0.0)


class Elliptic(eqx.Module):
    """Solves −∇·(a∇p) + σp = f on a centred grid; a field has one component, (1, *s), or is a number.

    `boundary` is "periodic" or walls (`core.walls`); `rtol` is the size of the residual relative to that of f and of
    what the walls drive (not below 100 roundings), `max_steps` the largest number of conjugate gradient steps.
    Where every wall is "neumann" or periodic and σ = 0, p has zero mean, and the mean of f must vanish.

    Raises:
        ValueError: if the grid has walls but is not centred, or a setting is out of range.
    """

    grid: Grid
    walls: Walls
    rtol: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    def __init__(self, grid: Grid, boundary: Boundary = GROUNDED, rtol: float = 1e-12, max_steps: int = 1000):
        self.grid, self.walls = grid, as_walls(boundary, grid.dim)
        self.rtol, self.max_steps = rtol, max_steps
        if any(self.walls) and not grid.centred:
            raise ValueError("walls lie on the faces of cells: give a Grid with centred=True, or boundary='periodic'.")
        if not 0 < rtol < 1 or max_steps < 1:
            raise ValueError(f"rtol={rtol} must lie in (0, 1), and max_steps={max_steps} be at least 1.")

    def solve(
        self,
        coefficient: Scalar | Float[Array, "1 *s"],
        source: Scalar | Float[Array, "1 *s"],
        reaction: Scalar | Float[Array, "1 *s"] = 0.0,
    ) -> Float[Array, "1 *s"]:
        """p for the coefficient a > 0, the source f and the reaction σ ≥ 0.

        Raises:
            ValueError: if a shape does not fit, a is not positive, σ is negative, or f has a mean that nothing can
                balance; inside `jit` these, and steps that do not suffice, are run-time errors.
        """
        a, f, sigma = self._fields(coefficient=coefficient, source=source, reaction=reaction)
        a = _require(a, a > 0, "the coefficient must be > 0 everywhere.")
        sigma = _require(sigma, sigma >= 0, "the reaction must be >= 0 everywhere: the operator is definite then.")
        at_zero = self._operator(a, sigma, jnp.zeros_like(a))
        right = f - at_zero
        unfixed = not any(map(_fixes_value, _ends(self.walls)))
        free = jnp.all(sigma == 0)  # then, without a wall that fixes it, p is known but for a constant
        if unfixed:
            mean, size = jnp.mean(right), jnp.max(jnp.abs(right))
            balanced = jnp.abs(mean) <= jnp.sqrt(jnp.finfo(a.dtype).eps) * size
            right = _require(
                right,
                ~free | balanced,
                "the source and the slopes at the walls do not balance, and no wall fixes the value: there is no "
                "solution. If only the grid's quadrature is to blame, subtract the source's mean.",
            )
            right = right - jnp.where(free, mean, 0)
        fast = _FastLaplacian.of(self.grid, self.walls)
        if jnp.ndim(coefficient) == jnp.ndim(reaction) == 0 and fast.exact:
            return fast.solve(right, a.ravel()[0], sigma.ravel()[0])
        apply = lambda p: (
            self._operator(a, sigma, p) - at_zero + (jnp.where(free, jnp.mean(a) * jnp.mean(p), 0) if unfixed else 0)
        )
        solve = partial(self._conjugate_gradients, apply, a=a, sigma=sigma, fast=fast)
        if unfixed:
            return solve(right)
        # Walls with large values have smooth solutions: without those, the residual is small relative to f alone.
        walls_alone = -self._operator(jnp.ones_like(a), jnp.zeros_like(a), jnp.zeros_like(a))
        smooth = jax.lax.stop_gradient(fast.solve(walls_alone, jnp.ones((), a.dtype), jnp.zeros((), a.dtype)))
        return smooth + solve(f - self._operator(a, sigma, smooth))

    def _conjugate_gradients(self, apply: Callable, right: Array, a: Array, sigma: Array, fast: "_FastLaplacian"):
        """The solution, given a and σ for the preconditioner.

        The unit is that in which a right-hand side of size 1 has a solution of size 1, which tolerances refer to.
        """
        a, sigma = jax.lax.stop_gradient((a, sigma))
        unit, lowest = jnp.mean(a) * fast.smallest, jnp.min(a)
        structure = jax.ShapeDtypeStruct(right.shape, right.dtype)
        # Large, for lineax takes directions whose curvature is small relative to the residual for a breakdown.
        scale = unit * right.size
        precondition = lambda r: scale * fast.solve(r, lowest, jnp.min(sigma))
        operator, preconditioner = (
            lx.FunctionLinearOperator(f, structure, lx.positive_semidefinite_tag)
            for f in (lambda p: apply(p) / unit, precondition)
        )
        rtol = max(self.rtol, 100 * float(jnp.finfo(right.dtype).eps))
        solver = _RelativeCG(rtol=rtol, atol=rtol, stabilise_every=None, max_steps=self.max_steps)
        return lx.linear_solve(operator, right / unit, solver, options={"preconditioner": preconditioner}).value

    def fluxes(
        self, pressure: Float[Array, "1 *s"], coefficient: Scalar | Float[Array, "1 *s"]
    ) -> tuple[Float[Array, "..."], ...]:
        """The fluxes −a ∂p/∂xᵢ through the faces of each axis i, (1, *s) with one more entry on axis i."""
        (a,) = self._fields(coefficient=coefficient)
        return tuple(self._flux(a, pressure, axis) for axis in range(self.grid.dim))

    def residual(
        self,
        pressure: Float[Array, "1 *s"],
        coefficient: Scalar | Float[Array, "1 *s"],
        source: Scalar | Float[Array, "1 *s"],
        reaction: Scalar | Float[Array, "1 *s"] = 0.0,
    ) -> Float[Array, "1 *s"]:
        """−∇·(a∇p) + σp − f, what each cell loses by its faces more than it has."""
        a, f, sigma = self._fields(coefficient=coefficient, source=source, reaction=reaction)
        return self._operator(a, sigma, pressure) - f

    def _fields(self, **given: Scalar | Array) -> list[Float[Array, "1 *s"]]:
        shape, dtype = (1, *self.grid.shape), jnp.result_type(float, *given.values())
        for name, field in given.items():
            if jnp.ndim(field) and jnp.shape(field) != shape:
                raise ValueError(f"the {name} has the shape {jnp.shape(field)}; give {shape} here, or a number.")
        return [jnp.broadcast_to(jnp.asarray(field, dtype), shape) for field in given.values()]

    def _operator(self, a: Array, sigma: Array, p: Array) -> Array:
        out = sigma * p
        for axis, h in enumerate(self.grid.spacings):
            out = out + jnp.diff(self._flux(a, p, axis), axis=axis + 1) / h
        return out

    def _flux(self, a: Array, p: Array, axis: int) -> Array:
        width, along = [int(i == axis) for i in range(self.grid.dim)], axis + 1
        beyond = as_walls(["periodic" if pair is None else "outflow" for pair in self.walls], self.grid.dim)
        padded, n = pad(a, self.grid, beyond, width), self.grid.shape[axis]
        low, high = (jax.lax.slice_in_dim(padded, start, start + n + 1, axis=along) for start in (0, 1))
        faces = 2 * low * high / (low + high)
        for end, wall in zip((0, n), self.walls[axis] or (), strict=False):
            if isinstance(wall, RobinWall):  # a given slope needs the coefficient on the wall, not half a cell inside
                on_wall = _extrapolated(a if end == 0 else jnp.flip(a, along), along)
                faces = jax.lax.dynamic_update_slice_in_dim(faces, on_wall, end, along)
        return -faces * jnp.diff(pad(p, self.grid, self.walls, width), axis=along) / self.grid.spacings[axis]


def _extrapolated(a: Array, along: int) -> Array:
    """a half a cell before the first: by the smaller of two slopes of log a, or by none where it jumps or turns."""
    if a.shape[along] < 3:
        return jax.lax.slice_in_dim(a, 0, 1, axis=along)
    first, second, third = (jnp.log(jax.lax.slice_in_dim(a, i, i + 1, axis=along)) for i in range(3))
    near, far = first - second, second - third
    slope = jnp.where(near * far > 0, jnp.where(jnp.abs(near) < jnp.abs(far), near, far), 0)
    return jnp.exp(first + 0.5 * slope)


def _ends(walls: Walls) -> list[Wall]:
    return [wall for pair in walls if pair for wall in pair]


def _fixes_value(wall: Wall) -> bool:
    """Whether p + constant violates the condition: all but a given slope do, which is a Robin wall with a = 0."""
    is_slope = isinstance(wall, RobinWall) and isinstance(wall.a, int | float) and wall.a == 0
    return isinstance(wall, ValueWall | RobinWall) and not is_slope


class _RelativeCG(lx.CG):
    """Conjugate gradients whose tolerances are relative to the largest entry of the right-hand side."""

    def compute(self, state, vector, options):
        size = jnp.max(jnp.abs(vector))
        size = jnp.where(size > 0, size, 1)
        solution, result, stats = super().compute(state, vector / size, options)
        return size * solution, result, stats


class _FastLaplacian(eqx.Module):
    """The operator with constant a and σ, inverted by transforms; axes whose two walls differ are reflected.

    It is `exact` unless a Robin wall had to be replaced by one with a value.
    """

    transform: Transform = eqx.field(static=True)
    reflected: tuple[str, ...] = eqx.field(static=True)  # for each axis the end to reflect at: "low", "high" or ""
    spacings: tuple[float, ...] = eqx.field(static=True)
    exact: bool = eqx.field(static=True)

    @classmethod
    def of(cls, grid: Grid, walls: Walls) -> "_FastLaplacian":
        is_free = [pair and [not _fixes_value(wall) for wall in pair] for pair in walls]
        reflected = ["" if free is None or free[0] == free[1] else "low" if free[0] else "high" for free in is_free]
        kinds = ["periodic" if free is None else "neumann" if all(free) else "dirichlet" for free in is_free]
        shape = tuple(n * (2 if end else 1) for n, end in zip(grid.shape, reflected, strict=True))
        exact = not any(isinstance(wall, RobinWall) and _fixes_value(wall) for wall in _ends(walls))
        return cls(make_transform(shape, walls=kinds), tuple(reflected), grid.spacings, exact)

    @property
    def eigenvalues(self) -> np.ndarray:
        """Those of −Δ with differences, (*k)."""
        lengths = [n * h for n, h in zip(self.transform.shape, self.spacings, strict=True)]
        h = np.reshape(self.spacings, (-1,) + (1,) * len(self.spacings))
        return np.sum((2 / h * np.sin(self.transform.wavevectors(lengths) * h / 2)) ** 2, axis=0)

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue but 0, which the constant has."""
        eigenvalues = self.eigenvalues
        return float(np.min(eigenvalues[eigenvalues > 0], initial=np.inf)) if np.any(eigenvalues > 0) else 1.0

    def solve(self, right: Float[Array, "1 *s"], a: Array, sigma: Array) -> Float[Array, "1 *s"]:
        """(σ − aΔ)⁻¹ of the right-hand side; a mean that is free becomes what it is for the smallest eigenvalue."""
        for axis, end in enumerate(self.reflected, start=1):
            if end:
                mirrored = [jnp.flip(right, axis), right]
                right = jnp.concatenate(mirrored if end == "low" else mirrored[::-1], axis=axis)
        eigenvalues = self.eigenvalues
        eigenvalues = jnp.asarray(np.where(eigenvalues > 0, eigenvalues, 0), right.dtype)[None]
        factor = a * eigenvalues + sigma
        factor = jnp.where(factor > 0, factor, a * self.smallest)
        p = self.transform.to_values(self.transform.to_modes(right) / factor)
        for axis, end in enumerate(self.reflected, start=1):
            if end:
                halves = jnp.split(p, 2, axis=axis)
                p = halves[1 if end == "low" else 0]
        return p


def _require(field: Array, holds: Array, message: str) -> Array:
    """The field, if the condition holds: otherwise a ValueError, inside `jit` a run-time error."""
    if isinstance(holds, Tracer):
        return eqx.error_if(field, ~jnp.all(holds), message)
    if not bool(jnp.all(holds)):
        raise ValueError(message)
    return field
