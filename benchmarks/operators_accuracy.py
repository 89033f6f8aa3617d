"""Errors of neural operators on our data, by the command line: one run for every case and seed, stored one by one.

    python benchmarks/operators_accuracy.py --cases burgers darcy --seeds 0 1 2 --folder runs/accuracy

The error is `test_nrmse`, the mean over the test samples of ‖û − u‖ / ‖u‖ (for trajectories the mean over frames too);
test samples are looked at once, at the end. Seconds are those of the training steps, as the run counts them, and
CPU-seconds of the whole process less those of the generator. Data sets are made at first use, under data/.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from record import RESULTS, store

BURGERS = ["experiment=burgers_fno"]
MIRRORED = "method.augment={_target_: lagrangian_ml.operators.mirrored, _partial_: true, parity: odd}"
DARCY = ["experiment=darcy_fno"]
STAGGERED = [*DARCY, "model=staggered", "model.operator.padding=0.1"]
FISHER, TASKS = ["experiment=fisher_multitask_deeponet"], ("fisher", "newell", "nagumo")
ALONE = ["source.batch_size=20", "trainer.num_steps=20000"]  # a third of the steps for one of three tasks
CASES = {
    "antiderivative": ["experiment=antiderivative_deeponet"],
    "burgers": BURGERS,
    "burgers, long": [*BURGERS, "trainer.num_steps=24000", "trainer.log_every=4000"],
    "burgers, long, mirrored": [
        *BURGERS,
        "trainer.num_steps=24000",
        "trainer.log_every=4000",
        MIRRORED,
    ],
    "burgers, long, mirrored, decayed": [
        *BURGERS,
        "trainer.num_steps=40000",
        "trainer.log_every=4000",
        "optimizer=adamw_cosine",
        MIRRORED,
    ],
    "burgers, viscosity 0.01": [
        *BURGERS,
        "problem.settings.equation.viscosity=0.01",
        "optimizer.learning_rate.init_value=3.0e-3",
    ],
    "burgers, equation alone": ["experiment=burgers_physics_informed_fno"],
    "darcy": DARCY,
    "ks, fno": ["experiment=ks_fno"],
    "ks, fno, as long": ["experiment=ks_fno", "trainer.num_steps=2550"],  # the CPU-seconds of "ks, lgm"
    "ks, lgm": ["experiment=ks_lgm"],
    "darcy, staggered": [*STAGGERED, "model.operator.width=32", "model.operator.modes=12"],
    "darcy, staggered by 4": [
        *STAGGERED,
        "model.stride=4",
        "model.operator.width=64",
        "model.operator.modes=8",
        "model.operator.padding=0.125",
    ],
    "fisher, three tasks": FISHER,
    **{f"fisher, {task} alone": [*FISHER, f"problem.only=[{task}]", *ALONE] for task in TASKS},
}


def run(case: str, seed: int, folder: Path) -> dict:
    path = folder / f"{case.replace(', ', '_').replace(' ', '_')}_{seed}"
    words = [sys.executable, "-m", "lagrangian_ml", "run", *CASES[case], f"seed={seed}", "--run-dir", str(path)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    summary = json.loads((path / "summary.json").read_text())
    errors = {name: value for name, value in summary["errors"].items() if name.endswith(("nrmse", "relative_l2"))}
    return {
        "overrides": CASES[case],
        "seed": seed,
        "errors": errors,
        "steps": summary["steps"],
        "parameters": summary["num_parameters"],
        "seconds": summary["seconds"],
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/accuracy"), help="of the run directories")
    arguments = parser.parse_args()
    for case in arguments.cases:
        for seed in arguments.seeds:
            found = run(case, seed, arguments.folder)
            print(case, seed, found["errors"], round(found["seconds"]["run"]), "s", flush=True)
            path = RESULTS / "operators_accuracy.json"
            runs = json.loads(path.read_text())["runs"] if path.exists() else {}
            store("operators_accuracy", {"runs": runs | {f"{case}, seed {seed}": found}})


if __name__ == "__main__":
    main()
