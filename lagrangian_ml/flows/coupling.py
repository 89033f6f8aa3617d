"""Coupling layers: some coordinates are transformed one by one, with parameters that depend on the others and on time.

Dinh, Sohl-Dickstein & Bengio 2017 (arXiv 1605.08803): y = b·exp(s) + m. Differences: |s| is bounded
and the others enter the conditioner squashed, so that far points neither overflow nor lose their way back in float32.
"""

import abc
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..core import FlowMap
from .conditioners import Conditioner, bounded


class Transformer(eqx.Module):
    """An increasing function of one coordinate with parameters (k,); both directions give the log-derivative too."""

    @property
    @abc.abstractmethod
    def num_parameters(self) -> int: ...

    @abc.abstractmethod
    def forward(self, x: Float[Array, ""], p: Float[Array, " k"]) -> tuple[Float[Array, ""], Float[Array, ""]]: ...

    @abc.abstractmethod
    def inverse(self, y: Float[Array, ""], p: Float[Array, " k"]) -> tuple[Float[Array, ""], Float[Array, ""]]: ...


class Affine(Transformer):
    """y = x·exp(s) + m, |s| ≤ `bound`."""

    bound: float = eqx.field(static=True, default=2.0)

    @property
    def num_parameters(self) -> int:
        return 2

    def forward(self, x, p):
        s = bounded(p[0], self.bound)
        return x * jnp.exp(s) + p[1], s

    def inverse(self, y, p):
        s = bounded(p[0], self.bound)
        return (y - p[1]) * jnp.exp(-s), -s


class Coupling(FlowMap):
    """The coordinates `active` are transformed, given time and all others; in one dimension given time alone.

    The velocity is found where the inverse has been: the conditioner and the transformer are linearised there, and a
    transformer is solved by one division a coordinate.
    """

    conditioner: Callable[..., Array]
    transformer: Transformer
    active: tuple[int, ...] = eqx.field(static=True)
    dim: int = eqx.field(static=True)

    def __init__(
        self,
        dim: int,
        active: Sequence[int],
        transformer: Transformer | None = None,
        *,
        width: int = 64,
        depth: int = 1,
        degree: int = 1,
        key: Key[Array, ""],
    ):
        """`width`, `depth` and `degree` (of time, 0 for a layer without) are those of the conditioner."""
        self.dim, self.active = dim, tuple(sorted(active))
        if not self.active or len(set(self.active)) < len(self.active) or not set(self.active) <= set(range(dim)):
            raise ValueError(f"active={tuple(active)}: name some of the axes 0 … {dim - 1}, each once.")
        if dim > 1 and len(self.active) == dim:
            raise ValueError(f"active={tuple(active)}: one of the {dim} axes at least must be left to condition on.")
        self.transformer = Affine() if transformer is None else transformer
        out_size = len(self.active) * self.transformer.num_parameters
        in_size = dim - len(self.active)
        self.conditioner = Conditioner(in_size, out_size, width=width, depth=depth, degree=degree, key=key)

    def forward(self, t, X):
        passive, active = self._split(X)
        moved, log_det = jax.vmap(self.transformer.forward)(active, self._parameters(t, passive))
        return self._join(passive, moved), jnp.sum(log_det)

    def inverse(self, t, x):
        passive, moved = self._split(x)
        active, log_det = jax.vmap(self.transformer.inverse)(moved, self._parameters(t, passive))
        return self._join(passive, active), jnp.sum(log_det)

    def trace_back(self, t, x):
        passive, moved = self._split(x)
        p, change_of_p = jax.linearize(self._parameters, t, passive)
        back = lambda p: jax.vmap(self.transformer.inverse)(moved, p)
        (active, log_det), change_of_active = jax.linearize(back, p)

        def push(V):
            along, across = self._split(V)
            drift, _ = change_of_active(change_of_p(jnp.ones_like(t), along))
            return self._join(along, (across - drift) * jnp.exp(-log_det))

        return self._join(passive, active), jnp.sum(log_det), push

    def _parameters(self, t, passive):
        return self.conditioner(t, passive).reshape(len(self.active), -1)

    def _split(self, x):
        pick = lambda axes: jnp.stack([x[i] for i in axes]) if axes else jnp.zeros(0, x.dtype)
        return pick([i for i in range(self.dim) if i not in self.active]), pick(self.active)

    def _join(self, passive, active):
        rest, moved = iter(passive), iter(active)
        return jnp.stack([next(moved if i in self.active else rest) for i in range(self.dim)])
