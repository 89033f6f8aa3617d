"""DeepXDE, with torch, on the problems of `pinn_table.py`: Adam for a fifth of the seconds and L-BFGS after that."""

import os
import time
from typing import Any

import numpy as np
from pinn_problems import Stopwatch, Work, features, mirrored, num_features


def train(work: Work, options: dict, points: np.ndarray) -> dict:
    """Adam with points drawn again every hundred steps, then L-BFGS until the time is over."""
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
