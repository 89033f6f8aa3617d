"""Error against seconds of the preset `burgers_pinn` by Levenberg–Marquardt, with and without lazy steps, and by Adam.

Every run is a process of its own, one after the other, the optimizers alternating; the same network, points, ansatz and
precision. Seconds are those of the steps, without compilation and without evaluating the error; CPU-seconds are those
of the whole process. `--seeds 0 --only adam` runs a part; stored runs of other seeds are kept.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from record import RESULTS, store

NAME = "burgers_error_vs_seconds"
SETTINGS = {
    "levenberg_marquardt": [],
    "without_lazy_steps": ["optimizer.lazy_steps=0"],
    "adam": ["optimizer=adam", "trainer.num_steps=15000", "trainer.log_every=500", "trainer.checkpoint_every=15000"],
}


def run(optimizer: str, seed: int) -> dict:
    """One run of the command line; its curve and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        command = [sys.executable, "-m", "lagrangian_ml", "run", "experiment=burgers_pinn", f"seed={seed}"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, *SETTINGS[optimizer], "--run-dir", str(path)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        summary = json.loads((path / "summary.json").read_text())
    kept = ("step", "seconds", "loss", "fresh_rms", "relative_l2")
    return {
        "optimizer": optimizer,
        "seed": seed,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": summary["seconds"],
        "errors": summary["errors"],
        "curve": [{name: record[name] for name in kept if name in record} for record in records],
    }


def draw(runs: list[dict], path: Path) -> None:
    """All curves in one figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    for optimizer, colour in zip(SETTINGS, ("#0072B2", "#009E73", "#D55E00"), strict=True):
        curves = [run["curve"] for run in runs if run["optimizer"] == optimizer]
        for i, curve in enumerate(curves):
            label = optimizer.replace("_", " ") if i == 0 else None
            axes.semilogy(*zip(*[(p["seconds"], p["relative_l2"]) for p in curve]), color=colour, label=label, lw=1.2)
    axes.set(xlabel="seconds of steps", ylabel="relative L2 error", title="burgers_pinn, float64")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=list(SETTINGS))
    options = parser.parse_args()
    stored = RESULTS / f"{NAME}.json"
    runs = {(r["optimizer"], r["seed"]): r for r in json.loads(stored.read_text())["runs"]} if stored.exists() else {}
    for seed in options.seeds:
        for optimizer in [options.only] if options.only else SETTINGS:
            runs[optimizer, seed] = result = run(optimizer, seed)
            print(
                f"{optimizer:20s} seed {seed}  error {result['errors']['relative_l2']:.2e}  "
                f"{result['seconds']['run']:.0f} s of steps, {result['cpu_seconds']:.0f} CPU-s in all",
                flush=True,
            )
            store(NAME, {"settings": SETTINGS, "runs": [runs[key] for key in sorted(runs)]})
    draw(list(runs.values()), stored.with_suffix(".png"))
    print(stored)
