"""Training gradients through a Laplacian: ∂/∂θ of mean (Δu)² for a tanh network, by several ways of taking Δ.

Ours (`jets.forward`) against the nested forms of automatic differentiation and, where it is installed, folx; float32,
3 hidden layers of 64 units, d = 2, 3, 10. All functions are compiled first, then called in turn, round after round;
medians are over the rounds.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from record import store

from lagrangian_ml.fields import MLP
from lagrangian_ml.jets import forward_laplacian

ROUNDS, CALLS = 15, 3
CASES = [(2, 2048), (3, 2048), (10, 1024)]


def ours(u, x):
    basis = jnp.eye(x.shape[0])
    return forward_laplacian(u, x, space=basis, first=basis[:0]).laplacian[0]


def forward_over_forward(u, x):
    second = lambda v: jax.jvp(lambda x: jax.jvp(u, (x,), (v,))[1], (x,), (v,))[1][0]
    return jnp.sum(jax.vmap(second)(jnp.eye(x.shape[0])))


def forward_over_reverse(u, x):
    gradient = jax.grad(lambda x: u(x)[0])
    return jnp.sum(jax.vmap(lambda v: v @ jax.jvp(gradient, (x,), (v,))[1])(jnp.eye(x.shape[0])))


def hessian_trace(u, x):
    return jnp.trace(jax.hessian(lambda x: u(x)[0])(x))


def by_folx(u, x):
    return folx.forward_laplacian(lambda x: u(x)[0])(x).laplacian


WAYS = {f.__name__: f for f in (ours, forward_over_forward, forward_over_reverse, hessian_trace)}
NESTED = ("forward_over_forward", "forward_over_reverse", "hessian_trace")
try:
    import folx
except ImportError:
    print("folx is not installed: not run")
else:
    WAYS["folx"] = by_folx


def measure(d, n):
    params, static = eqx.partition(MLP(d, 1, width=64, depth=3, key=jax.random.key(0)), eqx.is_array)
    x = jax.random.normal(jax.random.key(1), (n, d))
    compiled, rows = {}, {}
    for name, laplacian in WAYS.items():
        loss = lambda p, f=laplacian: jnp.mean(jax.vmap(lambda x: f(eqx.combine(p, static), x))(x) ** 2)
        start = time.perf_counter()
        compiled[name] = jax.jit(jax.grad(loss)).lower(params).compile()
        rows[name] = {"compile_s": time.perf_counter() - start, "wall_ms": [], "cpu_ms": []}
        jax.block_until_ready(compiled[name](params))
    agree(compiled, params)
    for _ in range(ROUNDS):
        for name, gradient in compiled.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(CALLS):
                jax.block_until_ready(gradient(params))
            rows[name]["wall_ms"].append(1e3 * (time.perf_counter() - wall) / CALLS)
            rows[name]["cpu_ms"].append(1e3 * (time.process_time() - cpu) / CALLS)
    for row in rows.values():
        row |= {kind: statistics.median(row[kind]) for kind in ("wall_ms", "cpu_ms")}
    ratio = {kind: min(rows[name][kind] for name in NESTED) / rows["ours"][kind] for kind in ("wall_ms", "cpu_ms")}
    return {"d": d, "batch": n, "ways": rows, "best_nested_over_ours": ratio}


def agree(compiled, params):
    gradients = {name: jnp.concatenate([a.ravel() for a in jax.tree.leaves(f(params))]) for name, f in compiled.items()}
    scale = jnp.linalg.norm(gradients["ours"])
    assert all(jnp.linalg.norm(g - gradients["ours"]) < 1e-4 * scale for g in gradients.values())


if __name__ == "__main__":
    cases = [measure(d, n) for d, n in CASES]
    for case in cases:
        print(f"d = {case['d']}, batch {case['batch']}")
        for name, row in case["ways"].items():
            print(
                f"  {name:22s} {row['wall_ms']:7.1f} ms  {row['cpu_ms']:7.1f} CPU-ms  compile {row['compile_s']:.1f} s"
            )
        print(
            "  best nested / ours     " + ", ".join(f"{v:.2f} ({k})" for k, v in case["best_nested_over_ours"].items())
        )
    print(store("forward_laplacian", {"width": 64, "depth": 3, "dtype": "float32", "cases": cases}))
