"""Networks from Flax: a linen or an nnx module becomes a function of one vector whose parameters are trained.

Linen keeps parameters apart from the module already; nnx modules are split into a static graph and their state.
Other state (batch statistics, random streams) is carried along but neither trained nor updated.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Key, PyTree

from ..core import Fixed


class FlaxNetwork(eqx.Module):
    """A network whose trained leaves are a Flax module's parameters; made by `from_flax`."""

    params: PyTree
    rest: Fixed
    apply: Callable[[PyTree, PyTree, Array], Array] = eqx.field(static=True)

    def __call__(self, z: Inexact[Array, " m"]) -> Inexact[Array, " c"]:
        return self.apply(self.params, self.rest.value, z)


def from_flax(module: Any, in_size: int | None = None, *, key: Key[Array, ""] | None = None) -> FlaxNetwork:
    """`from_flax(linen_module, in_size, key=key)` initialises it; `from_flax(nnx_module)` takes its parameters.

    Flax makes float32 parameters even where float64 is on: they are cast to the run's float type. As a method's
    network constructor: `lambda in_size, out_size, *, key: from_flax(Net(out_size), in_size, key=key)`.
    Raises ValueError for anything else than a Flax module, or a linen module without in_size and key.
    """
    from flax import linen, nnx

    name = type(module).__name__
    if isinstance(module, nnx.Module):
        graph, params, rest = nnx.split(module, nnx.Param, ...)
        return FlaxNetwork(_in_default_type(params), Fixed(_in_default_type(rest)), _ApplyNnx(graph))
    if not isinstance(module, linen.Module):
        raise ValueError(f"{name} is not a Flax module: give a flax.linen.Module or a flax.nnx.Module.")
    if in_size is None or key is None:
        raise ValueError(f"the linen module {name} needs in_size and key, from which it is initialised.")
    with jax.numpy_dtype_promotion("standard"):
        rest = dict(module.init(key, jnp.zeros(in_size)))
    params = _in_default_type(rest.pop("params", {}))
    return FlaxNetwork(params, Fixed(_in_default_type(rest)), _ApplyLinen(module))


def _in_default_type(tree):
    cast = lambda leaf: leaf.astype(jnp.result_type(float)) if eqx.is_inexact_array(leaf) else leaf
    return jax.tree.map(cast, tree)


class _ApplyLinen(eqx.Module):
    module: Any = eqx.field(static=True)

    def __call__(self, params, rest, z):
        return self.module.apply({"params": params, **rest}, z)


class _ApplyNnx(eqx.Module):
    graph: Any = eqx.field(static=True)

    def __call__(self, params, rest, z):
        from flax import nnx

        return nnx.merge(self.graph, params, rest)(z)
