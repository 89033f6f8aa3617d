"""PINNs of other libraries on the problems of `pinn_table.py`, each in an interpreter of its own.

    python pinn_peers.py jinns burgers '{"seed": 0, "seconds": 9, "width": 20, …}' reference.npz out.npz

Every peer has the network (tanh, inputs rescaled to [−1, 1], sines and cosines of a periodic axis) and the ansatz
u = g + D · N of ours, in float64, and trains with what its documentation shows for accuracy: jinns by self-scaled
Broyden (`jinns`, with residual-adaptive points in time) or natural gradients (`jinns_ngd`), DeepXDE, with torch, by
Adam for a fifth of the seconds and L-BFGS after that. `out.npz` holds predictions on the points of `reference.npz` at
several `seconds` of training, without compilation and without these predictions; the last line printed describes the
run in JSON.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

RECORDS = 40  # predictions in a run, about


class Work(NamedTuple):
    """A problem: z = (t, x), or (x, y) if steady; `xp` is the library's module of sin and cos.

    `lift(xp, *z)` is (g, D); `residual(xp, z, u, d)` has the derivatives `d(axis, …)`; `initial(xp, x)` is left to a
    soft term where it is given.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    lift: Callable
    residual: Callable
    steady: bool = False
    periodic: bool = False
    odd: bool = False
    initial: Callable | None = None


def _distance(x, lower, upper):
    """As that of our boxes, near the ends the distance itself."""
    return (x - lower) * (upper - x) / (upper - lower)


def _convection(speed):
    return Work(
        (0.0, 0.0),
        (1.0, 2 * np.pi),
        lambda xp, t, x: (0.0 * x, 1.0 + 0.0 * x),
        lambda xp, z, u, d: d(0) + speed * d(1),
        periodic=True,
        initial=lambda xp, x: xp.sin(x),
    )


WORKS = {
    "poisson": Work(
        (0.0, 0.0),
        (1.0, 1.0),
        lambda xp, x, y: (0.0 * x, 4.0 * _distance(x, 0.0, 1.0) * _distance(y, 0.0, 1.0)),
        lambda xp, z, u, d: -d(0, 0) - d(1, 1) - 2 * np.pi**2 * xp.sin(np.pi * z[0]) * xp.sin(np.pi * z[1]),
        steady=True,
    ),
    "heat": Work(
        (0.0, 0.0),
        (1.0, 1.0),
        lambda xp, t, x: (xp.sin(np.pi * x), t * _distance(x, 0.0, 1.0)),
        lambda xp, z, u, d: d(0) - 0.25 * d(1, 1),
    ),
    "burgers": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (-xp.sin(np.pi * x), t * _distance(x, -1.0, 1.0)),
        lambda xp, z, u, d: d(0) + u * d(1) - 0.01 / np.pi * d(1, 1),
        odd=True,
    ),
    "allen_cahn": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (0.0 * x, 1.0 + 0.0 * x),
        lambda xp, z, u, d: d(0) - 1e-4 * d(1, 1) - 5 * u + 5 * u**3,
        periodic=True,
        initial=lambda xp, x: x**2 * xp.cos(np.pi * x),
    ),
    "kdv": Work(
        (0.0, -1.0),
        (1.0, 1.0),
        lambda xp, t, x: (xp.cos(np.pi * x), t),
        lambda xp, z, u, d: d(0) + u * d(1) + 0.022**2 * d(1, 1, 1),
        periodic=True,
    ),
    "convection": _convection(50.0),
    "advection": _convection(100.0),
}


def features(work: Work, xp: Any, z: list, options: dict) -> list:
    """The inputs of the network at the coordinates z."""
    *rest, x = [(2 * a - lo - up) / (up - lo) for a, lo, up in zip(z, work.lower, work.upper, strict=True)]
    rest = rest if work.steady else [options["time_scale"] * rest[0]]
    if not work.periodic:
        return [*rest, x]
    harmonics = range(1, options["harmonics"] + 1)
    return [*rest, *(wave(k * np.pi * x) for wave in (xp.sin, xp.cos) for k in harmonics)]


def num_features(work: Work, options: dict) -> int:
    return 1 + (2 * options["harmonics"] if work.periodic else 1)


def mirrored(work: Work, z: list) -> list:
    """The point on the other side of the middle of the last axis."""
    return [*z[:-1], work.lower[-1] + work.upper[-1] - z[-1]]


class Stopwatch:
    """Says when to predict: `RECORDS` times in the given seconds, of which pauses are no part."""

    def __init__(self, seconds: float):
        self.seconds, self.paused, self.due, self.begin = seconds, 0.0, 0.0, time.perf_counter()

    def elapsed(self) -> float:
        return time.perf_counter() - self.begin - self.paused

    def is_due(self) -> bool:
        return self.elapsed() >= self.due

    def pause(self, act: Callable[[], Any]) -> Any:
        """`act()`, whose time does not count."""
        start = time.perf_counter()
        result = act()
        self.paused += time.perf_counter() - start
        self.due = self.elapsed() + self.seconds / RECORDS
        return result


def jax_field(work: Work, options: dict, key: Any) -> Any:
    """The ansatz around a network of one point as an Equinox module: an MLP, or sines of random frequencies."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    class Net(eqx.Module):
        frequencies: jax.Array | None
        layers: Any

        def __call__(self, z):
            z = list(z)
            n = 0.5 * (self.network(z) - self.network(mirrored(work, z))) if work.odd else self.network(z)
            g, D = work.lift(jnp, *z)
            return (g + D * n)[None]

        def network(self, z):
            inputs = jnp.stack(features(work, jnp, z, options))
            frequencies = fixed if self.frequencies is None else self.frequencies
            if frequencies is not None:
                phases = 2 * np.pi * frequencies @ inputs
                inputs = jnp.concatenate([jnp.sin(phases), jnp.cos(phases)])
            return self.layers(inputs)[0]

    inputs, waves, fixed = num_features(work, options), options["waves"], None
    if waves:
        wave_key, key = jax.random.split(key)
        frequencies = options["wave_scale"] * jax.random.normal(wave_key, (waves, inputs))
        fixed = None if options["learned_waves"] else frequencies
        return Net(frequencies if options["learned_waves"] else None, eqx.nn.Linear(2 * waves, 1, key=key))
    return Net(None, eqx.nn.MLP(inputs, 1, options["width"], options["depth"], jnp.tanh, key=key))


def jinns(work: Work, options: dict, points: np.ndarray, natural: bool = False) -> dict:
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


def deepxde(work: Work, options: dict, points: np.ndarray) -> dict:
    """Adam with points drawn again every hundred steps, then L-BFGS until the time is over."""
    import os

    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde as dde
    import torch

    dde.config.set_default_float("float64")
    dde.config.set_random_seed(options["seed"])
    inputs, waves = num_features(work, options), options["waves"]
    order = [0, 1] if work.steady else [1, 0]  # the time is DeepXDE's last coordinate
    split = lambda z: [z[:, i : i + 1] for i in order]

    class Net(dde.nn.FNN):
        def forward(self, inputs):
            z = split(inputs)
            n = 0.5 * (self.network(z) - self.network(mirrored(work, z))) if work.odd else self.network(z)
            g, D = work.lift(torch, *z)
            return g + D * n

        def network(self, z):
            inputs = torch.cat(features(work, torch, z, options), 1)
            if waves:
                phases = 2 * np.pi * inputs @ self.frequencies.T
                inputs = torch.cat([torch.sin(phases), torch.cos(phases)], 1)
            return super().forward(inputs)

    def equation(z, u):
        def d(*axes):
            f = u
            for axis in axes:
                f = dde.grad.jacobian(f, z, i=0, j=order[axis])
            return f

        return work.residual(torch, split(z), u, d)

    soft, weights = [], [1.0]
    if work.steady:
        space = dde.geometry.Rectangle(list(work.lower), list(work.upper))
        data = dde.data.PDE(space, equation, [], num_domain=options["points"], train_distribution="pseudo")
    else:
        space = dde.geometry.Interval(work.lower[1], work.upper[1])
        domain = dde.geometry.GeometryXTime(space, dde.geometry.TimeDomain(0.0, 1.0))
        initial = 0
        if work.initial is not None:
            start = work.initial
            at_start = lambda z, on: on
            soft = [dde.icbc.IC(domain, lambda z: start(np, z[:, :1]), at_start)]
            weights, initial = [1.0, options["initial_weight"]], 256
        data = dde.data.TimePDE(
            domain, equation, soft, num_domain=options["points"], num_initial=initial, train_distribution="pseudo"
        )
    sizes = [2 * waves, 1] if waves else [inputs, *[options["width"]] * options["depth"], 1]
    net = Net(sizes, "tanh", "Glorot normal")
    if waves:
        frequencies = options["wave_scale"] * torch.randn(waves, inputs)
        net.frequencies = torch.nn.Parameter(frequencies) if options["learned_waves"] else frequencies
    model = dde.Model(data, net)
    clock, seen = Stopwatch(options["seconds"]), []

    class Look(dde.callbacks.Callback):
        until = 0.0

        def on_epoch_end(self):
            if clock.is_due() or clock.elapsed() >= self.until:
                now = clock.elapsed()
                seen.append((now, clock.pause(lambda: model.predict(points[:, order])[:, 0].copy())))
            self.model.stop_training = clock.elapsed() >= self.until

    look = Look()
    resample = dde.callbacks.PDEPointResampler(period=100)
    quiet: dict[str, Any] = {"display_every": 10**9, "verbose": 0}
    model.compile("adam", lr=1e-3, loss_weights=weights, verbose=0)
    clock.begin, look.until = time.perf_counter(), 0.2 * options["seconds"]
    model.train(iterations=10**9, callbacks=[look, resample], **quiet)
    dde.optimizers.config.set_LBFGS_options(maxiter=10**9, gtol=0.0)
    dde.optimizers.config.LBFGS_options.update(iter_per_step=20, fun_per_step=25)
    model.compile("L-BFGS", loss_weights=weights, verbose=0)
    look.until = options["seconds"]
    model.train(callbacks=[look], **quiet)
    return {
        "seconds": [now for now, _ in seen],
        "predictions": [prediction for _, prediction in seen],
        "compile": 0.0,
        "steps": int(model.train_state.step),
        "parameters": net.num_trainable_parameters(),
        "optimizer": "Adam, then L-BFGS",
        "packages": ("deepxde", "torch"),
    }


def jno(work: Work, options: dict, points: np.ndarray) -> dict:
    """Self-scaled Broyden on a cloud of fixed points, time being one more coordinate."""
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


LIBRARIES = {
    "jinns": jinns,
    "jinns_ngd": lambda *given: jinns(*given, natural=True),
    "deepxde": deepxde,
    "jno": jno,
}


def main(library: str, problem: str, options: str, reference: str, out: str) -> None:
    points = np.load(reference)["z"]
    found = LIBRARIES[library](WORKS[problem], json.loads(options), points)
    np.savez(out, seconds=found.pop("seconds"), predictions=np.array(found.pop("predictions")))
    found["versions"] = {name: metadata.version(name) for name in found.pop("packages")}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
