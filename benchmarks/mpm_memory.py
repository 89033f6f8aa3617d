"""Memory of a gradient through MLS-MPM: XLA's temporary bytes by number of steps, float32, 8,192 particles in 2-D.

`rollout` keeps all states, or as many as `memory_budget` allows, with loops nested two or three levels deep; budgets
here are what these need. All are compiled, and one, `RUN` steps two levels deep, also runs: a child process reports its
largest resident memory before and after. `--draw` draws the stored figure again, `--child` is for the script itself.
"""

import argparse
import dataclasses
import json
import math
import resource
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from record import RESULTS, store

from lagrangian_ml.core import Grid, rollout
from lagrangian_ml.particles import MPM, FixedCorotated, Fluid, Particles, Separating, Walls, block, join

NAME = "mpm_memory"
FIGURE = RESULTS.parent.parent / "docs" / "figures" / f"{NAME}.png"
STEPS = (64, 256, 1024, 4096, 10_000)
LEVELS = (1, 2, 3)
RUN = 10_000
GRID, DT, SIDE = Grid((128, 128), (0.0, 0.0), (1.0, 1.0)), 1e-4, 64  # particles along the side of a block


def scene():
    """A block of water and one of an elastic solid on the floor: (step, particles)."""
    width = SIDE / 256  # 2 × 2 particles a cell
    bodies = [
        Particles.at(block((x, 0.05), (x + width, 0.05 + width), (SIDE, SIDE)), 1 / 256**2, material=k)
        for k, x in enumerate((0.1, 0.5))
    ]
    materials = Fluid(400.0), FixedCorotated(1000.0, 0.2)
    walls = Walls.of(GRID, contact=Separating())
    particles = join(bodies)
    return MPM(particles, GRID, DT, materials=materials, boundaries=(walls,), gravity=(0.0, -10.0)), particles


def state_bytes(state):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def compiled(num_steps, levels):
    """(the compiled gradient of mean x + mean y² by the initial velocity, seconds of compilation, budget)."""
    step, particles = scene()
    size = state_bytes(step.init(particles))
    budget = None if levels == 1 else math.ceil(levels * num_steps ** (1 / levels) * size)

    def loss(velocity, step, particles):
        start = dataclasses.replace(particles, v=jnp.broadcast_to(velocity, particles.v.shape))
        mean = lambda state: jnp.mean(state.x[0]) + jnp.mean(state.x[1] ** 2)
        saved = rollout(step, step.init(start), num_steps, save_every=num_steps, save=mean, memory_budget=budget)
        return saved[-1]

    begin = time.perf_counter()
    arguments = jnp.asarray([1.0, -0.5]), step, particles
    program = eqx.filter_jit(eqx.filter_value_and_grad(loss)).lower(*arguments).compile()
    return program, arguments, time.perf_counter() - begin, budget


def row(num_steps, levels):
    program, _, seconds, budget = compiled(num_steps, levels)
    temporary = program.compiled.memory_analysis().temp_size_in_bytes
    found = {"steps": num_steps, "levels": levels, "budget": budget, "temporary": temporary, "compile_s": seconds}
    print(found, flush=True)
    return found


def child():
    """One gradient over `RUN` steps, as JSON on the last line."""
    program, arguments, seconds, budget = compiled(RUN, 2)
    peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before, wall, cpu = peak(), time.perf_counter(), time.process_time()
    value, gradient = jax.block_until_ready(program(*arguments))
    return {
        "steps": RUN,
        "levels": 2,
        "budget": budget,
        "compile_s": seconds,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_before": before,
        "peak_after": peak(),
        "loss": float(value),
        "gradient": gradient.tolist(),
    }


def draw(results):
    """Temporary bytes against steps, a line for each depth of nesting."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from lagrangian_ml.plots import style

    with rc_context(style()):
        figure = Figure(figsize=(3.5, 2.8), layout="constrained")
        axes = figure.subplots()
        names = {1: "all states kept", 2: "two levels", 3: "three levels"}
        for levels, colour in zip(LEVELS, ("#D55E00", "#0072B2", "#009E73"), strict=True):
            rows = [row for row in results["rows"] if row["levels"] == levels]
            x, y = zip(*[(row["steps"], row["temporary"] / 1e6) for row in rows], strict=True)
            axes.loglog(x, y, color=colour, marker="o", ms=3, label=names[levels])
        axes.set(xlabel="steps", ylabel="temporary memory of a gradient, MB")
        axes.grid(axis="y", lw=0.4, alpha=0.35)
        axes.legend()
        figure.savefig(FIGURE, dpi=200, metadata={"Software": None})
    print(FIGURE)


def table(results):
    print(f"a state has {results['state_bytes'] / 1e6:.2f} MB")
    print("| steps | all states kept, MB | two levels | three levels |\n|---|---|---|---|")
    for steps in STEPS:
        cells = [f"{row['temporary'] / 1e6:.0f}" for row in results["rows"] if row["steps"] == steps]
        print(f"| {steps} | " + " | ".join(cells) + " |")
    run = results["run"]
    print(
        f"{run['steps']} steps: {run['wall_s']:.0f} s, peak {run['peak_before'] / 1e6:.0f} MB before and "
        f"{run['peak_after'] / 1e6:.0f} MB after, gradient {run['gradient']}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true")
    parser.add_argument("--child", action="store_true")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child()))
    elif options.draw:
        stored = json.loads((RESULTS / f"{NAME}.json").read_text())
        draw(stored)
        table(stored)
    else:
        step, particles = scene()
        process = subprocess.run([sys.executable, __file__, "--child"], check=True, capture_output=True, text=True)
        run = json.loads(process.stdout.splitlines()[-1])
        print(run, flush=True)
        results = {
            "particles": particles.num,
            "dtype": str(particles.x.dtype),
            "backend": step.backend,
            "state_bytes": state_bytes(step.init(particles)),
            "rows": [row(steps, levels) for steps in STEPS for levels in LEVELS],
            "run": run,
        }
        print(store(NAME, results))
        draw(results)
        table(results)
