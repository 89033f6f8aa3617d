"""Weights by traces of the neural tangent kernel: every term converges about equally fast.

Wang, Yu & Perdikaris 2022 (arXiv 2007.14527), eqs. 6.5 and 6.6 and Algorithm 1: λᵢ = Tr(K) / Tr(Kᵢᵢ), where Kᵢᵢ = JᵢJᵢᵀ
belongs to the residuals of term i. Differences: losses are means here, so the trace is the mean of ‖∂rₙ/∂θ‖² over the
samples, the sum of the eigenvalues of Kᵢᵢ / n; the mean over the terms stands for their sum; weights are at most
1e5 and averaged over time as those of gradient norms, as in jaxpi. The kernel itself is never formed.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..core import Batch, Objective, Term, partition
from .balanced import InverseShares


class NTK(InverseShares):
    """λ̂ᵢ = meanⱼ Tr Kⱼⱼ / Tr Kᵢᵢ with the share `momentum` of the weights before; `chunk` Jacobians are made at once.

    A step that asks the rule makes a backward pass for each component and sample. Terms of kind "loss" are refused.
    """

    momentum: float = 0.9
    chunk: int = 64

    def __check_init__(self):
        if not (0 <= self.momentum < 1 and self.chunk >= 1):
            raise ValueError(f"momentum={self.momentum} is a share in [0, 1), and chunk={self.chunk} at least 1.")

    def init(self, objective: Objective) -> tuple[()]:
        for name, term in objective.items():
            if term.kind != "residual":
                raise ValueError(
                    f"the term {name!r} is of kind {term.kind!r}: a tangent kernel belongs to residuals. "
                    "Balance by GradientNorms, SoftAdapt or ReLoBRaLo."
                )
        return ()

    def sizes(self, model: Any, objective: Objective, batch: Batch) -> list[Float[Array, ""]]:
        """The trace of every term's kernel."""
        return [self.trace(term, model, batch[name]) for name, term in objective.items()]

    def trace(self, term: Term, model: Any, samples: Any) -> Float[Array, ""]:
        """mean_n ‖∂rₙ/∂θ‖², the trace of the term's kernel on its samples over their number."""
        trained, rest = partition(model)
        residual = lambda trained, sample: term(eqx.combine(trained, rest), sample)

        def square(sample):
            jacobian = jax.jacrev(partial(residual, sample=sample))(trained)
            return sum((jnp.sum(jnp.abs(leaf) ** 2) for leaf in jax.tree.leaves(jacobian)), jnp.zeros(()))

        return jnp.mean(jax.lax.map(square, samples, batch_size=self.chunk))
