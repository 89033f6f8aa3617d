"""Emulators of three scenarios of APEBench, beside APEBench itself: its data, its FNO and ours of the same size.

    python benchmarks/operators_apebench.py --apebench-python PYTHON [--seeds 0 1 2]

APEBench pins old versions of its own parts, so it needs an environment of its own: `pip install apebench`. It makes the
data (50 training trajectories of 51 frames, 30 test trajectories of 201, 160 points) and trains its network,
"FNO;12;18;4;gelu", one step ahead, by 10,000 steps of Adam with its schedule. Ours trains `FNO` with as many modes,
channels and layers by the method `autoregression`, with the same batches and schedule over 7,500 steps, as many as fit
into 0.6 of the seconds. Errors are nRMSEs of rollouts of the test trajectories: the mean over 200 frames, and the
geometric mean over the first 100. Seconds are of the steps alone: those of a run less those of a run with a hundredth
of the steps, and for ours by its own clock. One process for each; run it on one core (`taskset -c 0`) where others are
busy.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import store

SCENARIOS = {"advection-diffusion": "diff_adv_diff", "Burgers": "diff_burgers", "Kuramoto-Sivashinsky": "diff_ks"}
STEPS, OURS = 10_000, 7_500


def summary(errors):
    """Of the nRMSE of every frame."""
    errors = np.asarray(errors, float)
    return {"mean": float(errors.mean()), "geometric_100": float(np.exp(np.log(errors[:100]).mean()))}


def apebench(name, seed, folder):
    import apebench as ape
    import equinox as eqx
    import jax

    def scenario(steps):
        config = f"adam;{steps};warmup_cosine;0.0;1e-3;{steps // 5}"
        return ape.scenarios.scenario_dict[SCENARIOS[name]](optim_config=config)

    if not (folder / f"{name}.npz").exists():
        made = scenario(STEPS)
        np.savez(folder / f"{name}.npz", train=made.get_train_data(), test=made.get_test_data())

    def run(steps):
        wall, cpu = time.perf_counter(), time.process_time()
        chosen = scenario(steps)
        key = jax.random.PRNGKey(seed)
        init_key, shuffle_key = jax.random.split(key)
        stepper = chosen.get_neural_stepper(task_config="predict", network_config="FNO;12;18;4;gelu", key=init_key)
        trained = chosen.get_trainer(train_config="one")(stepper, shuffle_key, record_loss_every=1000)[0]
        jax.block_until_ready(eqx.filter(trained, eqx.is_array))
        return trained, time.perf_counter() - wall, time.process_time() - cpu

    _, wall, cpu = run(STEPS // 100)
    trained, total, total_cpu = run(STEPS)
    arrays = jax.tree.leaves(eqx.filter(trained, eqx.is_inexact_array))
    size = sum(a.size * (2 if np.iscomplexobj(a) else 1) for a in arrays)
    saved = np.load(folder / f"{name}.npz")["test"]

    @jax.jit
    def roll(u0):
        return jax.lax.scan(lambda u, _: (jax.vmap(trained)(u),) * 2, u0, length=saved.shape[1] - 1)[1]

    values = np.swapaxes(np.asarray(roll(saved[:, 0])), 0, 1)
    return {
        "errors": nrmse(values, saved[:, 1:]),
        "seconds": (total - wall) / 0.99,
        "cpu": (total_cpu - cpu) / 0.99,
        "parameters": size,
    }


def ours(name, seed, folder):
    from functools import partial

    import jax
    import jax.numpy as jnp
    import optax

    from lagrangian_ml import fit
    from lagrangian_ml.core import partition
    from lagrangian_ml.domains import ArraySource
    from lagrangian_ml.methods import autoregression
    from lagrangian_ml.methods.autoregression import continue_trajectories
    from lagrangian_ml.operators import FNO, TrajectoryProblem

    saved = np.load(folder / f"{name}.npz")
    key = jax.random.key(seed)
    net = partial(FNO, modes=12, width=18, num_layers=4, num_hidden=18, positions=False)
    batches = partial(ArraySource, batch_size=20)
    task = autoregression(TrajectoryProblem(jnp.asarray(saved["train"])), net, batches, key=key)
    optimizer = optax.adam(optax.warmup_cosine_decay_schedule(0.0, 1e-3, OURS // 5, OURS))

    def run(steps):
        cpu = time.process_time()
        done = fit(task.model, task.objective, task.source, optimizer, num_steps=steps, key=key, log_every=steps)
        return done, time.process_time() - cpu

    _, compiling = run(OURS // 100)
    result, cpu = run(OURS)
    size = sum(a.size for a in jax.tree.leaves(partition(task.model)[0]))
    test = jnp.asarray(saved["test"])
    values = continue_trajectories(result.model, test[:, :1], test.shape[1] - 1)
    return {
        "errors": nrmse(values, saved["test"][:, 1:]),
        "seconds": result.seconds["run"],
        "cpu": (cpu - compiling) / 0.99,
        "parameters": size,
    }


def nrmse(values, truth):
    """The mean over the samples of ‖û − u‖ / ‖u‖, for every frame."""
    norm = lambda a: np.linalg.norm(np.asarray(a, float).reshape(*a.shape[:2], -1), axis=2)
    return np.mean(norm(np.asarray(values) - truth) / norm(truth), axis=0).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--apebench-python", required="--serve" not in sys.argv)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--serve", nargs=3, metavar=("LIBRARY", "SCENARIO", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.serve:
        library, name, folder = arguments.serve
        answer, sys.stdout = sys.stdout, sys.stderr
        found = {"apebench": apebench, "ours": ours}[library](name, arguments.seeds[0], Path(folder))
        print(json.dumps(found), file=answer, flush=True)
        return
    runs = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SCENARIOS:
            for seed in arguments.seeds:
                for library in ("apebench", "ours"):
                    python = arguments.apebench_python if library == "apebench" else sys.executable
                    words = [python, __file__, "--serve", library, name, folder, "--seeds", str(seed)]
                    done = subprocess.run(
                        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
                    )
                    row = json.loads(done.stdout.strip().splitlines()[-1])
                    row |= summary(row.pop("errors"))
                    runs[f"{name}, {library}, seed {seed}"] = row
                    print(name, library, seed, {key: round(value, 5) for key, value in row.items()}, flush=True)
    print(store("operators_apebench", {"cores": len(os.sched_getaffinity(0)), "runs": runs}))


if __name__ == "__main__":
    main()
