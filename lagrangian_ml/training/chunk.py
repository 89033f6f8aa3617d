"""Many steps as one compiled program, `advance(state, stop)`: a while loop that ends at step `stop` or before the
first step that is not finite. The stop is an argument, not a constant, so the program and every bit it computes
are the same wherever a run is cut by logging, checkpoints or a resume.
"""

import re
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..core import Objective, Optimizer, Source, partition
from .mesh import check_mesh, replicated, share_out
from .state import FitState

Advance = Callable[[FitState, int], tuple[FitState, dict[str, Any], list[str]]]


def compile_chunk(
    state: FitState, objective: Objective, source: Source, optimizer: Optimizer, mesh: jax.sharding.Mesh | None
) -> tuple[FitState, Advance]:
    """(the state on the mesh, `advance(state, stop) -> (state, info of the last step, names that were not finite)`).

    `advance` overwrites the state it is given. A step that is not finite is taken back.
    """
    mesh = mesh if mesh is not None and mesh.size > 1 else None
    arrays, static = eqx.partition(state, eqx.is_array)
    stored, source_static = eqx.partition(source, eqx.is_array)  # data are an argument: constants slow the compiler
    if mesh is not None:
        check_mesh(mesh)
        arrays, stored = jax.device_put((arrays, stored), replicated(mesh))

    @jax.jit
    def step(arrays, stored):
        old, source = eqx.combine(arrays, static), eqx.combine(stored, source_static)
        batch, source_state = source.next(old.source, old.model, objective)
        _check_names(objective, batch)
        batch = batch if mesh is None else share_out(batch, mesh)
        model, optimizer_state, info = optimizer.step(old.model, old.optimizer, objective, batch)
        new = FitState(old.step + 1, model, optimizer_state, source_state, old.key)
        _check_same(old, new)
        info = {name: jnp.asarray(value) for name, value in info.items()}
        finite = [jnp.isfinite(info.get("loss", 0.0))] + [jnp.isfinite(leaf).all() for leaf in _trained(model).values()]
        return eqx.filter(new, eqx.is_array), info, jnp.stack(finite)

    _, info, finite = jax.eval_shape(step, arrays, stored)
    names = ["loss", *_trained(state.model)]

    def loop(arrays, stored, stop):
        def body(carry):
            old, *_ = carry
            new, info, finite = step(old, stored)
            return jax.tree.map(lambda a, b: jnp.where(finite.all(), b, a), old, new), info, finite

        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), info)
        return jax.lax.while_loop(
            lambda carry: (carry[0].step < stop) & carry[2].all(), body, (arrays, start, jnp.ones(finite.shape, bool))
        )

    shardings: dict[str, Any] = {} if mesh is None else {"out_shardings": replicated(mesh)}
    compiled = jax.jit(loop, donate_argnums=0, **shardings).lower(arrays, stored, np.int32(0)).compile()

    def advance(state, stop):
        try:
            arrays, info, finite = compiled(eqx.filter(state, eqx.is_array), stored, np.int32(stop))
            info, finite = jax.device_get((info, finite))
        except jax.errors.JaxRuntimeError as error:
            told = re.search(r"_EquinoxRuntimeError: (.+)", str(error))  # by `eqx.error_if`, inside a traceback
            if told is None:
                raise
            raise RuntimeError(told.group(1)) from error
        return (
            eqx.combine(arrays, static),
            {name: value.item() for name, value in info.items()},
            [name for name, ok in zip(names, finite, strict=True) if not ok],
        )

    return eqx.combine(arrays, static), advance


def _trained(model):
    leaves, _ = jax.tree_util.tree_flatten_with_path(partition(model)[0])
    return {"model" + jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _check_names(objective, batch):
    missing = sorted(set(objective) - set(batch))
    if missing:
        raise ValueError(
            f"the source gives samples for {sorted(batch)}, but the objective also has the terms {missing}; "
            "give every term its samples."
        )


def _check_same(old, new):
    """A step must keep the shape and type of every array, and every plain number that is no array."""
    show = lambda leaf: f"{leaf.dtype}{list(leaf.shape)}" if eqx.is_array(leaf) else repr(leaf)
    matters = lambda leaf: eqx.is_array(leaf) or isinstance(leaf, int | float | complex)
    before, after = (dict(jax.tree_util.tree_flatten_with_path(state)[0]) for state in (old, new))
    for path in before | after:
        a, b = (show(leaves[path]) if path in leaves else "nothing" for leaves in (before, after))
        if a != b and (matters(before.get(path)) or matters(after.get(path))):
            raise ValueError(
                f"a step changes {jax.tree_util.keystr(path)} from {a} to {b}; a state keeps its shapes and types, "
                "and what changes (a counter, say) must be an array."
            )
