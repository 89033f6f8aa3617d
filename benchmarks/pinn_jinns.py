"""jinns on the problems of `pinn_table.py`: self-scaled Broyden with residual-adaptive points, or natural gradients."""

import time
from typing import Any

import numpy as np
from pinn_problems import Stopwatch, Work, jax_field


def train(work: Work, options: dict, points: np.ndarray, natural: bool = False) -> dict:
    """One call of `solve`; a validation module takes the parameters out of it and ends it when the time is over."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jinns
    from jax.experimental import io_callback
    from jinns.validation._validation import AbstractValidationModule

    jax.config.update("jax_enable_x64", True)
    key, net_key, data_key = jax.random.split(jax.random.PRNGKey(options["seed"]), 3)
    kind = "PDEStatio" if work.steady else "PDENonStatio"
    u, net_params = jinns.nn.PINN_MLP.create(eqx_network=jax_field(work, options, net_key), eq_type=kind)
    params = jinns.parameters.Params(nn_params=net_params, eq_params={})

    class Equation(jinns.loss.PDEStatio if work.steady else jinns.loss.PDENonStatio):
        def equation(self, z, u, params):
            def d(*axes):
                f = lambda z: u(z, params)[0]
                for axis in axes:
                    f = lambda z, f=f, axis=axis: jax.grad(f)(z)[axis]
                return f(z)

            return work.residual(jnp, list(z), u(z, params)[0], d)[None]

    rar = jinns.data.RARParameters(update_every=250, novelty_proportion=0.5, method="D", k=1.0, c=1.0)
    mesh: dict[str, Any] = {"key": data_key, "n": options["points"], "method": "sobol", "dim": 1 + work.steady}
    mesh |= {"min_pts": work.lower[1 - work.steady :], "max_pts": work.upper[1 - work.steady :]}
    if work.steady:
        data = jinns.data.CubicMeshPDEStatio(**mesh)
        weights = jinns.loss.LossWeightsPDEStatio(dyn_loss=1.0)
        loss = jinns.loss.LossPDEStatio(u=u, dynamic_loss=Equation(), params=params, loss_weights=weights)
    else:
        mesh |= {} if natural else {"rar_parameters": rar, "method": "uniform"}  # the other laws are not for RAR
        data = jinns.data.CubicMeshPDENonStatio(**mesh, tmin=0.0, tmax=1.0, ni=256)
        soft: dict[str, Any] = {"loss_weights": jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0)}
        if work.initial is not None:
            first = work.initial
            weights = jinns.loss.LossWeightsPDENonStatio(dyn_loss=1.0, initial_condition=options["initial_weight"])
            soft = {"initial_condition_fun": lambda x: first(jnp, x[0])[None], "loss_weights": weights}
        loss = jinns.loss.LossPDENonStatio(u=u, dynamic_loss=Equation(), params=params, **soft)
    seen: list[tuple[float, Any]] = []
    clock: list[Stopwatch] = []

    def look(leaves):
        if not clock:
            clock.append(Stopwatch(options["seconds"]))
        if clock[0].is_due() or clock[0].elapsed() >= options["seconds"]:
            now = clock[0].elapsed()
            seen.append((now, clock[0].pause(lambda: [np.array(leaf) for leaf in leaves])))
        return np.asarray(clock[0].elapsed() >= options["seconds"])

    class Look(AbstractValidationModule):
        call_every: int = eqx.field(kw_only=True, default=5)

        def __call__(self, params):
            stop = io_callback(look, jax.ShapeDtypeStruct((), bool), jax.tree.leaves(params.nn_params))
            return self, stop, jnp.zeros(()), False

    if natural:
        how: dict[str, Any] = {"optimizer": jinns.optimizers.vanilla_ngd()}
    else:
        name = jinns.solver._utils.GetJinnsVariableName
        extra = {"value": name("train_loss_value"), "grad_pt": name("grads"), "loss": name("loss")}
        extra |= {"batch": name("batch"), "value_fn": callback_value, "grad_fn": callback_grad}
        how = {"optimizer": jinns.optimizers.scale_by_SSBroyden_family(), "extra_optax_args_and_kwargs": extra}
    start = time.perf_counter()
    *_, values, _, _, _, _, _, _, _, _, _, _ = jinns.solve(
        n_iter=200_000, init_params=params, data=data, loss=loss, validation=Look(), key=key, verbose=False, **how
    )
    compiled = clock[0].begin - start
    evaluate = jax.jit(jax.vmap(lambda params, z: u(z, params)[0], (None, 0)))
    structure = jax.tree.structure(net_params)
    restore = lambda leaves: jinns.parameters.Params(jax.tree.unflatten(structure, leaves), {})
    predictions = [np.asarray(evaluate(restore(leaves), points)) for _, leaves in seen]
    return {
        "seconds": [now for now, _ in seen],
        "predictions": predictions,
        "compile": compiled,
        "steps": int(np.count_nonzero(values)),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(net_params)),
        "optimizer": "natural gradient" if natural else "self-scaled Broyden",
        "packages": ("jinns", "jax", "equinox", "optax"),
    }


def callback_value(params, loss, batch):
    """jinns hands over loss and batch, and asks for this prefix of the name."""
    return loss(params, batch)[0]


def callback_grad(params, loss, batch):
    """As above; jinns rebuilds the function from its code, so that it imports what it needs."""
    import jax

    return jax.grad(lambda params: loss(params, batch)[0])(params)
