"""A function of many variables as a function of a few of them, at the cost of those few.

In f(x) at an x whose entries i₁, …, i_V alone vary, sums and products with matrices change by what those entries
contribute, W x = W x₀ + Σₖ W[:, iₖ] (sₖ − x₀[iₖ]), and elementwise operations act on them alone. So neither does a
derivative along a coordinate carry a vector of x's length, nor does a product with W cost more for V of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, Int

from .forward import bind, walk

_ELEMENTWISE = frozenset(
    {
        *("add", "sub", "mul", "div", "neg", "integer_pow", "square", "pow", "sqrt", "exp", "log", "abs", "max", "min"),
        *("sin", "cos", "tanh", "logistic", "erf", "convert_element_type", "stop_gradient", "copy"),
    }
)


class _Varying(NamedTuple):
    """The vector that is `base` (m,) except in the places `rows` (V,), where it is `entries` (V,)."""

    base: Array
    entries: Array
    rows: Array

    @property
    def whole(self) -> Array:
        return self.base.at[self.rows].set(self.entries)

    @property
    def change(self) -> Array:
        return self.entries - self.base[self.rows]


def on_coordinates(
    f: Callable[[Array], Array], x: Float[Array, " d"], rows: Int[Array, " v"]
) -> Callable[[Float[Array, " v"]], Inexact[Array, "..."]]:
    """s ↦ f(x with its entries `rows`, which are distinct, replaced by s); 0 ≤ rows < d."""
    closed = jax.make_jaxpr(f)(x)

    def restricted(entries):
        (out,) = walk(closed.jaxpr, closed.consts, [_Varying(x, entries, rows)], _apply, _Varying)
        return out.whole if isinstance(out, _Varying) else jnp.asarray(out)

    return restricted


def _apply(eqn: Any, inputs: list) -> list:
    varying = [value for value in inputs if isinstance(value, _Varying)]
    rule = _RULES.get(eqn.primitive.name, _elementwise if eqn.primitive.name in _ELEMENTWISE else None)
    found = rule(eqn, inputs, varying) if rule and varying else None
    if found is None:  # what has no rule sees the whole vector
        return bind(eqn, [value.whole if isinstance(value, _Varying) else value for value in inputs])
    return [found]


def _bases(inputs):
    return [value.base if isinstance(value, _Varying) else value for value in inputs]


def _elementwise(eqn, inputs, varying):
    rows, shape = varying[0].rows, varying[0].base.shape
    if any(value.rows is not rows for value in varying) or any(jnp.shape(v) not in ((), shape) for v in _bases(inputs)):
        return None
    local = lambda v: v.entries if isinstance(v, _Varying) else jnp.asarray(v)[rows] if jnp.ndim(v) else v
    return _Varying(bind(eqn, _bases(inputs))[0], bind(eqn, [local(value) for value in inputs])[0], rows)


def _sum(eqn, inputs, varying):
    return bind(eqn, _bases(inputs))[0] + jnp.sum(varying[0].change)


def _product(eqn, inputs, varying):
    if len(varying) > 1:
        return None
    place = 0 if isinstance(inputs[0], _Varying) else 1
    other, axis = inputs[1 - place], eqn.params["dimension_numbers"][0][1 - place]
    if len(axis) != 1:
        return None
    columns = jnp.take(other, varying[0].rows, axis=axis[0], mode="clip")
    return bind(eqn, _bases(inputs))[0] + jnp.tensordot(columns, varying[0].change, axes=(axis, (0,)))


def _concatenated(eqn, inputs, varying):
    if len(varying) > 1:
        return None
    place = [isinstance(value, _Varying) for value in inputs].index(True)
    offset = sum(value.shape[0] for value in inputs[:place])
    return _Varying(bind(eqn, _bases(inputs))[0], varying[0].entries, varying[0].rows + offset)


_RULES = {"reduce_sum": _sum, "dot_general": _product, "concatenate": _concatenated}
