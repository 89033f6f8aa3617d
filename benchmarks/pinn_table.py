"""Error against seconds of PINNs: seven problems, ours beside jinns, DeepXDE and jNO.

Every run is a process of its own, one after the other. All have the same network, ansatz, number of points (jNO, whose
points stay, four times as many where ours are redrawn) and precision (float64), and are judged on the same points by
the same truth; seconds are those of the steps, without compilation and without looking at the error. CPU-seconds are
those of the whole process. Ours are runs of the command line with two optimizers, ended by SIGTERM when their seconds
are over. Peers are in `pinn_peers.py`; they need `pip install jinns` and `pip install deepxde torch`, in environments
whose interpreters are named by `--jinns-python` and so on; without one a peer is not run. `--problems burgers
--libraries ours jinns --seeds 0` runs a part, `--seconds` shortens it, and `--show` only prints the table and draws a
figure for each problem, of what is stored.
"""

import argparse
import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from record import RESULTS, store

FOLDER = "pinn_table"
PEERS = {"jinns": "jinns", "jinns_ngd": "jinns", "deepxde": "deepxde", "jno": "jno"}  # and whose interpreter


class Case(NamedTuple):
    """A problem: its preset and settings, the network, and the seconds after which errors are reported.

    With `waves` the network is a sum of that many sines and cosines of random frequencies, drawn with a deviation of
    `wave_scale` and learned or not; otherwise it has `depth` layers of `width` units. `initial_weight` is that of a
    soft term. `damping` is the first of Levenberg and Marquardt. Points that are `redrawn` follow the residual.
    """

    seconds: tuple[int, ...]
    preset: str
    points: int
    problem: list[str] = []  # settings that say what is solved, for our command line
    width: int = 20
    depth: int = 3
    waves: int = 0
    wave_scale: float = 0.1
    learned_waves: bool = True
    harmonics: int = 1  # of a periodic axis
    time_scale: float = 1.0
    initial_weight: float = 0.0  # 0 where the ansatz holds the initial value
    damping: float = 1e-2
    redrawn: bool = False


CASES = {
    "poisson": Case((20,), "poisson_pinn", 1024, width=64, depth=1),
    "heat": Case((60,), "heat_pinn", 1024, width=64, depth=1),
    "burgers": Case((120, 300), "burgers_pinn", 2048, redrawn=True),
    "allen_cahn": Case((160, 600), "allen_cahn_pinn", 2048, harmonics=5, initial_weight=100.0, redrawn=True),
    "kdv": Case(
        *((600,), "kdv_pinn", 4096, ["problem.equation.dispersion=4.84e-4"]),
        **{"width": 30, "harmonics": 5, "redrawn": True},
    ),
    "convection": Case(
        *((180,), "convection_pinn", 1024, ["problem.equation.speed=50.0"]),
        **{"waves": 128, "time_scale": 40.0, "initial_weight": 1e3},
    ),
    "advection": Case(
        *((300,), "convection_pinn", 2048, ["problem.equation.speed=100.0"]),
        **{"waves": 500, "learned_waves": False, "time_scale": 80.0, "initial_weight": 1e5, "damping": 1e-11},
    ),
}
OURS = {
    "ours": ["optimizer=levenberg_marquardt", "trainer.log_every=5"],
    "ours_broyden": ["optimizer=self_scaled_broyden", "trainer.log_every=10"],
}


def settings(problem: str, library: str) -> list[str]:
    """What is given to the command line."""
    case = CASES[problem]
    network = [f"model.width={case.width}", f"model.depth={case.depth}"]
    if case.waves:
        sums = f"num_features: {case.waves}, scale: {case.wave_scale}, trainable: {str(case.learned_waves).lower()}"
        readout = "network: {_target_: lagrangian_ml.fields.Linear, _partial_: true}"
        network = [f"model={{_target_: lagrangian_ml.fields.fourier_network, _partial_: true, {sums}, {readout}}}"]
    if case.harmonics > 1:
        network += [f"method.ansatz.num_harmonics={case.harmonics}"]
    if case.time_scale != 1:
        network += [f"method.ansatz.time_scale={case.time_scale}"]
    if case.initial_weight:
        network += ["method.ansatz.soft=[initial]", f"method.weights={{initial: {case.initial_weight}}}"]
    if library == "ours":
        network += [f"optimizer.damping={case.damping}"]
    elif case.redrawn:
        network += ["source.adaptive.keep=0.5", "source.resample_every=50"]
    endless = ["trainer.num_steps=1000000", "trainer.checkpoint_every=1000000"]
    points = f"source.num_points={case.points}"
    return [f"experiment={case.preset}", *case.problem, *network, points, *OURS[library], *endless]


def run_ours(problem: str, library: str, seed: int, seconds: float) -> dict:
    """A run of the command line, ended by a signal; its records up to `seconds` of steps."""
    words = settings(problem, library)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        metrics = path / "metrics.jsonl"
        command = [sys.executable, "-m", "lagrangian_ml", "run", *words, f"seed={seed}", "--run-dir", str(path)]
        with open(Path(folder) / "log", "w+") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                while process.poll() is None and _last_seconds(metrics) < seconds:
                    time.sleep(0.2)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
            log.seek(0)
            text = log.read()
        records = [json.loads(line) for line in metrics.read_text().splitlines()] if metrics.exists() else []
        about = json.loads((path / "environment.json").read_text()) if (path / "environment.json").exists() else {}
    kept = ("step", "seconds", "relative_l2", "loss")
    curve = [{name: r[name] for name in kept if name in r} for r in records if r["seconds"] <= seconds]
    result = {"settings": words, "steps": records[-1]["step"] if records else 0, "curve": curve}
    if process.returncode not in (0, 143):
        result["failure"] = text[-500:]
    return result | {"optimizer": library, "versions": about.get("versions"), "commit": about.get("commit")}


def _last_seconds(metrics):
    """Of the last whole line of metrics.jsonl."""
    lines = metrics.read_text().split("\n")[:-1] if metrics.exists() else []
    return json.loads(lines[-1])["seconds"] if lines else 0.0


def run_peer(problem: str, library: str, seed: int, seconds: float, python: str, reference: Path) -> dict:
    """A run of `pinn_peers.py` by another interpreter; the errors of its predictions."""
    case = CASES[problem]
    given = case._asdict() | {"seed": seed, "seconds": seconds}
    given = {name: value for name, value in given.items() if name not in ("preset", "problem", "damping", "redrawn")}
    if library == "jno" and case.redrawn:
        given["points"] *= 4  # its points stay where they are
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.npz"
        script = str(Path(__file__).parent / "pinn_peers.py")
        command = [python, script, library, problem, json.dumps(given), str(reference), str(out)]
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(command, capture_output=True, text=True, env=clean, cwd=folder)
        if done.returncode:
            return {"options": given, "failure": (done.stdout + done.stderr)[-500:], "curve": []}
        found, arrays, u = json.loads(done.stdout.splitlines()[-1]), np.load(out), np.load(reference)["u"]
        errors = np.linalg.norm(arrays["predictions"] - u, axis=1) / np.linalg.norm(u)
    curve = [{"seconds": s, "relative_l2": e} for s, e in zip(arrays["seconds"].tolist(), errors.tolist(), strict=True)]
    return found | {"options": given, "curve": curve}


def write_reference(problem: str, path: Path) -> None:
    """The points z, (t, x) or (x, y), and the truth u there: those of which our runs report the error."""
    import lagrangian_ml as lml
    from lagrangian_ml.equations import Advection, KortewegDeVries
    from lagrangian_ml.metrics import reference_samples
    from lagrangian_ml.problems import load_problem

    lml.set_precision("float64")
    others = {
        "kdv": ("kdv", KortewegDeVries(0.022**2)),
        "convection": ("convection", Advection(50.0)),
        "advection": ("convection", Advection(100.0)),
    }
    name, equation = others.get(problem, (problem, None))
    samples = reference_samples(load_problem(name, **({} if equation is None else {"equation": equation})))
    assert samples is not None
    x, t = np.asarray(samples.point.x), samples.point.t
    z = x if t is None else np.concatenate([np.asarray(t)[:, None], x], axis=1)
    np.savez(path, z=z, u=np.asarray(samples.u)[:, 0])


def error_at(result: dict, seconds: float) -> float:
    """The last error until then; NaN if there is none."""
    before = [point["relative_l2"] for point in result["curve"] if point["seconds"] <= 1.02 * seconds]
    found = before[-1] if before else None
    return float("nan") if found is None else found


def stored() -> dict[tuple[str, str, int], dict]:
    """All stored runs of what the table has, by problem, library and seed."""
    results = (json.loads(path.read_text()) for path in sorted((RESULTS / FOLDER).glob("*.json")))
    known = [r for r in results if r["problem"] in CASES and r["library"] in (*OURS, *PEERS)]
    return {(r["problem"], r["library"], r["seed"]): r for r in known}


def show(results: dict) -> None:
    """The table of medians over the seeds, with least and largest where there are several; and the figures."""
    libraries = [*OURS, *PEERS]
    print("| problem | seconds | " + " | ".join(libraries) + " |\n" + "|---" * (2 + len(libraries)) + "|")
    for problem, case in CASES.items():
        for seconds in case.seconds:
            cells = [_cell([r for key, r in results.items() if key[:2] == (problem, n)], seconds) for n in libraries]
            print(f"| {problem} | {seconds} | " + " | ".join(cells) + " |")
        of_it = [r for key, r in results.items() if key[0] == problem]
        if any(r["curve"] for r in of_it):
            draw(problem, of_it, RESULTS / FOLDER / f"{problem}.png")


def _cell(results, seconds):
    """Runs that were shorter say how long they were; a run that failed, or has no number, has an infinite error."""
    if not results:
        return "not run"
    errors = [float("inf") if "failure" in r else error_at(r, seconds) for r in results]
    errors = [error if math.isfinite(error) else math.inf for error in errors]
    failed = errors.count(math.inf)
    if failed == len(errors):
        return "failed"
    text = f"{statistics.median(errors):.1e}" + (f" ({min(errors):.1e}–{max(errors):.1e})" if len(errors) > 1 else "")
    short, cpu = min(r["seconds"] for r in results), statistics.median(r["cpu_seconds"] for r in results)
    text += f", {failed} of {len(errors)} failed" if failed else ""
    return f"{text}{f', {short:.0f} s' if short < seconds else ''}; {cpu:.0f} CPU-s"


def draw(problem: str, results: list[dict], path: Path) -> None:
    """Error against seconds, one colour a library, one line a seed."""
    from matplotlib.figure import Figure

    colours = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7")
    colour = dict(zip([*OURS, *PEERS], colours, strict=True))
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes, named = figure.subplots(), set()
    for result in results:
        curve = [(p["seconds"], p["relative_l2"]) for p in result["curve"] if p.get("relative_l2")]
        if curve:
            library = result["library"]
            label = None if library in named else library.replace("_", " ")
            axes.semilogy(*zip(*curve, strict=True), color=colour[library], label=label, lw=1.2)
            named.add(library)
    axes.set(xlabel="seconds of steps", ylabel="relative L2 error", title=f"{problem}, float64")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--libraries", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--seconds", type=float, help="instead of those of the table")
    parser.add_argument("--show", action="store_true", help="only print and draw what is stored")
    parser.add_argument("--again", action="store_true", help="run what is stored already, at least as long, too")
    for peer in dict.fromkeys(PEERS.values()):
        parser.add_argument(f"--{peer}-python", help="the interpreter of the environment that has it")
    options = parser.parse_args()
    if not options.show:
        (RESULTS / FOLDER).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            for problem in options.problems:
                _run_all(problem, options, Path(folder) / f"{problem}.npz")
    show(stored())


def _run_all(problem, options, reference):
    """All asked-for runs of one problem."""
    have, seconds = stored(), options.seconds or max(CASES[problem].seconds)
    for seed in options.seeds:
        for library in options.libraries:
            python = None if library in OURS else getattr(options, f"{PEERS[library]}_python")
            known = have.get((problem, library, seed))
            known = known if known and "failure" not in known and known["seconds"] >= seconds else None
            if (library not in OURS and not python) or (known and not options.again):
                continue
            if library not in OURS and not reference.exists():
                write_reference(problem, reference)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if python is None:
                result = run_ours(problem, library, seed, seconds)
            else:
                result = run_peer(problem, library, seed, seconds, python, reference)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            about = {"problem": problem, "library": library, "seed": seed, "seconds": seconds, "cpu_seconds": cpu}
            about["cores_used"] = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            store(f"{FOLDER}/{problem}_{library}_{seed}", about | result)
            told = result.get("failure") or f"error {error_at(result, seconds):.2e}, {cpu:.0f} CPU-s in all"
            print(f"{problem:12s}{library:10s} seed {seed}  {told}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
