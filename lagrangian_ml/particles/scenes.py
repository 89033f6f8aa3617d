"""Ready scenes, lengths and densities near 1. Each is a function with a config of its name in `experiments/problem`."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..core import Grid
from ..domains import Ball, Box
from .boundaries import Bands, Friction, Separating, Slip, Sticky, Walls
from .materials import FixedCorotated, Fluid, NeoHookean
from .plasticity import DruckerPrager
from .scene import Scene
from .shapes import block, fill
from .state import Particles, join

NO_SLIP = 1e6  # as a coefficient of friction: what touches, sticks, and may leave


def unit_grid(num_cells: int, dim: int = 2) -> Grid:
    return Grid((num_cells,) * dim, (0.0,) * dim, (1.0,) * dim)


def falling_blocks(num_cells: int = 64, num_steps: int = 2000, young: float = 300.0) -> Scene:
    """Water, jelly and sand fall into a box: three materials that meet on one grid."""
    grid, dx = unit_grid(num_cells), 1 / num_cells
    materials = (Fluid(bulk_modulus=50.0), NeoHookean(young, 0.3), DruckerPrager(young, 0.3))
    place = lambda x, y, k: Particles.at(fill(Box([x, y], [x + 0.2, y + 0.2]), dx / 2), dx**2 / 4, material=k)
    particles = join([place(0.1, 0.1, 0), place(0.35, 0.3, 1), place(0.6, 0.5, 2)])
    return Scene(
        particles, grid, 2e-4, num_steps, materials, (Walls.of(grid, contact=Friction(0.4)),), gravity=(0.0, -9.8)
    )


def colliding_discs(num_cells: int = 64, num_steps: int = 1000, young: float = 1000.0, speed: float = 1.0) -> Scene:
    """Two elastic discs meet head on in free space (Sulsky, Chen & Schreyer 1994)."""
    grid, dx, materials = unit_grid(num_cells), 1 / num_cells, (NeoHookean(young, 0.3),)
    place = lambda x, v: Particles.at(fill(Ball([x, 0.5], 0.1), dx / 2), dx**2 / 4, v=(v, 0.0))
    return Scene(join([place(0.3, speed), place(0.7, -speed)]), grid, 2e-4, num_steps, materials)


def bouncing_jelly(
    num_cells: int = 48, num_steps: int = 1000, young: float = 100.0, poisson: float = 0.3, speed: float = 2.0
) -> Scene:
    """A soft square is thrown at the floor and bounces: what its material is, shows in how."""
    grid, dx = unit_grid(num_cells), 1 / num_cells
    x = fill(Box([0.35, 0.2], [0.65, 0.5]), dx / 2)
    particles = Particles.at(x, dx**2 / 4, v=(0.5, -speed))
    walls = Walls.of(grid, contact=Separating())
    return Scene(particles, grid, 5e-4, num_steps, (FixedCorotated(young, poisson),), (walls,), gravity=(0.0, -3.0))


def sand_column(
    num_cells: int = 40,
    num_steps: int = 1000,
    friction: Sequence[float] = (0.2, 0.5, 0.3, 0.6),
    edges: Sequence[float] = (0.8, 1.0, 1.2),
    friction_angle: float = 35.0,
) -> Scene:
    """A column of sand, twice as high as wide, collapses on a floor whose friction is piecewise constant."""
    grid, dx = Grid((2 * num_cells, num_cells), (0.0, 0.0), (2.0, 1.0)), 1 / num_cells
    x = fill(Box([0.85, 3 * dx], [1.15, 3 * dx + 0.6]), dx / 2)
    floor = Friction(Bands(tuple(edges), jnp.asarray(friction, jnp.result_type(float))))
    walls = Walls.of(grid, contact={"y_lower": floor, "other": Slip()})
    sand = DruckerPrager(1000.0, 0.3, friction_angle=friction_angle)
    return Scene(Particles.at(x, dx**2 / 4), grid, 4e-4, num_steps, (sand,), (walls,), gravity=(0.0, -9.8))


def dam_break(
    cells_in_depth: int = 8, num_steps: int = 4800, duration: float = 10.0, sound_speed: float = 20.0
) -> Scene:
    """Water of depth 1 behind a gate at x = 0 that is gone at t = 0: Ritter's wave on a dry slip bed, gravity 1.

    Long waves only are Ritter's: the water needs a few units of time to begin to move like one. The reservoir is so
    long that its back wall is not heard of in time. The water begins at rest, compressed by its own weight.
    """
    if num_steps < 1 or cells_in_depth < 4 or not duration > 0:
        raise ValueError(
            f"cells_in_depth={cells_in_depth} must be at least 4, num_steps={num_steps} at least 1, and "
            f"duration={duration} positive."
        )
    dx, margin, length = 1 / cells_in_depth, 4, math.ceil(1.1 * duration)
    lower = (-length - margin * dx, -margin * dx)
    cells = (
        (length + math.ceil(2 * duration) + 1) * cells_in_depth + 2 * margin,
        int(1.5 * cells_in_depth) + 2 * margin,
    )
    grid = Grid(cells, lower, tuple(a + n * dx for a, n in zip(lower, cells, strict=True)))
    water, volume = Fluid(sound_speed**2, tension=False), dx**2 / 4
    x = fill(Box([-length, 0.0], [0.0, 1.0]), dx / 2)
    J = (1 + water.gamma * (1 - x[:, 1]) / water.bulk_modulus) ** (-1 / water.gamma)
    particles = Particles.at(x, volume / J, J)
    F = particles.F * jnp.sqrt(jnp.asarray(J, particles.x.dtype))[:, None, None]
    walls = Walls((-length, 0.0), (grid.upper[0] - margin * dx, grid.upper[1] - margin * dx), Slip())
    return Scene(
        dataclasses.replace(particles, F=F),
        grid,
        duration / num_steps,
        num_steps,
        (water,),
        (walls,),
        gravity=(0.0, -1.0),
        judge=Ritter(dx, -float(length), duration),
    )


@dataclass(frozen=True)
class Ritter:
    """Frames of `dam_break` against Ritter (1892): depth (2 − x/t)²/9 for −t < x < 2t, 1 behind and 0 before.

    "front": the largest relative error, over the last three tenths of the time, of the place where the depth is 1/10,
    which is x = t (2 − 3/√10). "depth": the relative L2 error of the depth where −t < x < 2t, at the end.
    """

    dx: float
    lower: float
    duration: float

    def __call__(self, times: Float[np.ndarray, " t"], x: Float[np.ndarray, "t p d"]) -> dict[str, float]:
        found = {}
        for t, places in zip(times, x, strict=True):
            if t < 0.7 * self.duration:
                continue
            nodes, depth = self.depth(places)
            last = int(np.nonzero(depth >= 0.1)[0].max())
            front = nodes[last] + 2 * self.dx * (depth[last] - 0.1) / (depth[last] - depth[last + 1])
            exact = t * (2 - 3 * math.sqrt(0.1))
            fan = (nodes > -t) & (nodes < 2 * t)
            wave = ((2 - nodes / t) / 3)[fan] ** 2
            found["front"] = max(found.get("front", 0.0), abs(front / exact - 1))
            found["depth"] = float(np.linalg.norm(depth[fan] - wave) / np.linalg.norm(wave))
        return found

    def depth(self, x: Float[np.ndarray, "p d"]) -> tuple[np.ndarray, np.ndarray]:
        """(nodes, depth): the area of the particles, dx²/4 each, by linear weights on nodes 2 dx apart."""
        width = 2 * self.dx
        scaled = (x[:, 0] - self.lower) / width
        base = np.clip(np.floor(scaled).astype(int), 0, None)
        depth = np.zeros(base.max() + 3)
        for node, weight in ((base, 1 - (scaled - base)), (base + 1, scaled - base)):
            np.add.at(depth, node, weight * self.dx**2 / 4 / width)
        return self.lower + width * np.arange(len(depth)), depth


def throw(num_cells: int = 64, num_steps: int = 1000, target: Sequence[float] = (0.75, 0.3)) -> Scene:
    """A soft ball is to be thrown, off the floor, such that it ends at the target: find its initial velocity."""
    grid, dx = unit_grid(num_cells), 1 / num_cells
    particles = Particles.at(fill(Ball([0.3, 0.35], 0.08), dx / 2), dx**2 / 4)
    walls = Walls.of(grid, contact=Separating())
    materials = (NeoHookean(300.0, 0.3),)
    return Scene(particles, grid, 5e-4, num_steps, materials, (walls,), gravity=(0.0, -3.0), target=tuple(target))


def walker(num_cells: int = 128, num_steps: int = 1023) -> Scene:
    """DiffTaichi's robot (Hu et al. 2020, arXiv 1910.00935): 2,976 particles, four muscles in two legs, to go far.

    The body, 0.3 wide, stands 0.03 above the floor; λ = μ = 10. What touches a wall, sticks to it, and may leave.
    """
    grid, dx = unit_grid(num_cells), 1 / num_cells
    parts = [((0.0, 0.1), (0.3, 0.1), -1)] + [((x, 0.0), (0.05, 0.1), k) for k, x in enumerate((0.0, 0.05, 0.2, 0.25))]
    bodies = []
    for (x, y), (w, h), actuator in parts:
        counts = [2 * int(side / dx) for side in (w, h)]
        places = block((x + 0.1, y + 0.03), (x + w + 0.1, y + h + 0.03), counts)
        bodies.append(Particles.at(places, 1.0, actuator=actuator))
    walls = Walls.of(grid, margin=2, contact=Friction(NO_SLIP))
    return Scene(
        join(bodies),
        grid,
        1e-3,
        num_steps,
        (FixedCorotated(25.0, 0.25),),
        (walls,),
        gravity=(0.0, -3.8),
        direction=(1.0, 0.0),
    )


def walker_3d(num_cells: int = 32, num_steps: int = 512) -> Scene:
    """A table on four legs, each of two muscles, one behind the other, in the manner of ChainQueen's walker."""
    grid, dx = unit_grid(num_cells, 3), 1 / num_cells
    floor, side, leg, height = 3 * dx, 0.32, 0.1, 0.12
    half = leg / 2
    bodies = [_lattice((0.1, 0.3, floor + height), (0.1 + side, 0.3 + side, floor + 2 * height), dx, -1)]
    corners = [(x, y) for x in (0.1, 0.1 + side - leg) for y in (0.3, 0.3 + side - leg)]
    for k, (x, y) in enumerate(corners):
        for j in range(2):
            lower = (x + j * half, y, floor)
            bodies.append(_lattice(lower, (x + (j + 1) * half, y + leg, floor + height), dx, 2 * k + j))
    walls = Walls.of(grid, margin=2, contact=Friction(NO_SLIP))
    return Scene(
        join(bodies),
        grid,
        2e-3,
        num_steps,
        (FixedCorotated(25.0, 0.25),),
        (walls,),
        gravity=(0.0, 0.0, -3.8),
        direction=(1.0, 0.0, 0.0),
    )


def arm(num_cells: int = 30, num_steps: int = 610, target: Sequence[float] = (0.62, 0.58, 0.62)) -> Scene:
    """A standing arm with twelve segments of four muscles is to hold its tip at the target when the time is over."""
    grid, dx = unit_grid(num_cells, 3), 1 / num_cells
    wide, floor, segment, num = 2 * dx, 3 * dx, 1.5 * dx, 12
    bodies = []
    for k in range(num):
        for j, (a, b) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            lower = (0.5 - wide + a * wide, 0.5 - wide + b * wide, floor + k * segment)
            bodies.append(_lattice(lower, (lower[0] + wide, lower[1] + wide, lower[2] + segment), dx, 4 * k + j))
    particles = join(bodies)
    tip = np.asarray(particles.x)[:, 2] > floor + (num - 1) * segment
    base = Walls.of(grid, margin=4, contact={"z_lower": Sticky(), "other": Slip()})
    materials = (FixedCorotated(60.0, 0.3),)
    return Scene(particles, grid, 1.5e-3, num_steps, materials, (base,), marked=tip, target=tuple(target))


def finger(
    num_cells: int = 40,
    num_steps: int = 150,
    goals: tuple[Sequence[float], Sequence[float]] = ((0.44, 0.56), (0.56, 0.6)),
) -> Scene:
    """A finger with a muscle on each side, held at its root, is to bring its tip to a goal that it is told."""
    grid, dx = unit_grid(num_cells), 1 / num_cells
    floor = 3 * dx
    bodies = [
        Particles.at(
            block((0.44 + 0.06 * k, floor), (0.5 + 0.06 * k, 0.6), (5, 42)), 0.06 * (0.6 - floor) / 210, actuator=k
        )
        for k in range(2)
    ]
    particles = join(bodies)
    root = Walls.of(grid, margin=5, contact={"y_lower": Sticky(), "other": Slip()})
    return Scene(
        particles,
        grid,
        2e-3,
        num_steps,
        (FixedCorotated(60.0, 0.3),),
        (root,),
        marked=np.asarray(particles.x)[:, 1] > 0.56,
        goals=(tuple(goals[0]), tuple(goals[1])),
    )


def _lattice(lower, upper, dx, actuator):
    counts = [max(1, round(2 * (b - a) / dx)) for a, b in zip(lower, upper, strict=True)]
    volume = math.prod(b - a for a, b in zip(lower, upper, strict=True)) / math.prod(counts)
    return Particles.at(block(lower, upper, counts), volume, actuator=actuator)
