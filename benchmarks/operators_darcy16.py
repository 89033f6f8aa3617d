"""Darcy flow on 16 × 16 points, data of others, beside neuraloperator's own FNO: same parameters, data and seconds.

    python benchmarks/operators_darcy16.py --data FOLDER [--torch-python PYTHON] [--seconds 60] [--seeds 0 1 2]

FOLDER holds darcy16_train.npz (1,000) and darcy16_test.npz (50), with x and y. Each library trains for the same seconds
of steps, measured beforehand, by Adam with a cosine schedule on batches of 20 and the relative L2 loss; the last 100
training samples choose the learning rate of each, from the same list, in a quarter of the time. Test samples are looked
at once. Both as they are used: neuraloperator's FNO with its defaults and its loss, ours by `operator_regression`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from record import store

RATES = (3e-3, 1e-2, 3e-2)
MODES, WIDTH, BATCH = 8, 32, 20


def data(folder):
    read = lambda name: [np.load(Path(folder) / f"darcy16_{name}.npz")[k].astype(np.float32)[:, None] for k in "xy"]
    (x, y), test = read("train"), read("test")
    return (x[:-100], y[:-100]), (x[-100:], y[-100:]), test


def ours(train, seed, rate, seconds):
    """(predict, number of parameters, steps) after so many seconds of steps."""
    from functools import partial

    import jax
    import jax.numpy as jnp
    import optax

    from lagrangian_ml import fit
    from lagrangian_ml.core import partition
    from lagrangian_ml.domains import ArraySource
    from lagrangian_ml.methods import operator_regression
    from lagrangian_ml.methods.operator_regression import predict
    from lagrangian_ml.operators import FNO, OperatorProblem, Pairs

    key = jax.random.key(seed)
    problem = OperatorProblem(Pairs(*map(jnp.asarray, train)))
    net, batches = partial(FNO, modes=MODES, width=WIDTH, padding=0.125), partial(ArraySource, batch_size=BATCH)
    task = operator_regression(problem, net, batches, key=key)
    run = lambda optimizer, steps: fit(
        task.model, task.objective, task.source, optimizer, num_steps=steps, key=key, log_every=steps
    )
    steps = int(seconds / run(optax.adam(1e-3), 150).seconds["run"] * 150)
    model = run(optax.adam(optax.cosine_decay_schedule(rate, steps)), steps).model
    size = sum(a.size for a in jax.tree.leaves(partition(task.model)[0]))
    return lambda x: np.asarray(predict(model, jnp.asarray(x))), size, steps


def theirs(train, seed, rate, seconds):
    import torch
    from neuralop.losses import LpLoss
    from neuralop.models import FNO

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(seed)
    x, y = map(torch.from_numpy, train)
    mean, std = y.mean(), y.std()
    make = lambda: FNO((2 * MODES, 2 * MODES), 1, 1, WIDTH, n_layers=4, domain_padding=0.125)
    loss_of = LpLoss(d=2, p=2, reduction="mean")

    def run(net, rate, steps):
        optimizer = torch.optim.Adam(net.parameters(), rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        order, start = torch.randperm(len(x)), time.perf_counter()
        for step in range(steps):
            at = step * BATCH % len(x)
            order = torch.randperm(len(x)) if at == 0 else order
            rows = order[at : at + BATCH]
            optimizer.zero_grad()
            loss = loss_of(net(x[rows]) * std + mean, y[rows])
            loss.backward()
            optimizer.step()
            schedule.step()
        return time.perf_counter() - start

    run(make(), 1e-3, 20)
    steps, net = int(seconds / run(make(), 1e-3, 150) * 150), make()
    run(net, rate, steps)
    size = sum(p.numel() * (2 if p.is_complex() else 1) for p in net.parameters())

    def predict(x):
        with torch.inference_mode():
            return (net(torch.from_numpy(x)) * std + mean).numpy()

    return predict, size, steps


def relative(values, truth):
    norm = lambda a: np.linalg.norm(a.reshape(len(a), -1), axis=1)
    return float(np.mean(norm(values - truth) / norm(truth)))


def serve(library, folder, seed, seconds):
    """The learning rate that the validation samples choose, then the whole time, then the test."""
    answer, sys.stdout = sys.stdout, sys.stderr
    train, validation, test = data(folder)
    make = {"ours": ours, "neuraloperator": theirs}[library]
    tried = {rate: relative(make(train, seed, rate, seconds / 4)[0](validation[0]), validation[1]) for rate in RATES}
    rate = min(tried, key=tried.get)
    start = time.process_time()
    predict, size, steps = make(train, seed, rate, seconds)
    found = {"rate": rate, "parameters": size, "steps": steps, "cpu_seconds": time.process_time() - start}
    found |= {
        "validation": relative(predict(validation[0]), validation[1]),
        "test": relative(predict(test[0]), test[1]),
    }
    print(json.dumps(found | {"tried": tried}), file=answer, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("LAGRANGIAN_ML_REFERENCE_DATA", "."))
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--serve", choices=("ours", "neuraloperator"))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.data, arguments.seeds[0], arguments.seconds)
        return
    found = {}
    for seed in arguments.seeds:
        for library in ("ours", "neuraloperator"):
            python = arguments.torch_python if library == "neuraloperator" else sys.executable
            words = ["--serve", library, "--data", arguments.data, "--seeds", seed, "--seconds", arguments.seconds]
            done = subprocess.run([python, __file__, *map(str, words)], capture_output=True, text=True, check=True)
            found[f"{library}, seed {seed}"] = json.loads(done.stdout)
            print(library, seed, done.stdout.strip(), flush=True)
    print(
        store("operators_darcy16", {"seconds": arguments.seconds, "cores": len(os.sched_getaffinity(0)), "runs": found})
    )


if __name__ == "__main__":
    main()
