"""`lagrangian-ml doctor`: what a bug report needs, and whether the basics work here."""

import os
import platform
import tempfile
from pathlib import Path


def doctor() -> int:
    """Print one line for each check; returns 1 if one fails."""
    checks = {
        "python": lambda: f"{platform.python_version()} on {platform.platform()}",
        "versions": _versions,
        "configs": _configs,
        "devices": _devices,
        "float64": lambda: _arithmetic("float64"),
        "float32": lambda: _arithmetic("float32"),
        "run directory": _writes,
        "reference data": _references,
    }
    failed = 0
    for name, check in checks.items():
        try:
            print(f"{name:<16}{check()}", flush=True)
        except Exception as error:  # every check is reported, whatever is broken
            failed += 1
            print(f"{name:<16}FAILED: {type(error).__name__}: {error}".splitlines()[0], flush=True)
    return 1 if failed else 0


def _versions():
    from ..training.record import environment

    found = environment()
    names = [f"{name} {version}" for name, version in found["versions"].items() if name != "python"]
    return ", ".join(names + ([f"commit {found['commit']}"] if found["commit"] else []))


def _configs():
    from ..config.folders import builtin_folder, options

    folder = builtin_folder()
    return f"{len(options('experiment', (folder,)))} experiments in {folder}"


def _devices():
    import jax

    from ..training.record import environment

    found = environment()
    kinds = f"{len(found['devices'])} × {', '.join(sorted(set(found['devices'])))} ({jax.default_backend()})"
    return f"{kinds}, {jax.process_count()} process, {found['cores']} CPU cores"


def _arithmetic(precision):
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(precision == "float64"), jax.default_matmul_precision("highest"):
        matrix = jnp.linspace(0.0, 1.0, 64).reshape(8, 8) + jnp.eye(8)
        residual = float(jax.jit(lambda a: jnp.max(jnp.abs(a @ jnp.linalg.inv(a) - jnp.eye(8))))(matrix))
    if matrix.dtype != precision or not residual < 1e4 * float(jnp.finfo(precision).eps):
        raise ArithmeticError(f"arrays are {matrix.dtype}, A inv(A) - 1 = {residual:.1e}")
    slow = precision == "float64" and jax.default_backend() == "tpu"
    return f"works, rounding {residual:.0e}" + (" (emulated and slow on TPUs: prefer float32)" if slow else "")


def _writes():
    folder = Path("runs") if Path("runs").is_dir() else Path()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"x" * 1024)
        file.flush()
        os.fsync(file.fileno())
    return f"{folder.resolve()} can be written"


def _references():
    from ..domains.files import FOLDER

    folder = os.environ.get(FOLDER)
    if not folder:
        return f"${FOLDER} is not set (optional)"
    files = sorted(path.name for path in Path(folder).glob("*.npz"))
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"${FOLDER}={folder} is not a folder")
    return f"{folder}: {', '.join(files) or 'no .npz files'}"
