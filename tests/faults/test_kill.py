"""Runs that are killed or stopped at random moments and resumed end with the bits of a run left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lagrangian_ml.training import RunDirectory

HERE = Path(__file__).parent
NUM_STEPS = 150


def launch(directory, environ):
    command = [sys.executable, str(HERE / "victim.py"), str(directory)]
    with open(f"{directory}.log", "a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ)


def finish(directory, environ):
    assert launch(directory, environ).wait(timeout=300) == 0, Path(f"{directory}.log").read_text()[-2000:]


def newest_manifest(directory):
    found = [int(path.parent.name) for path in (directory / "checkpoints").glob("[0-9]*/manifest.json")]
    return max(found, default=0)


def wait_for_progress(process, directory):
    """Return when the process has saved a checkpoint of its own, or ended."""
    start, deadline = newest_manifest(directory), time.monotonic() + 200
    while process.poll() is None and newest_manifest(directory) <= start and time.monotonic() < deadline:
        time.sleep(0.005)


def final_sums(directory):
    return json.loads((directory / "checkpoints" / str(NUM_STEPS) / "manifest.json").read_text())["leaves"]


def logged_steps(directory):
    return [record["step"] for record in RunDirectory(directory).records()]


@pytest.fixture(scope="session")
def untouched(tmp_path_factory, cached_environ):
    directory = tmp_path_factory.mktemp("untouched") / "run"
    finish(directory, cached_environ)
    return directory


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_minus_nine(untouched, cached_environ, tmp_path, kills):
    directory, rng, done = tmp_path / "run", random.Random(kills), 0
    while done < kills:
        process = launch(directory, cached_environ)
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0.0, 3.0))  # perhaps before the first step
        else:
            wait_for_progress(process, directory)
            time.sleep(rng.uniform(0.0, 0.3))
        done += process.poll() is None
        process.kill()
        process.wait()
        if newest_manifest(directory) == NUM_STEPS:
            break
    assert done >= min(kills, 3)
    finish(directory, cached_environ)
    assert final_sums(directory) == final_sums(untouched)
    assert logged_steps(directory) == logged_steps(untouched)
    assert RunDirectory(directory).status() == ("finished", "")
    assert not list((directory / "checkpoints").glob("*tmp*"))


def test_signals_save_and_stop(untouched, cached_environ, tmp_path):
    directory = tmp_path / "run"
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = launch(directory, cached_environ)
        wait_for_progress(process, directory)
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        status, reason = RunDirectory(directory).status()
        assert status == "interrupted" and str(int(number)) in reason
    finish(directory, cached_environ)
    assert final_sums(directory) == final_sums(untouched)
    assert logged_steps(directory) == logged_steps(untouched)


TWICE = """
import time
from lagrangian_ml.training.signals import Signals
with Signals() as signals:
    print("ready", flush=True)
    while signals.received is None: time.sleep(0.01)
    print("first", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_at_once(number):
    with subprocess.Popen([sys.executable, "-c", TWICE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        os.kill(process.pid, number)
        assert process.stdout.readline() == "first\n"
        os.kill(process.pid, number)
        assert process.wait(timeout=10) == -number
