"""What is wrong with a scene, said before anything is compiled."""

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
    for name in ("x", "volume", "mass", "material", "actuator", "alive"):
        if isinstance(getattr(particles, name), Tracer):
            raise ValueError(
                f"{name} is traced: a step is made outside of jit and grad, from known particles. Make it there, "
                "and give the particles to differentiate by to its `init`."
            )
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
        squared = np.asarray(modulus, float) * (lightness[material == k].max() if np.ndim(modulus) == 0 else lightness)
        if squared.max() > fastest:
            fastest, which = float(squared.max()), f"{type(materials[k]).__name__} (material {k})"
    return (grid.spacings[0] / fastest**0.5 if fastest > 0 else np.inf), which


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
