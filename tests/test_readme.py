"""The README's Python runs as it stands, and the user's own equation is as short as it says."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

README = Path(__file__).parent.parent / "README.md"


def test_the_users_own_equation_is_solved_in_at_most_twenty_lines():
    script, solver, tube, cloud, maps, throw = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert sum(bool(line.strip()) for line in script.splitlines()) <= 20
    with jax.numpy_rank_promotion("allow"):
        namespace: dict = {}
        assert "num_steps=99" in script
        exec(compile(script.replace("num_steps=99", "num_steps=25"), "README", "exec"), namespace)
        assert namespace["task"].errors(namespace["result"].model)["relative_l2"] < 5e-3
        exec(compile(solver, "README", "exec"), namespace)
        exec(compile(tube, "README", "exec"), namespace)
        exec(compile(cloud, "README", "exec"), namespace)
        exec(compile(maps, "README", "exec"), namespace)
        exec(compile(throw, "README", "exec"), namespace)
    truth, x = namespace["problem"].reference, jnp.linspace(-1, 1, 257)[:-1, None]
    exact = jax.vmap(lambda x: truth(1.0, x))(x)[:, 0]
    np.testing.assert_allclose(namespace["u"][-1, 0], exact, atol=1e-8)
    sod, cells = namespace["sod"], namespace["tube"].points.T
    density = jax.vmap(lambda x: sod(0.2, x))(cells)[:, 0]
    assert float(jnp.mean(jnp.abs(namespace["gas"][0, 0] - density))) < 4e-3
    assert 0.4 < float(namespace["value"]) < 1 and bool(jnp.isfinite(namespace["slope"]).all())
    assert namespace["log_rho"].shape == (100,) and namespace["v"].shape == (100, 2)
    coarse, fine, many = (namespace[name] for name in ("coarse", "fine", "many"))
    assert fine.shape == (1, 256) and many.shape == (2, 1, 64)
    np.testing.assert_allclose(many[0], coarse, atol=1e-5)
    assert all(bool(jnp.all(jnp.isfinite(namespace[name]))) for name in ("log_rho", "v"))
