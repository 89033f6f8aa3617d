"""A short training that saves every few steps, to be killed: `python victim.py DIRECTORY` starts or resumes it."""

import sys
from pathlib import Path

import jax
import optax

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
from small_problem import small_task  # noqa: E402

from lagrangian_ml.training import Trainer, run_task, set_precision  # noqa: E402

NUM_STEPS = 150

if __name__ == "__main__":
    set_precision("float64")
    directory = Path(sys.argv[1])
    run_task(
        small_task(every=7),  # so that the samples in a checkpoint matter
        optax.adam(1e-2),
        Trainer(NUM_STEPS, log_every=10, checkpoint_every=5),
        key=jax.random.key(11),
        directory=directory,
        resume=directory.exists(),
    )
