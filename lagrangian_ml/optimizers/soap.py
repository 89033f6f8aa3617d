"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner.

Vyas et al. 2024 (arXiv 2409.11321), Algorithm 3; for PINNs Wang, Bhartari, Li & Perdikaris 2025 (arXiv 2502.00604). For
the gradient G of a matrix of parameters (m, n), with averages L of GGᵀ and R of GᵀG and their eigenvectors Q_L and Q_R,

    G′ = Q_Lᵀ G Q_R,     V ← β₂ V + (1 − β₂) G′²,     W ← W − η Q_L (Q_Lᵀ M Q_R / (√V + ε)) Q_Rᵀ,

where M is the average of G. Every `frequency` steps Q becomes the orthogonal factor of L Q, a step of the power method
from the last one. Leaves that are no matrices are moved by Adam. Differences: the first eigenvectors are those of the
first gradient, which makes a step at once; averages are corrected for their start as in Adam. As in the authors' code,
columns are sorted by their eigenvalues before they are renewed, and V with them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


class SOAPState(NamedTuple):
    """Averages and bases of every leaf, in the order of `jax.tree.leaves`."""

    count: Int[Array, ""]
    leaves: tuple


class _Leaf(NamedTuple):
    mean: Array  # M
    square: Array  # V, in the basis
    averages: tuple[Array, ...]  # L, R; none for Adam
    bases: tuple[Array, ...]  # Q_L, Q_R


def soap(
    learning_rate: float | Callable[..., Any] = 3e-3,
    b1: float = 0.95,
    b2: float = 0.95,
    eps: float = 1e-8,
    frequency: int = 10,
    max_size: int = 1024,
) -> optax.GradientTransformation:
    """An optax transformation.

    Args:
        learning_rate: η, a number or a schedule.
        b1, b2: how slowly M, and V, L and R change.
        eps: ε.
        frequency: steps between two updates of the bases.
        max_size: matrices with a longer side are moved by Adam.

    Raises:
        ValueError: for numbers out of range.
    """
    if not (0 <= b1 < 1 and 0 <= b2 < 1 and eps > 0 and frequency >= 1 and max_size >= 1):
        raise ValueError(
            f"b1={b1}, b2={b2} must lie in [0, 1), eps={eps} be > 0, frequency={frequency}, max_size={max_size} ≥ 1."
        )

    def begin(leaf):
        sides = leaf.shape if leaf.ndim == 2 and max(leaf.shape) <= max_size else ()
        zero = jnp.zeros_like(leaf)
        return _Leaf(
            zero,
            zero,
            tuple(jnp.zeros((n, n), leaf.dtype) for n in sides),
            tuple(jnp.eye(n, dtype=leaf.dtype) for n in sides),
        )

    def init(params):
        return SOAPState(jnp.zeros((), jnp.int32), tuple(begin(leaf) for leaf in jax.tree.leaves(params)))

    def update(updates, state, params=None):
        leaves, structure = jax.tree.flatten(updates)
        moved = [_move(*pair, state.count, b1, b2, eps, frequency) for pair in zip(leaves, state.leaves, strict=True)]
        steps, new = zip(*moved, strict=True)
        return jax.tree.unflatten(structure, steps), SOAPState(state.count + 1, new)

    return optax.chain(optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate))


def _move(g, leaf, count, b1, b2, eps, frequency):
    average = lambda old, new, b: b * old + (1 - b) * new
    outer = (g @ g.T, g.T @ g) if leaf.bases else ()
    averages = tuple(average(old, new, b2) for old, new in zip(leaf.averages, outer, strict=True))
    bases, square = jax.lax.cond(
        count % frequency == 0,
        lambda: _renewed(averages, leaf.bases, leaf.square, count == 0),
        lambda: (leaf.bases, leaf.square),
    )
    mean, square = average(leaf.mean, g, b1), average(square, _into(g, bases) ** 2, b2)
    corrected = lambda value, b: value / (1 - b ** (count + 1).astype(value.dtype))
    step = _into(corrected(mean, b1), bases) / (jnp.sqrt(corrected(square, b2)) + eps)
    back = bases[0] @ step @ bases[1].T if bases else step
    return back, _Leaf(mean, square, averages, bases)


def _renewed(averages, bases, square, first):
    """The bases after a step of the power method, and V in the same order of their columns: large eigenvalues first,
    as the orthogonal factor of L Q trusts the columns in their order."""
    new = []
    for axis, (a, q) in enumerate(zip(averages, bases, strict=True)):
        order = jnp.argsort(-jnp.sum(q * (a @ q), axis=0))
        square = jnp.where(first, square, jnp.take(square, order, axis))
        new.append(jnp.where(first, jnp.linalg.eigh(a)[1][:, ::-1], jnp.linalg.qr(a @ q[:, order])[0]))
    return tuple(new), square


def _into(g: Float[Array, "..."], bases: tuple[Array, ...]) -> Float[Array, "..."]:
    return bases[0].T @ g @ bases[1] if bases else g
