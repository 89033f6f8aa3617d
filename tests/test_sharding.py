"""One device and many give the same fit: samples shared out over eight, in one subprocess of its own."""

import json
import os
import subprocess
import sys

import jax
import pytest

from lagrangian_ml.training import make_mesh
from lagrangian_ml.training.mesh import check_mesh

CHECK = """
import json, tempfile, warnings
import equinox as eqx, jax, jax.numpy as jnp, numpy as np, optax
from lagrangian_ml.core import Term
from lagrangian_ml.optimizers import LevenbergMarquardt
from lagrangian_ml.training import Checkpoints, begin, fit, make_mesh, set_precision
from lagrangian_ml.training.manifest import leaf_sums
from lagrangian_ml.training.mesh import share_out

set_precision("float64")


class Points(eqx.Module):
    odd: int = 12

    def init(self, key):
        return key

    def next(self, key, model, objective):
        key, inner, edge = jax.random.split(key, 3)
        draw = lambda key, n: jax.random.uniform(key, (n, 1), minval=-1.0, maxval=1.0)
        return {"equation": draw(inner, 64), "boundary": jnp.sign(draw(edge, self.odd))}, key


def equation(u, x):  # u'' = -pi^2 sin(pi x)
    first = lambda x: jax.jvp(u, (x,), (jnp.ones_like(x),))[1]
    return jax.jvp(first, (x,), (jnp.ones_like(x),))[1] + jnp.pi**2 * jnp.sin(jnp.pi * x)


objective = {"equation": Term(equation), "boundary": Term(lambda u, x: u(x), weight=10.0)}
model = eqx.nn.MLP(1, 1, 12, 2, activation=jnp.tanh, key=jax.random.key(0))

def leaves(optimizer, mesh):
    result = fit(model, objective, Points(), optimizer, num_steps=20, key=jax.random.key(1), mesh=mesh)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(result.model, eqx.is_array))], result


report = {"devices": jax.device_count()}
for name, optimizer in {"adam": optax.adam(1e-3), "levenberg_marquardt": LevenbergMarquardt()}.items():
    one, first = leaves(optimizer, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        many, last = leaves(optimizer, make_mesh())
    texts = [str(warning.message) for warning in caught]
    adam = leaf_sums(last.model) if name == "adam" else adam
    size = lambda arrays: float(np.sqrt(sum((a**2).sum() for a in arrays)))
    moved = [a - b for a, b in zip(one, jax.tree.leaves(eqx.filter(model, eqx.is_array)))]
    report[name] = {
        "difference": size([a - b for a, b in zip(one, many)]) / size(one),
        "moved": size(moved) / size(one),
        "loss": [first.history[-1]["loss"], last.history[-1]["loss"]],
        "warned": sum("12] samples of 'boundary' do not divide over 8" in text for text in texts),
        "devices": len(last.model.layers[0].weight.sharding.device_set),
    }
batch, _ = Points().next(jax.random.key(2), model, objective)
laid = jax.jit(lambda batch: share_out(batch, make_mesh()))(batch)
report["shards"] = {name: laid[name].addressable_shards[0].data.shape[0] for name in laid}
with tempfile.TemporaryDirectory() as folder, Checkpoints(folder) as checkpoints:
    options = {"key": jax.random.key(1), "mesh": make_mesh()}
    half = fit(model, objective, Points(), optax.adam(1e-3), num_steps=10, **options)
    checkpoints.save(half.state)
    state = checkpoints.restore(begin(model, Points(), optax.adam(1e-3), key=jax.random.key(0)))
    whole = fit(model, objective, Points(), optax.adam(1e-3), num_steps=20, state=state, **options)
report["resumed"] = leaf_sums(whole.model) == adam
report["two"] = make_mesh(2).shape["batch"]
print(json.dumps(report))
"""


@pytest.fixture(scope="module")
def report():
    flags = "--xla_force_host_platform_device_count=8 " + os.environ.get("XLA_FLAGS", "")
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("optimizer", ["adam", "levenberg_marquardt"])
def test_twenty_steps_agree(report, optimizer):
    found = report[optimizer]
    assert report["devices"] == found["devices"] == 8
    assert found["moved"] > 1e-3 and found["difference"] < 1e-8
    assert abs(found["loss"][0] - found["loss"][1]) <= 1e-8 * found["loss"][0]


def test_samples_are_shared_out_and_what_does_not_divide_is_told_once(report):
    assert report["shards"] == {"equation": 8, "boundary": 12} and report["two"] == 2
    assert report["adam"]["warned"] == 1


def test_a_run_on_a_mesh_resumes_with_the_same_bits(report):
    assert report["resumed"]


@pytest.mark.parametrize("batch", [0, -2, 10**6])
def test_a_mesh_of_devices_that_are_not_there(batch):
    with pytest.raises(ValueError, match=f"mesh.batch={batch}: allowed are 1 to"):
        make_mesh(batch)


def test_a_mesh_whose_axes_are_explicit_is_refused():
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Explicit,))
    with pytest.raises(ValueError, match="'batch': 'Explicit'.*type Auto"):
        check_mesh(mesh)
