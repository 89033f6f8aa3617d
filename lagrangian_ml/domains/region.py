"""What domains and their boundaries share: a measure-preserving map from the unit cube.

A `Domain` or a `Region` of a boundary states `from_unit`, which carries uniform points of the unit cube to uniform
points of itself. All sampling laws, and joint draws with time, follow from it. Sets with overlapping parts map
several unit points to one place and say by `keeps` which of them counts; draws then select among more candidates.
"""

import abc
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from .sobol import MAX_SOBOL_DIM, Law, unit_points

Side = Literal["lower", "upper"]


class Sampled(eqx.Module):
    """A set with a map from the unit cube of dimension `unit_dim`, and its `measure` (volume or area)."""

    @property
    @abc.abstractmethod
    def unit_dim(self) -> int: ...

    @property
    @abc.abstractmethod
    def measure(self) -> float: ...

    @abc.abstractmethod
    def from_unit(self, unit: Float[Array, " k"]) -> Any:
        """The point, or (point, outward normal) on a boundary, that stands at `unit`."""

    @property
    def best_law(self) -> Law:
        """ "sobol" in the dimensions that have such points, else "uniform"."""
        return "sobol" if self.unit_dim <= MAX_SOBOL_DIM else "uniform"

    @property
    def num_candidates(self) -> int:
        """Candidates tried for every point of a draw; 1 where all are kept."""
        return 1

    def keeps(self, unit: Float[Array, " k"]) -> Bool[Array, ""]:
        """Whether the place of `unit` is counted here (and not by another part of the set)."""
        return jnp.array(True)

    @eqx.filter_jit
    def draw(self, n: int, *, key: Key[Array, ""], law: Law = "uniform", extra: int = 0) -> tuple[Array, Any]:
        """(units (n, extra), places): n places, drawn jointly with `extra` coordinates of (0, 1), such as time."""
        units = unit_points(n * self.num_candidates, extra + self.unit_dim, key=key, law=law)
        if self.num_candidates > 1:
            kept = jax.vmap(self.keeps)(units[:, extra:])
            num_kept = eqx.error_if(jnp.sum(kept), ~jnp.any(kept), "no candidate point was accepted: draw more points.")
            # A shortage is filled by repeating accepted points in turn.
            units = units[jnp.argsort(~kept, stable=True)[jnp.arange(n) % num_kept]]
        return units[:, :extra], jax.vmap(self.from_unit)(units[:, extra:])


class Domain(Sampled):
    """An open set of R^dim. Concrete domains are hashable, hold no arrays and state `bounds` and `boundary`."""

    @property
    @abc.abstractmethod
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """(lower, upper) corners of the smallest box around the domain."""

    @property
    @abc.abstractmethod
    def boundary(self) -> "Region": ...

    @abc.abstractmethod
    def contains(self, x: Float[Array, " d"]) -> Bool[Array, ""]:
        """Whether x lies in the domain or on its boundary."""

    @property
    def dim(self) -> int:
        return len(self.bounds[0])

    def face(self, axis: int, side: Side) -> "Region":
        """The face across an axis of a box; ValueError for every other domain, and for an axis that does not exist."""
        raise ValueError(
            f"{type(self).__name__} has no face ({axis}, {side!r}): only a Box has faces, and Periodic conditions need "
            "two of them."
        )

    def sample(self, n: int, *, key: Key[Array, ""], law: Law = "uniform") -> Float[Array, "n d"]:
        """n points of the domain, uniform in volume; law "uniform", "sobol" (scrambled) or "grid"."""
        return self.draw(n, key=key, law=law)[1]


class Region(Sampled):
    """A part of a boundary; `smooth` tells whether its distance function exists."""

    smooth: ClassVar[bool] = True

    @abc.abstractmethod
    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """A smooth function that vanishes on the region and is positive inside, with slope about 1 at the region."""

    def sample(
        self, n: int, *, key: Key[Array, ""], law: Law = "uniform"
    ) -> tuple[Float[Array, "n d"], Float[Array, "n d"]]:
        """(points, outward unit normals), uniform in area."""
        return self.draw(n, key=key, law=law)[1]


def pick(unit: Float[Array, ""], measures: tuple[float, ...]) -> Array:
    """The index of the part that stands at `unit`, each with a share of (0, 1) in proportion to its measure."""
    shares = jnp.cumsum(jnp.asarray(measures, unit.dtype))
    return jnp.minimum(jnp.searchsorted(shares / shares[-1], unit, side="right"), len(measures) - 1)
