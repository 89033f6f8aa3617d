"""What every stored result says about where it was measured."""

import importlib.metadata
import json
import os
import platform
import re
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("jax", "jaxlib", "equinox", "numpy", "optax", "scipy", "lagrangian-ml"),
    *("folx", "exponax", "flowjax", "taichi", "warp-lang"),
)


def store(name: str, results: dict) -> Path:
    """Write `results/NAME.json` with versions and the machine; returns its path."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    machine = {"cores": os.cpu_count(), "processor": _processor(), "python": platform.python_version()}
    about = {"date": time.strftime("%Y-%m-%d"), "versions": versions, "machine": machine}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps(about | results, indent=1)
    text = re.sub(r"\[[^\[\]{}\"]*\]", lambda numbers: " ".join(numbers.group().split()), text)  # a line for each list
    path.write_text(text + "\n")
    return path


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
