"""The shallow-water equations over a bed b(x), with u = (h, hv): depth h ≥ 0 and discharge hv, in 1 or 2 dimensions.

h_t + div(hv) = 0,  (hv)_t + div(h v⊗v + ½ g h² I) = −g h ∇b.

The lake at rest, h + b = const, v = 0, is kept by solvers that balance the bed. Exact: the dam that breaks over a dry
bed (Ritter 1892) or over still water (Stoker 1957). Dry places have h = 0; there v is 0.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Jet
from ..core.conservation import with_rows
from .coefficients import Scalar, at_points, require_nonnegative, require_positive
from .fluid import Fluid, Velocity, require_dim


class ShallowWater(Fluid):
    """`gravity` is g; `bathymetry` is b, a field `x (d,) -> (1,)` or its means in the cells of a grid, or None for 0.

    Below `dry_depth` the velocity hv/h is taken to zero with h.
    """

    gravity: Scalar = 9.81
    bathymetry: Callable | Array | None = None
    dim: int = eqx.field(static=True, default=1)
    dry_depth: float = eqx.field(static=True, default=1e-8)

    def __check_init__(self):
        require_positive(gravity=self.gravity, dry_depth=self.dry_depth)
        require_dim(self.dim)

    @property
    def num_components(self) -> int:
        return 1 + self.dim

    @property
    def bed(self) -> Any:
        return self.bathymetry

    def states(self, part: str) -> bool:
        return super().states(part) and not (part == "nonlinear" and self.bathymetry is None)

    def nonlinear(self, u: Jet) -> Float[Array, "c *s"]:
        """The force of the bed, −g h ∇b."""
        bed = self.bathymetry
        if callable(bed):
            slope = at_points(lambda x: jax.jacfwd(bed)(x)[0], u.x)
        elif bed is None:
            slope = jnp.zeros((self.dim, *u.value.shape[1:]), u.value.dtype)
        else:
            slope = u.of(lambda _: bed[None]).gradient[0]
        return jnp.concatenate([jnp.zeros_like(u.value[:1]), -self.gravity * u.value[:1] * slope])

    def motion(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], Velocity, Float[Array, "*s"]]:
        h = value[0]
        wet = jnp.maximum(h, self.dry_depth)
        return h, value[1:] * (jnp.maximum(h, 0) / wet**2)[None], 0.5 * self.gravity * h**2

    def sound_speed(self, value: Float[Array, "c *s"]) -> Float[Array, "*s"]:
        """√(g h), with a finite slope at h = 0."""
        wet = value[0] > 0
        return jnp.where(wet, jnp.sqrt(self.gravity * jnp.where(wet, value[0], 1)), 0)

    def riemann_speeds(self, left: Jet, right: Jet) -> tuple[Velocity, Velocity]:
        """Those of two rarefactions that meet, or of the front over a dry bed (Toro 2001, section 10.3)."""
        v_l, v_r = self.motion(left.value)[1], self.motion(right.value)[1]
        c_l, c_r = self.sound_speed(left.value)[None], self.sound_speed(right.value)[None]
        c_m = jnp.maximum((c_l + c_r) / 2 + (v_l - v_r) / 4, 0)
        dry_l, dry_r = left.value[:1] <= self.dry_depth, right.value[:1] <= self.dry_depth
        low = jnp.where(dry_l, v_r - 2 * c_r, v_l - self._run(c_l, c_m))
        high = jnp.where(dry_r, v_l + 2 * c_l, v_r + self._run(c_r, c_m))
        return jnp.where(dry_r, v_l - c_l, low), jnp.where(dry_l, v_r + c_r, high)

    @staticmethod
    def _run(c, c_m):
        """The speed of a wave into still water of sound speed c from c_m: c, or that of a shock if c_m > c.

        c_m is too large for shocks. None is faster than water that runs over a dry bed, 4 c_m − 2 c, which is less
        than the other bound from c_m = 5.01 c on: thin films would ask for tiny steps otherwise.
        """
        ratio = jnp.where(c_m > c, c_m, 1) / jnp.where(c_m > c, jnp.maximum(c, c_m / 6), 1)
        shock = c_m * jnp.sqrt((ratio**2 + 1) / 2)
        return jnp.where(c_m > c, jnp.minimum(shock, 4 * c_m - 2 * c), c)

    def primitive(self, value: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h, v)"""
        return jnp.concatenate([value[:1], self.motion(value)[1]])

    def conserved(self, primitive: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """(h, hv)"""
        return jnp.concatenate([primitive[:1], primitive[:1] * primitive[1:]])

    def positive(self, value: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        return (value[0],)

    def to_characteristic(self, change, at, axis):
        """(δh ∓ (h/c) δv)/2 along the axis, in the places of h and v; the velocity across."""
        push = change[1 + axis] * self._inertia(at)
        return with_rows(change, {0: (change[0] - push) / 2, 1 + axis: (change[0] + push) / 2})

    def from_characteristic(self, amplitudes, at, axis):
        back, forth = amplitudes[0], amplitudes[1 + axis]
        return with_rows(amplitudes, {0: forth + back, 1 + axis: (forth - back) / self._inertia(at)})

    def _inertia(self, at):
        return jnp.sqrt(jnp.maximum(at[0], self.dry_depth) / self.gravity)  # h/c


class LakeAtRest(eqx.Module):
    """h = max(level − b, 0), v = 0: `ShallowWater` does not change it."""

    equation: ShallowWater
    level: Scalar = 1.0

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " c"]:
        if self.equation.bathymetry is not None and not callable(self.equation.bathymetry):
            raise ValueError("bathymetry is an array of cells: a field of points needs a function of x.")
        bed = 0.0 if self.equation.bathymetry is None else self.equation.bathymetry(x)[0]
        h = jnp.maximum(jnp.asarray(self.level - bed, x.dtype), 0)
        return with_rows(jnp.zeros(self.equation.num_components, x.dtype), {0: h})


class DamBreak(eqx.Module):
    """Still water of depth `left` at x < center and `right` < left beyond it, let loose at t = 0 on a flat bed.

    With `right` = 0 it is Ritter's solution, a rarefaction whose tip runs with 2√(g left); else Stoker's, where the
    rarefaction ends in a middle depth behind a shock. x is the first axis.
    """

    equation: ShallowWater
    left: Scalar
    right: Scalar = 0.0
    center: Scalar = 0.0

    def __check_init__(self):
        require_positive(left=self.left)
        require_nonnegative(right=self.right)
        if isinstance(self.left, int | float) and isinstance(self.right, int | float) and self.right >= self.left:
            raise ValueError(f"right={self.right} must lie below left={self.left}.")
        if self.equation.bathymetry is not None:
            raise ValueError("bathymetry is not allowed: the dam breaks on a flat bed.")

    def __call__(self, t: Scalar, x: Float[Array, " d"]) -> Float[Array, " c"]:
        g = self.equation.gravity
        t = jnp.maximum(jnp.asarray(t, x.dtype), jnp.finfo(x.dtype).tiny ** 0.5)
        xi = (x[0] - self.center) / t
        c_l = jnp.sqrt(jnp.asarray(g * self.left, x.dtype))
        fan = jnp.clip((2 * c_l - xi) / 3, 0, c_l)  # the sound speed in the rarefaction
        if isinstance(self.right, int | float) and self.right == 0:
            h, v = fan**2 / g, jnp.where(fan > 0, 2 * (c_l - fan), 0)
        else:
            h_m = self.middle_depth(x.dtype)
            v_m = 2 * (c_l - jnp.sqrt(g * h_m))
            behind = xi < h_m * v_m / (h_m - self.right)
            c = jnp.maximum(fan, jnp.sqrt(g * h_m))
            h, v = jnp.where(behind, c**2 / g, self.right), jnp.where(behind, 2 * (c_l - c), 0)
        return with_rows(jnp.zeros(self.equation.num_components, x.dtype), {0: h, 1: h * v})

    def middle_depth(self, dtype: Any = float) -> Float[Array, ""]:
        """The depth behind Stoker's shock: the root, between right and left, of a convex decreasing function."""
        g, right = self.equation.gravity, jnp.asarray(self.right, dtype)
        c_l = jnp.sqrt(jnp.asarray(g * self.left, dtype))

        def excess(h):
            return 2 * (c_l - jnp.sqrt(g * h)) - (h - right) * jnp.sqrt(g * (h + right) / (2 * h * right))

        slope = jax.grad(excess)  # Newton's steps from the left do not overshoot
        return jax.lax.fori_loop(0, 40, lambda _, h: h - excess(h) / slope(h), right)
