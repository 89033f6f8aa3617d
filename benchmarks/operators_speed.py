"""Training steps and inference of Fourier neural operators beside neuraloperator, torch and pdequinox, float32.

One process for each contender takes turns with the others: `--rounds` rounds of ten training steps and of inference of
ten batches each. Ours are those of the package's loop, which compiles many steps as one program, and of `predict`;
others dispatch step by step. Medians over the rounds; compilation is apart. Peers are in `operator_peers.py`. They need
`pip install torch neuraloperator` and `pip install pdequinox`, here or in environments of their own, whose interpreters
are named by `--torch-python` and `--pdequinox-python`. About ten minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import operator_peers as peers
from record import store

CASES = {
    "1-D, 256": peers.Case((256,), 16, 64, 20),
    "1-D, 1024": peers.Case((1024,), 16, 64, 20),
    "2-D, 64²": peers.Case((64, 64), 12, 32, 8),
}
CONTENDERS = {
    "ours": lambda case: peers.ours(case, "dft"),
    "ours, fft": lambda case: peers.ours(case, "fft"),
    "ours, step by step": lambda case: peers.ours_by_steps(case),
    "torch twin, erf": lambda case: peers.torch_twin(case, "none"),
    "torch twin, tanh": lambda case: peers.torch_twin(case, "tanh"),
    "neuraloperator": lambda case: peers.neuraloperator(case, True),
    "neuraloperator, no channel MLP": lambda case: peers.neuraloperator(case, False),
    "pdequinox, tanh": lambda case: peers.pdequinox(case, True),
    "pdequinox, erf": lambda case: peers.pdequinox(case, False),
}
REPEATS = {"train": 10, "infer": 10}  # steps and batches at a time


def serve(name, case):
    """Prepare both kinds of work, then do one for every line on stdin; answers in JSON."""
    answer = sys.stdout
    sys.stdout = sys.stderr
    start = time.perf_counter()
    train, infer, size = CONTENDERS[name](CASES[case])
    losses = [train(1) for _ in range(3)]
    infer(REPEATS["infer"])
    about = {"compile": time.perf_counter() - start, "parameters": size, "losses": losses, "versions": versions()}
    print(json.dumps(about), file=answer, flush=True)
    for line in sys.stdin:
        work = {"train": train, "infer": infer}[line.strip()]
        wall, cpu = time.perf_counter(), time.process_time()
        work(REPEATS[line.strip()])
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps([1e3 * s / REPEATS[line.strip()] for s in seconds]), file=answer, flush=True)


def versions():
    from importlib import metadata

    found = {}
    for package in ("torch", "neuraloperator", "pdequinox", "jax"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def compare(case, contenders, rounds, pythons):
    children, rows = {}, {}
    for name in contenders:
        python = pythons.get(name.partition(",")[0].split()[0], sys.executable)
        child = subprocess.Popen(
            [python, __file__, "--serve", name, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "2"},
        )
        line = child.stdout.readline()
        if not line:
            print(f"{case}, {name}: not run, its library is missing here")
            continue
        children[name], rows[name] = child, json.loads(line) | {"train": [], "infer": []}
    for _ in range(rounds):
        for kind in REPEATS:
            for name, child in children.items():
                child.stdin.write(f"{kind}\n")
                child.stdin.flush()
                rows[name][kind].append(json.loads(child.stdout.readline()))
    for child in children.values():
        child.stdin.close()
        child.wait()
    for name, row in rows.items():
        for kind in REPEATS:
            wall, cpu = np.asarray(row.pop(kind)).T
            row[kind] = {"wall_ms": np.median(wall), "wall_ms_min": wall.min(), "cpu_ms": np.median(cpu)}
            row[kind] = {key: round(float(value), 2) for key, value in row[kind].items()}
        print(f"{case:10s} {name:32s} {row['parameters']:9d}", row["train"], row["infer"], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), choices=CONTENDERS)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--pdequinox-python", default=sys.executable)
    parser.add_argument("--serve", nargs=2, metavar=("CONTENDER", "CASE"))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return
    pythons = {
        "torch": arguments.torch_python,
        "neuraloperator": arguments.torch_python,
        "pdequinox": arguments.pdequinox_python,
    }
    found = {case: compare(case, arguments.only, arguments.rounds, pythons) for case in CASES}
    print(store("operators_speed", {"cases": found}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
