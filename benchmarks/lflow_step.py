"""A training step on density and velocity: ours against the Jacobian-solve route, and log density against flowjax.

Batch 1,024, 8 couplings with conditioners of one hidden layer of 64 units, two dimensions, float32, affine and
rational-quadratic splines of 8 bins. "step" is the gradient of the mean squares of log ρ and v. "solve" takes the same
model's velocity as −(∂X/∂x)⁻¹ ∂X/∂t and its density beside it, as the LFlows paper does (without its shift of 1e-6).
Log densities are those of couplings alone, in ours and in flowjax, if it is installed, both with tanh units and
conditioned on time. A call takes `CALLS` batches one after the other in a compiled loop, as training does, so that
what Python spends on handing over arguments does not count. All functions are compiled first, then called in turn,
round after round; medians over the rounds.
"""

import argparse
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from record import store

from lagrangian_ml.flows import Chain, Coupling, RationalQuadraticSpline, StandardNormal, TransportedDensity
from lagrangian_ml.flows.models import active_axes

BATCH, LAYERS, WIDTH, BINS, ROUNDS, CALLS = 1024, 8, 64, 8, 9, 10


def ours(kind):
    transformer = RationalQuadraticSpline(BINS) if kind == "spline" else None
    keys = jax.random.split(jax.random.key(0), LAYERS)
    layers = [Coupling(2, active_axes(2, i), transformer, width=WIDTH, key=key) for i, key in enumerate(keys)]
    return TransportedDensity(Chain(tuple(layers)), StandardNormal())


def flowjax_log_density(kind):
    import flowjax.bijections as fb
    from flowjax.distributions import StandardNormal as Normal
    from flowjax.flows import coupling_flow

    transformer = fb.RationalQuadraticSpline(knots=BINS, interval=4) if kind == "spline" else fb.Affine()
    flow = coupling_flow(
        jax.random.key(0),
        base_dist=Normal((2,)),
        transformer=transformer,
        cond_dim=1,
        flow_layers=LAYERS,
        nn_width=WIDTH,
        nn_depth=1,
        nn_activation=jnp.tanh,
        invert=True,
    )
    return flow, lambda flow, t, x: flow.log_prob(x, condition=t[:, None])


def observe(model, t, x):
    return jax.vmap(model.observe)(t, x)


def solve(model, t, x):
    def one(t, x):
        label = lambda t, x: model.flow.inverse(t, x)[0]
        slopes, drift = jax.jacfwd(label, argnums=1)(t, x), jax.jacfwd(label)(t, x)
        return model.log_density(t, x), -jnp.linalg.solve(slopes, drift)

    return jax.vmap(one)(t, x)


def log_density(model, t, x):
    return jax.vmap(model.log_density)(t, x)


def mean_square(f):
    return lambda model, t, x: sum(jnp.mean(a**2) for a in jax.tree.leaves(f(model, t, x)))


def measure(functions):
    """{name: (function of (model, t, x), model)} called in turn on the same points."""
    t_key, x_key = jax.random.split(jax.random.key(1))
    t, x = jax.random.uniform(t_key, (CALLS, BATCH)), jax.random.normal(x_key, (CALLS, BATCH, 2))
    compiled, rows, values = {}, {}, {}
    for name, (function, model) in functions.items():
        arrays, static = eqx.partition(model, eqx.is_array)
        leaves, tree = jax.tree.flatten(arrays)

        def batches(leaves, t, x, f=function, tree=tree, static=static):
            model = eqx.combine(jax.tree.unflatten(tree, leaves), static)
            return jax.lax.map(lambda point: f(model, *point), (t, x))

        start = time.perf_counter(), time.process_time()
        compiled[name] = (jax.jit(batches).lower(leaves, t, x).compile(), leaves)
        rows[name] = {"compile_s": time.perf_counter() - start[0], "compile_cpu_s": time.process_time() - start[1]}
        rows[name] |= {"wall_ms": [], "cpu_ms": []}
        values[name] = jax.block_until_ready(compiled[name][0](leaves, t, x))
    for _ in range(ROUNDS):
        for name, (call, leaves) in compiled.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(call(leaves, t, x))
            rows[name]["wall_ms"].append(1e3 * (time.perf_counter() - wall) / CALLS)
            rows[name]["cpu_ms"].append(1e3 * (time.process_time() - cpu) / CALLS)
    for row in rows.values():
        row |= {f"min_{kind}": min(row[kind]) for kind in ("wall_ms", "cpu_ms")}
        row |= {kind: statistics.median(row[kind]) for kind in ("wall_ms", "cpu_ms")}
    return rows, values


def case(kind):
    model = ours(kind)
    step = lambda f: eqx.filter_grad(mean_square(f))
    functions = {
        "step": (step(observe), model),
        "step by solve": (step(solve), model),
        "log density": (log_density, model),
        "log density, gradient": (step(log_density), model),
    }
    try:
        flow, evaluate = flowjax_log_density(kind)
    except ImportError:
        print("flowjax is not installed: not run")
    else:
        functions["flowjax log density"] = (evaluate, flow)
        functions["flowjax log density, gradient"] = (step(evaluate), flow)
    rows, values = measure(functions)
    gap = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), values["step"], values["step by solve"])
    assert max(jax.tree.leaves(gap)) < 1e-2, gap
    ratio = lambda a, b: {k: rows[a][k] / rows[b][k] for k in ("wall_ms", "cpu_ms", "min_cpu_ms") if a in rows}
    return {
        "kind": kind,
        "parameters": sum(a.size for a in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array))),
        "rows": rows,
        "solve_over_ours": ratio("step by solve", "step"),
        "flowjax_over_ours": ratio("flowjax log density", "log density"),
        "flowjax_over_ours_gradient": ratio("flowjax log density, gradient", "log density, gradient"),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("affine", "spline"))
    options = parser.parse_args()
    cases = []
    for kind in [options.only] if options.only else ("affine", "spline"):
        cases.append(found := case(kind))
        print(found["kind"], found["parameters"], "parameters")
        for name, row in found["rows"].items():
            cost = f"{row['wall_ms']:7.2f} ms {row['cpu_ms']:7.2f} CPU-ms, compile {row['compile_cpu_s']:.1f} CPU-s"
            print(f"  {name:30s} {cost}")
        for name in ("solve_over_ours", "flowjax_over_ours", "flowjax_over_ours_gradient"):
            print(f"  {name:30s}", {kind: round(value, 2) for kind, value in found[name].items()}, flush=True)
    settings = {"batch": BATCH, "layers": LAYERS, "width": WIDTH, "bins": BINS, "dtype": "float32"}
    print(store("lflow_step", settings | {"cases": cases}))
