"""Error against rank of POD in the Lagrangian frame and on a fixed grid, reduced models of the same equation.

A Gaussian pulse (width 0.02 of the period) that travels around once, and viscous Burgers, u₀ = sin x + C on [0, 2π] up
to t = 1, with C and ν in `CASES`. Both models have 256 nodes; the snapshots are 101 states of the full model, the
reduced ones take `NUM_STEPS` midpoint steps. Errors are ‖û − u‖/‖u − C‖ over the snapshots: of the reduced model
against the full one, and against the exact solution (Cole–Hopf, moved by C t) at the nodes of the reduced model. About
three CPU-minutes; `--draw` draws what is stored.
"""

import argparse
import json
import resource

import jax
import jax.numpy as jnp
import numpy as np
from record import RESULTS, store

from lagrangian_ml import Grid, rollout, set_precision
from lagrangian_ml.equations import Advection, Burgers, ColeHopf
from lagrangian_ml.methods.lagrangian_pod import EulerianModel, LagrangianModel, ReducedStepper, pod, snapshots

NAME = "lagrangian_pod"
KINDS = {"lagrangian": LagrangianModel, "eulerian": EulerianModel}
CASES = {"C = 0, nu = 0.01": (0.0, 0.01), "C = 10, nu = 0.01": (10.0, 0.01), "C = 10, nu = 0.1": (10.0, 0.1)}
RANKS = (2, 4, 6, 8, 12, 16, 24, 32)
TIMES = np.linspace(0.0, 1.0, 101)
NUM_STEPS = 400


def relative(found, true, shift=0.0) -> float:
    return float(jnp.linalg.norm(found - true) / jnp.linalg.norm(true - shift))


def reduced(model, states, rank):
    """(states of the reduced model at the times, CPU-seconds with compilation)."""
    step = ReducedStepper(model.rate, pod(states, rank)[0], 1 / NUM_STEPS, num_iterations=3)
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    roll = jax.jit(lambda a: rollout(step, a, NUM_STEPS, save_every=NUM_STEPS // 100, save=step.values))
    start = step.init(states[0])
    found = jnp.concatenate([step.values(start)[None], roll(start)])
    return found.block_until_ready(), resource.getrusage(resource.RUSAGE_SELF).ru_utime - begin


def burgers(shift: float, viscosity: float) -> dict:
    hopf = ColeHopf(viscosity, lambda x: -jnp.cos(x), num_nodes=400)
    exact = jax.jit(jax.vmap(lambda t, x: shift + jax.vmap(lambda x: hopf(t, x[None] - shift * t)[0])(x)))
    grid, results = Grid((256,), (0.0,), (2 * np.pi,)), {}
    for name, kind in KINDS.items():
        model = kind(Burgers(viscosity), grid)
        states = snapshots(model, lambda x: shift + jnp.sin(x), jnp.asarray(TIMES))
        parts = jax.jit(jax.vmap(model.split))
        places, u = parts(states)
        rows = []
        for rank in RANKS:
            found, seconds = reduced(model, states, rank)
            x, v = parts(found)
            modes = pod(states, rank)[0]
            projected = parts(states @ modes @ modes.T)[1]
            rows.append(
                {
                    "rank": rank,
                    "projection": relative(projected, u, shift),
                    "against_full": relative(v, u, shift),
                    "against_exact": relative(v[:, 0], exact(TIMES, x[:, 0]), shift),
                    "cpu_seconds": seconds,
                }
            )
            print(name, shift, viscosity, rows[-1], flush=True)
        results[name] = {"full_against_exact": relative(u[:, 0], exact(TIMES, places[:, 0]), shift), "ranks": rows}
        if name == "lagrangian":
            results[name]["least_volume"] = float(model.check_order(states).min())
    return results


def travelling_pulse() -> dict:
    pulse = lambda x: jnp.exp(-0.5 * ((x - 0.5 - jnp.round(x - 0.5)) / 0.02) ** 2)
    model = LagrangianModel(Advection(1.0), Grid((256,), (0.0,), (1.0,)))
    states = snapshots(model, pulse, jnp.asarray(TIMES))
    fixed = jnp.stack([pulse(model.grid.points[0] - t) for t in TIMES])
    energy = np.asarray(pod(fixed, 1)[1]) ** 2
    best = np.sqrt(np.cumsum(energy[::-1])[::-1] / energy.sum())  # best[r]: what r modes leave out
    return {
        "lagrangian_rank_2": relative(reduced(model, states, 2)[0], states),
        "eulerian_modes_for_1e-2": int(np.argmax(best <= 1e-2)),
        "eulerian_best": {str(rank): float(best[rank]) for rank in (2, 10, 20, 30, 40, 50)},
    }


def draw(cases: dict) -> None:
    """Errors against rank, a panel for each case."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from lagrangian_ml.plots import style

    with rc_context(style()):
        figure = Figure(figsize=(7.0, 3.2), layout="constrained")
        panels = figure.subplots(1, len(cases), sharey=True)
        for axes, (case, results) in zip(panels, cases.items(), strict=True):
            for name, colour in zip(KINDS, ("#0072B2", "#D55E00"), strict=True):
                ranks = results[name]["ranks"]
                for key, line, width in (("against_exact", "-", 1.4), ("projection", ":", 1.0)):
                    label = f"{name}, {'model' if key == 'against_exact' else 'best fit'}"
                    x, y = zip(*[(row["rank"], row[key]) for row in ranks], strict=True)
                    axes.semilogy(x, y, line, color=colour, lw=width, marker="o", ms=2.5, label=label)
                full = results[name]["full_against_exact"]
                axes.axhline(full, color=colour, lw=0.8, alpha=0.45, label=f"{name}, full model")
            axes.set(title=f"${case.replace('nu', chr(92) + 'nu')}$".replace(", ", "$, $"), xlabel="rank")
            axes.grid(axis="y", lw=0.4, alpha=0.35)
        panels[0].set_ylabel("relative $L_2$ error of $u - C$")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        path = RESULTS.parent.parent / "docs" / "figures" / f"{NAME}.png"
        figure.savefig(path, dpi=200, metadata={"Software": None})
        print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true")
    stored = RESULTS / f"{NAME}.json"
    if not parser.parse_args().draw:
        set_precision("float64")
        cases = {case: burgers(*values) for case, values in CASES.items()}
        print(store(NAME, {"num_steps": NUM_STEPS, "pulse": travelling_pulse(), "burgers": cases}))
    draw(json.loads(stored.read_text())["burgers"])
