"""What is left of an equation when its linear part is taken out, as modes: N(û, t).

Local terms are formed on the grid. Terms that were differentiated or combined afterwards, fluxes and products, are
transformed once and then multiplied by their Fourier symbol.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Inexact

from ..core import Equation, GradientJet, Grid, Jet, ValueJet
from ..jets import PartJet, SpectralJet, linear_symbol, symbol
from ..linalg import Transform
from .phi import times


class Remainder(eqx.Module):
    """N(modes, t) = nonlinear + source − transport, in the kept modes of `basis`.

    Modes of a complex basis carry two real fields, as real and imaginary part: each is read by a jet of its own.
    """

    equation: Equation
    grid: Grid
    basis: Transform = eqx.field(static=True)
    source: Array | None  # its modes (c, *k)
    combine: Array | None  # the symbol (c, m, *k) of `combine`
    bases: tuple[Transform, ...] = eqx.field(static=True)  # what reads each product

    def __init__(self, equation: Equation, grid: Grid, basis: Transform):
        self.equation, self.grid, self.basis = equation, grid, basis
        self.source, self.combine, self.bases = None, None, ()
        if equation.states("source"):
            self.source = basis.to_modes(equation.source(grid.points) * (1.0 if is_real(basis) else 1 + 1j))
        if equation.states("products"):
            self.combine, self.bases = combine_part(equation, grid, basis)

    @property
    def is_steady(self) -> bool:
        """Whether there is nothing but a source."""
        return not has_explicit_terms(self.equation)

    def __call__(self, modes: Inexact[Array, "c *k"], t: Float[Array, ""]) -> Inexact[Array, "c *k"]:
        equation, total = self.equation, jnp.zeros_like(modes) if self.source is None else self.source
        jet = SpectralJet.from_modes(modes, self.grid, self.basis, t)
        local = None
        if self.combine is not None:
            total = total - times(self.combine, self._product_modes(self._read(equation.products, jet)))
        elif equation.states("flux"):  # it comes before `velocity`, the same term: it is conservative, and cheaper
            flux = lambda jet: equation.flux(ValueJet(jet.value, jet.x, jet.t))
            total = total - jet.divergence_modes(self._read(flux, jet))
        elif equation.states("velocity"):
            local = lambda jet: -jnp.einsum("d...,cd...->c...", equation.velocity(jet), jet.gradient)
        if equation.states("diffusive_flux"):
            flux = lambda jet: equation.diffusive_flux(GradientJet(jet.value, jet.gradient))
            total = total + jet.divergence_modes(self._read(flux, jet))
        if equation.states("nonlinear"):
            transport = local
            local = lambda jet: equation.nonlinear(jet) + (0.0 if transport is None else transport(jet))
        return total if local is None else total + self.basis.to_modes(self._read(local, jet))

    def _read(self, law: Callable[[Jet], Array], jet: SpectralJet) -> Array:
        """The law of the field, or of the two fields that the jet carries."""
        if is_real(self.basis):
            return law(jet)
        return lax.complex(*(law(part) for part in _parts(jet)))

    def _product_modes(self, products):
        if len(set(self.bases)) == 1:
            return self.bases[0].to_modes(products)
        return jnp.stack([basis.to_modes(product) for basis, product in zip(self.bases, products, strict=True)])

    def velocity(self, values: Inexact[Array, "c *s"]) -> Inexact[Array, "n d *s"] | None:
        """The velocity that carries these values (or the two fields in them), or None if the equation gives none."""
        equation, jet = self.equation, SpectralJet(values, self.grid, jnp.zeros(()), self.basis)
        jets = (jet,) if is_real(self.basis) else _parts(jet)
        if equation.states("velocity"):
            return jnp.stack([equation.velocity(jet) for jet in jets])
        if equation.states("flux") and equation.num_components == 1:
            flux = lambda value: equation.flux(ValueJet(value, jet.x, jet.t))
            return jnp.stack([jax.jvp(flux, (jet.value,), (jnp.ones_like(jet.value),))[1][0] for jet in jets])
        return None


def _parts(jet):
    return PartJet(jet, jnp.real), PartJet(jet, jnp.imag)


def has_explicit_terms(equation: Equation) -> bool:
    """Whether an equation has more than `linear` and `source`, which are integrated exactly."""
    return any(map(equation.states, ("flux", "velocity", "products", "nonlinear", "diffusive_flux")))


def walled(basis: Transform) -> tuple[int, ...]:
    """The axes that end at walls."""
    return tuple(i for i, axis in enumerate(basis.axes) if axis.basis in ("sin", "cos"))


def is_real(basis: Transform) -> bool:
    """Whether modes are those of one real field; else they carry two."""
    return any(axis.basis != "exp" for axis in basis.axes)


def check_flux(equation: Equation, grid: Grid, basis: Transform) -> None:
    """ValueError for a flux whose parity does not fit the walls: it would be forced to another value there.

    Between sines (u = 0) the flux along the axis must be even in u, between cosines (no flux) there can be none.
    """
    if equation.states("products") or not equation.states("flux"):
        return
    values = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1.5, (equation.num_components, *grid.shape)))
    of = lambda values: equation.flux(ValueJet(values, grid.points, jnp.zeros(())))
    for i in walled(basis):
        here, mirrored = of(values)[:, i], of(-values)[:, i]
        wrong = here - mirrored if basis.axes[i].basis == "sin" else here
        if not isinstance(wrong, Tracer) and bool(jnp.max(jnp.abs(wrong)) > 1e-6 * jnp.max(jnp.abs(here))):
            between = {"sin": "must be even in u between dirichlet walls", "cos": "must vanish between neumann walls"}
            raise ValueError(
                f"the flux of {type(equation).__name__} along axis {i} {between[basis.axes[i].basis]}. State the "
                "transport as `velocity`, or use FiniteVolume or MethodOfLines."
            )


def linear_part(equation: Equation, grid: Grid, basis: Transform) -> Array:
    """The symbol of `linear`: its diagonal (c, *k) if it is diagonal, else (c, c, *k); real if it is real.

    Raises:
        ValueError: if there are derivatives of odd order across a wall.
    """
    probe = lambda equation, k: linear_symbol(equation, jnp.asarray(k))
    matrix, pattern = _probed(probe, equation, _wavevectors(grid, basis))
    for i in _judged(basis, pattern):
        _, mirrored = _probed(probe, equation, _wavevectors(grid, basis, i))
        if _parity(pattern, mirrored, "`linear`", i) < 0:
            raise ValueError(f"`linear` has derivatives of odd order along axis {i}, which do not fit its walls.")
    matrix = _even_at_nyquist(probe, equation, grid, basis, matrix)
    c = equation.num_components
    if c == 1 or (pattern is not None and not np.any(pattern[~np.eye(c, dtype=bool)])):
        matrix = jnp.stack([matrix[i, i] for i in range(c)])
    return _real_if(pattern, matrix, basis)


def combine_part(equation: Equation, grid: Grid, basis: Transform) -> tuple[Array, tuple[Transform, ...]]:
    """The symbol (c, m, *k) of `combine`, and the basis that reads each of the m products.

    Between walls a product whose derivatives along axis i are odd has the other parity than u there.
    """
    m = _num_products(equation, grid, basis)
    name = f"`combine` of {type(equation).__name__}"
    probe = lambda equation, k: symbol(equation.combine, jnp.asarray(k), m, name)
    matrix, pattern = _probed(probe, equation, _wavevectors(grid, basis))
    bases, turns = [basis] * m, np.ones(m, complex)
    for i in _judged(basis, pattern):
        _, mirrored = _probed(probe, equation, _wavevectors(grid, basis, i))
        for j in range(m):
            if _parity(pattern[:, j], mirrored[:, j], f"{name} of product {j}", i) < 0:
                bases[j] = bases[j].derivative((i,), grid.lengths)[1]
                turns[j] *= 1j if basis.axes[i].basis == "sin" else -1j
    matrix = _even_at_nyquist(probe, equation, grid, basis, matrix)
    if np.any(turns != 1):
        turns = turns.reshape(1, m, *(1,) * grid.dim)
        matrix, pattern = matrix * jnp.asarray(turns), pattern * turns
    return _real_if(pattern, matrix, basis), tuple(bases)


def _num_products(equation, grid, basis):
    values = jax.ShapeDtypeStruct((equation.num_components, *grid.shape), float)
    jet = lambda values: SpectralJet(values, grid, jnp.zeros(()), basis)
    return jax.eval_shape(lambda values: equation.products(jet(values)), values).shape[0]


def _wavevectors(grid, basis, *mirrored):
    signs = np.ones((grid.dim,) + (1,) * grid.dim)
    signs[list(mirrored)] = -1
    return signs * basis.wavevectors(grid.lengths)


def _probed(probe, equation, wavevectors) -> tuple[Array, Any]:
    """A symbol, and its pattern: numbers that show which entries are zero, real, even or odd; None if unknown.

    For the pattern, coefficients that are being traced are given arbitrary values: what vanishes with these vanishes.
    """
    matrix = probe(equation, wavevectors)
    if not isinstance(matrix, Tracer):
        return matrix, np.asarray(matrix)
    generic = np.random.default_rng(0)
    give = lambda leaf: generic.uniform(0.5, 1.5, leaf.shape).astype(leaf.dtype) if isinstance(leaf, Tracer) else leaf
    with jax.ensure_compile_time_eval():
        pattern = probe(jax.tree.map(give, equation), wavevectors)
    return matrix, None if isinstance(pattern, Tracer) else np.asarray(pattern)


def _judged(basis: Transform, pattern: Any) -> tuple[int, ...]:
    """The axes with walls. ValueError if it is unknown what a symbol looks like, and so whether it fits them."""
    if pattern is None and walled(basis):
        raise ValueError(
            "a coefficient is being traced and is no field of the equation, so that it cannot be checked against the "
            "walls: make it a field."
        )
    return walled(basis)


def _even_at_nyquist(probe, equation, grid, basis, matrix: Array) -> Array:
    """The symbol without its odd part at the Nyquist mode of each periodic axis, whose sign is undefined."""
    number = basis.mode_numbers
    last = {i: np.abs(number[i]) == axis.n / 2 for i, axis in enumerate(basis.axes) if axis.basis in ("exp", "half")}
    axes = [i for i, there in last.items() if np.any(there & basis.kept)]

    def even(axes, mirrored=()):
        if not axes:
            return probe(equation, _wavevectors(grid, basis, *mirrored)) if mirrored else matrix
        i, *rest = axes
        here = even(rest, mirrored)
        return jnp.where(last[i], 0.5 * (here + even(rest, (*mirrored, i))), here)

    return even(axes)


def _parity(at_k: np.ndarray, mirrored: np.ndarray, what: str, axis: int) -> int:
    """+1 or −1 for a symbol that is even or odd in k along the axis."""
    for sign in (1, -1):
        if np.max(np.abs(at_k - sign * mirrored)) <= 1e-6 * np.max(np.abs(at_k)):
            return sign
    raise ValueError(f"{what} mixes derivatives of even and odd order along axis {axis}, which do not fit its walls.")


def _real_if(pattern, matrix, basis):
    """The real part of the symbol, if its pattern or the walls say that this is all of it."""
    if len(walled(basis)) == len(basis.axes) or (pattern is not None and not np.any(pattern.imag)):
        return matrix.real
    return matrix
