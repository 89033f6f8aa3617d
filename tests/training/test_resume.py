"""Second-order steps, adaptive points and mini-batches are resumed with the bits of a run left alone."""

import dataclasses
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import optax
import pytest

from lagrangian_ml import LevenbergMarquardt, load_problem, pinn
from lagrangian_ml.core import Point, Samples
from lagrangian_ml.domains import (
    ArraySource,
    JoinedSource,
    ResidualAdaptive,
    ResidualAttention,
    RetainResampleRelease,
    collocation,
)
from lagrangian_ml.fields import MLP
from lagrangian_ml.optimizers import (
    MDMM,
    AugmentedLagrangian,
    Balanced,
    ConflictFree,
    Constraints,
    GaussNewton,
    GradientNorms,
    MultiAdam,
    QuasiNewton,
    ReLoBRaLo,
    soap,
)
from lagrangian_ml.training import Trainer, run_task
from lagrangian_ml.training.manifest import leaf_sums

KEY, ADAM, DATA = jax.random.key(7), optax.adam(1e-2), Constraints(equalities=["data"])
POINTS = partial(
    collocation, num_points=32, num_initial=8, num_boundary=8, adaptive=ResidualAdaptive(keep=0.5), resample_every=3
)


def adaptive_points():
    return pinn(load_problem("heat"), partial(MLP, width=4, depth=1), POINTS, key=KEY)


def with_attention():
    points = partial(POINTS, adaptive=RetainResampleRelease(), attention=ResidualAttention())
    return pinn(load_problem("heat"), partial(MLP, width=4, depth=1), points, key=KEY)


def with_mini_batches():
    x, t = jax.random.uniform(KEY, (12, 1)), jnp.linspace(0.0, 1.0, 12)
    data = Samples(Point(x, t), jnp.sin(jnp.pi * x))
    task = pinn(load_problem("heat"), partial(MLP, width=4, depth=1), POINTS, observations=data, key=KEY)
    return dataclasses.replace(task, source=JoinedSource((task.source.sources[0], ArraySource({"data": data}, 5))))


@pytest.mark.parametrize(
    "make, optimizer",
    [
        pytest.param(adaptive_points, LevenbergMarquardt(), marks=pytest.mark.slow),
        (with_mini_batches, ADAM),
        (with_attention, QuasiNewton(iterations=2)),
        pytest.param(with_attention, GaussNewton(damping=1e-4, momentum=0.9), marks=pytest.mark.slow),
        pytest.param(with_attention, soap(1e-2), marks=pytest.mark.slow),
        (with_mini_batches, MDMM(Balanced(MultiAdam(1e-2), ReLoBRaLo(key=KEY), every=3), DATA)),
        (with_mini_batches, AugmentedLagrangian(Balanced(ConflictFree(ADAM), GradientNorms(), every=3), DATA, every=3)),
    ],
)
def test_a_run_cut_between_two_redraws_ends_with_the_same_bits(tmp_path, make, optimizer):
    task = dataclasses.replace(make(), errors=lambda model: {}, figures=lambda *_: [])
    run = partial(run_task, task, optimizer, Trainer(8, log_every=8, checkpoint_every=4), key=KEY, directory=tmp_path)
    whole = run()
    shutil.rmtree(tmp_path / "checkpoints" / "8")
    resumed = run(resume=True)
    assert leaf_sums(resumed.state) == leaf_sums(whole.state)
    assert [record["step"] for record in resumed.history] == [8]
