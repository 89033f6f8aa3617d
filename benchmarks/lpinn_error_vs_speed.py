"""Error against the speed of transport: Lagrangian PINN, Eulerian PINN, causal weights and time marching.

Convection of sin x at speed β, and Burgers' front from sin x + C (ν = 0.01), both on [0, 2π] up to t = 1. Every solve
has the same number of Levenberg–Marquardt steps (those of all windows together, for time marching) on the same number
of Sobol points, from one random initialisation, and about the same number of parameters. Errors of Burgers' equation
are divided by ‖u − C‖: relative to ‖u‖ they would fall with C by themselves. `--only lpinn` runs a part; other stored
runs are kept, `--missing` adds those that are not there yet, `--draw` only draws what is stored. XLA compiles without
optimization, since most of the time would go to it: the seconds are not those of other runs.
"""

import argparse
import json
import math
import os
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from record import RESULTS, store

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # read when the first array is made

from lagrangian_ml import LevenbergMarquardt, equations, fit, load_problem, partition, pinn, set_precision
from lagrangian_ml.domains import collocation
from lagrangian_ml.fields import MLP
from lagrangian_ml.methods import lpinn, time_marching
from lagrangian_ml.metrics import evaluate_field, reference_samples
from lagrangian_ml.optimizers import Causal

NAME = "lpinn_error_vs_speed"
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / f"{NAME}.png"
NUM_STEPS, NUM_POINTS, NUM_WINDOWS = 100, 512, 3
CASES = {
    "burgers_shock": (0.0, 10.0, 70.0),  # C
    "convection": (5.0, 50.0, 100.0),  # β
}
METHODS = ("lpinn", "pinn", "causal", "marching")
LABELS = {
    "lpinn": "Lagrangian PINN",
    "pinn": "Eulerian PINN",
    "causal": "Eulerian PINN, causal weights",
    "marching": f"Eulerian PINN, {NUM_WINDOWS} windows",
}


def problem_of(case: str, speed: float):
    if case == "convection":
        return load_problem(case, equation=equations.Advection(speed))
    return load_problem(case, offset=speed)


def solve(problem, method: str, key) -> tuple:
    """(field, number of parameters, seconds of steps, seconds of compilation)"""
    points = partial(collocation, num_points=NUM_POINTS)
    spent = {"run": 0.0, "compile": 0.0, "parameters": 0}

    def train(task, optimizer, num_steps):
        result = fit(task.model, task.objective, task.source, optimizer, num_steps=num_steps, key=jax.random.key(1))
        spent["parameters"] += sum(leaf.size for leaf in jax.tree.leaves(partition(result.model)[0]))
        for name in ("run", "compile"):
            spent[name] += result.seconds[name]
        return task.field(result.model)

    if method == "lpinn":
        field = train(lpinn(problem, partial(MLP, width=16, depth=2), points, key=key), LevenbergMarquardt(), NUM_STEPS)
    elif method == "marching":
        network = partial(MLP, width=14, depth=2)
        window = lambda problem, key: train(
            pinn(problem, network, points, key=key), LevenbergMarquardt(), NUM_STEPS // NUM_WINDOWS
        )
        field = time_marching(problem, NUM_WINDOWS, window, key=key)
    else:
        optimizer = LevenbergMarquardt()
        optimizer = Causal(optimizer, problem.horizon) if method == "causal" else optimizer
        field = train(pinn(problem, partial(MLP, width=24, depth=2), points, key=key), optimizer, NUM_STEPS)
    return field, spent


def run(case: str, speed: float, method: str) -> dict:
    problem = problem_of(case, speed)
    before = time.process_time()
    field, spent = solve(problem, method, jax.random.key(0))
    cpu = time.process_time() - before
    truth = reference_samples(problem)
    error = jnp.linalg.norm(evaluate_field(field, truth.point) - truth.u)
    size = jnp.linalg.norm(truth.u - (speed if case == "burgers_shock" else 0.0))
    found = float(error / size)
    return {
        "case": case,
        "speed": speed,
        "method": method,
        "relative_l2": found if math.isfinite(found) else None,
        "num_parameters": spent["parameters"],
        "seconds": {"run": spent["run"], "compile": spent["compile"]},
        "cpu_seconds": cpu,
    }


def draw(runs: list[dict]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    titles = {"convection": r"convection, $u_t + \beta u_x = 0$", "burgers_shock": r"Burgers, $u_0 = \sin x + C$"}
    axes = figure.subplots(1, 2, sharey=True)
    for ax, case in zip(axes, CASES, strict=True):
        for method, colour, marker in zip(METHODS, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), "osd^", strict=True):
            found = sorted((r["speed"], r["relative_l2"]) for r in runs if (r["case"], r["method"]) == (case, method))
            if found:
                ax.semilogy(*zip(*found, strict=True), marker=marker, ms=4, lw=1.2, color=colour, label=LABELS[method])
        ax.set(title=titles[case], xlabel=r"$\beta$" if case == "convection" else "$C$")
    axes[0].set_ylabel("relative $L_2$ error")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=200)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=METHODS)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--draw", action="store_true")
    options = parser.parse_args()
    set_precision("float64")
    stored = RESULTS / f"{NAME}.json"
    runs = json.loads(stored.read_text())["runs"] if stored.exists() else []
    kept = {(r["case"], r["speed"], r["method"]): r for r in runs}
    for method in () if options.draw else [options.only] if options.only else METHODS:
        for case, speeds in CASES.items():
            for speed in speeds:
                if options.missing and (case, speed, method) in kept:
                    continue
                kept[case, speed, method] = result = run(case, speed, method)
                error = result["relative_l2"]
                print(
                    f"{method:9s} {case:14s} {speed:5g}  error {'not finite' if error is None else f'{error:.2e}'}  "
                    f"{result['seconds']['run']:.0f} s of steps, {result['cpu_seconds']:.0f} CPU-s in all",
                    flush=True,
                )
                budget = {"num_steps": NUM_STEPS, "num_points": NUM_POINTS, "num_windows": NUM_WINDOWS}
                store(NAME, {"budget": budget, "runs": [kept[key] for key in sorted(kept)]})
    draw(list(kept.values()))
    print(stored, FIGURE)
