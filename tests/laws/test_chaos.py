"""The largest Lyapunov exponent of the Kuramoto–Sivashinsky equation: a number that no single trajectory shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from spectral_parts import banded, periodic

from lagrangian_ml import equations as eqs
from lagrangian_ml.solvers import ETDRK


@pytest.mark.slow
def test_the_largest_lyapunov_exponent_of_kuramoto_and_sivashinsky():
    """0.048 on a line of length 22 (Cvitanović, Davidchack & Siminos 2010): the growth of tangents, mean of 32 runs."""
    grid, dt, between = periodic(32, length=22.0), 0.1, 20
    step = ETDRK(eqs.KuramotoSivashinsky(), grid, dt)
    start = jnp.stack([banded(grid, key=key) for key in range(32)])
    tangents = jnp.stack([banded(grid, key=100 + key) for key in range(32)])
    modes, tangents = (jax.vmap(lambda u: step.init(u).modes)(u) for u in (start, tangents))
    advance = lambda modes: step(type(step.init(start[0]))(modes, jnp.zeros(()))).modes

    def stretch(carry, _):
        many = lambda modes: jax.lax.fori_loop(0, between, lambda _, m: advance(m), modes)
        modes, tangent = jax.jvp(many, carry[:1], carry[1:])
        size = jnp.linalg.norm(tangent)
        return (modes, tangent / size), jnp.log(size)

    @jax.jit
    @jax.vmap
    def growth(modes, tangent):
        return jax.lax.scan(stretch, (modes, tangent), length=2100)[1]

    rates = np.asarray(growth(modes, tangents))[:, 100:].mean(axis=1) / (between * dt)
    assert abs(rates.mean() - 0.048) <= 0.003
