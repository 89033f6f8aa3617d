"""Weights by gradient norms: every term pulls the parameters equally hard.

Wang, Sankaran, Wang & Perdikaris 2023 (arXiv 2308.08468), Algorithm 1: λ̂ᵢ = Σⱼ ‖∇Lⱼ‖ / ‖∇Lᵢ‖, followed by the moving
average λᵢ ← α λᵢ + (1 − α) λ̂ᵢ, after Wang, Teng & Perdikaris 2021 (arXiv 2001.04536), Algorithm 1, which compares the
largest entry of the equation's gradient with the mean entry of another's. Differences: the mean over the terms stands
for their sum, as in the authors' code, so that terms which are alike get the weight 1; weights are at most 1e5.
"""

from typing import Any

import optax
from jaxtyping import Array, Float

from ..core import Batch, Objective
from ._terms import term_gradients
from .balanced import InverseShares


class GradientNorms(InverseShares):
    """λ̂ᵢ = meanⱼ ‖∇Lⱼ‖ / ‖∇Lᵢ‖ with the share `momentum` of the weights before."""

    momentum: float = 0.9

    def __check_init__(self):
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} is a share in [0, 1).")

    def sizes(self, model: Any, objective: Objective, batch: Batch) -> list[Float[Array, ""]]:
        """The norm of every term's gradient."""
        return [optax.tree.norm(gradient) for gradient in term_gradients(objective, model, batch)[1].values()]
