"""Elastic bodies and weakly compressible fluids: Kirchhoff stress τ = P Fᵀ = (∂Ψ/∂F) Fᵀ of a deformation gradient F.

A material maps (F, plastic) of one particle, or of a cloud of component arrays, to (τ, F, plastic) after its return
mapping; `plastic` is a scalar history, which these materials hand through. In 2-D all are in plane strain. Parameters
are numbers, or arrays () or (p,) when they are to be trained. Bonet and Wood (2008), Nonlinear Continuum Mechanics.

Where a logarithm or a power would blow up, J and squared stretches below `FLOOR` count as `FLOOR`: there the stress is
held and its derivative in them is 0. So a crushed or inverted particle costs no NaN, but only `FixedCorotated` and
`Fluid` bring an inverted one back.
"""

from abc import abstractmethod
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..linalg.components import Matrix, Scalar, identity
from ..linalg.polar import log_symmetric, polar

FLOOR = 1e-6
FLUID_FLOOR = 0.1  # J^-γ is finite in float32 for every γ in use


class Material(eqx.Module):
    """What a particle is made of."""

    @property
    @abstractmethod
    def p_wave_modulus(self) -> Scalar:
        """M of the undeformed material: sound travels with √(M/ρ)."""

    @abstractmethod
    def __call__(self, F: Matrix, plastic: Any) -> tuple[Matrix, Matrix, Any]:
        """(τ, F, plastic): the Kirchhoff stress, with F and the history after the return mapping."""

    @abstractmethod
    def energy(self, F: Matrix) -> Any:
        """Ψ(F) per volume of the undeformed body, 0 at F = I."""


class Solid(Material):
    """A material with Young's modulus E > 0 and Poisson's ratio −1 < ν < ½ at small strain."""

    young: Scalar
    poisson: Scalar

    def __check_init__(self):
        require(self.young, "young", lambda e: e > 0, "a number > 0")
        require(self.poisson, "poisson", lambda nu: -1 < nu < 0.5, "a number in (-1, 0.5)")

    @property
    def p_wave_modulus(self) -> Scalar:
        lam, mu = lame(self.young, self.poisson)
        return lam + 2 * mu


class Elastic(Solid):
    """A solid whose stress is a function of F alone."""

    @abstractmethod
    def stress(self, F: Matrix) -> Matrix:
        """τ(F)"""

    def __call__(self, F: Matrix, plastic: Any) -> tuple[Matrix, Matrix, Any]:
        return self.stress(F), F, plastic


class NeoHookean(Elastic):
    """Ψ = μ/2 (|F|² − d) − μ log J + λ/2 log²J;  τ = μ (FFᵀ − I) + λ log J I."""

    def stress(self, F: Matrix) -> Matrix:
        lam, mu = lame(self.young, self.poisson)
        return (mu * (F @ F.T)).add_diagonal(lam * _log(F.det) - mu)

    def energy(self, F: Matrix) -> Any:
        lam, mu = lame(self.young, self.poisson)
        log_j = _log(F.det)
        return 0.5 * mu * (F.contract(F) - len(F)) - mu * log_j + 0.5 * lam * log_j**2


class FixedCorotated(Elastic):
    """Ψ = μ |F − R|² + λ/2 (J − 1)²;  τ = 2μ (F − R) Fᵀ + λ (J − 1) J I (Stomakhin et al. 2012).

    Finite for every F, inverted ones too.
    """

    def stress(self, F: Matrix) -> Matrix:
        lam, mu = lame(self.young, self.poisson)
        R, S = polar(F)
        J = F.det
        # (F − R) Fᵀ = R (S² − S) Rᵀ, symmetric to rounding
        return (2 * mu * (R @ (S @ S - S) @ R.T)).add_diagonal(lam * (J - 1) * J)

    def energy(self, F: Matrix) -> Any:
        lam, mu = lame(self.young, self.poisson)
        change = F - polar(F)[0]
        return mu * change.contract(change) + 0.5 * lam * (F.det - 1) ** 2


class Hencky(Elastic):
    """Ψ = μ |ε|² + λ/2 tr²ε;  τ = 2μ ε + λ tr ε I, with the logarithmic strain ε = ½ log FFᵀ (St. Venant–Kirchhoff)."""

    def stress(self, F: Matrix) -> Matrix:
        return hencky_stress(log_strain(F), self.young, self.poisson)

    def energy(self, F: Matrix) -> Any:
        return hencky_energy(log_strain(F), self.young, self.poisson)


class Fluid(Material):
    """Tait's equation of state p = K/γ (J^−γ − 1), τ = −p J I, with the bulk modulus K = ρ c²; no viscosity.

    F is reset to J^{1/d} I, so that shear leaves nothing behind. γ = 7 is water, γ = 1 is p = c² (ρ − ρ₀). Without
    `tension` the pressure of a fluid thinner than at rest is 0, as at a free surface. J is kept above `FLUID_FLOOR`.
    """

    bulk_modulus: Scalar
    gamma: float = eqx.field(default=7.0, static=True)
    tension: bool = eqx.field(default=True, static=True)

    def __check_init__(self):
        require(self.bulk_modulus, "bulk_modulus", lambda k: k > 0, "a number > 0, ρ c² for the sound speed c")
        require(self.gamma, "gamma", lambda g: g >= 1, "a number >= 1, 7 for water")

    @property
    def p_wave_modulus(self) -> Scalar:
        return self.bulk_modulus

    def pressure(self, J: Any) -> Any:
        p = self.bulk_modulus / self.gamma * (J**-self.gamma - 1)
        return p if self.tension else jnp.maximum(p, 0)

    def __call__(self, F: Matrix, plastic: Any) -> tuple[Matrix, Matrix, Any]:
        J = jnp.maximum(F.det, FLUID_FLOOR)
        one = identity(len(F), J)
        return (-self.pressure(J) * J) * one, J ** (1 / len(F)) * one, plastic

    def energy(self, F: Matrix) -> Any:
        J, g = jnp.maximum(F.det, FLUID_FLOOR), self.gamma
        squeezed = -jnp.log(J) if g == 1 else (J ** (1 - g) - 1) / (g - 1)
        energy = self.bulk_modulus / g * (squeezed + J - 1)
        return energy if self.tension else jnp.where(J < 1, energy, 0)


def lame(young: Scalar, poisson: Scalar) -> tuple[Scalar, Scalar]:
    """Lamé's (λ, μ)."""
    return young * poisson / ((1 + poisson) * (1 - 2 * poisson)), young / (2 * (1 + poisson))


def log_strain(F: Matrix) -> Matrix:
    """ε = ½ log FFᵀ; stretches below √FLOOR count as that."""
    return 0.5 * log_symmetric(F @ F.T, FLOOR)


def hencky_stress(strain: Matrix, young: Scalar, poisson: Scalar) -> Matrix:
    lam, mu = lame(young, poisson)
    return (2 * mu * strain).add_diagonal(lam * strain.trace)


def hencky_energy(strain: Matrix, young: Scalar, poisson: Scalar) -> Any:
    lam, mu = lame(young, poisson)
    return mu * strain.contract(strain) + 0.5 * lam * strain.trace**2


def require(value: Any, name: str, holds: Any, allowed: str) -> None:
    """ValueError unless a number, or all of an array, satisfies `holds`; what is traced is not looked at."""
    if isinstance(value, Tracer) or not eqx.is_array_like(value) or not np.size(value):
        return
    for extreme in (np.min(value), np.max(value)):
        if not holds(float(extreme)):
            raise ValueError(f"{name}={float(extreme)} is not allowed: give {allowed}.")


def _log(J: Any) -> Any:
    return jnp.log(jnp.maximum(J, FLOOR))
