"""jNO on the problems of `pinn_table.py`: self-scaled Broyden on a cloud of fixed points."""

import time
from typing import Any

import numpy as np
from pinn_problems import Stopwatch, Work, jax_field


def train(work: Work, options: dict, points: np.ndarray) -> dict:
    """Self-scaled Broyden, time being one more coordinate."""
    import equinox as eqx
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import jno as library
    from jno.utils.adaptive.callbacks import Callback
    from scipy.stats import qmc

    dim = len(work.lower)
    field = jax_field(work, options, jax.random.PRNGKey(options["seed"]))

    class Net(eqx.Module):
        field: Any

        def __call__(self, *z):
            return jax.vmap(self.field)(jnp.concatenate(z, axis=-1))

    module = Net(field)
    draw = qmc.Sobol(dim, rng=np.random.default_rng(options["seed"])).random(options["points"])
    clouds = {"interior": qmc.scale(draw, work.lower, work.upper)}
    if work.initial is not None:
        x = np.random.default_rng(options["seed"]).uniform(work.lower[1], work.upper[1], 256)
        clouds["start"] = np.stack([np.zeros(256), x], axis=1)
    domain = library.domain.from_array(clouds)
    net = library.nn(module)
    net.optimizer(library.optimizers.ssbroyden())
    z = list(domain.variable("interior"))[:dim]
    u = net(*z)

    def d(*axes):
        f = u
        for axis in axes:
            f = f.d(z[axis])
        return f

    terms = [work.residual(library.np, z, u, d).mse]
    if work.initial is not None:
        t, x = list(domain.variable("start"))[:dim]
        terms.append(options["initial_weight"] * (net(t, x) - work.initial(library.np, x)).mse)
    seen: list[tuple[float, Any]] = []
    clock: list[Stopwatch] = []

    class Look(Callback):
        def on_epoch_end(self, **known):
            jax.block_until_ready(known["total_loss"])
            if not clock:
                clock.append(Stopwatch(options["seconds"]))
            over = clock[0].elapsed() >= options["seconds"]
            if clock[0].is_due() or over:
                leaves = jax.tree.leaves(known["trainable"])
                seen.append((clock[0].elapsed(), clock[0].pause(lambda: [np.array(leaf) for leaf in leaves])))
            steps[0] = known["epoch"]
            return over

    steps, start = [0], time.perf_counter()
    library.core(terms, domain=domain).solve(1_000_000, callbacks=[Look()])
    arrays, static = eqx.partition(module, eqx.is_inexact_array)
    structure = jax.tree.structure(arrays)
    evaluate = jax.jit(
        jax.vmap(lambda leaves, z: eqx.combine(jax.tree.unflatten(structure, leaves), static).field(z)[0], (None, 0))
    )
    return {
        "seconds": [now for now, _ in seen],
        "predictions": [np.asarray(evaluate(leaves, points)) for _, leaves in seen],
        "compile": clock[0].begin - start,
        "steps": steps[0],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(arrays)),
        "optimizer": "self-scaled Broyden",
        "packages": ("jax-numerical-operators", "jax", "equinox", "optax"),
    }
