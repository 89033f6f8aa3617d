"""What is wrong with a scene, said before anything is compiled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.core import Tracer

from ..core import Grid
from .kernels import KERNELS
from .state import Particles
from .transfer import BACKENDS

SCHEMES = ("apic", "tpic", "pic")


def check_scene(
    particles: Particles, grid: Grid, dt: float, materials: Any, kernel: str, scheme: str, flip: float, backend: Any
) -> None:
    """Raises ValueError, naming the first offender, what is allowed, and what to do."""
    for name, value, allowed in (
        ("kernel", kernel, KERNELS),
        ("scheme", scheme, SCHEMES),
        ("backend", backend, BACKENDS),
    ):
        if value not in allowed and not (name == "backend" and value is None):
            raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(allowed)}.")
    if not 0 <= flip <= 1:
        raise ValueError(f"flip={flip} is a fraction: 0 is PIC's velocity, 1 FLIP's.")
    if grid.centred or not np.allclose(grid.spacings, grid.spacings[0], rtol=1e-9):
        raise ValueError(f"particles need a grid of nodes (not centred), equally spaced; got spacings {grid.spacings}.")
    if min(grid.shape) < KERNELS[kernel].width + 2:
        raise ValueError(
            f"the grid {grid.shape} is too small for a {kernel} kernel, which reaches {KERNELS[kernel].width} nodes."
        )
    if particles.x.ndim != 2 or particles.dim != grid.dim:
        raise ValueError(
            f"x has the shape {particles.x.shape}; expected (p, {grid.dim}) for a grid of {grid.dim} axes."
        )
    check_shapes(particles, (particles.num, grid.dim))
    for name in ("x", "volume", "mass", "material", "actuator", "alive"):
        if isinstance(getattr(particles, name), Tracer):
            raise ValueError(
                f"{name} is traced: a step is made outside of jit and grad, from known particles. Make it there; x, v, "
                "C and F to differentiate by are given to its `init`, mass and volume by eqx.tree_at(lambda step: "
                "step.mass, step, …), in the order step.order."
            )
    if not isinstance(materials, Sequence) or not materials:
        raise ValueError(f"materials={materials!r}: give a tuple of one material or more.")
    _check_rows(particles, grid, KERNELS[kernel], materials)
    limit, which = cfl_limit(particles, grid, materials)
    if not 0 < dt <= limit:
        raise ValueError(
            f"dt={dt:g} must be positive and at most {limit:.3g}, the elastic CFL limit dx/c with dx = "
            f"{grid.spacings[0]:.3g} and c = {grid.spacings[0] / limit:.3g}, the fastest wave in {which}. "
            "Lower dt, coarsen the grid, or soften the material."
        )


def cfl_limit(particles: Particles, grid: Grid, materials: Any) -> tuple[float, str]:
    """(dx/c for the fastest elastic wave c = √(M V/m) of all materials, the material's name).

    M is a material's `p_wave_modulus`; materials without one, or whose modulus is being differentiated, do not limit.
    """
    material, fastest, which = np.asarray(particles.material), 0.0, "no material"
    lightness = np.asarray(particles.volume) / np.asarray(particles.mass)
    for k in np.unique(material):
        modulus = getattr(materials[k], "p_wave_modulus", 0.0)
        if isinstance(modulus, Tracer):
            continue
        mine = material == k
        squared = np.asarray(modulus, float)[mine if np.ndim(modulus) else ()] * lightness[mine]
        if squared.max() > fastest:
            fastest, which = float(squared.max()), f"{type(materials[k]).__name__} (material {k})"
    return (grid.spacings[0] / fastest**0.5 if fastest > 0 else np.inf), which


def check_shapes(particles: Particles, shape: tuple[int, int]) -> None:
    """ValueError for the first field that does not have the shape of (p, d) particles."""
    p, d = shape
    expected = {"x": (p, d), "v": (p, d), "C": (p, d, d), "F": (p, d, d)}
    for name in Particles.__dataclass_fields__:
        found, needed = getattr(particles, name).shape, expected.get(name, (p,))
        if found != needed:
            raise ValueError(f"{name} has the shape {found}; {p} particles in {d} dimensions need {needed}.")


def check_same(particles: Particles, step: Any) -> None:
    """ValueError where what a step keeps of its particles is given otherwise, or traced: it would not be looked at."""
    for name in ("mass", "volume"):
        if isinstance(getattr(particles, name), Tracer):
            raise ValueError(
                f"{name} is traced, but belongs to the step: differentiate by it with eqx.tree_at(lambda step: "
                f"step.{name}, step, …), in the order step.order; under jit pass x, v, C and F alone."
            )
    if isinstance(step.order, Tracer):
        return
    for name in ("mass", "volume", "material", "actuator"):
        given, kept = getattr(particles, name), getattr(step, name)
        if isinstance(given, Tracer) or isinstance(kept, Tracer):
            continue
        if name == "actuator":  # the step counts those without one last
            kept = np.where(np.asarray(kept) == step.num_actuators, -1, kept)
        if not np.array_equal(np.asarray(given)[np.asarray(step.order)], kept):
            raise ValueError(
                f"{name} differs from that of the particles that the step was made for: make another step."
            )


def _check_rows(particles, grid, kernel, materials):
    x, volume, mass = (np.asarray(a) for a in (particles.x, particles.volume, particles.mass))
    for name, value in {"volume": volume, "mass": mass}.items():
        bad = ~(np.isfinite(value) & (value > 0))
        if bad.any():
            raise ValueError(f"{name}[{bad.argmax()}]={value[bad.argmax()]:g}: every particle needs a {name} > 0.")
    index = np.asarray(particles.material)
    bad = (index < 0) | (index >= len(materials))
    if bad.any():
        raise ValueError(
            f"material[{bad.argmax()}]={index[bad.argmax()]} is unknown; the scene has the materials "
            f"0 to {len(materials) - 1}."
        )
    if (np.asarray(particles.actuator) < -1).any():
        raise ValueError("an actuator is numbered 0, 1, … and −1 stands for none; got a number below −1.")
    dx = grid.spacings[0]
    lower = np.asarray(grid.lower) + kernel.shift * dx
    upper = np.asarray(grid.lower) + (np.asarray(grid.shape) - kernel.width + 1 + kernel.shift) * dx
    bad = ~np.all((x >= lower) & (x < upper), axis=1) & np.asarray(particles.alive)
    if bad.any():
        first = bad.argmax()
        show = lambda a: "(" + ", ".join(f"{value:.4g}" for value in a) + ")"
        raise ValueError(
            f"{bad.sum()} particles are outside the grid, first x[{first}]={show(x[first])}: a {kernel.name} kernel "
            f"needs places between {show(lower)} and {show(upper)}. Move them, or enlarge the grid."
        )
