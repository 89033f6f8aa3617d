"""`lagrangian-ml sweep`: every combination of the values given, one process a job, past failing jobs to a table.

Each job is a `run` of its own with a run directory of its own below that of the sweep, where `sweep.json` says how
every job ended and a log beside each job holds what it printed.
"""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError
from ..config.folders import check_choice, config_folders, is_group
from .report import table

ENDINGS = {0: "finished", 2: "mistake", 130: "interrupted", 143: "interrupted"}


def sweep(options: Any) -> int:
    """Run all jobs; returns 0 if every one finished, 1 if one failed, 128 + its number after a signal."""
    environment = dict(os.environ)
    os.environ["JAX_PLATFORMS"] = "cpu"  # this process only reads configurations: accelerators are the jobs'
    jobs = expand(options.overrides)
    problems = [_problem_of(job, options) for job in jobs]
    if all(problems):
        raise ConfigError(problems[0])
    folder = _make_folder(options)
    records = [{"overrides": job, "directory": str(folder / _name(n, job, jobs))} for n, job in enumerate(jobs)]
    stopped = 0
    for number, (record, problem) in enumerate(zip(records, problems, strict=True)):
        print(f"job {number + 1} of {len(jobs)}: {' '.join(record['overrides'])}", flush=True)
        stopped = _run_job(record, problem, options, environment)
        _write(folder, records)
        print(f"  {record['status']} after {record['seconds']:.1f} s{_reason(record)}", flush=True)
        if stopped:
            break
    _write(folder, records)
    _print_table(records, jobs)
    print(folder)
    return stopped or int(any(record.get("exit_code") != 0 for record in records))


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of `a=1,2 b=x,y`: lists of overrides, the last key running fastest. ConfigError if not readable."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    values = []
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            raise ConfigError(f"{text!r} cannot be read: write key=value or key=value,value,….") from error
        key = override.key_or_group
        if not override.is_sweep_override():
            values.append([text])
            continue
        try:
            values.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        except HydraException as error:
            raise ConfigError(f"{text!r}: {error}") from error
    return [list(job) for job in itertools.product(*values)]


def _problem_of(job, options) -> str:
    """What is wrong with a job, seen before any job runs; empty if nothing is."""
    from ..config import load_config

    try:
        folders = config_folders(options.config_dir)
        for key, _, value in (text.partition("=") for text in job):
            if key == "experiment" and is_group(key, folders):
                check_choice(key, value, folders)
        load_config(job, config_dirs=options.config_dir, modules=options.module)
    except ConfigError as error:
        return str(error)
    return ""


def _run_job(record, problem, options, environment) -> int:
    """Run one job and fill in its record; returns the exit code of the sweep if a signal ended it, else 0."""
    if problem:
        record.update(status="mistake", exit_code=2, seconds=0.0, message=problem)
        return 0
    command = [sys.executable, "-m", "lagrangian_ml", "run", *record["overrides"], "--run-dir", record["directory"]]
    command += [word for folder in options.config_dir for word in ("--config-dir", str(Path(folder).resolve()))]
    command += [word for module in options.module for word in ("--module", module)]
    began, log = time.perf_counter(), Path(f"{record['directory']}.log")
    with open(log, "w", encoding="utf-8") as output:
        code, stopped = _wait(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    seconds = time.perf_counter() - began
    status = ENDINGS.get(code, "interrupted" if stopped else "failed")
    record.update(status=status, exit_code=code, seconds=seconds)
    if code == 0:
        record["errors"] = json.loads((Path(record["directory"]) / "summary.json").read_text())["errors"]
    else:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        record["message"] = lines[-1] if lines else ""
    return stopped


def _wait(command, **options):
    """(exit code of the job, 128 + the number of the first signal or 0).

    The job has a session of its own: Ctrl-C in a terminal, which reaches a whole group of processes, comes to it once,
    from here, and it saves its state.
    """
    received: list[int] = []
    job: subprocess.Popen | None = None

    def forward(number, frame):
        received.append(number)
        if job is not None:
            job.terminate()

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        job = subprocess.Popen(command, start_new_session=True, **options)
        if received:  # while it was started
            job.terminate()
        return job.wait(), 128 + received[0] if received else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_folder(options):
    if options.run_dir is not None:
        folder = Path(options.run_dir)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"--run-dir {folder} is not empty: a sweep needs a folder of its own.")
    else:
        folder = Path("runs") / "sweeps" / time.strftime("%Y-%m-%d_%H-%M-%S")
        while folder.exists():
            folder = folder.with_name(folder.name + "_")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the folder {folder} cannot be written: {error.strerror}.") from error
    return folder


def _varied(job, jobs):
    """The overrides that tell a job from the others."""
    return [text for text, *others in zip(job, *jobs, strict=True) if len(set(others)) > 1]


def _name(number, job, jobs):
    return "_".join([f"{number:03d}", *(re.sub(r"[^\w.=+-]+", "-", text) for text in _varied(job, jobs))])[:120]


def _reason(record):
    return f": {record['message']}" if record.get("message") else ""


def _write(folder, records):
    temporary = folder / "sweep.json.tmp"
    temporary.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / "sweep.json")


def _print_table(records, jobs):
    names = list(dict.fromkeys(name for record in records for name in record.get("errors", ())))
    rows = []
    for record in records:
        found = [record.get("errors", {}).get(name) for name in names]
        seconds = f"{record['seconds']:.1f}" if "seconds" in record else ""
        job = " ".join(_varied(record["overrides"], jobs)) or " ".join(record["overrides"])
        errors = ["" if value is None else f"{value:.3e}" for value in found]
        rows.append([job, record.get("status", "not run"), *errors, seconds])
    table(rows, header=["job", "status", *names, "seconds"])
