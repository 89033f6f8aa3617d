"""Worker processes: each makes whole shards, one after the other, for the process that started it.

XLA is held to one thread and to the CPU, so that the bytes of a sample depend neither on the number of cores nor on
that of processes. (`NPROC=1` does this; `--xla_cpu_multi_thread_eigen` and `intra_op_parallelism_threads` do not.)
A worker reads its jobs as lines of JSON; when they end, because its parent has died, so does it.
"""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Message = dict[str, Any]
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from data_gen.work import serve; serve()"
_ENVIRONMENT = {"NPROC": "1", "JAX_PLATFORMS": "cpu", "JAX_THREEFRY_PARTITIONABLE": "1", "JAX_ENABLE_X64": "1"}
_ENVIRONMENT |= {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
_REMOVED = ("XLA_", "JAX_")  # names that begin so may change the bytes
_CACHE = "JAX_COMPILATION_CACHE_DIR"


class WorkerDied(RuntimeError):
    """A worker ended without a word."""


class Workers:
    """Processes that make shards. A context manager: at its end, however it comes, no worker is left.

    `setup` is the first message to each: the configuration of the data set, and where it is written.
    """

    def __init__(self, count: int, setup: Message):
        self._messages: queue.Queue[tuple[int, Message]] = queue.Queue()
        self._processes: list[subprocess.Popen] = []
        self._count, self._setup = count, setup

    def __enter__(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_REMOVED)}
        environment = kept | _ENVIRONMENT
        if _CACHE in os.environ:  # programs for one thread are others than those of other processes
            environment[_CACHE] = str(Path(os.environ[_CACHE]) / "one_thread")
        command = [sys.executable, "-c", _START, json.dumps([path or os.getcwd() for path in sys.path])]
        try:
            for number in range(self._count):
                # In a session of its own, a worker is not reached by the Ctrl-C of a terminal.
                pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
                process = subprocess.Popen(command, env=environment, **pipe)
                self._processes.append(process)
                threading.Thread(target=self._listen, args=(number, process), daemon=True).start()
                self._send(number, self._setup)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()

    def run(self, jobs: Sequence[Message]) -> Iterator[Message]:
        """Give the jobs to the workers in turn; yields what they report, with the number of the worker.

        Raises:
            WorkerDied: if a worker ended without saying why.
        """
        waiting, busy = list(reversed(jobs)), 0
        for number in range(len(self._processes)):
            if waiting:
                self._send(number, waiting.pop())
                busy += 1
        while busy:
            number, message = self._next()
            if "ended" in message:
                code = message["ended"]
                hint = " (was there enough memory?)" if code == -9 else ""
                raise WorkerDied(f"worker {number} ended with code {code}{hint}; the same command goes on.")
            if message.get("done"):
                busy -= 1
                if waiting:
                    self._send(number, waiting.pop())
                    busy += 1
            yield message | {"worker": number}

    def _next(self):
        while True:
            try:
                return self._messages.get(timeout=1.0)  # not for ever: a signal must come through
            except queue.Empty:
                continue

    def _send(self, number, message):
        stream = self._processes[number].stdin
        assert stream is not None
        try:
            stream.write(json.dumps(message) + "\n")
            stream.flush()
        except BrokenPipeError:
            pass  # it has ended, which `_listen` tells

    def _listen(self, number, process):
        for line in process.stdout:
            self._messages.put((number, json.loads(line)))
        self._messages.put((number, {"ended": process.wait()}))


def serve() -> None:
    """What a worker does: read the setup and the jobs from stdin, write what became of them to stdout."""
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed must not mix with the reports
    jobs: queue.Queue[Message] = queue.Queue()

    def read():
        for line in sys.stdin:
            jobs.put(json.loads(line))
        os._exit(1)  # the parent has gone: nothing more is written

    def report(message: Message):
        reports.write(json.dumps(message) + "\n")
        reports.flush()

    threading.Thread(target=read, daemon=True).start()
    setup = jobs.get()
    try:
        handle = _handler(setup, report)
        while True:
            job = jobs.get()
            report(handle(job) | {"done": True})
    except Exception as error:  # told to the parent, which ends all workers
        report(_told(error, setup))


def _handler(setup: Message, report: Callable[[Message], None]) -> Callable[[Message], Message]:
    import jax

    from lagrangian_ml.config import Targets, build_group
    from lagrangian_ml.training.precision import set_precision

    from . import manifest
    from .shard import ShardMaker, measure
    from .write import Plan, temporary, write_shard

    set_precision("float64")
    jax.config.update("jax_threefry_partitionable", True)
    config, directory = setup["config"], Path(setup["directory"])
    Targets(config["modules"]).import_modules()
    recipe = build_group(config, "dataset")
    if setup["measure"]:
        return lambda job: measure(recipe, config["seed"])
    plan = Plan(config["num_samples"], setup["shard_size"])
    maker = ShardMaker(recipe, config["seed"], plan)

    def handle(job: Message) -> Message:
        number, tag = job["shard"], setup["tag"]
        shard = maker.make(number, lambda samples: report({"samples": samples}))
        entry = {
            "shard": number,
            "samples": [plan.samples(number).start, plan.samples(number).stop],
            "recipe": setup["recipe"],
            "seed": config["seed"],
            "files": write_shard(directory, recipe, plan, number, shard.arrays, tag),
            "moments": shard.moments,
            "quality": shard.quality,
            "redrawn": shard.redrawn,
        }
        manifest.write_pending(directory, entry, temporary(directory, number, tag))
        return {"shard": number}

    return handle


def _told(error: Exception, setup: Message) -> Message:
    """What the parent is told of an error: whose mistake it is, and the message."""
    from lagrangian_ml.config import ConfigError

    from .shard import Rejected

    if isinstance(error, ConfigError | Rejected):
        return {"error": str(error), "kind": "mistake"}
    if isinstance(error, OSError):
        return {"error": error.strerror or str(error), "kind": "disk", "errno": error.errno}
    import traceback

    traceback.print_exc()
    lines = str(error).strip().splitlines()
    return {"error": f"{type(error).__name__}: {lines[0] if lines else ''}", "kind": "failure"}
