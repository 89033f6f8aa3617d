"""Modes of fields on an equispaced grid: which there are on every axis, their wave numbers and derivatives.

`Transform` is the interface of the back ends in `transforms`, where the conventions are written down.
"""

import abc
import dataclasses
import math
from collections.abc import Sequence
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Inexact

WALLS = {"periodic": "exp", "dirichlet": "sin", "neumann": "cos"}
SWAP = {"sin": "cos", "cos": "sin"}


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis: n points, the basis functions, and the mode numbers of their coefficients.

    `basis` is "exp", "half" (exp of a real field: only m ≥ 0 are stored), "sin" or "cos"; modes are stored from
    `first` on, `count` of them (of "exp": those ≥ 0), and kept if |m| < `bound`.
    """

    n: int
    basis: str
    count: int
    bound: float
    first: int = 0

    @property
    def modes(self) -> np.ndarray:
        """The stored mode numbers, in the order of `numpy.fft.fftfreq`."""
        positive = self.first + np.arange(self.count)
        if self.basis != "exp":
            return positive
        negative = self.n // 2 if self.count == (self.n + 1) // 2 else self.count - 1
        return np.concatenate([positive, np.arange(-negative, 0)])

    @property
    def swapped(self) -> "Axis":
        """The axis on which odd derivatives are read: sines become cosines of the same m, and vice versa."""
        return dataclasses.replace(self, basis=SWAP.get(self.basis, self.basis))

    def pruned(self) -> "Axis":
        """The same axis, storing only what is kept."""
        modes = self.modes
        return dataclasses.replace(self, count=int(np.sum((modes >= 0) & (modes < self.bound))))

    @classmethod
    def of(cls, n: int, wall: str, dealias: float, half: bool) -> "Axis":
        """The axis of all modes. The bound is lowered by rounding's share: 2/3 of 96 must not keep m = 32."""
        basis = "half" if half else WALLS[wall]
        count = {"exp": (n + 1) // 2, "half": n // 2 + 1}.get(basis, n)
        bound = math.inf if dealias == 1 else dealias * (n / 2 if wall == "periodic" else n) - 1e-9 * n
        return cls(n, basis, count, bound, first=int(basis == "sin"))


@dataclasses.dataclass(frozen=True)
class Transform(abc.ABC):
    """Values (…, *s) to modes (…, *k) and back. Hashable: a static part of what uses it; made by `make_transform`."""

    axes: tuple[Axis, ...]

    @abc.abstractmethod
    def to_modes(self, values: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """Values (…, *s) to the kept modes (…, *k); real if all axes have walls and the values are real."""

    @abc.abstractmethod
    def to_values(self, modes: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """Modes (…, *k) to values (…, *s)."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.n for axis in self.axes)

    @cached_property
    def mode_numbers(self) -> np.ndarray:
        """The integers m of the stored modes, (d, *k)."""
        return np.stack(np.meshgrid(*(axis.modes for axis in self.axes), indexing="ij")).astype(float)

    @cached_property
    def kept(self) -> np.ndarray:
        """Whether each stored mode is kept, (*k)."""
        bounds = np.reshape([axis.bound for axis in self.axes], (-1,) + (1,) * len(self.axes))
        return np.all(np.abs(self.mode_numbers) < bounds, axis=0)

    def truncated(self, modes: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
        """Modes (…, *k) with zeros where they are not kept."""
        if self.kept.all():
            return modes
        kept = self.kept.reshape((1,) * (modes.ndim - self.kept.ndim) + self.kept.shape)
        return jnp.where(kept, modes, jnp.zeros((), modes.dtype))

    def wavevectors(self, lengths: Sequence[float]) -> np.ndarray:
        """κ = 2π m/length, between walls π m/length, (d, *k)."""
        scales = [
            math.pi * (1 if a.basis in SWAP else 2) / length for a, length in zip(self.axes, lengths, strict=True)
        ]
        return np.reshape(scales, (-1,) + (1,) * len(self.axes)) * self.mode_numbers

    def derivative(self, directions: Sequence[int], lengths: Sequence[float]) -> tuple[np.ndarray, "Transform"]:
        """∂ᵢ∂ⱼ… for directions (i, j, …): the factors (*k) of the modes, and the transform that reads the result.

        That is another one where a derivative of odd order turns sines into cosines. A periodic Nyquist mode is
        dropped from odd orders: its sign is undefined.
        """
        kappa = self.wavevectors(lengths)
        factor, axes = np.ones(kappa.shape[1:], complex), list(self.axes)
        for i in set(directions):
            order, axis = list(directions).count(i), self.axes[i]
            power = (1j * kappa[i]) ** order
            if axis.basis in SWAP and order % 2:
                power = power * (-1j if axis.basis == "sin" else 1j)  # sin′ = cos, cos′ = −sin
                axes[i] = axis.swapped
            elif order % 2 and axis.n % 2 == 0:
                power = np.where(np.abs(self.mode_numbers[i]) == axis.n // 2, 0, power)
            factor = factor * power
        is_real = all(a.basis in SWAP for a in self.axes)
        return np.real(factor) if is_real else factor, dataclasses.replace(self, axes=tuple(axes))


def scale(factor: np.ndarray | Inexact[Array, "..."], modes: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """factor (*k) times modes (…, *k) in the precision of the modes, by the fewest real products.

    Symbols of even order are real and those of odd order imaginary: a complex product would waste half and more.
    """
    factor = factor.reshape((1,) * (modes.ndim - factor.ndim) + factor.shape)
    real = jnp.finfo(modes.dtype).dtype
    if not jnp.iscomplexobj(modes):
        return jnp.asarray(factor, jnp.result_type(modes, 1j) if jnp.iscomplexobj(factor) else real) * modes
    if not jnp.iscomplexobj(factor):
        factor = jnp.asarray(factor, real)
        return lax.complex(factor * modes.real, factor * modes.imag)
    if isinstance(factor, np.ndarray) and not np.any(np.real(factor)):
        factor = jnp.asarray(np.imag(factor), real)
        return lax.complex(-factor * modes.imag, factor * modes.real)
    return jnp.asarray(factor, modes.dtype) * modes
