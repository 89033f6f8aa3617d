"""Stochastic Taylor derivatives in high dimension: seconds and memory of a training step, and error against seconds.

The sine-Gordon equation on the unit ball with its two-body solution, 100 points, 16 directions, 3 hidden layers of 128,
Adam, float32. Steps of d = 100 to 100,000 along coordinates and along random signs, and of the full forward Laplacian
where that is possible; each in a process of its own, whose largest resident set is its memory. Then errors (20,000
points, as in the paper) while `--steps` steps of d = 100 and 1,000 go on. `--draws` are of the coefficients of the
solution, `--seeds` of the network and the points. `--dims 100 1000`, `--errors 100` and `--seeds 1` measure a part;
what else is stored is kept.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
from functools import partial

import jax
import jax.numpy as jnp
import optax
from record import RESULTS, store

from lagrangian_ml import fit, load_problem, pinn, set_precision
from lagrangian_ml.core import Point
from lagrangian_ml.domains import collocation
from lagrangian_ml.fields import MLP
from lagrangian_ml.jets import Directions
from lagrangian_ml.methods import stde
from lagrangian_ml.metrics import evaluate_field, relative_l2

DIMS, FULL = (100, 1000, 10_000, 100_000), (100, 1000)
NUM_POINTS, NUM_DIRECTIONS, WIDTH, DEPTH = 100, 16, 128, 3
WAYS = ("coordinates", "rademacher", "full")
NAMES = ("dim", "num_steps", "draw", "seed")  # of a run
MEMORY = {"rademacher": 10_000}  # 100,000 needs 640 MB for the directions of a batch, several times over


def task_of(dim: int, way: str, draw: int = 0, seed: int = 0):
    problem, key = load_problem("two_body", dim=dim, seed=draw), jax.random.key(seed)
    points = partial(collocation, num_points=NUM_POINTS, law="uniform", resample_every=1)
    network = partial(MLP, width=WIDTH, depth=DEPTH)
    if way == "full":
        return problem, pinn(problem, network, points, key=key)
    directions = Directions(NUM_DIRECTIONS, way)
    return problem, stde(problem, network, points, directions=directions, key=key)


def steps(dim: int, way: str, seconds: float) -> dict:
    """Wall and CPU seconds of a step, after compilation; about `seconds` of them are measured."""
    _, task = task_of(dim, way)
    clock = {"wall": [], "cpu": []}

    def tick(step, info):
        clock["wall"].append((step, time.perf_counter()))
        clock["cpu"].append((step, time.process_time()))
        return step > 2 and clock["wall"][-1][1] - clock["wall"][0][1] > seconds

    optimizer, key = optax.adam(1e-3), jax.random.key(1)
    result = fit(
        task.model, task.objective, task.source, optimizer, num_steps=10**6, key=key, log_every=10**6, watch=tick
    )
    per_step = lambda kind: (clock[kind][-1][1] - clock[kind][0][1]) / (clock[kind][-1][0] - clock[kind][0][0])
    return {
        "dim": dim,
        "way": way,
        "wall_ms": 1e3 * per_step("wall"),
        "cpu_ms": 1e3 * per_step("cpu"),
        "steps": clock["wall"][-1][0],
        "compile_s": result.seconds["compile"],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def errors(dim: int, num_steps: int, draw: int, seed: int) -> dict:
    problem, task = task_of(dim, "coordinates", draw, seed)
    points = Point(problem.domain.sample(min(20_000, 10**8 // dim), key=jax.random.key(2)))
    truth = evaluate_field(problem.reference, points)

    class Error:
        every = max(1, num_steps // 20)

        def __call__(self, state, record):
            record["relative_l2"] = float(relative_l2(evaluate_field(state.model.field, points), truth))

    optimizer = optax.adam(optax.linear_schedule(1e-3, 0.0, num_steps))
    result = fit(
        task.model,
        task.objective,
        task.source,
        optimizer,
        num_steps=num_steps,
        key=jax.random.key(seed + 1),
        callbacks=[Error()],
        log_every=num_steps,
    )
    history = {name: [record[name] for record in result.history] for name in ("step", "seconds", "relative_l2")}
    shape = 1 - jnp.sum(points.x**2, axis=1, keepdims=True)
    trivial = jnp.linalg.norm(truth - shape * jnp.sum(shape * truth) / jnp.sum(shape**2)) / jnp.linalg.norm(truth)
    about = {"dim": dim, "draw": draw, "seed": seed, "num_steps": num_steps, "std": float(jnp.std(truth))}
    return about | {"best_multiple": float(trivial), **history}


def in_a_process(*arguments) -> dict:
    done = subprocess.run(
        [sys.executable, __file__, "--child", *map(str, arguments)], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs="*", default=list(DIMS))
    parser.add_argument("--errors", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--draws", type=int, nargs="*", default=[0], help="of the coefficients, for the errors")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the training, for the errors")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="of steps of each way and dimension")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    set_precision("float32")
    if options.child:
        way, dim, *rest = options.child
        found = errors(int(dim), *map(int, rest)) if way == "errors" else steps(int(dim), way, float(rest[0]))
        print(json.dumps(found))
        return
    path = RESULTS / "stde.json"
    stored = json.loads(path.read_text()) if path.exists() else {"steps": [], "errors": []}
    rows = {(row["dim"], row["way"]): row for row in stored["steps"]}
    curves = {tuple(curve[name] for name in NAMES): curve for curve in stored["errors"]}
    for dim in options.dims:
        for way in WAYS:
            if (way != "full" or dim in FULL) and dim <= MEMORY.get(way, dim):
                rows[dim, way] = row = in_a_process(way, dim, options.seconds)
                print(f"d = {dim}, {way}: {row['wall_ms']:.1f} ms, {row['cpu_ms']:.1f} CPU-ms, {row['peak_mb']:.0f} MB")
    settings = {"points": NUM_POINTS, "directions": NUM_DIRECTIONS, "width": WIDTH, "depth": DEPTH, "dtype": "float32"}
    in_order = lambda found: [found[key] for key in sorted(found)]
    store("stde", {**settings, "steps": in_order(rows), "errors": in_order(curves)})
    for dim, draw, seed in itertools.product(options.errors, options.draws, options.seeds):
        key = (dim, options.steps, draw, seed)
        curves[key] = curve = in_a_process("errors", *key)
        print(f"{key}: {curve['relative_l2'][-1]:.2e} after {curve['seconds'][-1]:.0f} s", flush=True)
        store("stde", {**settings, "steps": in_order(rows), "errors": in_order(curves)})


if __name__ == "__main__":
    main()
