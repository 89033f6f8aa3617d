"""Finite volumes for conservation laws on boxes, in any dimension: the state is the mean of u in each cell.

The means are reconstructed at the faces (`reconstruction`), a Riemann solver gives the flux through each (`riemann`),
and time steps are those of the strong-stability-preserving Runge–Kutta method of third order (Shu & Osher 1988). With
WENO5 the scheme is of fifth order in space in any dimension: along each axis it works on lines through the middle of
the cells, between which and the means it converts (as Buchmüller & Helzel 2014 do with fluxes). What the equation
states besides its flux is added: `source` by its means; `linear` by central differences of second order, of fourth
with WENO5; `nonlinear` and `diffusive_flux` to second order, for they take the means for values.
"""

from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..core import Equation, Field, Grid, as_walls
from ..core.conservation import ConservationLaw, as_law, with_rows
from ..core.walls import Boundary, NamedWall, Walls, pad
from ..jets.stencil import StencilJet
from .bed import balanced_difference
from .cells import CONVERSION_RADIUS, CellJet, cell_means, first, last, means_to_points, points_to_means
from .diffusion import decay_of_diffusion, decay_of_linear, diffusion
from .reconstruction import MUSCL, SCHEMES, Reconstruction, comparable, ends_of_cells, middle_of_cells, windows
from .riemann import FLUXES
from .state import GridState, values_on

REAL_STABILITY = 2.51  # SSP-RK3 is stable for decay rates up to this over dt


class FiniteVolume(eqx.Module):
    """A stepper of `GridState`s, means of cells, by dt. It conserves what the walls let not through, to rounding.

    Args:
        boundary: as in `core.walls`: "periodic", a wall for all ends, or an entry for each axis.
        reconstruction: "constant", "muscl", "weno5", or an object of `solvers.reconstruction`.
        riemann: "rusanov", "hll" or "hllc".
        failure: what happens when a quantity that the law calls positive is lost, or a value is not finite: "error"
            raises from within the step, "nan" makes all values NaN, which a caller that goes on must look for.

    Raises:
        ValueError: if the equation is no conservation law, or the grid or an option does not suit it.
    """

    equation: Equation
    grid: Grid
    dt: float | Float[Array, ""]
    walls: Walls
    reconstruction: Reconstruction
    riemann: str = eqx.field(static=True)
    failure: str = eqx.field(static=True)
    bed: Float[Array, "1 *s"] | None
    source: Float[Array, "c *s"] | None
    stiffness: float | Float[Array, ""]  # the largest decay rate of `linear` on this grid

    def __init__(
        self,
        equation: Equation,
        grid: Grid,
        dt: int | float | Float[Array, ""],
        boundary: Boundary = "periodic",
        reconstruction: str | Reconstruction = "muscl",
        riemann: Literal["rusanov", "hll", "hllc"] = "hll",
        failure: Literal["error", "nan"] = "error",
    ):
        law = as_law(equation)
        if isinstance(dt, int | float) and not dt > 0:
            raise ValueError(f"dt={dt} must be > 0.")
        if not grid.centred:
            raise ValueError("the grid has nodes; finite volumes need cells: Grid(…, centred=True).")
        if failure not in ("error", "nan"):
            raise ValueError(f"failure={failure!r} is not known: give 'error' or 'nan'.")
        if riemann not in FLUXES or (riemann == "hllc" and not law.states("motion")):
            allowed = [name for name in FLUXES if name != "hllc" or law.states("motion")]
            raise ValueError(f"riemann={riemann!r} does not suit {type(equation).__name__}: give one of {allowed}.")
        if isinstance(reconstruction, str) and reconstruction not in SCHEMES:
            raise ValueError(f"reconstruction={reconstruction!r} is not known: give one of {list(SCHEMES)}.")
        self.equation, self.grid, self.dt = equation, grid, dt
        self.walls, self.riemann, self.failure = as_walls(boundary, grid.dim), riemann, failure
        self.reconstruction = SCHEMES[reconstruction] if isinstance(reconstruction, str) else reconstruction
        self.source = cell_means(equation.source, grid) if equation.states("source") else None
        self.bed = _bed_means(law, grid)
        self.stiffness = decay_of_linear(equation, grid, _stencil_order(self.reconstruction))
        self._check()

    def init(self, initial: Field | Array, t: int | float | Float[Array, ""] = 0.0) -> GridState:
        """The state at time t: the means of a field `initial(x) -> (c,)` in the cells, or means (c, *s) as given."""
        values = cell_means(initial, self.grid) if callable(initial) else initial
        values = values_on(self.grid, self.equation, values)
        return GridState(values, jnp.asarray(t, values.dtype))

    def values(self, state: GridState) -> Float[Array, "c *s"]:
        return state.values

    def __call__(self, state: GridState) -> GridState:
        def stage(u, weights):  # one loop: the compiler sees the right-hand side once
            kept, moved, delay = weights
            return kept * state.values + moved * (u + self.dt * self.rate(u, state.t + delay * self.dt)), None

        weights = jnp.asarray(((0, 1, 0), (3 / 4, 1 / 4, 1), (1 / 3, 2 / 3, 1 / 2)), state.values.dtype)
        values, _ = jax.lax.scan(stage, state.values, weights)
        return GridState(self._checked(values), state.t + self.dt)

    @property
    def max_courant(self) -> float:
        return 1.0

    def courant(self, values: Float[Array, "c *s"]) -> Float[Array, ""]:
        """dt times (Σᵢ largest |wave speed|/hᵢ + the decay rate of what diffuses / 2.51), the largest of all cells."""
        low, high = self._law.wave_speeds(self._centres(values))
        fastest = jnp.maximum(jnp.abs(low), jnp.abs(high))
        rates = sum((fastest[i] / h for i, h in enumerate(self.grid.spacings)), start=self.stiffness / REAL_STABILITY)
        if self.equation.states("diffusive_flux"):
            rates = rates + decay_of_diffusion(self.equation, self.grid, values) / REAL_STABILITY
        return self.dt * jnp.max(rates)

    def rate(self, values: Float[Array, "c *s"], t: Float[Array, ""]) -> Float[Array, "c *s"]:
        """The time derivative of the means."""
        equation = self.equation
        total = sum((self._along(values, t, axis) for axis in range(self.grid.dim)), start=jnp.zeros_like(values))
        if self.source is not None:
            total = total + self.source
        if equation.states("diffusive_flux"):
            total = total + diffusion(equation, self._law.reflection, self.grid, self.walls, values)
        parts = [part for part in ("linear", "nonlinear") if equation.states(part)]
        if self.bed is not None:
            parts = [part for part in parts if part != "nonlinear"]  # it is the push of the bed
        jet = StencilJet(values, self.grid, self.walls, t, _stencil_order(self.reconstruction))
        return sum((getattr(equation, part)(jet) for part in parts), start=total)

    @property
    def _law(self) -> ConservationLaw:
        return as_law(self.equation)

    def _along(self, values, t, axis):
        """−∂F/∂xᵢ + the push of the bed, as means, from lines along one axis."""
        law, grid, scheme = self._law, self.grid, self.reconstruction
        across = [i for i in range(grid.dim) if i != axis and scheme.radius > 1]
        margin = CONVERSION_RADIUS if across else 0
        widths = [scheme.radius + 1 if i == axis else 2 * margin for i in range(grid.dim)]
        cells = pad(values, grid, self.walls, widths, signs=law.reflection, upwind=True)
        bed = None if self.bed is None else pad(self.bed, grid, _even(self.walls), widths)
        safe = jnp.ones((1, *cells.shape[1:]), bool)
        for i in across:
            cells, bed, safe = _points_across(law, cells, bed, safe, i)
        states = ends_of_cells(scheme, law, cells, axis)
        in_cells = windows(safe, scheme.radius, axis)[scheme.radius]
        on_faces, inner = first(in_cells, axis) & last(in_cells, axis), first(last(in_cells, axis), axis)
        jet = partial(CellJet, t=t, axes=partial(self._faces, axis, margin))
        solve = lambda left, right: FLUXES[self.riemann](law, jet(left), jet(right), axis)
        difference = lambda flux: last(flux, axis) - first(flux, axis)
        if bed is None:
            flux = solve(first(states[2], axis), last(states[0], axis))
            change = difference(_means_across(flux, on_faces, across))
        else:
            surface = windows(cells[:1] + bed, scheme.radius, axis)
            low, high = scheme(*surface)
            if scheme.radius > 1:  # where the depths give way to MUSCL, so does the surface
                is_rough = ~comparable(law, windows(cells, scheme.radius, axis))
                ends = MUSCL()(*surface[scheme.radius - 1 : scheme.radius + 2])
                low, high = (jnp.where(is_rough, limited, end) for limited, end in zip(ends, (low, high), strict=True))
            surfaces = (low[0], middle_of_cells(surface[scheme.radius], low, high)[0], high[0])
            change, mass_flux = balanced_difference(law, solve, states, surfaces, axis)
            mass = difference(_means_across(mass_flux, on_faces, across))
            change = with_rows(_means_across(change, inner, across), {0: mass[0]})
        return -change / grid.spacings[axis]

    def _centres(self, values):
        axes = lambda: [self.grid.axis(i) for i in range(self.grid.dim)]
        return CellJet(values, jnp.zeros((), values.dtype), axes)

    def _faces(self, axis, margin):
        """The coordinates of the faces of an axis, with a margin of cells on the other axes."""
        axes = [
            self.grid.axis(i)[0] + h * (np.arange(n + 2 * margin) - margin)
            for i, (n, h) in enumerate(zip(self.grid.shape, self.grid.spacings, strict=True))
        ]
        h = self.grid.spacings[axis]
        axes[axis] = self.grid.lower[axis] + h * np.arange(self.grid.shape[axis] + 1)
        return axes

    def _checked(self, values):
        """The values if they are sound; otherwise as `failure` says."""
        sound = jnp.all(jnp.isfinite(values))
        for q in self._law.positive(values):
            sound = sound & (jnp.min(q) >= -100 * jnp.finfo(q.dtype).eps * jnp.max(q))
        if self.failure == "nan":
            return jnp.where(sound, values, jnp.nan)
        return eqx.error_if(
            values,
            ~sound,
            f"finite volumes: the step left values that are not finite or, for {type(self.equation).__name__}, not "
            "positive. Take a smaller dt (see `courant`), or reconstruction='muscl' where 'weno5' was used.",
        )

    def _check(self):
        """ValueError if the flux does not fit the grid, or a wall the law."""
        law, grid = self._law, self.grid
        shape = (law.num_components, *grid.shape)
        name = type(self.equation).__name__
        walls = [wall for pair in self.walls if pair is not None for wall in pair]
        if law.reflection is None and any(isinstance(wall, NamedWall) and wall.name == "reflecting" for wall in walls):
            raise ValueError(f"boundary='reflecting' needs a law that says what a wall reflects; {name} does not.")
        flux = eqx.filter_eval_shape(lambda: law.flux(self._centres(jnp.ones(shape))))
        if flux.shape != (law.num_components, grid.dim, *grid.shape):
            raise ValueError(f"{name} has a flux (c, d, *s) of the shape {flux.shape}; the grid has {grid.dim} axes.")
        if self.bed is not None and self.bed.shape[1:] != grid.shape:
            raise ValueError(f"the bed of {name} has the shape {self.bed.shape[1:]}; the grid has {grid.shape}.")
        eqx.filter_eval_shape(self.rate, jnp.ones(shape), jnp.zeros(()))


def _stencil_order(scheme):
    return 4 if scheme.radius > 1 else 2


def _bed_means(law, grid):
    if isinstance(law.bed, jax.Array | np.ndarray):
        return jnp.asarray(law.bed)[None]
    return None if law.bed is None else cell_means(law.bed, grid)


def _even(walls):
    """Walls that continue the bed: evenly, but as a state that goes on where that does."""
    outflow, even = NamedWall("outflow"), NamedWall("neumann")
    kind = lambda wall: even if isinstance(wall, NamedWall) and wall.name != "outflow" else outflow
    return tuple(None if pair is None else (kind(pair[0]), kind(pair[1])) for pair in walls)


def _points_across(law, cells, bed, safe, axis):
    """Means of cells and of the bed to values in the middle along an axis, where that is safe, and where it is.

    It is not beside what is almost empty in comparison: there positivity would be lost, and the surface in dry cells is
    not that of the water. Means stay means there, and fluxes (`_means_across`) those of lines, which keep positivity.
    """
    radius = CONVERSION_RADIUS
    points, (means, safe) = means_to_points(cells, axis), (windows(a, radius, axis)[radius] for a in (cells, safe))
    safe = safe & comparable(law, windows(cells, radius, axis)) & comparable(law, [means, points])
    if bed is not None:
        bed = jnp.where(safe, means_to_points(bed, axis), windows(bed, radius, axis)[radius])
    return jnp.where(safe, points, means), bed, safe


def _means_across(values, safe, across):
    """What holds on lines through the middle of cells to means over the cells, along the axes across, where safe."""
    for axis in across:
        values, means = windows(values, CONVERSION_RADIUS, axis)[CONVERSION_RADIUS], points_to_means(values, axis)
        safe = windows(safe, CONVERSION_RADIUS, axis)[CONVERSION_RADIUS]
        values = jnp.where(safe, means, values)
    return values
