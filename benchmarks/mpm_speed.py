"""Steps of MLS-MPM beside Taichi and Warp on the same scene, float32, forward and backward: wall and CPU time.

One process for each contender takes turns with the others: `--rounds` rounds, each a run from the beginning. Times of a
step are medians over the rounds; compilation is apart. Final places, or gradients, are compared with ours. Peers are in
`mpm_peers.py`; each also runs as few of its users have it: Warp compiled with fast math (Taichi always is), Taichi on
one thread with serial scatters in place of atomics. Needs `pip install taichi warp-lang`; about ten minutes. `--only
ours` leaves them out.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from record import store

CASES = {  # dimensions, cells, particles, steps, with gradient
    "forward 2-D 128², 16,384": (2, 128, 16384, 200, False),
    "forward 3-D 32³, 8,192": (3, 32, 8192, 100, False),
    "forward 3-D 64³, 32,768": (3, 64, 32768, 30, False),
    "gradient 2-D 128², 8,192": (2, 128, 8192, 128, True),
}
CONTENDERS = ("ours", "warp", "warp, fast math", "taichi, 2 threads", "taichi, 1 thread, serial")
SIZES = (4096, 16384, 65536, 262144)


def contender(name: str, case: str):
    """A function without arguments that runs the case and returns what is compared."""
    dim, cells, particles, steps, gradient = CASES[case]
    sys.path.insert(0, str(Path(__file__).parent))
    import mpm_peers as peers

    scene = peers.scene(dim, cells, particles)
    if name == "ours":
        return ours(scene, steps, gradient)
    kind, _, how = name.partition(", ")
    options = {
        "": {"fast_math": False},
        "fast math": {"fast_math": True},
        "2 threads": {"threads": 2, "serial_scatter": False},
        "1 thread, serial": {"threads": 1},
    }[how]
    runner = getattr(peers, f"{kind}_{'gradient' if gradient else 'forward'}")(scene, steps, **options)
    runner.prepare()
    return runner


def ours(scene, steps, gradient, copies=1):
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from lagrangian_ml import Grid, rollout
    from lagrangian_ml.linalg.components import Vector, identity
    from lagrangian_ml.particles import MPM, FixedCorotated, NeoHookean, Particles, Separating, Walls, join

    class Water(eqx.Module):
        bulk: float

        def __call__(self, F, plastic):
            J, one = F.det, identity(len(F), F.det)
            root = jnp.sqrt(J) if len(F) == 2 else jnp.cbrt(J)
            return (self.bulk * (J - 1) * J) * one, root * one, plastic

    d, n = scene.dim, scene.num_grid
    half = scene.num_water
    part = lambda x, k: Particles.at(x, scene.volume, scene.density, v=scene.velocity, material=k)
    particles = join([part(scene.x[:half], 0), part(scene.x[half:], 1)])
    solid = FixedCorotated(scene.young, scene.poisson) if d == 2 else NeoHookean(scene.young, scene.poisson)
    grid = Grid((n,) * d, (0.0,) * d, (1.0,) * d)
    walls = Walls.of(grid, margin=2, contact=Separating())
    materials = (Water(scene.bulk), solid)
    step = MPM(particles, grid, scene.dt, materials=materials, boundaries=(walls,), gravity=tuple(scene.gravity))

    def end(step, state):
        return rollout(step, state, steps, save_every=steps, save=lambda state: state)

    def place(step, state, v):
        state = eqx.tree_at(lambda s: s.v, state, Vector(*(jnp.full_like(a, b) for a, b in zip(state.v, v))))
        x = end(step, state).x
        return jnp.mean(x[0]) + jnp.mean(x[1] ** 2)

    state, v = step.init(particles), jnp.asarray(scene.velocity)
    arrays, static = eqx.partition((step, state), eqx.is_array)
    both = lambda arrays: eqx.combine(arrays, static)
    faster = lambda state, s: eqx.tree_at(lambda state: state.v, state, state.v.map(lambda a: a + s))
    last = lambda step, state: step.positions(jax.tree.map(lambda a: a[0], end(step, state)))
    if gradient:
        function = lambda arrays, v: jax.value_and_grad(lambda v: place(*both(arrays), v))(v)
        arguments = arrays, v
    elif copies > 1:
        each = lambda arrays, s: last(both(arrays)[0], faster(both(arrays)[1], s))
        function, arguments = jax.vmap(each, (None, 0)), (arrays, jnp.linspace(0.0, 0.1, copies))
    else:
        function, arguments = lambda arrays: last(*both(arrays)), (arrays,)
    compiled = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.tree.map(np.asarray, jax.block_until_ready(compiled(*arguments)))


def serve(name, case):
    """Prepare, then run once for every line on stdin; answers with seconds of wall and CPU time, in JSON."""
    answer = sys.stdout
    sys.stdout = sys.stderr
    start = time.perf_counter()
    run = contender(name, case)
    out = run()
    flat = np.concatenate([np.ravel(np.asarray(part, float)) for part in (out if isinstance(out, tuple) else (out,))])
    print(json.dumps({"compile": time.perf_counter() - start, "result": flat[:4096].tolist()}), file=answer, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), file=answer, flush=True)


def compare(case, contenders, rounds):
    steps = CASES[case][3]
    children = {}
    rows = {}
    for name in contenders:  # one after the other: compilation is timed, too
        children[name] = subprocess.Popen(
            [sys.executable, __file__, "--serve", name, case],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        first = json.loads(children[name].stdout.readline())
        rows[name] = {"compile": first["compile"], "times": [], "result": np.asarray(first["result"])}
    for _ in range(rounds):
        for name, child in children.items():
            child.stdin.write("run\n")
            child.stdin.flush()
            rows[name]["times"].append(json.loads(child.stdout.readline()))
    for child in children.values():
        child.stdin.close()
        child.wait()
    found = {}
    for name, row in rows.items():
        wall, cpu = 1e3 * np.asarray(row["times"]).T / steps
        difference = float(np.max(np.abs(row["result"] - rows["ours"]["result"]))) if "ours" in rows else None
        found[name] = {
            "wall_ms": float(np.median(wall)), "wall_ms_min": float(wall.min()),
            "cpu_ms": float(np.median(cpu)), "cpu_ms_min": float(cpu.min()),
            "compile_s": row["compile"], "difference": difference,
        }  # fmt: skip
        print(f"{case:26s} {name:26s}", {k: v and round(v, 4) for k, v in found[name].items()}, flush=True)
    return found


def alone(rounds):
    """Cost per particle against their number, and sixteen rollouts by vmap against one after the other."""
    import mpm_peers as peers

    best = lambda run: min(_timed(run) for _ in range(rounds))
    sizes = {}
    for num in SIZES:
        cells = round(128 * (num / 16384) ** 0.5)
        run = ours(peers.scene(2, cells, num), 20, False)
        run()
        sizes[num] = 1e9 * best(run) / 20 / num
        print("ns a particle and step", num, round(sizes[num], 1), flush=True)
    scene = peers.scene(2, 64, 4096)
    single, batch = ours(scene, 50, False), ours(scene, 50, False, copies=16)
    single(), batch()
    ratio = 16 * best(single) / best(batch)
    print("sixteen in sequence / by vmap", round(ratio, 2), flush=True)
    return {"ns_per_particle": sizes, "sequence_over_vmap": ratio}


def _timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--only", nargs="*", default=CONTENDERS, choices=CONTENDERS)
    parser.add_argument("--cases", nargs="*", type=int, default=range(len(CASES)))
    parser.add_argument("--serve", nargs=2, metavar=("CONTENDER", "CASE"))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(*arguments.serve)
        return
    found = {
        case: compare(case, arguments.only, arguments.rounds) for k, case in enumerate(CASES) if k in arguments.cases
    }
    print(store("mpm_speed", {"cases": found, "alone": alone(5)}))


if __name__ == "__main__":
    main()
