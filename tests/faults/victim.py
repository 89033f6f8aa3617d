"""A short training that saves every few steps, to be killed: `python victim.py DIRECTORY STEPS` starts or resumes it.

`small_problem` must be on the PYTHONPATH, as it is in the fixture `cached_environ`.
"""

import sys
from pathlib import Path

import jax
import optax
from small_problem import small_task

from lagrangian_ml.training import Trainer, run_task, set_precision

if __name__ == "__main__":
    set_precision("float64")
    directory, num_steps = Path(sys.argv[1]), int(sys.argv[2])
    run_task(
        small_task(every=7),  # so that the samples in a checkpoint matter
        optax.adam(1e-2),
        Trainer(num_steps, log_every=10, checkpoint_every=5),
        key=jax.random.key(11),
        directory=directory,
        resume=directory.exists(),
    )
