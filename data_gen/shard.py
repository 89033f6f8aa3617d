"""The samples of a shard: drawn and solved block by block, redrawn where one fails, and judged.

XLA's results differ in the last bits with the size of a batch, so that samples are always computed in the blocks of
the recipe, at the same place in them; a block at the end is filled up with the samples that would follow. The lanes
of a block do not read each other, so that a redraw of one leaves the others as they are.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import quality, statistics
from .recipe import Outcome, Recipe, sample_key
from .write import Plan

MAX_DRAWS = 10  # of one sample
_SYSTEMATIC = 4  # so many samples of a block, if all of them fail, are no accident


class Rejected(ValueError):
    """No sound sample was found; the message says why, and what to change."""


@dataclass(frozen=True)
class Shard:
    """The stored arrays {name: (m, *shape)}, what the manifest says of them, and the samples that were redrawn."""

    arrays: dict[str, np.ndarray]
    moments: dict[str, Any]
    quality: dict[str, Any]
    redrawn: dict[str, int]  # {index: how many draws were rejected}


class ShardMaker:
    """`make(shard)`; the solver is prepared and the program of a block is compiled once."""

    def __init__(self, recipe: Recipe, seed: int, plan: Plan):
        self.recipe, self.seed, self.plan = recipe, seed, plan
        self.solvers = {refine: recipe.prepare(refine) for refine in (1, 2)}
        self.max_courant = float(getattr(self.solvers[1], "max_courant", math.inf))

        def one(index, retry, solver, refine):
            return recipe.solve(recipe.draw(sample_key(seed, index, retry)), refine, solver=solver)

        def block(indices, retries, solver):
            return jax.vmap(lambda index, retry: one(index, retry, solver, 1))(indices, retries)

        self._one, self._block = eqx.filter_jit(one), eqx.filter_jit(block)

    def run_block(self, indices: np.ndarray, retries: np.ndarray) -> Outcome:
        """The outcomes of the samples of one block, (b, …)."""
        return self._block(indices, retries, self.solvers[1])

    def make(self, shard: int, watch: Callable[[int], None] = lambda samples: None) -> Shard:
        """`watch` is told the number of samples that a block has added. Raises Rejected if one has no sound draw."""
        samples, recipe = self.plan.samples(shard), self.recipe
        arrays = {v.name: np.empty((len(samples), *v.shape), recipe.dtype) for v in recipe.variables}
        judge, error = quality.Judge([v.name for v in recipe.variables if v.evolving], self.max_courant), {}
        redrawn: dict[str, int] = {}
        for begin in range(samples.start, samples.stop, recipe.block):
            live = min(recipe.block, samples.stop - begin)
            outcome, retries = self._sound_block(begin, live, judge)
            for name, values in outcome.arrays.items():
                arrays[name][begin - samples.start :][:live] = values[:live]
            judge.add({name: np.asarray(values[:live]) for name, values in outcome.arrays.items()}, outcome, live)
            redrawn |= {str(begin + i): int(n) for i, n in enumerate(retries[:live]) if n}
            watch(live)
            if begin == samples.start:
                error = self._step_error(begin, int(retries[0]), {k: v[0] for k, v in outcome.arrays.items()})
        moments = statistics.of_samples(arrays, [v.name for v in recipe.variables if v.evolving])
        return Shard(arrays, moments, judge.figures() | {"step_error": error}, redrawn)

    def _sound_block(self, begin, live, judge) -> tuple[Outcome, np.ndarray]:
        """The outcome of a block of which the first `live` samples are sound, and how often each was redrawn."""
        indices, retries = np.arange(begin, begin + self.recipe.block), np.zeros(self.recipe.block, int)
        for draw in range(MAX_DRAWS):
            outcome = jax.tree.map(np.asarray, self.run_block(indices, retries))
            finite = np.ones(len(indices), bool)
            for values in outcome.arrays.values():
                with np.errstate(over="ignore"):
                    stored = np.isfinite(values.astype(self.recipe.dtype))
                finite &= stored.all(axis=tuple(range(1, values.ndim)))
            unstable = finite & ~(outcome.courant <= self.max_courant)
            everywhere = ~finite | unstable
            bad = everywhere[:live]
            if not bad.any():
                return outcome, retries
            judge.reject(int((~finite)[:live].sum()), int(unstable[:live].sum()))
            if draw == MAX_DRAWS - 1 or (draw == 0 and everywhere.all() and len(everywhere) >= _SYSTEMATIC):
                worst = int(np.argmax(bad))
                raise Rejected(self._why(begin + worst, draw + 1, float(outcome.courant[worst])))
            retries[:live] += bad
        raise AssertionError

    def _step_error(self, index, retry, coarse):
        """The relative difference of a sample to that with twice as many steps, {name: {frame: number}}."""
        fine = self._one(np.asarray(index), np.asarray(retry), self.solvers[2], 2).arrays
        times = self.recipe.times  # frame 0 is what was drawn if it is that of t = 0
        first = None if times is None else min(int(times[0] == 0), len(times) - 1)
        return {
            v.name: quality.relative_error(coarse[v.name], np.asarray(fine[v.name]), first if v.evolving else None)
            for v in self.recipe.variables
        }

    def _why(self, index, draws, courant):
        steps, bound = getattr(self.recipe, "steps_per_frame", None), self.max_courant
        cause, factor = "its values grew without bound, as they do after an unstable step", 2.0
        if bound < courant < 100 * bound:
            cause = f"its largest Courant number is {courant:.3g}, and the solver is stable up to {bound:.3g}"
            factor = 1.1 * (courant / bound) ** 2  # where damped modes count less it grows slower than the step
        cure = "choose a smaller step" if steps is None else f"try dataset.steps_per_frame={math.ceil(steps * factor)}"
        drawn = f"was rejected {draws} times" if draws > 1 else "is rejected, as are all others of its block"
        return f"sample {index} {drawn}: {cause}; {cure}, or draw smaller values."


def measure(recipe: Recipe, seed: int) -> dict[str, float]:
    """Seconds to compile a block, and for one cell-update of a sample: from one run of a short recipe."""
    short = recipe.shortened()
    maker = ShardMaker(short, seed, Plan(short.block, short.block))
    times = [time.perf_counter()]
    for _ in range(2):
        jax.block_until_ready(maker.run_block(np.arange(short.block), np.zeros(short.block, int)))
        times.append(time.perf_counter())
    seconds = times[2] - times[1]
    return {"compile": times[1] - times[0], "update": seconds / (short.block * short.num_updates)}


def check(recipe: Recipe, seed: int = 0) -> Any:
    """Prepare the solver and trace one sample, so that what does not fit is told before any work; the solver.

    Raises ValueError, of the recipe, its law or its solver.
    """
    solver = recipe.prepare()
    outcome = eqx.filter_eval_shape(
        lambda key, solver: recipe.solve(recipe.draw(key), solver=solver), sample_key(seed, 0), solver
    )
    found: Mapping[str, Any] = outcome.arrays
    for variable in recipe.variables:
        values = found[variable.name]
        if values.shape != variable.shape or not jnp.issubdtype(values.dtype, jnp.floating):
            raise ValueError(
                f"{variable.name} comes out as {values.dtype}{list(values.shape)}; expected real values "
                f"{list(variable.shape)}."
            )
    return solver
