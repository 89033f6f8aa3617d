"""Clouds of particles in motion, in the plane or in space: a row of stills for the paper, and a GIF.

Space is drawn in parallel projection, the far particles first and paler. Of large clouds some particles are drawn, the
same ones at all times.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, Shaped
from matplotlib import colormaps
from matplotlib.animation import PillowWriter
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..linalg.components import Vector
from .run import save_figure
from .style import COLOURS, INK, MUTED, PREDICTION, new_figure, styled, value_scale

Corners = tuple[Any, Any]  # (lower, upper), each with a number an axis
_PALETTE = (*COLOURS, "#E69F00", "#56B4E9", MUTED)  # of integers: materials, actuators
_NONE = "#B8B8B8"  # of negative ones
_DPI, _MAX_FRAMES, _NUM_PROBES, _RESOLUTION = 100, 60, 200, 160
_VIEW = (-55.0, 20.0)  # degrees: from where space is seen


@styled
def particles_figure(
    frames: Float[Array | np.ndarray, "t p d"],
    times: Float[Array | np.ndarray, " t"],
    *,
    color_by: Shaped[Array | np.ndarray, "..."] | None = None,
    box: Corners | None = None,
    up: int = -1,
    targets: Num[Array | np.ndarray, "m d"] | None = None,
    obstacles: Sequence[Callable[[Vector, Any], Array]] = (),
    label: str = "",
    names: Sequence[str] = (),
    num_stills: int = 4,
    max_points: int = 4000,
    title: str = "",
) -> Figure:
    """`num_stills` equally spaced ones of the frames side by side.

    Args:
        frames: x at the times.
        times: shown above.
        color_by: (p,) or (t, p); integers such as materials have a colour each, other numbers a colour bar.
        box: (lower, upper) corners of what is shown, the floor drawn at its lowest face; else a box around all frames.
        up: the axis that points upwards in space.
        targets: places to be marked.
        obstacles: signed distances `(x, t) -> φ`, shaded where they are negative; in the plane only.
        label: of the colour bar or above the names.
        names: of the integers 0, 1, … in a legend.
        num_stills: how many.
        max_points: particles drawn.
        title: names the preset in the footer.

    Raises:
        ValueError: if shapes do not fit.
    """
    scene = _Scene(frames, times, color_by, box, up, targets, obstacles, label, names, max_points)
    shown = np.unique(np.linspace(0, len(scene.times) - 1, max(1, num_stills)).round().astype(int))
    width, tall = 7.0, scene.aspect
    panel = width / len(shown) - 0.15
    fig = new_figure(min(panel * tall, 3.2) + 0.55 + 0.25 * bool(scene.names), title, width=width, layout="compressed")
    panels = fig.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for ax, k in zip(panels, shown, strict=True):
        scene.draw(ax, int(k), panel * min(1.0, 3.2 / (panel * tall)))
        ax.set_title(_clock(scene.times[k]))
    scene.explain(fig, list(panels))
    return fig


def save_particle_stills(
    frames: Float[Array | np.ndarray, "t p d"], times: Float[Array | np.ndarray, " t"], path: Path | str, **options: Any
) -> list[Path]:
    """Write `particles_figure(frames, times, **options)` as .png and .pdf, whatever the ending of `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"{options.get('title', '')}: particles".removeprefix(": ")
    return save_figure(particles_figure(frames, times, **options), path.with_suffix(""), title)


@styled
def animate_particles(
    frames: Float[Array | np.ndarray, "t p d"],
    times: Float[Array | np.ndarray, " t"],
    path: Path | str,
    *,
    fps: int = 20,
    title: str = "",
    **look: Any,
) -> Path:
    """Write the frames, at most sixty of them, to `path`, a .gif, and return it; `look` as in `particles_figure`.

    Raises:
        ValueError: if shapes do not fit, or the file is not a .gif.
    """
    path = Path(path)
    if path.suffix != ".gif" or fps < 1:
        raise ValueError(f"path={path.name} must end in .gif, and fps={fps} be at least 1.")
    scene = _Scene(frames, times, **look)
    shown = np.unique(np.linspace(0, len(scene.times) - 1, _MAX_FRAMES).round().astype(int))
    width = 4.6 if scene.aspect < 1.3 else 3.4
    fig = new_figure(width * scene.aspect + 0.6 + 0.25 * bool(scene.names), title, width=width, layout="compressed")
    ax = fig.subplots()
    update = scene.draw(ax, 0, width - 0.7)
    scene.explain(fig, [ax])
    clock = ax.set_title(max((_clock(t) for t in scene.times[shown]), key=len))
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # the layout of the first frame stays: nothing jumps
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = PillowWriter(fps=fps)
    with writer.saving(fig, path, _DPI):
        for k in shown:
            clock.set_text(_clock(scene.times[k]))
            update(int(k))
            writer.grab_frame()
    return path


class _Scene:
    """The checked and thinned cloud with its colours, and how one time of it is drawn."""

    def __init__(
        self,
        frames,
        times,
        color_by=None,
        box=None,
        up=-1,
        targets=None,
        obstacles=(),
        label="",
        names=(),
        max_points=4000,
    ):
        frames, self.times = np.asarray(frames, float), np.asarray(times, float)
        t, p, d = frames.shape
        if d not in (2, 3) or self.times.shape != (t,) or not (t and p):
            raise ValueError(
                f"frames has the shape {frames.shape} and times {self.times.shape}; expected (t, p, 2) or (t, p, 3), "
                "and (t,), with at least one of each."
            )
        if obstacles and d == 3:
            raise ValueError("obstacles are drawn in the plane only; leave them out in space.")
        some = np.unique(np.linspace(0, p - 1, min(p, max_points)).round().astype(int))
        self.frames, self.obstacles, self.label, self.names = frames[:, some], tuple(obstacles), label, tuple(names)
        self.paint, self.scale = _paint(None if color_by is None else _values(color_by, t, p)[:, some])
        if box is None:
            lower, upper = (f(self.frames, axis=(0, 1)) for f in (np.nanmin, np.nanmax))
            room = 0.06 * (upper - lower).max() + 1e-9
            box = (lower - room, upper + room)
        self.box = tuple(np.asarray(corner, float) for corner in box)
        self.targets = None if targets is None else np.asarray(targets, float)
        self.project = _Plane() if d == 2 else _Space(self.box[0], self.box[1], up % 3)
        corners = self.project.flat(_corners(*self.box))
        self.lower, self.upper = corners.min(axis=0), corners.max(axis=0)
        self.aspect = float(np.clip(np.divide(*(self.upper - self.lower)[::-1]), 0.15, 2.0))
        self.spacing = _spacing(self.frames[0])

    def draw(self, ax, k, width):
        """The frame k in a panel of this width in inches; returns the function that changes it to another one."""
        segments, floor = self.project.edges(*self.box)
        ax.add_collection(LineCollection(segments, colors=MUTED, linewidths=0.5, alpha=0.7, zorder=0))
        ax.add_collection(LineCollection(floor, colors=INK, linewidths=1.4, zorder=0, capstyle="round"))
        room = 0.02 * (self.upper - self.lower).max()
        low, high = self.lower - room, self.upper + room
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[])
        ax.set_axis_off()
        size = float(np.clip(0.95 * self.spacing * 72 * width / (high[0] - low[0]), 0.7, 6.0))
        places, paint, below = self._frame(k)
        shadow = ax.scatter(*below.T, s=size**2, color="#E8E8E8", linewidths=0, zorder=-1, rasterized=True)
        dots = ax.scatter(*places.T, s=size**2, zorder=2, rasterized=True)
        _colour(dots, paint, edged=len(below) > 0)
        if self.targets is not None:
            marks = self.project.flat(self.targets).T
            for mark, foot in zip(marks.T, self.project.below(self.targets)):
                ax.plot(*np.stack([mark, foot], axis=1), ":", color="#D55E00", lw=0.8, zorder=-0.5)
            ax.plot(*marks, "o", ms=9, mfc="none", mec="#D55E00", mew=1.3, zorder=3)
            ax.plot(*marks, "+", ms=9, color="#D55E00", mew=1.0, zorder=3)
        shades = self._shade(ax, k)

        def update(k):
            nonlocal shades
            places, paint, below = self._frame(k)
            shadow.set_offsets(below)
            dots.set_offsets(places)
            _colour(dots, paint, edged=len(below) > 0)
            for shade in shades:
                shade.remove()
            shades = self._shade(ax, k)

        return update

    def explain(self, fig, panels):
        """The colour bar, or the legend."""
        if self.scale is not None:
            fig.colorbar(self.scale, ax=panels, label=self.label, pad=0.02)
        elif self.names:
            dots = [Line2D([], [], color=_color(i), marker="o", ls="", ms=4, mew=0) for i in range(len(self.names))]
            fig.legend(dots, self.names, loc="outside lower center", ncols=len(dots), title=self.label or None)

    def _frame(self, k):
        """(places (p, 2), colours (p, 3), the nearest last, shadows on the floor)."""
        below = self.project.below(self.frames[k])
        places, depth = self.project(self.frames[k])
        paint = self.paint(k)
        if depth is None:
            return places, paint, below
        far = 0.55 * depth[:, None]
        order = np.argsort(-depth)
        return places[order], ((1 - far) * paint + far)[order], below

    def _shade(self, ax, k):
        if not self.obstacles:
            return []
        x, y = (np.linspace(a, b, _RESOLUTION) for a, b in zip(*self.box))
        mesh = Vector(*(jnp.asarray(a) for a in np.meshgrid(x, y)))
        shades = []
        for obstacle in self.obstacles:
            phi = np.asarray(obstacle(mesh, self.times[k]))
            if phi.min() <= 0:
                shades.append(ax.contourf(x, y, phi, levels=[phi.min() - 1, 0], colors=["#9A9A9A"], zorder=1))
        return shades


class _Plane:
    def __call__(self, x):
        return x, None

    def flat(self, x):
        return x

    def below(self, x):
        return np.zeros((0, 2))

    def edges(self, lower, upper):
        """(the box without its floor, the floor) as line segments."""
        (a, b), (c, e) = lower, upper
        return [[(a, b), (a, e), (c, e), (c, b)]], [[(a, b), (c, b)]]


class _Space:
    """Parallel projection along the direction from azimuth and elevation `_VIEW`, with depth 0 near … 1 far."""

    def __init__(self, lower, upper, up):
        azimuth, elevation = np.radians(_VIEW)
        ground = [(up + 1) % 3, (up + 2) % 3]
        towards, right, above = np.zeros((3, 3))
        towards[ground] = math.cos(azimuth) * math.cos(elevation), math.sin(azimuth) * math.cos(elevation)
        towards[up] = math.sin(elevation)
        right[ground] = -math.sin(azimuth), math.cos(azimuth)
        above[ground] = -math.cos(azimuth) * math.sin(elevation), -math.sin(azimuth) * math.sin(elevation)
        above[up] = math.cos(elevation)
        self.screen, self.towards, self.up, self.floor = np.stack([right, above], axis=1), towards, up, lower[up]
        depths = _corners(lower, upper) @ towards
        self.far, self.near = depths.min(), depths.max()

    def __call__(self, x):
        return self.flat(x), np.clip((self.near - x @ self.towards) / (self.near - self.far), 0, 1)

    def flat(self, x):
        return x @ self.screen

    def below(self, x):
        """Their shadows on the floor."""
        return self.flat(np.where(np.arange(3) == self.up, self.floor, x))

    def edges(self, lower, upper):
        corners = _corners(lower, upper)
        pairs = [(a, b) for a in range(8) for b in range(a + 1, 8) if (corners[a] != corners[b]).sum() == 1]
        below = lambda pair: all(corners[i][self.up] == lower[self.up] for i in pair)
        draw = lambda chosen: [self.flat(corners[list(pair)]) for pair in chosen]
        return draw(pair for pair in pairs if not below(pair)), draw(filter(below, pairs))


def _corners(lower, upper):
    d = len(lower)
    return np.array([[(lower, upper)[n >> i & 1][i] for i in range(d)] for n in range(2**d)])


def _values(color_by, t, p):
    values = np.asarray(color_by)
    if values.shape not in {(p,), (t, p)}:
        raise ValueError(f"color_by has the shape {values.shape}; expected ({p},) or ({t}, {p}).")
    return np.broadcast_to(values, (t, p))


def _paint(values):
    """(the function k -> (p, 3) of colours, what a colour bar needs or None)"""
    if values is None:
        return lambda k: np.array([to_rgb(PREDICTION)]), None
    if values.dtype.kind in "iub":
        table = np.array([to_rgb(_color(i)) for i in range(-1, len(_PALETTE))])
        return lambda k: table[np.where(values[k] < 0, 0, 1 + values[k].astype(int) % len(_PALETTE))], None
    norm, colours = value_scale(values)
    return lambda k: colormaps[colours](norm(values[k]))[:, :3], ScalarMappable(norm, colours)


def _color(i):
    return _PALETTE[i % len(_PALETTE)] if i >= 0 else _NONE


def _colour(dots, paint, edged):
    """In space every particle has an edge, or a body would be one patch."""
    dots.set_facecolors(paint)
    dots.set_edgecolors(0.75 * paint if edged else "none")
    dots.set_linewidths(0.25 if edged else 0.0)


def _spacing(x):
    """The median distance of neighbours, by some of them."""
    x = x[np.isfinite(x).all(axis=1)]
    if len(x) < 2:
        return 0.0
    probes = x[:: max(1, len(x) // _NUM_PROBES)]
    squared = ((probes[:, None] - x) ** 2).sum(-1)
    return float(np.median(np.sqrt(np.partition(squared, 1, axis=1)[:, 1])))


def _clock(t):
    return f"$t = {t:.3g}$"
