"""Fourier neural operators of others on the same work as ours: `train(steps)` and `infer(batches)`, in float32.

Every maker takes a `Case` and returns (train, infer, num_parameters); both functions wait for their results. The loss
is the mean of the samples' relative L2 errors, the optimizer Adam with 1e-3. Positions are inputs of all networks.
"""

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """Values (batch, 1, *shape), and the network: kept modes of every axis, width, four layers."""

    shape: tuple[int, ...]
    modes: int
    width: int
    batch: int

    def arrays(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((self.batch, 1, *self.shape)).astype(np.float32)
        return x, np.tanh(x)


def _torch_work(net, case, positions):
    import torch

    torch.set_num_threads(2)
    x, y = (torch.from_numpy(a) for a in case.arrays())
    if positions:
        axes = torch.meshgrid(*(torch.arange(n) / n for n in case.shape), indexing="ij")
        x = torch.cat([x, torch.stack(axes)[None].expand(case.batch, *[-1] * (1 + len(axes)))], 1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            error, size = (torch.linalg.vector_norm(a.flatten(1), dim=1) for a in (net(x) - y, y))
            loss = (error / size).mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    def infer(batches):
        with torch.inference_mode():
            return float(torch.cat([net(x) for _ in range(batches)])[-1, 0].sum())

    size = sum(p.numel() * (2 if p.is_complex() else 1) for p in net.parameters())
    return train, infer, size


def neuraloperator(case: Case, channel_mlp: bool):
    """Of the neuraloperator library, whose `n_modes` count both signs."""
    from neuralop.models import FNO

    modes = (2 * case.modes,) * len(case.shape)
    net = FNO(modes, 1, 1, case.width, n_layers=4, use_channel_mlp=channel_mlp)
    return _torch_work(net, case, positions=False)  # it adds them itself


def torch_twin(case: Case, approximate: str):
    """The architecture of ours in torch: FFT, complex weights, 1 × 1 convolutions, channels first."""
    import torch
    from torch import nn

    dim, m, w = len(case.shape), case.modes, case.width
    conv = nn.Conv1d if dim == 1 else nn.Conv2d
    gelu = nn.GELU(approximate=approximate)

    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            blocks = 2 ** (dim - 1)
            self.weight = nn.Parameter(torch.rand(blocks, w, w, *(m,) * dim, dtype=torch.cfloat) / w**2)

        def forward(self, v):
            axes = list(range(2, 2 + dim))
            modes = torch.fft.rfftn(v, dim=axes)
            out = torch.zeros(v.shape[0], w, *modes.shape[2:], dtype=torch.cfloat)
            if dim == 1:
                out[..., :m] = torch.einsum("bck,cok->bok", modes[..., :m], self.weight[0])
            else:
                for part, weight in zip((slice(m), slice(-m, None)), self.weight, strict=True):
                    out[:, :, part, :m] = torch.einsum("bckl,cokl->bokl", modes[:, :, part, :m], weight)
            return torch.fft.irfftn(out, s=case.shape, dim=axes)

    class FNO(nn.Module):
        def __init__(self):
            super().__init__()
            self.lift, self.first, self.second = conv(1 + dim, w, 1), conv(w, 128, 1), conv(128, 1, 1)
            self.spectral = nn.ModuleList(Spectral() for _ in range(4))
            self.local = nn.ModuleList(conv(w, w, 1) for _ in range(4))

        def forward(self, v):
            v = self.lift(v)
            for k, (spectral, local) in enumerate(zip(self.spectral, self.local, strict=True)):
                v = spectral(v) + local(v)
                v = gelu(v) if k < 3 else v
            return self.second(gelu(self.first(v)))

    return _torch_work(FNO(), case, positions=True)


def jax_work(net, case: Case, positions: bool):
    """`train` and `infer` of a network of one sample in JAX, compiled, with arguments that are overwritten."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    x, y = (jnp.asarray(a) for a in case.arrays())
    if positions:
        axes = jnp.stack(jnp.meshgrid(*(jnp.arange(n) / n for n in case.shape), indexing="ij"))
        x = jnp.concatenate([x, jnp.broadcast_to(axes, (case.batch, *axes.shape))], 1)
    optimizer = optax.adam(1e-3)
    arrays, static = eqx.partition(net, eqx.is_inexact_array)
    size = sum(a.size * (2 if jnp.iscomplexobj(a) else 1) for a in jax.tree.leaves(arrays))
    state = {"net": arrays, "optimizer": optimizer.init(arrays)}

    def loss(arrays):
        error = jax.vmap(eqx.combine(arrays, static))(x) - y
        norm = lambda a: jnp.sqrt(jnp.sum(a.reshape(a.shape[0], -1) ** 2, axis=1))
        return jnp.mean(norm(error) / norm(y))

    @jax.jit
    def run(arrays):
        return jax.vmap(eqx.combine(arrays, static))(x)

    def step(state):
        value, slope = jax.value_and_grad(loss)(state["net"])
        updates, optimizer_state = optimizer.update(slope, state["optimizer"], state["net"])
        return {"net": optax.apply_updates(state["net"], updates), "optimizer": optimizer_state}, value

    step = jax.jit(step, donate_argnums=0)

    def train(steps):
        nonlocal state
        for _ in range(steps):
            state, value = step(state)
        return float(value)

    def infer(batches):
        return float(jnp.concatenate([run(state["net"]) for _ in range(batches)])[-1, 0].sum())

    return train, infer, size


def pdequinox(case: Case, approximate: bool):
    """`ClassicFNO` of pdequinox, whose modes are counted as ours."""
    from functools import partial

    import jax
    from pdequinox.arch import ClassicFNO

    dim = len(case.shape)
    net = ClassicFNO(
        dim, 1 + dim, 1, hidden_channels=case.width, num_modes=case.modes, num_blocks=4,
        activation=partial(jax.nn.gelu, approximate=approximate), key=jax.random.key(0),
    )  # fmt: skip
    return jax_work(net, case, positions=True)


def ours(case: Case, backend: str):
    """As the package runs it: steps in chunks of one compiled program, as `fit` has them, and `predict`."""
    from functools import partial

    import jax
    import jax.numpy as jnp
    import optax

    from lagrangian_ml.core import partition
    from lagrangian_ml.domains import ArraySource
    from lagrangian_ml.methods import operator_regression
    from lagrangian_ml.methods.operator_regression import predict
    from lagrangian_ml.operators import FNO, OperatorProblem, Pairs
    from lagrangian_ml.training.chunk import compile_chunk
    from lagrangian_ml.training.state import as_optimizer, begin

    pairs = Pairs(*(jnp.asarray(a) for a in case.arrays()))
    net = partial(FNO, modes=case.modes, width=case.width, backend=backend)
    batches = partial(ArraySource, batch_size=case.batch)
    task = operator_regression(OperatorProblem(pairs), net, batches, normalise=False, key=jax.random.key(0))
    optimizer = as_optimizer(optax.adam(1e-3))
    state = begin(task.model, task.source, optimizer, key=jax.random.key(0))
    state, advance = compile_chunk(state, task.objective, task.source, optimizer, None)
    size = sum(a.size for a in jax.tree.leaves(partition(task.model)[0]))
    done = 0

    def train(steps):
        nonlocal state, done
        done += steps
        state, info, _ = advance(state, done)
        return info["loss"]

    def infer(batches):
        inputs = jnp.concatenate([pairs.inputs] * batches)
        return float(predict(state.model, inputs, batch_size=case.batch)[-1, 0].sum())

    return train, infer, size


def ours_by_steps(case: Case):
    """The network of ours in a loop as others have it."""
    import jax

    from lagrangian_ml.operators import FNO

    shape = (1, *case.shape)
    return jax_work(FNO(shape, shape, modes=case.modes, width=case.width, key=jax.random.key(0)), case, positions=False)
