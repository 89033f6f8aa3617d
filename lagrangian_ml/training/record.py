"""The directory of a run: config, environment, metrics, checkpoints, figures, summary and STATUS."""

import contextlib
import fcntl
import json
import math
import os
import platform
import socket
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from ..domains.files import write_atomically

PACKAGES = (
    *("lagrangian-ml", "jax", "jaxlib", "numpy", "equinox", "optax", "diffrax", "orbax-checkpoint"),
    *("hydra-core", "omegaconf"),
)


class RunDirectory:
    """Reads and writes the files of a run; every write is atomic, and a full disk does not end a training.

    Paths: `.path`, `.checkpoints`, `.figures`, `.config` (config.yaml), `.metrics` (metrics.jsonl).
    """

    def __init__(self, path: str | Path):
        """Creates nothing; `locked()` makes the directory."""
        self.path = Path(path)
        self.checkpoints, self.figures = self.path / "checkpoints", self.path / "figures"
        self.config, self.metrics = self.path / "config.yaml", self.path / "metrics.jsonl"
        self._warned = False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the directory and let this process alone write here; the lock ends with the process, however it ends.

        Raises:
            RuntimeError: naming process and host of another run that is active here.
            OSError: if the directory cannot be made or written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path / ".lock", "a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RuntimeError(
                    f"{self.path} is in use by {file.read().strip() or 'another run'}. "
                    "Wait for it, end it, or choose another run directory."
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield
            file.truncate(0)

    def write_status(self, status: Literal["running", "finished", "failed", "interrupted"], reason: str = "") -> None:
        """STATUS holds the word and, on a second line, the reason; on a full disk it is overwritten in its place."""
        text = f"{status}\n{reason}\n" if reason else f"{status}\n"
        try:
            write_atomically(self.path / "STATUS", text)
        except OSError:
            with self._going_on("STATUS"):
                self.path.mkdir(parents=True, exist_ok=True)
                (self.path / "STATUS").write_text(text, encoding="utf-8")

    def status(self) -> tuple[str, str]:
        """(status, reason), or ("", "") where there is none."""
        try:
            word, _, reason = (self.path / "STATUS").read_text(encoding="utf-8").partition("\n")
        except OSError:
            return "", ""
        return word.strip(), reason.strip()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to metrics.jsonl."""
        with self._going_on("metrics.jsonl"), open(self.metrics, "a+b") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            torn = end > 0 and file.read(1) != b"\n"
            try:
                file.write(b"\n" * torn + json.dumps(_plain(record)).encode() + b"\n")
                file.flush()
            except OSError:
                os.ftruncate(file.fileno(), end)  # no torn line before the next one
                raise

    def records(self) -> list[dict]:
        """The records of metrics.jsonl; a torn line is passed over."""
        records = []
        for line in self.metrics.read_bytes().splitlines() if self.metrics.exists() else ():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return [record for record in records if isinstance(record, dict) and "step" in record]

    def cut(self, step: int) -> None:
        """Drop the records after `step`."""
        kept = [json.dumps(record) + "\n" for record in self.records() if record["step"] <= step]
        self.write_text("metrics.jsonl", "".join(kept))

    def write_environment(self, **entries: Any) -> None:
        """environment.json: versions, commit, devices, flags, cores, and `entries`; a resume is added to the first."""
        first, now = self.read_json("environment.json"), environment() | entries
        self.write_json("environment.json", first | {"resumed": [*first.get("resumed", []), now]} if first else now)

    def write_json(self, name: str, content: Any, *, needed: bool = False) -> None:
        """A JSON file, e.g. "summary.json" or "evaluation.json"; numbers that are not finite become null."""
        self.write_text(name, json.dumps(_plain(content), indent=2) + "\n", needed=needed)

    def read_json(self, name: str) -> Any:
        """The content of a JSON file; {} where there is none."""
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}

    def write_text(self, name: str, text: str, *, needed: bool = False) -> None:
        """A text file, e.g. "config.yaml". If it cannot be written: a warning, or an OSError where it is `needed`."""
        with self._going_on(name, needed):
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / name, text)

    @contextlib.contextmanager
    def _going_on(self, name, needed=False):
        try:
            yield
        except OSError as error:
            told = f"{self.path / name} could not be written ({error.strerror or error})"
            if needed:
                raise OSError(f"{told}; make room, then run or resume it.") from error
            if not self._warned:
                warnings.warn(f"{told}; going on.", stacklevel=4)
            self._warned = True


def environment() -> dict[str, Any]:
    """What a result depends on besides its config."""
    import jax

    found = {package: _version(package) for package in PACKAGES}
    return {
        "versions": {"python": platform.python_version()} | {k: v for k, v in found.items() if v},
        "commit": _commit(Path(__file__).resolve().parents[2]),
        "platform": platform.platform(),
        "devices": [device.device_kind for device in jax.devices()],
        "float64": bool(jax.config.jax_enable_x64),  # pyright: ignore[reportAttributeAccessIssue]
        "flags": {name: value for name, value in os.environ.items() if name == "XLA_FLAGS" or name.startswith("JAX_")},
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "host": socket.gethostname(),
    }


def _version(package):
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None


def _commit(root):
    """The commit of the checkout the package stands in, with "+changes" if files differ; None when installed."""
    if not (root / ".git").exists():
        return None
    git = lambda *words: subprocess.check_output(
        ["git", "-C", str(root), *words], text=True, stderr=subprocess.DEVNULL, timeout=10
    )
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return git("rev-parse", "HEAD").strip() + ("+changes" if git("status", "--porcelain").strip() else "")
    return None


def _plain(value):
    """JSON's types only; arrays become numbers or lists, and what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
