"""The particles, as users see them: rows of arrays. A stepper turns them into component arrays at its entry."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int


class Particles(eqx.Module):
    """A fixed number of particles; those that left the grid stay in place, with `alive` False.

    C is the affine velocity of APIC (1/time), F the deformation gradient, `volume` that of the reference state,
    `material` an index into the materials of a stepper, `actuator` that of a muscle or −1, `plastic` one variable of
    history for materials that have one.
    """

    x: Float[Array, "*t p d"]
    v: Float[Array, "*t p d"]
    C: Float[Array, "*t p d d"]
    F: Float[Array, "*t p d d"]
    volume: Float[Array, "*t p"]
    mass: Float[Array, "*t p"]
    material: Int[Array, "*t p"]
    actuator: Int[Array, "*t p"]
    alive: Bool[Array, "*t p"]
    plastic: Float[Array, "*t p"]

    @classmethod
    def at(
        cls,
        x: ArrayLike,
        volume: ArrayLike,
        density: ArrayLike = 1.0,
        *,
        v: Any = 0.0,
        material: int = 0,
        actuator: ArrayLike = -1,
    ) -> "Particles":
        """Particles at rest in their reference state at x (p, d), or moving with v: (d,) or (p, d).

        Raises ValueError for shapes that do not fit and volumes or densities that are not positive.
        """
        x = jnp.asarray(x, jnp.result_type(float))
        if x.ndim != 2 or x.shape[1] not in (2, 3) or not x.shape[0]:
            raise ValueError(f"x has the shape {x.shape}; expected (p, d) with d = 2 or 3 and p ≥ 1.")
        p, d = x.shape
        full = lambda value, dtype: jnp.broadcast_to(jnp.asarray(value, dtype), (p,))
        for name, value in {"volume": volume, "density": density}.items():
            if not np.all(np.asarray(value) > 0) or not np.all(np.isfinite(np.asarray(value))):
                raise ValueError(f"{name}={_short(value)}: every particle needs a {name} > 0, not infinite.")
        return cls(
            x=x,
            v=jnp.broadcast_to(jnp.asarray(v, x.dtype), (p, d)),
            C=jnp.zeros((p, d, d), x.dtype),
            F=jnp.broadcast_to(jnp.eye(d, dtype=x.dtype), (p, d, d)),
            volume=full(volume, x.dtype),
            mass=full(volume, x.dtype) * full(density, x.dtype),
            material=full(material, jnp.int32),
            actuator=full(actuator, jnp.int32),
            alive=full(True, bool),
            plastic=full(0.0, x.dtype),
        )

    @property
    def dim(self) -> int:
        return self.x.shape[-1]

    @property
    def num(self) -> int:
        return self.x.shape[-2]


def join(parts: Sequence[Particles]) -> Particles:
    """All particles of several bodies, in order."""
    return Particles(
        **{
            name: jnp.concatenate([jnp.asarray(getattr(part, name)) for part in parts])
            for name in Particles.__dataclass_fields__
        }
    )


def _short(value):
    value = np.asarray(value)
    return f"{value}" if value.ndim == 0 else f"[{value.min():g} … {value.max():g}]"
