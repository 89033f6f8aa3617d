"""Inference of the Darcy preset's FNO on 64 × 64 points and of operators on its staggered sub-grids, float32.

    python benchmarks/operators_staggered.py [--rounds 25]

The networks of the cases "darcy", "darcy, staggered" and "darcy, staggered by 4" of `operators_accuracy.py`, which has
their errors; here they take turns on batches of eight. Medians; wall and CPU milliseconds a batch.
"""

import argparse
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from record import store

from lagrangian_ml.operators import FNO, Staggered

SHAPE, BATCH = (1, 64, 64), 8
OPERATORS = {
    "FNO": partial(FNO, modes=12, width=32, padding=0.1),
    "staggered by 2": partial(Staggered, operator=partial(FNO, modes=12, width=32, padding=0.1)),
    "staggered by 4": partial(Staggered, stride=4, operator=partial(FNO, modes=8, width=64, padding=0.125)),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    v = jax.random.normal(jax.random.key(0), (BATCH, *SHAPE))
    runs, found = {}, {name: [] for name in OPERATORS}
    for name, make in OPERATORS.items():
        operator = make(SHAPE, SHAPE, key=jax.random.key(1))
        runs[name] = eqx.filter_jit(
            lambda v, operator=operator: jnp.sum(jax.lax.map(jax.vmap(operator), v)[:, 0, 0, 0])
        )
    batches = jnp.tile(v, (10, 1, 1, 1, 1))
    for _ in range(arguments.rounds + 2):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(batches).block_until_ready()
            found[name].append([100 * (time.perf_counter() - wall), 100 * (time.process_time() - cpu)])
    rows = {}
    for name, times in found.items():
        wall, cpu = np.median(np.asarray(times[2:]), axis=0)
        rows[name] = {"wall_ms": round(float(wall), 2), "cpu_ms": round(float(cpu), 2)}
        print(f"{name:16s} {rows[name]}")
    print(store("operators_staggered", {"batch": BATCH, "shape": SHAPE[1:], "cases": rows}))


if __name__ == "__main__":
    main()
