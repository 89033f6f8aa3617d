"""Between particles and nodes: one pair of linear maps, each the transpose of the other, with three back ends.

    scatter:  g_i = Σ_p  w_ip (a_p + b_p·r_ip) + ∇w_ip·s_p          r_ip = i − X_p
    gather:   a_p = Σ_i w_ip g_i,   b_p = Σ_i w_ip r_ip g_i,   s_p = Σ_i ∇w_ip g_i

in units of cells; X are places relative to the first node, in cells. Every scheme (PIC, FLIP, APIC, TPIC, MLS) is a
choice of a, b and s. The back ends agree to rounding:

- "scalars": one scatter-add for each node of the stencil and pair of fields, two fields sharing a complex number, with
  a hand-written adjoint (the transpose above, and ∂/∂X), so that only reverse mode works. For CPUs.
- "rows": all nodes of the stencil in one scatter-add of rows of fields. For GPUs, and quick to compile anywhere.
- "dense": products of matrices of weights (p, n). For TPUs, where scatter-adds run one by one; slow elsewhere.
"""

import math
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..linalg.components import Vector, computed_once, sum_of
from .kernels import Kernel


class Local(NamedTuple):
    """One field around each particle: value a, slope b and flux s, the latter two where they are used."""

    value: Float[Array, " p"]
    slope: Vector | None = None
    flux: Vector | None = None


def scatter(
    backend: str, kernel: Kernel, shape: tuple[int, ...], X: Vector, fields: tuple[Local, ...]
) -> tuple[Float[Array, " nodes"], ...]:
    """The fields on the nodes of a grid of the given shape, in C order."""
    return _BACKENDS[backend][0](kernel, shape, X, fields)


def gather(
    backend: str,
    kernel: Kernel,
    shape: tuple[int, ...],
    X: Vector,
    grids: tuple[Float[Array, " nodes"], ...],
    *,
    slope: bool = False,
    flux: bool = False,
) -> tuple[Local, ...]:
    """The fields around each particle, with slopes and fluxes where asked for."""
    return _BACKENDS[backend][1](kernel, shape, X, grids, slope, flux)


def default_backend() -> str:
    """The back end for the default device: scalars on CPUs, rows on GPUs, dense on TPUs."""
    return {"cpu": "scalars", "tpu": "dense"}.get(jax.default_backend(), "rows")


class _Stencil(NamedTuple):
    """Where the kernels of the particles lie, and their weights, slopes and curvatures by axis and node."""

    index: Array
    f: Vector
    weights: tuple[tuple[Array, ...], ...]
    slopes: tuple[tuple[Array, ...], ...]
    curvatures: tuple[tuple[Array, ...], ...]


def _stencil(kernel, shape, X):
    base = X.map(kernel.base)
    f = X - base.map(lambda b: b.astype(X[0].dtype))
    by_axis = lambda fn: tuple(fn(part) for part in f)
    index = sum_of(b * stride for b, stride in zip(base, _strides(shape), strict=True))
    index = _take(index, jnp.arange(index.shape[0]))  # a gather is computed once, too
    return _Stencil(index, f, by_axis(kernel.weights), by_axis(kernel.slopes), by_axis(kernel.curvatures))


def _strides(shape):
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def _nodes(kernel, shape):
    """(offsets by axis, offset in the flat grid) of the nodes that a kernel reaches."""
    for o in product(range(kernel.width), repeat=len(shape)):
        yield o, sum(i * stride for i, stride in zip(o, _strides(shape), strict=True))


# -- scalars ----------------------------------------------------------------------------------------------------------


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _scatter_scalars(kernel, shape, X, fields):
    X, fields = computed_once((X, fields), X[0])
    at = _stencil(kernel, shape, X)
    sizes = [len(pair) for pair in _pairs(fields)]
    dtype = X[0].dtype
    packed = [jnp.zeros(math.prod(shape), jnp.result_type(dtype, jnp.complex64) if n == 2 else dtype) for n in sizes]
    for o, offset in _nodes(kernel, shape):
        w, r = _weight(at.weights, o), _arms(at, o)
        parts = [_at_node(at, field, o, w, r) for field in fields]
        for k, pair in enumerate(_pairs(parts)):
            packed[k] = _add(packed[k], at.index + offset, _pack(pair))
    return tuple(part for grid in packed for part in _unpack(grid))


def _scatter_forward(kernel, shape, X, fields):
    return _scatter_scalars(kernel, shape, X, fields), (X, fields)


def _scatter_backward(kernel, shape, residuals, grids):
    X, fields = residuals
    locals_, push = _collect(kernel, shape, X, grids, fields)
    return push, tuple(
        Local(found.value, *(part if given is not None else None for part, given in zip(found[1:], field[1:])))
        for found, field in zip(locals_, fields, strict=True)
    )


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 4, 5))
def _gather_scalars(kernel, shape, X, grids, slope, flux):
    return tuple(_collect(kernel, shape, X, grids, None, slope, flux)[0])


def _gather_forward(kernel, shape, X, grids, slope, flux):
    return _gather_scalars(kernel, shape, X, grids, slope, flux), (X, grids)


def _gather_backward(kernel, shape, slope, flux, residuals, fields):
    X, grids = residuals
    return _collect(kernel, shape, X, grids, fields)[1], _scatter_scalars(kernel, shape, X, fields)


_scatter_scalars.defvjp(_scatter_forward, _scatter_backward)
_gather_scalars.defvjp(_gather_forward, _gather_backward)


def _collect(kernel, shape, X, grids, fields, slope=True, flux=True):
    """(what `gather` finds; Σ_i g_i ∂_X[w_i (a + b·r_i) + ∇w_i·s] for the given fields, a vector for each particle)."""
    X, fields = computed_once((X, fields), X[0])
    at = _stencil(kernel, shape, X)
    packed = [_pack(pair) for pair in _pairs(computed_once(grids, grids[0]))]
    nodes = {o: at.index + offset for o, offset in _nodes(kernel, shape)}
    here = {o: [part for grid in packed for part in _unpack(_take(grid, index))] for o, index in nodes.items()}
    factors = _factors(at)
    found = _collected(here, factors, len(grids), slope, flux)
    found = computed_once(found, at.f[0])
    return found, None if fields is None else computed_once(_push(at, here, factors, found, fields), at.f[0])


@jax.custom_batching.custom_vmap
def _take(grid, index):
    return grid.at[index].get(mode="promise_in_bounds")


@jax.custom_batching.custom_vmap
def _add(grid, index, parts):
    return grid.at[index].add(parts, mode="promise_in_bounds")


@_take.def_vmap
def _take_batch(size, batched, *arguments):
    return _flat(_take, size, batched, arguments), True


@_add.def_vmap
def _add_batch(size, batched, *arguments):
    return _flat(_add, size, batched, arguments), True


def _flat(fn, size, batched, arguments):
    """`fn` of many grids, laid end to end as one: XLA runs that faster than operations with batches."""
    full = [a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip(arguments, batched, strict=True)]
    grid, index, *parts = full
    index = index + grid.shape[1] * jnp.arange(size, dtype=index.dtype)[:, None]
    return fn(grid.reshape(-1), index.reshape(-1), *(part.reshape(-1) for part in parts)).reshape(size, -1)


def _factors(at):
    """By axis: the weights w, the moments w r, the slopes w', the curvatures w'', each by node."""
    moment = lambda ws, f: tuple(w * (float(i) - f) for i, w in enumerate(ws))
    moments = tuple(moment(ws, f) for ws, f in zip(at.weights, at.f, strict=True))
    return tuple(zip(at.weights, moments, at.slopes, at.curvatures, strict=True))


def _collected(here, factors, num, slope, flux):
    d, found = len(factors), []
    for k in range(num):
        value, *rest = _contract({o: g[k] for o, g in here.items()}, factors, _terms(d, slope, flux))
        found.append(
            Local(value, Vector(*rest[:d]) if slope else None, Vector(*rest[len(rest) - d :]) if flux else None)
        )
    return found


def _push(at, here, factors, found, fields):
    d = len(factors)
    reach = lambda field, o: field.value if field.slope is None else field.value + field.slope.dot(_arms(at, o))
    work = {o: sum_of(g * reach(f, o) for g, f in zip(parts, fields, strict=True)) for o, parts in here.items()}
    push = _contract(computed_once(work, at.f[0]), factors, [_term(d, {j: 2}) for j in range(d)])
    for local, field in zip(found, fields, strict=True):
        if field.slope is not None:
            push = [p - field.slope[j] * local.value for j, p in enumerate(push)]
    if any(field.flux is not None for field in fields):
        for m in range(d):
            bent = {
                o: sum_of(g * f.flux[m] for g, f in zip(parts, fields, strict=True) if f.flux is not None)
                for o, parts in here.items()
            }
            terms = [_term(d, {j: 3} if j == m else {j: 2, m: 2}) for j in range(d)]
            push = [p + q for p, q in zip(push, _contract(bent, factors, terms), strict=True)]
    return Vector(*push)


def _contract(here, factors, terms):
    """Σ_o Π_axes factors[axis][which][o] here[o] for every term (which on each axis), one axis after the other."""
    sums = {o: {(): value} for o, value in here.items()}
    for axis in reversed(range(len(factors))):
        shorter = {}
        for o in dict.fromkeys(o[:axis] for o in here):
            shorter[o] = {
                term: sum_of(w * sums[(*o, i)][term[1:]] for i, w in enumerate(factors[axis][term[0]]))
                for term in dict.fromkeys(term[axis:] for term in terms)
            }
        sums = computed_once(shorter, factors[0][0][0]) if axis else shorter
    return [sums[()][term] for term in terms]


def _term(d, which):
    return tuple(which.get(axis, 0) for axis in range(d))


def _at_node(at, field, o, w, r):
    total = w * (field.value if field.slope is None else field.value + field.slope.dot(r))
    if field.flux is not None:
        for j, part in enumerate(field.flux):
            total = total + _weight(_swap(at.weights, at.slopes, j), o) * part
    return total


def _arms(at, o):
    return Vector(*(float(i) - f for i, f in zip(o, at.f, strict=True)))


def _weight(factors, o):
    total = factors[0][o[0]]
    for axis, i in enumerate(o[1:], 1):
        total = total * factors[axis][i]
    return total


def _swap(weights, slopes, axis):
    return tuple(slopes[k] if k == axis else part for k, part in enumerate(weights))


def _pairs(items):
    return [tuple(items[k : k + 2]) for k in range(0, len(items), 2)]


def _pack(pair):
    return jax.lax.complex(*pair) if len(pair) == 2 else pair[0]


def _unpack(array):
    return (array.real, array.imag) if jnp.iscomplexobj(array) else (array,)


# -- rows -------------------------------------------------------------------------------------------------------------


def _scatter_rows(kernel, shape, X, fields):
    X, fields = computed_once((X, fields), X[0])
    at, nodes = _stencil(kernel, shape, X), list(_nodes(kernel, shape))
    index = jnp.concatenate([at.index + offset for _, offset in nodes])
    updates = [[_at_node(at, field, o, _weight(at.weights, o), _arms(at, o)) for field in fields] for o, _ in nodes]
    rows = jnp.stack([jnp.concatenate([parts[k] for parts in updates]) for k in range(len(fields))], axis=1)
    grid = jnp.zeros((math.prod(shape), len(fields)), X[0].dtype).at[index].add(rows, mode="promise_in_bounds")
    return tuple(grid[:, k] for k in range(len(fields)))


def _gather_rows(kernel, shape, X, grids, slope, flux):
    X = computed_once(X, X[0])
    at, nodes = _stencil(kernel, shape, X), list(_nodes(kernel, shape))
    index = jnp.stack([at.index + offset for _, offset in nodes])
    rows = jnp.stack(grids, axis=1).at[index].get(mode="promise_in_bounds")  # (o, p, k)
    here = {o: [rows[m, :, k] for k in range(len(grids))] for m, (o, _) in enumerate(nodes)}
    return tuple(_collected(here, _factors(at), len(grids), slope, flux))


# -- dense ------------------------------------------------------------------------------------------------------------


def _dense_factors(kernel, shape, X):
    """Matrices (p, n) by axis: the weights W, the moments W r and the slopes W'."""
    factors = []
    for n, part in zip(shape, X, strict=True):
        base = kernel.base(part)
        f = part - base.astype(part.dtype)
        reach = base[:, None] + jnp.arange(kernel.width, dtype=jnp.int32)[None]
        hot = (reach[..., None] == jnp.arange(n, dtype=jnp.int32)[None, None]).astype(part.dtype)  # (p, o, n)
        w, dw = jnp.stack(kernel.weights(f), axis=1), jnp.stack(kernel.slopes(f), axis=1)
        r = jnp.arange(kernel.width, dtype=part.dtype)[None] - f[:, None]
        spread = lambda weights, hot=hot: jnp.einsum("po,pon->pn", weights, hot)
        factors.append((spread(w), spread(w * r), spread(dw)))
    return factors


def _terms(d, slope, flux):
    """Which factor (0 weight, 1 moment, 2 slope) stands on each axis, for value, slopes and fluxes."""
    return [_term(d, {})] + [_term(d, {j: 1}) for j in range(d) if slope] + [_term(d, {j: 2}) for j in range(d) if flux]


def _scatter_dense(kernel, shape, X, fields):
    factors, d = _dense_factors(kernel, shape, X), len(shape)
    grids = []
    for field in fields:
        amounts = [field.value, *(field.slope or ()), *(field.flux or ())]
        terms = _terms(d, field.slope is not None, field.flux is not None)
        grids.append(
            sum_of(
                _outer(amount, [factors[axis][which] for axis, which in enumerate(term)])
                for amount, term in zip(amounts, terms, strict=True)
            ).reshape(-1)
        )
    return tuple(grids)


_LETTERS = "xyz"
_HIGHEST = jax.lax.Precision.HIGHEST


def _outer(amount, factors):
    axes = _LETTERS[: len(factors)]
    inputs = ",".join("p" + axis for axis in axes)
    return jnp.einsum(f"p,{inputs}->{axes}", amount, *factors, precision=_HIGHEST, optimize="optimal")


def _gather_dense(kernel, shape, X, grids, slope, flux):
    factors, d = _dense_factors(kernel, shape, X), len(shape)
    axes = _LETTERS[:d]
    inputs = ",".join("p" + axis for axis in axes)
    found = []
    for grid in grids:
        value, *rest = [
            jnp.einsum(
                f"{axes},{inputs}->p",
                grid.reshape(shape),
                *(factors[axis][which] for axis, which in enumerate(term)),
                precision=_HIGHEST,
                optimize="optimal",
            )
            for term in _terms(d, slope, flux)
        ]
        found.append(
            Local(value, Vector(*rest[:d]) if slope else None, Vector(*rest[len(rest) - d :]) if flux else None)
        )
    return tuple(found)


_BACKENDS: dict[str, Any] = {
    "scalars": (_scatter_scalars, _gather_scalars),
    "rows": (_scatter_rows, _gather_rows),
    "dense": (_scatter_dense, _gather_dense),
}
BACKENDS = tuple(_BACKENDS)
