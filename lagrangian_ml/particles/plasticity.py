"""Solids that yield: the logarithmic strain of F is mapped back onto the elastic domain, F is its elastic part.

ε = ½ log FFᵀ, τ = 2μ ε + λ tr ε I as in `Hencky`; a return mapping gives ε′ with the eigenvectors of ε, and so
F′ = exp(ε′ − ε) F (Simo 1992, Comput. Methods Appl. Mech. Eng. 99). In 2-D strains, deviators and |·| are those of the
plane: the elastic strain across it, which true plane strain would build up, is left out.
"""

import math
from abc import abstractmethod
from typing import Any

import jax.numpy as jnp

from ..linalg.components import Matrix, Scalar
from ..linalg.polar import exp_symmetric
from .materials import Solid, hencky_energy, hencky_stress, lame, log_strain, require


class Plastic(Solid):
    """A solid with a return mapping of logarithmic strains."""

    @abstractmethod
    def return_map(self, strain: Matrix, plastic: Any) -> tuple[Matrix, Any]:
        """(ε′, plastic′) of a trial strain; ε′ commutes with ε."""

    def __call__(self, F: Matrix, plastic: Any) -> tuple[Matrix, Matrix, Any]:
        trial = log_strain(F)
        strain, plastic = self.return_map(trial, plastic)
        return hencky_stress(strain, self.young, self.poisson), exp_symmetric(strain - trial) @ F, plastic

    def energy(self, F: Matrix) -> Any:
        """That of an elastic F."""
        return hencky_energy(log_strain(F), self.young, self.poisson)


class VonMises(Plastic):
    """|dev τ| ≤ √⅔ (σ + H α) with the yield stress σ of a bar under tension, and linear isotropic hardening H ≥ 0.

    `plastic` is α, the accumulated plastic strain ∫ √⅔ |ε̇ᵖ| dt: Δγ = (|dev τ| − √⅔ (σ + H α)) / (2μ + ⅔ H),
    ε′ = ε − Δγ n, α′ = α + √⅔ Δγ (Simo and Hughes 1998, box 3.1). In the plane its limit in shear is σ/√3, as in 3-D.
    """

    yield_stress: Scalar
    hardening: Scalar = 0.0

    def __check_init__(self):
        require(self.yield_stress, "yield_stress", lambda s: s > 0, "a number > 0")
        require(self.hardening, "hardening", lambda h: h >= 0, "a number >= 0")

    def return_map(self, strain: Matrix, plastic: Any) -> tuple[Matrix, Any]:
        _, mu = lame(self.young, self.poisson)
        dev = _deviator(strain)
        size, inverse = _norm(dev)
        excess = 2 * mu * size - math.sqrt(2 / 3) * (self.yield_stress + self.hardening * plastic)
        slip = jnp.maximum(excess, 0) / (2 * mu + 2 / 3 * self.hardening)
        return strain - slip * inverse * dev, plastic + math.sqrt(2 / 3) * slip


class DruckerPrager(Plastic):
    """Dry sand: |dev τ| ≤ −α tr τ, no tension (Klár et al. 2016, doi 10.1145/2897824.2925906), without their hardening.

    In 3-D α = √⅔ 2 sin φ / (3 − sin φ), the paper's; in 2-D α = sin φ / √2, which is Coulomb's law for the friction
    angle φ in the plane (there the paper's is 2 % lower for φ = 40°, 8 % for 30°). `plastic` is the volume v gained in
    expansion (Tampubolon et al. 2017): sand that was thinned out resists only after it has
    given that volume back. With ε̃ = ε + v/d I: ε′ = 0 if tr ε̃ ≥ 0, else ε̃ − max(0, δγ) n; v′ = v + tr ε − tr ε′.
    """

    friction_angle: Scalar = 35.0
    """φ in degrees."""

    def __check_init__(self):
        require(self.friction_angle, "friction_angle", lambda a: 0 < a < 90, "degrees in (0, 90)")

    def slope(self, d: int) -> Scalar:
        """α in d dimensions."""
        sin = jnp.sin(jnp.radians(self.friction_angle))
        return sin / math.sqrt(2) if d == 2 else math.sqrt(2 / 3) * 2 * sin / (3 - sin)

    def return_map(self, strain: Matrix, plastic: Any) -> tuple[Matrix, Any]:
        d = len(strain)
        lam, mu = lame(self.young, self.poisson)
        trace = strain.trace + plastic
        dev = _deviator(strain)
        size, inverse = _norm(dev)
        slip = jnp.maximum(size + (d * lam + 2 * mu) / (2 * mu) * trace * self.slope(d), 0)
        loose = trace >= 0
        kept = jnp.where(loose, 0, 1 - slip * inverse)
        return (kept * dev).add_diagonal(jnp.where(loose, 0, trace) / d), jnp.where(loose, trace, 0)


def _deviator(A: Matrix) -> Matrix:
    return A.add_diagonal(-A.trace / len(A))


def _norm(A: Matrix) -> tuple[Any, Any]:
    """|A| and 1/|A|; both 0, with their derivatives, at A = 0."""
    squared = A.contract(A)
    least = float(jnp.finfo(jnp.result_type(squared)).tiny) ** 0.75
    nonzero = squared > least
    # XLA may compute `squared` twice, with other roundings: this must be small where `nonzero` may say either.
    size = jnp.sqrt(jnp.maximum(squared, least))
    return jnp.where(nonzero, size, 0), jnp.where(nonzero, 1 / size, 0)
