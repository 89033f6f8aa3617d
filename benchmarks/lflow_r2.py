"""R² of the density where nothing was observed, after equal CPU-seconds: LFlow, PINN, divergence-free network, CNF.

The moving Gaussians of `lagrangian_ml.problems.moving_gaussians` in two or three dimensions (`--dim 3`), float32, one
core. All contenders see the same observations with the same residuals and Adam, whose rate falls from `--rate` along a
cosine to the end of the seconds; compilation and scores are apart. "factored" and "conditional" are `flows.factored_flow`
and `flows.coupling_flow`. The baselines are not tuned. `--seeds` counts those of the flows, baselines have
`--baseline-seeds`; `--only` runs a part, and what is stored of the others is kept, step times too. Choices were made
on `r2_validation`, never on the test part.
"""

import argparse
import json
import statistics
import time
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from record import RESULTS, store

from lagrangian_ml.core import Term, loss, partition
from lagrangian_ml.domains import JoinedSource, collocation
from lagrangian_ml.fields import MLP, soft_constraints
from lagrangian_ml.flows import OdeFlow, coupling_flow, factored_flow
from lagrangian_ml.methods import divergence_free, lflow
from lagrangian_ml.methods.lflow import data_residual
from lagrangian_ml.methods.pinn import PINN, strong_form
from lagrangian_ml.problems import load_problem
from lagrangian_ml.problems.moving_gaussians import quadrant_observations, quadrant_scores
from lagrangian_ml.training import Task

CHUNK, SCALE = 25, 10.0
NETWORK = partial(MLP, width=64, depth=3)


class PositiveDensity(eqx.Module):
    """(ρ, v) of a network whose first output is log ρ."""

    field: eqx.Module

    def __call__(self, t, x):
        out = self.field(t, x)
        return jnp.concatenate([jnp.exp(out[:1]), out[1:]])


def pinn(problem, source, key):
    field = PositiveDensity(soft_constraints(problem, NETWORK, key=key))

    def data(model, sample):
        out = model.field.field(sample.point.t, sample.point.x)
        return data_residual(out[0], out[1:], sample.u, SCALE)

    points = collocation(problem, num_points=512, resample_every=1, law="uniform")
    objective = {"equation": strong_form(problem)["equation"], "data": Term(data)}
    return Task(PINN(field, problem.equation), objective, JoinedSource((points, source(problem))), lambda m: m.field)


def cnf(lower, upper, *, key):
    network = NETWORK(len(lower) + 1, len(lower), key=key)
    half = jnp.asarray(upper)
    field = lambda network, t, x: network(jnp.concatenate([t[None], x / half]))
    return OdeFlow(eqx.Partial(field, network), num_steps=8)


def contenders(problem, source):
    flow = lambda model: lambda key: lflow(problem, model, source, velocity_scale=SCALE, key=key)
    return {
        "factored": flow(factored_flow),
        "conditional": flow(coupling_flow),
        "PINN": lambda key: pinn(problem, source, key),
        "divergence-free": lambda key: divergence_free(problem, NETWORK, source, velocity_scale=SCALE, key=key),
        "CNF": flow(cnf),
    }


def trainer(task):
    """(compiled chunk of steps, its initial state of a key): parameters, Adam's and the source's state."""
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())

    def begin(model, key):
        trained, _ = partition(model)
        return trained, adam.init(trained), task.source.init(key)

    _, rest = partition(task.model)

    def step(state, rate):
        trained, moments, points = state
        model = eqx.combine(trained, rest)
        batch, points = task.source.next(points, model, task.objective)
        value, grad = jax.value_and_grad(lambda p: loss(task.objective, eqx.combine(p, rest), batch))(trained)
        updates, moments = adam.update(grad, moments, trained)
        trained = jax.tree.map(lambda p, u: p - rate * u, trained, updates)
        return (trained, moments, points), value

    chunk = eqx.filter_jit(lambda state, rates: jax.lax.scan(step, state, rates))
    return begin, chunk, lambda state: eqx.combine(state[0], rest)


def measure(name, make, judge, seeds, seconds, rate):
    rows, task = [], make(jax.random.key(0))
    begin, chunk, model = trainer(task)
    start = time.process_time()
    state = begin(task.model, jax.random.key(0))
    _, value = chunk(state, jnp.full(CHUNK, rate))
    compile_s = time.process_time() - start
    start = time.process_time()
    jax.block_until_ready(chunk(state, jnp.full(CHUNK, rate)))
    step_ms = 1e3 * (time.process_time() - start) / CHUNK
    num_chunks = max(1, round(seconds / (1e-3 * step_ms * CHUNK)))
    rates = 0.5 * rate * (1 + np.cos(np.pi * np.arange(num_chunks * CHUNK) / (num_chunks * CHUNK)))
    for seed in seeds:
        state = begin(make(jax.random.key(seed)).model, jax.random.key(1000 + seed))
        cpu, wall = time.process_time(), time.perf_counter()
        for k in range(num_chunks):
            state, value = chunk(state, jnp.asarray(rates[k * CHUNK : (k + 1) * CHUNK], jnp.float32))
        jax.block_until_ready(value)
        spent = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
        scores = judge(task.field(model(state)))
        rows.append({"seed": seed, "steps": num_chunks * CHUNK, "loss": float(value.mean()), **spent, "scores": scores})
        kept = {k: round(v, 3) for k, v in scores.items() if "r2" in k or "velocity" in k}
        print(f"{name:16s} seed {seed} {spent['cpu_seconds']:.0f} CPU-s, {rows[-1]['steps']} steps, {kept}", flush=True)
    size = sum(a.size for a in jax.tree.leaves(partition(task.model)[0]))
    return {"parameters": size, "seconds": seconds, "compile_cpu_s": compile_s, "rows": rows}, (chunk, state)


def step_times(compiled, rate, rounds=7):
    """CPU-milliseconds a step, median over rounds in which all contenders take turns."""
    taken = {name: [] for name in compiled}
    for _ in range(rounds):
        for name, (chunk, state) in compiled.items():
            start = time.process_time()
            jax.block_until_ready(chunk(state, jnp.full(CHUNK, rate)))
            taken[name].append(1e3 * (time.process_time() - start) / CHUNK)
    return {name: statistics.median(values) for name, values in taken.items()}


def draw(results, path, dim):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 3.0), layout="constrained")
    axes = figure.subplots()
    looks = {"r2": ("t ≤ 1.2", "#0072B2", "o"), "r2_until_1": ("t ≤ 1", "#D55E00", "D")}
    for i, found in enumerate(results["contenders"].values()):
        for shift, (key, (label, colour, marker)) in zip((-0.1, 0.1), looks.items(), strict=True):
            values = [max(row["scores"][key], -0.5) for row in found["rows"]]
            axes.plot(
                [i + shift] * len(values), values, marker, color=colour, ms=5, alpha=0.8, label=None if i else label
            )
    names = [f"{name}\n{results['step_cpu_ms'][name]:.0f} ms/step" for name in results["contenders"]]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.axhline(0, color="#767676", lw=0.6)
    axes.axhline(1, color="#767676", lw=0.6)
    seconds = sorted({round(found["seconds"]) for found in results["contenders"].values()})
    title = f"moving Gaussians, {dim}-D, {' or '.join(map(str, seconds))} CPU-seconds each, a point a seed"
    axes.set(ylabel="R² of ρ, unseen quadrants\n(below −0.5 shown there)", ylim=(-0.55, 1.05))
    axes.set_title(title, fontsize=9)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=2, choices=(2, 3))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--baseline-seeds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--only", nargs="+")
    options = parser.parse_args()
    problem = load_problem("moving_gaussians", dim=options.dim)
    judge = quadrant_scores(problem)
    found, compiled = {}, {}
    for name, make in contenders(problem, partial(quadrant_observations, num_points=512, pool=8)).items():
        if options.only and name not in options.only:
            continue
        seeds = range(options.seeds if name in ("factored", "conditional") else options.baseline_seeds)
        found[name], compiled[name] = measure(name, make, judge, seeds, options.seconds, options.rate)
    stem = "lflow_r2" + ("" if options.dim == 2 else "_3d")
    stored = RESULTS / f"{stem}.json"
    before = json.loads(stored.read_text()) if stored.exists() else {"contenders": {}, "step_cpu_ms": {}}
    found = before["contenders"] | found
    times = before["step_cpu_ms"] | step_times(compiled, options.rate)
    settings = {"dim": options.dim, "rate": options.rate, "dtype": "float32"}
    results = settings | {"contenders": found, "step_cpu_ms": times}
    for name, row in found.items():
        mean = {key: statistics.mean(r["scores"][key] for r in row["rows"]) for key in ("r2", "r2_until_1")}
        step = f"{results['step_cpu_ms'][name]:.1f} CPU-ms a step"
        print(f"{name:16s}", {k: round(v, 3) for k, v in mean.items()}, step)
    print(store(stem, results))
    draw(results, (RESULTS.parent.parent / "docs" / "figures" / stem).with_suffix(".png"), options.dim)
