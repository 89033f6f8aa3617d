"""Cell-updates per second of spectral solvers, float32 on two cores: ours, exponax and a SciPy solver.

The same equation, ETDRK scheme, dt, dealiasing, number of steps and initial values; the results are compared. The JAX
solvers run compiled, under `vmap`, on one device and with the batch shared out over two; SciPy has one worker or two. A
contender's best counts. All alternate, round after round. Ours steps samples in pairs (`ETDRK(…, paired=True)`).
`--print` shows the table of what is stored, `--only burgers` runs a part and stores nothing.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import exponax
import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from record import RESULTS, store
from scipy_spectral import steepening, vorticity

from data_gen.initial_systems import GrayScottNoise
from lagrangian_ml.core import Equation, Grid, rollout
from lagrangian_ml.domains import PowerLaw, gaussian_random_field
from lagrangian_ml.equations import Burgers, GrayScott, KuramotoSivashinsky, VorticityNavierStokes
from lagrangian_ml.solvers import ETDRK
from lagrangian_ml.training.mesh import make_mesh

NAME = "spectral_speed"
KINDS = {"wall": time.perf_counter, "cpu": time.process_time}
WELL = 1.65  # million cell-updates a second on 40 cores: 1200 × 10 000 steps of 128² in 33 h, by The Well's own table


@dataclass
class Case:
    """One equation on one grid, and the solvers that are compared on it."""

    name: str
    equation: Equation
    grid: Grid
    dt: float
    num_steps: int
    batch: int
    initial: Callable
    exponax: exponax.BaseStepper
    scipy: Callable | None = None
    options: dict = field(default_factory=lambda: {"order": 2})
    tolerance: float = 1e-5

    @property
    def updates(self) -> int:
        return self.batch * math.prod(self.grid.shape) * self.num_steps

    def ours(self, u):
        solver = ETDRK(self.equation, self.grid, self.dt, paired=True, **self.options)

        def solve(pair):
            last = rollout(solver, solver.init(pair), self.num_steps, save_every=self.num_steps, save=solver.values)
            return last[0]

        return jax.vmap(solve)(u.reshape(-1, 2, *u.shape[1:])).reshape(u.shape)

    def peer(self, u):
        return jax.vmap(exponax.RepeatedStepper(self.exponax, self.num_steps))(u)


def waves(grid: Grid, *, key):
    """A smooth field of mean square 1."""
    return gaussian_random_field(
        grid.shape, spectrum=PowerLaw(alpha=1.0), lengths=grid.lengths, max_mode=6, std=1.0, zero_mean=True, key=key
    )


def burgers(n: int) -> Case:
    length, nu, dt, num_steps = 2 * math.pi, 0.05, 0.1 / n, 65536 // n
    return Case(
        f"Burgers {n}", Burgers(nu), Grid((n,), (0.0,), (length,)), dt, num_steps, 64, waves,
        exponax.stepper.Burgers(1, length, n, dt, diffusivity=nu, conservative=True),
        lambda workers: steepening(lambda k: -nu * k**2, n, length, dt, num_steps, workers),
    )  # fmt: skip


def kuramoto_sivashinsky(n: int) -> Case:
    length, dt, num_steps = n / 4, 0.01, 65536 // n
    return Case(
        f"Kuramoto–Sivashinsky {n}", KuramotoSivashinsky(), Grid((n,), (0.0,), (length,)), dt, num_steps, 64, waves,
        exponax.stepper.KuramotoSivashinskyConservative(1, length, n, dt),
        lambda workers: steepening(lambda k: k**2 - k**4, n, length, dt, num_steps, workers),
    )  # fmt: skip


def navier_stokes(n: int) -> Case:
    length, nu, dt, num_steps = 2 * math.pi, 1e-3, 0.1 / n, 4096 // n
    return Case(
        f"Navier–Stokes {n}²", VorticityNavierStokes(nu), Grid((n, n), (0.0, 0.0), (length, length)), dt, num_steps,
        1024 // n, waves,
        exponax.stepper.NavierStokesVorticity(2, length, n, dt, diffusivity=nu, vorticity_convection_scale=-1.0),
        lambda workers: vorticity(lambda square: -nu * square, n, length, dt, num_steps, workers),
    )  # fmt: skip


def gray_scott(order: int) -> Case:
    """The gliders of The Well. exponax takes feed and removal explicitly: its results differ by O(dtᵖ), p the order."""
    equation, grid, dt = GrayScott(feed=0.014, kill=0.054), Grid((128, 128), (-1.0, -1.0), (1.0, 1.0)), 1.0
    return Case(
        f"Gray–Scott 128², order {order}", equation, grid, dt, 16, 8, GrayScottNoise(0.014, 0.054),
        exponax.stepper.reaction.GrayScott(2, 2.0, 128, dt, feed_rate=0.014, kill_rate=0.054, order=order),
        options={"order": order, "dealias": 0.5}, tolerance=10.0**-order,
    )  # fmt: skip


def contenders(case: Case) -> tuple[dict[str, Callable], dict[str, float]]:
    """What is to be timed, by name, and the seconds that compiling took."""
    u = jax.vmap(lambda key: case.initial(case.grid, key=key))(jax.random.split(jax.random.key(0), case.batch))
    programs, seconds = {}, {}
    for devices in (1, 2):
        for name, solve in (("ours", case.ours), ("exponax", case.peer)):
            label = f"{name}, {devices} device{'s' if devices > 1 else ''}"
            programs[label], seconds[label] = compiled(solve, u, devices)
    values = np.asarray(u)
    for workers in (1, 2) if case.scipy else ():
        programs[f"scipy, {workers} workers"] = partial(case.scipy(workers), values)
    return programs, seconds


def compiled(solve: Callable, u, devices: int) -> tuple[Callable, float]:
    """A solver with the batch shared out over devices, and the seconds that compiling took."""
    mesh, over_batch = make_mesh(devices), PartitionSpec("batch")
    shared = jax.shard_map(solve, mesh=mesh, in_specs=over_batch, out_specs=over_batch, check_vma=False)
    u = jax.device_put(u, NamedSharding(mesh, over_batch))
    start = time.perf_counter()
    program = jax.jit(shared).lower(u).compile()
    return lambda: jax.block_until_ready(program(u)), time.perf_counter() - start


def measure(case: Case, rounds: int) -> dict:
    programs, compile_s = contenders(case)
    truth, rows = np.asarray(programs["exponax, 1 device"]()), {}
    for name, program in programs.items():
        difference = np.linalg.norm(program() - truth) / np.linalg.norm(truth)
        assert difference < case.tolerance, f"{case.name}: {name} differs from exponax by {difference:.1e}"
        rows[name] = {"difference": float(difference), "wall": [], "cpu": []}
    for _ in range(rounds):
        for name, program in programs.items():
            before = {kind: clock() for kind, clock in KINDS.items()}
            program()
            for kind, clock in KINDS.items():
                rows[name][kind].append(clock() - before[kind])
    return {
        "case": case.name, "updates": case.updates, "batch": case.batch, "num_steps": case.num_steps, "dt": case.dt,
        "compile_s": compile_s, "rows": {name: summary(row) for name, row in rows.items()},
    }  # fmt: skip


def summary(row: dict) -> dict:
    return row | {kind: {"median": statistics.median(row[kind]), "min": min(row[kind])} for kind in KINDS}


def best(case: dict, contender: str, kind: str, statistic: str = "median") -> float:
    """The seconds of a contender on the best of its settings."""
    return min(row[kind][statistic] for name, row in case["rows"].items() if name.startswith(contender))


def table(cases: list[dict]) -> str:
    """Million cell-updates a second, and the others' seconds over ours, by medians (and by minima)."""
    lines = [
        "| case, batch | ours, Mcell/s | exponax | SciPy | exponax/ours, wall | CPU | SciPy/ours, wall | CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        others = [name for name in ("exponax", "scipy") if any(row.startswith(name) for row in case["rows"])]
        words = [f"{case['updates'] / best(case, name, 'wall') / 1e6:.1f}" for name in ("ours", *others)]
        words += [""] * (2 - len(others))
        for other in others:
            for kind in KINDS:
                median, least = (best(case, other, kind, by) / best(case, "ours", kind, by) for by in ("median", "min"))
                words.append(f"{median:.2f} ({least:.2f})")
        words += ["", ""] * (2 - len(others))
        lines.append(f"| {case['case']}, {case['batch']} | {' | '.join(words)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="the beginning of the names of the cases to run; nothing is stored")
    parser.add_argument("--print", action="store_true", dest="show")
    options = parser.parse_args()
    if options.show:
        print(table(json.loads((RESULTS / f"{NAME}.json").read_text())["cases"]))
        raise SystemExit
    jax.config.update("jax_num_cpu_devices", 2)
    makers = [(f, n) for f in (burgers, kuramoto_sivashinsky) for n in (256, 512, 1024)]
    makers += [(navier_stokes, n) for n in (64, 128, 256)] + [(gray_scott, order) for order in (2, 4)]
    cases = []
    for make, number in makers:
        if make.__name__.startswith(options.only):
            cases.append(measure(make(number), options.rounds))
            print(table(cases[-1:]).splitlines()[-1], flush=True)
    if not options.only:
        results = {"dtype": "float32", "rounds": options.rounds, "well_mcells_on_40_cores": WELL, "cases": cases}
        print(store(NAME, results))
    print(table(cases))
