"""Training gradients through fourth derivatives: ∂/∂θ of mean (Pu)² for a tanh network, by our jets and nested.

P is the fourth derivative in one of two variables, as in Kuramoto–Sivashinsky, and the biharmonic operator in two and
three. Ours is the jet at a point: Taylor mode, for the biharmonic operator along a few directions. Nested forms are
forward derivatives of forward derivatives, forward over reverse, and Hessians of Hessians. Float64, 3 hidden layers of
64 units, 1,024 points; compiled first, then in turn, medians of rounds.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from record import store

jax.config.update("jax_enable_x64", True)

from lagrangian_ml.fields import MLP  # noqa: E402
from lagrangian_ml.jets import point_jet  # noqa: E402

ROUNDS, POINTS = 9, 1024


def along(f, v):
    """The derivative of f along v, by forward mode."""
    return lambda x: jax.jvp(f, (x,), (v,))[1]


def forward_laplacian_of(u):
    return lambda x: sum(along(along(u, v), v)(x) for v in jnp.eye(x.shape[0]))


def reverse_laplacian_of(u):
    gradient = jax.grad(u)
    return lambda x: sum(jax.jvp(gradient, (x,), (v,))[1] @ v for v in jnp.eye(x.shape[0]))


def hessian_laplacian_of(u):
    return lambda x: jnp.trace(jax.hessian(u)(x))


def pure_by_forward(u, x):
    v = jnp.eye(x.shape[0])[1]
    return along(along(along(along(u, v), v), v), v)(x)


def pure_by_reverse(u, x):
    for _ in range(4):
        u = lambda x, u=u: jax.grad(u)(x)[1]
    return u(x)


CASES = {
    "fourth derivative, d = 2": (
        2,
        {
            "ours": lambda u, x: point_jet(lambda x: u(x)[None], x).d(1, 1, 1, 1)[0],
            "forward over forward": pure_by_forward,
            "reverse over reverse": pure_by_reverse,
        },
    )
} | {
    f"biharmonic, d = {d}": (
        d,
        {
            "ours": lambda u, x: point_jet(lambda x: u(x)[None], x).bilaplacian[0],
            "forward over forward": lambda u, x: forward_laplacian_of(forward_laplacian_of(u))(x),
            "forward over reverse": lambda u, x: reverse_laplacian_of(reverse_laplacian_of(u))(x),
            "Hessian of Hessian": lambda u, x: hessian_laplacian_of(hessian_laplacian_of(u))(x),
        },
    )
    for d in (2, 3)
}


def measure(d, ways):
    params, static = eqx.partition(MLP(d, 1, width=64, depth=3, key=jax.random.key(0)), eqx.is_array)
    x = jax.random.normal(jax.random.key(1), (POINTS, d))
    compiled, rows = {}, {}
    for name, operator in ways.items():
        loss = lambda p, f=operator: jnp.mean(jax.vmap(lambda x: f(lambda z: eqx.combine(p, static)(z)[0], x))(x) ** 2)
        start = time.perf_counter()
        compiled[name] = jax.jit(jax.value_and_grad(loss)).lower(params).compile()
        rows[name] = {"compile_s": time.perf_counter() - start, "wall_ms": [], "cpu_ms": []}
    values = {name: float(run(params)[0]) for name, run in compiled.items()}
    assert all(abs(value - values["ours"]) < 1e-8 * abs(values["ours"]) for value in values.values()), values
    for _ in range(ROUNDS):
        for name, run in compiled.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(run(params))
            rows[name]["wall_ms"].append(1e3 * (time.perf_counter() - wall))
            rows[name]["cpu_ms"].append(1e3 * (time.process_time() - cpu))
    for row in rows.values():
        row |= {kind: round(statistics.median(row[kind]), 2) for kind in ("wall_ms", "cpu_ms")}
    best = {kind: min(row[kind] for name, row in rows.items() if name != "ours") for kind in ("wall_ms", "cpu_ms")}
    return {"ways": rows, "best_nested_over_ours": {kind: best[kind] / rows["ours"][kind] for kind in best}}


if __name__ == "__main__":
    found = {}
    for case, (d, ways) in CASES.items():
        found[case] = measure(d, ways)
        print(case, {kind: round(ratio, 2) for kind, ratio in found[case]["best_nested_over_ours"].items()})
        for name, row in found[case]["ways"].items():
            print(
                f"  {name:22s} {row['wall_ms']:8.1f} ms {row['cpu_ms']:8.1f} CPU-ms  compile {row['compile_s']:.1f} s"
            )
    print(store("fourth_order", {"width": 64, "depth": 3, "points": POINTS, "dtype": "float64", "cases": found}))
