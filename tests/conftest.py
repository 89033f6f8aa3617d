"""The suite's settings: float64, no implicit rank promotion, one core for each worker, and reference data of others."""

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

TESTS = Path(__file__).parent

os.environ.setdefault("MPLBACKEND", "agg")
# Much of the suite's time goes to XLA's compiler: what runs for milliseconds is compiled without optimization, and by
# the emitters that need half the time (a flag that other versions may not know, which would end the process).
# XLA_FLAGS= (set to nothing) gives the code that users run.
FLAGS = ["--xla_backend_optimization_level=0"]
if jax.__version__.startswith("0.10."):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config: pytest.Config) -> None:
    """Give every worker its share of the cores: thread pools that all span the machine only disturb each other."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores, count = sorted(os.sched_getaffinity(0)), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        index = int(worker.removeprefix("gw"))
        os.sched_setaffinity(0, cores[index::count] or {cores[index % len(cores)]})


@pytest.fixture(autouse=True, scope="module")
def _frozen() -> None:
    """What earlier modules leave, caches of compiled functions above all, is not searched for garbage again."""
    gc.freeze()


@pytest.fixture
def float32() -> Iterator[None]:
    """The test runs in single precision; a whole file by `pytestmark = pytest.mark.usefixtures("float32")`."""
    with jax.enable_x64(False):
        yield


@pytest.fixture
def strict_dtypes() -> Iterator[None]:
    """The test forbids arrays of different types to meet; not for complex fields, nor for oracles."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(scope="session")
def reference_file() -> Callable[[str], Path]:
    """`reference_file("kdv.npz")` is the path of reference data made by others; without them the test is skipped."""
    folder = os.environ.get("LAGRANGIAN_ML_REFERENCE_DATA")

    def find(name: str) -> Path:
        if not folder:
            pytest.skip("LAGRANGIAN_ML_REFERENCE_DATA, the folder of reference data, is not set.")
        if not (Path(folder) / name).is_file():
            pytest.skip(f"{name} is not in LAGRANGIAN_ML_REFERENCE_DATA={folder}.")
        return Path(folder) / name

    return find


@pytest.fixture(scope="session")
def cached_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for child processes: they find the shared parts of tests, and share what XLA compiled.

    The cache lives as long as the session of one worker. A file torn by `kill -9` costs a warning and a compilation.
    """
    paths = os.pathsep.join(map(str, (TESTS, TESTS / "training", TESTS.parent)))
    return {**os.environ, "PYTHONPATH": paths, "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla"))}
