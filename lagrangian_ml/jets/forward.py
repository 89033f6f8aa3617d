"""Derivatives of a function pushed forward through its primitives: forward Laplacian and Taylor mode.

Both walk the jaxpr of f once and carry a small bundle of derivatives through every primitive:

- forward Laplacian (Li et al. 2024, arXiv 2307.08214): (u, ∂ᵢu, Σᵢ ∂ᵢᵢu), with the rule
  Δ g(u) = g′(u)·Δu + Σᵢ g″(u)[∂ᵢu, ∂ᵢu];
- Taylor mode (Griewank, Utke & Walther 2000): (u, D u, …, Dᵏu) along one direction.

Usual implementations list a rule for every primitive; here the rules are `jax.jvp`s of the single primitive, so
that whatever JAX can differentiate has one, and XLA removes what a linear primitive does not need.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import product
from math import factorial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core as jex
from jaxtyping import Array, Float, Inexact

# Calls whose body is walked instead of being differentiated as one primitive. `custom_jvp_call` is not among them:
# its own rule is kept.
_BODIES = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
}
_ELEMENTWISE = frozenset({"tanh", "sin", "cos", "exp", "logistic", "integer_pow", "sqrt", "log", "erf"})


class _Bundle(NamedTuple):
    parts: tuple[Array, ...]


class Forward(NamedTuple):
    """What one pass gives of u at x: value (*c), derivatives (m, *c) and (d, *c), Laplacian (*c)."""

    value: Inexact[Array, "*c"]
    first: Inexact[Array, "m *c"]
    gradient: Inexact[Array, "d *c"]
    laplacian: Inexact[Array, "*c"]


def forward_laplacian(
    f: Callable[[Array], Array], x: Float[Array, " i"], space: Float[Array, "d i"], first: Float[Array, "m i"]
) -> Forward:
    """f(x) with its derivatives along the rows of `first` and `space`, and Σ D²f over `space`, in one pass."""
    d = space.shape[0]

    def rule(name, fun, bundles):
        value, tangents, laplacian = zip(*(bundle.parts for bundle in bundles), strict=True)
        out, lap = jax.jvp(fun, value, laplacian)
        pushed = jax.vmap(lambda *dv: jax.jvp(fun, value, dv)[1])(*tangents)
        bent = tuple(dv[:d] for dv in tangents)
        if name in _ELEMENTWISE:  # Σᵢ f″(u)(∂ᵢu)² = f″(u) Σᵢ (∂ᵢu)²: one multiplication instead of d
            slope = lambda v: jax.jvp(fun, (v,), (jnp.ones_like(v),))[1]
            curvature = jax.jvp(slope, value, (jnp.ones_like(value[0]),))[1]
            return out, pushed, lap + curvature * jnp.sum(bent[0] ** 2, axis=0)
        second = lambda *dv: jax.jvp(lambda *v: jax.jvp(fun, v, dv)[1], value, dv)[1]
        curved = jax.vmap(second)(*bent)
        return out, pushed, jax.tree.map(lambda a, b: a + jnp.sum(b, axis=0), lap, curved)

    def lift(value):
        return value, jnp.zeros((d + first.shape[0], *jnp.shape(value)), value.dtype), jnp.zeros_like(value)

    value, tangents, laplacian = _push(f, (x, jnp.concatenate([space, first]), jnp.zeros_like(x)), rule, lift)
    return Forward(value, tangents[d:], tangents[:d], laplacian)


def taylor(
    f: Callable[[Array], Array], x: Float[Array, " i"], direction: Float[Array, " i"], order: int
) -> list[Array]:
    """[f, D f, …, D^order f] at x along `direction`, each of f's shape."""

    def rule(name, fun, bundles):
        # The tower F₀ = f, F_k = derivative of F_{k−1} along the curve: all of its inputs move by their successors.
        coefficients = list(zip(*(bundle.parts for bundle in bundles), strict=True))
        outputs, rung = [fun(*coefficients[0])], lambda curve: fun(*curve[0])
        for k in range(1, order + 1):
            rung = partial(lambda below, k, curve: jax.jvp(below, (curve[:k],), (curve[1 : k + 1],))[1], rung, k)
            outputs.append(rung(coefficients[: k + 1]))
        return tuple(outputs)

    def lift(value):
        return value, *(jnp.zeros_like(value) for _ in range(order))

    seed = (x, direction, *(jnp.zeros_like(x) for _ in range(order - 1)))
    return list(_push(f, seed, rule, lift))


def mixed_derivative(f: Callable[[Array], Array], x: Float[Array, " i"], axes: tuple[int, ...]) -> Array:
    """∂_{i₁}…∂_{i_k} f at x by polarization: 1/(2ᵏ⁻¹k!) Σ over signs ε, ε₁ = 1, of (Πε) Dᵏ f along Σ ε_j e_{i_j}.

    Directions that are alike up to their sign are passed once, so ∂ᵢ²∂ⱼ² takes four.
    """
    present, combinations, weights = _polarization(axes)
    directions = np.zeros((len(combinations), x.shape[0]))
    directions[:, present] = combinations
    return sum_along(f, x, directions, len(axes), weights)


def sum_along(
    f: Callable[[Array], Array],
    x: Float[Array, " i"],
    directions: np.ndarray | Array,
    order: int,
    weights: np.ndarray | None = None,
) -> Array:
    """Σⱼ wⱼ Dᵏ f along vⱼ, of the order k, for a few directions (m, i); w = 1 unless given.

    They are written out one by one: mapped over, three of them take three times as long again to differentiate.
    """
    weights = np.ones(len(directions)) if weights is None else weights
    along = lambda v: taylor(f, x, jnp.asarray(v, x.dtype), order)[-1]
    first, *others = (float(w) * along(v) for v, w in zip(directions, weights, strict=True))
    return sum(others, first)


def isotropic_directions(dim: int) -> np.ndarray:
    """Directions (k, dim) with Σ (vₖ·∇)⁴ = Δ², as few as there are: a line, three at 60°, the six of an icosahedron.

    Lines as even as that see every quartic alike (spherical designs: Delsarte, Goethals & Seidel 1977, doi
    10.1007/BF03187604); their lengths make up for the mean of cos⁴. ValueError for other dimensions.
    """
    golden = (1 + 5**0.5) / 2
    lines = {
        1: [[1.0]],
        2: [[1.0, 0.0], [0.5, 0.75**0.5], [-0.5, 0.75**0.5]],
        3: [
            np.roll([0.0, 1.0, sign * golden], shift) / (1 + golden**2) ** 0.5 for shift in range(3) for sign in (1, -1)
        ],
    }
    if dim not in lines:
        raise ValueError(f"dim={dim}: isotropic directions are known in one to three dimensions.")
    found = np.array(lines[dim])
    return found / np.sum(found[:, 0] ** 4) ** 0.25


@lru_cache
def _polarization(axes: tuple[int, ...]) -> tuple[list[int], np.ndarray, np.ndarray]:
    """(the axes that occur, combinations of their unit vectors (m, a), the weight of Dᵏ along each (m,))."""
    k, present = len(axes), sorted(set(axes))
    weights: dict[tuple[int, ...], float] = {}
    for signs in product((1, -1), repeat=k - 1):
        combination = [0] * len(present)
        for sign, axis in zip((1, *signs), axes, strict=True):
            combination[present.index(axis)] += sign
        turned = tuple(-c for c in combination)
        factor = 1 / (2 ** (k - 1) * factorial(k))
        for sign in signs:
            factor *= sign
        if tuple(combination) < turned:
            combination, factor = turned, factor * (-1) ** k
        weights[tuple(combination)] = weights.get(tuple(combination), 0.0) + factor
    kept = {c: w for c, w in weights.items() if any(c) and abs(w) > 1e-14}
    return present, np.array(list(kept), float), np.array(list(kept.values()))


def _push(f: Callable, seed: tuple[Array, ...], rule: Callable, lift: Callable) -> tuple[Array, ...]:
    closed, out_shape = jax.make_jaxpr(f, return_shape=True)(seed[0])
    if len(closed.jaxpr.outvars) != 1:
        raise ValueError(f"a field returns one array (c,); got {out_shape}.")
    (out,) = walk(closed.jaxpr, closed.consts, [_Bundle(seed)], partial(_apply, rule), _Bundle)
    return out.parts if isinstance(out, _Bundle) else lift(jnp.asarray(out))


def walk(jaxpr: Any, consts: Sequence, args: Sequence, apply: Callable, marked: type) -> list:
    """The outputs of a jaxpr whose equations are evaluated by `apply(eqn, inputs) -> outputs`.

    Bodies of calls that any value of the class `marked` enters are walked too.
    """
    env = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, args, strict=True))
    read = lambda var: var.val if isinstance(var, jex.Literal) else env[var]
    for eqn in jaxpr.eqns:
        inputs, name = [read(var) for var in eqn.invars], eqn.primitive.name
        if name in _BODIES and any(isinstance(value, marked) for value in inputs):
            body = eqn.params[_BODIES[name]]
            outputs = walk(getattr(body, "jaxpr", body), getattr(body, "consts", []), inputs, apply, marked)
        else:
            outputs = apply(eqn, inputs)
        env.update(zip(eqn.outvars, outputs, strict=True))
    return [read(var) for var in jaxpr.outvars]


def bind(eqn: Any, values: Sequence) -> list:
    """The outputs of one equation of a jaxpr at values of its inputs."""
    out = eqn.primitive.bind(*values, **eqn.primitive.get_bind_params(eqn.params))
    return list(out) if eqn.primitive.multiple_results else [out]


def _apply(rule: Callable, eqn: Any, inputs: list) -> list:
    active = [i for i, v in enumerate(inputs) if isinstance(v, _Bundle)]

    def at(*values):
        full = list(inputs)
        for i, value in zip(active, values, strict=True):
            full[i] = value
        return bind(eqn, full)

    if not active or not all(jnp.issubdtype(var.aval.dtype, jnp.inexact) for var in eqn.outvars):
        return at(*(inputs[i].parts[0] for i in active))
    single = (lambda *v: at(*v)[0]) if len(eqn.outvars) == 1 else lambda *v: tuple(at(*v))
    parts = rule(eqn.primitive.name, single, [inputs[i] for i in active])
    if len(eqn.outvars) == 1:
        return [_Bundle(tuple(parts))]
    return [_Bundle(tuple(output)) for output in zip(*parts, strict=True)]
