"""Unions of domains, which may overlap.

Candidates are drawn from every part in proportion to its volume; one counts in the first part that contains it. A
point of a part's boundary belongs to the union's boundary if no part contains the place just outside it.
"""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .region import Domain, Region, Sampled, pick


class Union(Domain):
    """The union of domains of the same dimension: `Union([Box(...), Ball(...)])`."""

    parts: tuple[Domain, ...]

    def __init__(self, parts: Sequence[Domain]):
        self.parts = tuple(parts)
        dims = sorted({part.dim for part in self.parts})
        if len(dims) != 1:
            raise ValueError(f"a union needs at least one part, all of one dimension; got dimensions {dims}.")

    @property
    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        lowers, uppers = zip(*(part.bounds for part in self.parts), strict=True)
        return tuple(min(values) for values in zip(*lowers, strict=True)), tuple(
            max(values) for values in zip(*uppers, strict=False)
        )

    @property
    def unit_dim(self) -> int:
        return _unit_dim(self.parts)

    @property
    def measure(self) -> float:
        """The volume of the parts, overlaps counted more than once."""
        return sum(part.measure for part in self.parts)

    @property
    def num_candidates(self) -> int:
        return _num_candidates(self.parts)

    @property
    def boundary(self) -> "UnionBoundary":
        return UnionBoundary(self)

    def from_unit(self, unit: Float[Array, " k"]) -> Float[Array, " d"]:
        index, points, _ = _places(self.parts, unit)
        return jnp.stack(points)[index]

    def keeps(self, unit: Float[Array, " k"]) -> Bool[Array, ""]:
        index, points, kept = _places(self.parts, unit)
        return kept & ~_in_earlier(self.parts, index, jnp.stack(points)[index])

    def contains(self, x: Float[Array, " d"]) -> Bool[Array, ""]:
        return jnp.any(jnp.stack([part.contains(x) for part in self.parts]))


class UnionBoundary(Region):
    """What of the parts' boundaries is not inside the union."""

    smooth: ClassVar[bool] = False

    union: Union

    @property
    def _parts(self):
        return tuple(part.boundary for part in self.union.parts)

    @property
    def unit_dim(self) -> int:
        return _unit_dim(self._parts)

    @property
    def measure(self) -> float:
        """The area of the parts' boundaries, hidden pieces included."""
        return sum(part.measure for part in self._parts)

    @property
    def num_candidates(self) -> int:
        return 2 * _num_candidates(self._parts)

    def from_unit(self, unit: Float[Array, " k"]) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        index, places, _ = _places(self._parts, unit)
        points, normals = zip(*places, strict=True)
        return jnp.stack(points)[index], jnp.stack(normals)[index]

    def keeps(self, unit: Float[Array, " k"]) -> Bool[Array, ""]:
        index, _, kept = _places(self._parts, unit)
        x, normal = self.from_unit(unit)
        size = max(b - a for a, b in zip(*self.union.bounds, strict=True))
        outside = x + 10 * size * float(jnp.finfo(x.dtype).eps) ** 0.75 * normal
        return kept & ~self.union.contains(outside) & ~_in_earlier(self.union.parts, index, x)

    def distance(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        raise ValueError("a union has no smooth distance function here: give its boundary conditions as soft terms.")


def _unit_dim(parts: Sequence[Sampled]) -> int:
    return 1 + max(part.unit_dim for part in parts)


def _num_candidates(parts):
    """At least one candidate of len(parts) is kept in the mean; twice that makes a shortage unlikely."""
    return 2 * len(parts) * max(part.num_candidates for part in parts)


def _places(parts, unit):
    """(which part `unit` picks, its place in every part, whether the picked part keeps it)"""
    index = pick(unit[0], tuple(part.measure for part in parts))
    units = [unit[1 : 1 + part.unit_dim] for part in parts]
    kept = jnp.stack([part.keeps(u) for part, u in zip(parts, units, strict=True)])[index]
    return index, [part.from_unit(u) for part, u in zip(parts, units, strict=True)], kept


def _in_earlier(parts, index, x):
    contained = jnp.stack([part.contains(x) for part in parts])
    return jnp.any(contained & (jnp.arange(len(parts), dtype=index.dtype) < index))
