"""The method `ftle`: nothing is trained, its field is the exponent, and problems that it cannot show are told."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml import load_problem
from lagrangian_ml.core import partition
from lagrangian_ml.equations import PassiveTransport, Saddle
from lagrangian_ml.flows import OdeFlow, lyapunov_exponents
from lagrangian_ml.methods import ftle

FLOW = partial(OdeFlow, num_steps=10)
KEY = jax.random.key(0)


@pytest.mark.slow
def test_a_saddle_is_judged_and_shown(tmp_path):
    problem = load_problem("double_gyre", equation=PassiveTransport(Saddle(0.5)), horizon=2.0)
    task = ftle(problem, FLOW, duration=1.0, shape=(20, 10), num_frames=2, num_tracers=5, key=KEY)
    errors = task.errors(task.model)
    assert set(errors) == {"forward_against_differences", "backward_against_differences"}
    assert max(errors.values()) < 1e-8
    at = jnp.asarray([0.3, 0.4])
    assert np.isclose(task.field(task.model)(jnp.asarray(0.5), at)[0], 0.5, rtol=0, atol=1e-6)
    assert lyapunov_exponents(task.model, 1.0, at[None], 0.5)[0] == task.field(task.model)(jnp.asarray(0.5), at)[0]
    names = [path.name for path in task.figures(task.model, [], tmp_path, "preset")]
    assert names == ["ftle.png", "ftle.pdf", "ftle.gif"] and all((tmp_path / name).is_file() for name in names)


def test_nothing_is_trained_and_what_cannot_be_shown_is_told():
    problem = load_problem("double_gyre")
    task = ftle(problem, FLOW, key=KEY)
    assert task.objective == {} and not jax.tree.leaves(partition(task.model)[0])
    with pytest.raises(ValueError, match=r"duration=16.0: from t = 15 it has to fit both ways into \[0, 30\]"):
        ftle(problem, FLOW, duration=16.0, key=KEY)
    with pytest.raises(ValueError, match=r"shape=\(8, 40\) needs 10 points"):
        ftle(problem, FLOW, shape=(8, 40), key=KEY)
    with pytest.raises(ValueError, match="prescribed velocity on a plane box; got Burgers on Box"):
        ftle(load_problem("burgers"), FLOW, key=KEY)
