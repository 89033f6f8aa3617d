"""Every recipe that ships: it builds, fits together, and its short form has sound numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_gen.recipe import sample_key
from data_gen.shard import check
from data_gen.write import choose_shard_size, sample_bytes
from lagrangian_ml.config import build_group, load_config
from lagrangian_ml.config.folders import DATASET, config_folders, options

RECIPES = list(options("dataset", config_folders()))
FAMILIES = {  # those that differ in numbers only from one that is solved here
    "gray_scott_": "gray_scott_worms", "navier_stokes_fno": "navier_stokes_fno_1e5", "apebench_": "apebench_burgers",
    "burgers_": "burgers_pdebench", "kolmogorov": "kolmogorov",
}  # fmt: skip
SOLVED = [n for n in RECIPES if next((one for start, one in FAMILIES.items() if n.startswith(start)), n) == n]


def recipe_of(name, *overrides):
    return build_group(load_config([f"dataset={name}", "num_samples=1", *overrides], root=DATASET), "dataset")


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_builds_and_fits_together(name):
    recipe = recipe_of(name)
    check(recipe)  # raises where shapes or names do not fit
    assert hash(recipe) == hash(recipe) and sample_bytes(recipe) > 0 and recipe.num_updates > 0
    assert choose_shard_size(recipe) % recipe.block == 0
    assert recipe.times is None or len(recipe.times) == recipe.variables[0].shape[0]
    description = options("dataset", config_folders())[name]
    assert len(description) > 30


@pytest.mark.parametrize("name", SOLVED)
def test_the_first_steps_of_a_recipe_are_sound(name):
    recipe = recipe_of(name).shortened()
    solver = recipe.prepare()

    @jax.jit
    def sample(index):
        return recipe.solve(recipe.draw(sample_key(0, index)), solver=solver)

    outcome = sample(0)
    assert all(bool(jnp.isfinite(values).all()) for values in outcome.arrays.values())
    assert 0 <= float(outcome.courant) <= getattr(solver, "max_courant", np.inf)
    other = sample(1)
    assert any(bool(jnp.any(other.arrays[key] != values)) for key, values in outcome.arrays.items())


FINER = ["burgers_fno_paper", "apebench_burgers", "kuramoto_sivashinsky", "advection_pdebench", "darcy_fno_paper"]


@pytest.mark.parametrize("name", FINER)
def test_a_finer_grid_shows_the_same_sample(name):
    """Laws draw functions: at the points that two grids share (of cells: within a cell) they agree."""
    fine, coarse = (
        recipe_of(name, f"dataset.grid.shape={[n] * (2 if name.startswith('darcy') else 1)}") for n in (128, 64)
    )
    if name.startswith("darcy"):
        a, b = (np.asarray(r.draw(sample_key(0, 3)))[0] for r in (fine, coarse))
        assert np.mean(a.reshape(64, 2, 64, 2).mean(axis=(1, 3)) != b) < 0.15  # along the interface only
        return
    law = lambda r: r.initial(r.grid, key=sample_key(0, 3))[0]
    if fine.grid.centred:
        means = law(fine).reshape(-1, 2).mean(axis=1)
        assert float(jnp.max(jnp.abs(means - law(coarse)))) < 0.1
        return
    difference = np.abs(np.asarray(law(fine)[::2] - law(coarse)))
    scale = float(jnp.max(jnp.abs(law(fine))))
    assert difference.max() < 1e-2 * scale  # the modes that only the finer grid has
