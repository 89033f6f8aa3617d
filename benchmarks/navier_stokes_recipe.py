"""What a sample of the FNO Navier–Stokes recipes costs, and how far it is from a finer solution of the same sample.

The cost is in cell-updates, cells times steps, beside those of the public script of FNO (256², steps of 1e-4). The
finer solution has `--finer` times the points of the recipe on every axis and as many times its steps; all in float64.
Errors are relative L2 over the stored points, of all frames and of those after t = 0: the first frame is the initial
field cut off at the modes of the grid. `--settings 64x10` tries another grid and other steps a frame. What is stored
of other recipes is kept.
"""

import argparse
import json
import time

import jax
import numpy as np
from record import RESULTS, store

from data_gen.evolution import Evolution
from data_gen.recipe import sample_key
from lagrangian_ml.config import build_group, load_config
from lagrangian_ml.config.folders import DATASET

NAME = "navier_stokes_recipe"
SCRIPT_CELLS, SCRIPT_DT, STORED = 256**2, 1e-4, 64


def recipe_of(name: str, points: int, steps: int) -> Evolution:
    """A recipe on points × points with so many steps a frame; what is stored lies on the same points always."""
    changes = [f"dataset.grid.shape={[points, points]}", f"dataset.steps_per_frame={steps}"]
    return loaded(name, *changes, f"dataset.stride={points // STORED}")


def loaded(name: str, *changes: str) -> Evolution:
    return build_group(load_config([f"dataset={name}", "num_samples=1", *changes], root=DATASET), "dataset")


def solved(recipe: Evolution) -> tuple[np.ndarray, float, float]:
    """The stored frames (t, *s) of sample 0, its largest Courant number, and the seconds of the run."""
    solver = recipe.prepare()
    program = jax.jit(lambda inputs: recipe.solve(inputs, solver=solver))
    inputs = recipe.draw(sample_key(0, 0))
    program = program.lower(inputs).compile()
    start = time.perf_counter()
    outcome = jax.block_until_ready(program(inputs))
    return np.asarray(outcome.arrays["vorticity"])[:, 0], float(outcome.courant), time.perf_counter() - start


def relative(values: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(values - truth) / np.linalg.norm(truth))


def check(name: str, settings: list[tuple[int, int]], finer: int) -> list[dict]:
    """The cost and the error of a recipe, and of it with other settings."""
    own = loaded(name)
    settings = [(own.grid.shape[0], own.steps_per_frame), *settings]
    fine = recipe_of(name, *(finer * n for n in settings[0]))
    truth, _, seconds = solved(fine)
    print(f"{name}: truth on {fine.grid.shape[0]}², {fine.steps_per_frame} steps a frame, {seconds:.0f} s", flush=True)
    rows = []
    for points, steps in settings:
        recipe = recipe_of(name, points, steps)
        values, courant, seconds = solved(recipe)
        row = {
            "points": points, "steps_per_frame": steps, "finer": finer, "courant": courant, "seconds": seconds,
            "updates": recipe.num_updates, "script_updates": SCRIPT_CELLS * recipe.horizon / SCRIPT_DT,
            "error": relative(values, truth), "error_after_start": relative(values[1:], truth[1:]),
            "error_by_frame": [relative(a, b) for a, b in zip(values, truth)],
        }  # fmt: skip
        rows.append(row)
        print(
            f"  {points}², {steps} steps a frame: {row['updates']:.1e} updates, "
            f"{row['script_updates'] / row['updates']:.0f} times fewer than the script's; error {row['error']:.1e}, "
            f"after t = 0 {row['error_after_start']:.1e}; Courant number {courant:.2f}, {seconds:.1f} s",
            flush=True,
        )
    return rows


def setting(text: str) -> tuple[int, int]:
    points, steps = map(int, text.split("x"))
    return points, steps


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="navier_stokes_fno_1e3")
    parser.add_argument("--settings", type=setting, nargs="*", default=[], help="points an axis x steps a frame")
    parser.add_argument("--finer", type=int, default=4)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    stored = RESULTS / f"{NAME}.json"
    recipes = json.loads(stored.read_text())["recipes"] if stored.exists() else {}
    recipes[options.recipe] = check(options.recipe, options.settings, options.finer)
    print(store(NAME, {"dtype": "float64", "recipes": recipes}))
