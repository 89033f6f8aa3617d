"""The jet of a field on a grid by its modes: derivatives are products with ik, and swap sines and cosines at walls."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ..core import Grid, Jet, ValueJet
from ..linalg import Transform, make_transform, scale


class SpectralJet(Jet):
    """The jet of values (c, *s) on a grid, exact for band-limited fields; periodic unless `basis` says otherwise.

    `basis` is the transform to the modes that derivatives are taken of. Each of value, gradient, … is transformed
    when it is first asked for, once. The Nyquist mode is dropped from derivatives of odd order, whose sign on it is
    undefined. A snapshot has no `dt`: that is what an equation's `rate` gives.
    """

    grid: Grid

    def __init__(self, values: Inexact[Array, "c *s"], grid: Grid, t: Any = None, basis: Transform | None = None):
        if values.shape[1:] != grid.shape:
            raise ValueError(f"values (c, *s) must end in the grid's shape {grid.shape}; got {values.shape}.")
        self.grid, self.t, self._derivatives = grid, t, {}
        self.basis = basis or make_transform(grid.shape, real=not jnp.iscomplexobj(values))
        self.value = values

    @classmethod
    def from_modes(cls, modes: Inexact[Array, "c *k"], grid: Grid, basis: Transform, t: Any = None) -> "SpectralJet":
        """The jet of the field with the modes `modes` in `basis`."""
        jet = cls.__new__(cls)
        jet.grid, jet.t, jet._derivatives = grid, t, {}
        jet.basis, jet.modes = basis, modes
        return jet

    @property
    def x(self):
        return self.grid.points

    @cached_property
    def modes(self):
        return self.basis.to_modes(self.value)

    @cached_property
    def value(self):
        return self.basis.to_values(self.modes)

    def d(self, *axes):
        if not axes:
            return self.value
        axes = tuple(sorted(axes))
        if axes not in self._derivatives:
            factor, basis = self.basis.derivative(axes, self.grid.lengths)
            self._derivatives[axes] = basis.to_values(scale(factor, self.modes))
        return self._derivatives[axes]

    @cached_property
    def gradient(self):
        return jnp.stack([self.d(i) for i in range(self.grid.dim)], axis=1)

    @cached_property
    def laplacian(self):
        return self.basis.to_values(scale(-self._square, self.modes))

    @property
    def bilaplacian(self):
        return self.basis.to_values(scale(self._square**2, self.modes))

    @cached_property
    def _square(self) -> np.ndarray:
        return np.sum(self.basis.wavevectors(self.grid.lengths) ** 2, axis=0)

    @cached_property
    def inverse_laplacian(self):
        """The jet of Δ⁻¹u; a constant mode is dropped."""
        square = self._square
        factor = np.where(square == 0, 0.0, -1 / np.where(square == 0, 1.0, square))
        return SpectralJet.from_modes(scale(factor, self.modes), self.grid, self.basis, self.t)

    def of(self, law: Callable[[Jet], Array]) -> "SpectralJet":
        return SpectralJet(law(self), self.grid, self.t, self.basis)

    @property
    def dt(self):
        raise ValueError("a grid jet is a snapshot in time and has no `dt`; use the equation's `rate`.")

    def divergence(self, flux):
        """Conservative: the flux is formed on the grid and differentiated in Fourier space."""
        return self.basis.to_values(self.divergence_modes(flux(ValueJet(self.value, self.x, self.t))))

    def divergence_modes(self, fluxes: Inexact[Array, "c d *s"]) -> Inexact[Array, "c *k"]:
        """The modes of div F. Between walls Fᵢ has the other parity than u along axis i, and its derivative that of u.

        Components are transformed one by one, so that the compiler sees which of them are the same.
        """
        terms = []
        for i in range(self.grid.dim):
            basis = self.basis.derivative((i,), self.grid.lengths)[1]
            factor, _ = basis.derivative((i,), self.grid.lengths)
            modes = jnp.stack([basis.to_modes(component) for component in fluxes[:, i]])
            terms.append(scale(factor, modes))
        return sum(terms[1:], start=terms[0])


class PartJet(Jet):
    """The real or the imaginary part of a jet: one of the two real fields that a complex one carries."""

    def __init__(self, jet: Jet, part: Callable[[Array], Array]):
        self._jet, self._part, self.x, self.t = jet, part, jet.x, jet.t

    value = property(lambda self: self._part(self._jet.value))
    gradient = property(lambda self: self._part(self._jet.gradient))
    laplacian = property(lambda self: self._part(self._jet.laplacian))
    dt = property(lambda self: self._jet.dt)
    inverse_laplacian = property(lambda self: PartJet(self._jet.inverse_laplacian, self._part))

    def d(self, *axes):
        return self._part(self._jet.d(*axes))

    def divergence(self, flux):
        raise ValueError("a part of a jet does not transform fluxes: that is done for both parts at once.")
