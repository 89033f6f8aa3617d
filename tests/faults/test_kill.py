"""Runs that are killed or stopped at random moments and resumed end with the bits of a run left alone."""

import os
import random
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from kill_resume import final_sums, finish, kill_often, launch, newest, wait_for_checkpoint

from lagrangian_ml.training import RunDirectory

VICTIM = Path(__file__).parent / "victim.py"
STEPS = {3: 150, 10: 400}  # enough for so many kills, each of which lets some steps pass


def logged_steps(directory):
    return [record["step"] for record in RunDirectory(directory).records()]


@pytest.fixture(scope="session")
def untouched(tmp_path_factory, cached_environ):
    """`untouched(num_steps)` is the directory of a run that was left alone."""

    @cache
    def run(num_steps):
        directory = tmp_path_factory.mktemp("untouched") / "run"
        finish([VICTIM, directory, num_steps], directory, cached_environ)
        assert newest(directory) == num_steps
        return directory

    return run


def assert_same(directory, other):
    assert final_sums(directory) == final_sums(other)
    assert logged_steps(directory) == logged_steps(other)
    assert RunDirectory(directory).status() == ("finished", "")
    assert not list((directory / "checkpoints").glob("*tmp*"))


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_minus_nine(untouched, cached_environ, tmp_path, kills):
    directory, last = tmp_path / "run", STEPS[kills]
    words = [VICTIM, directory, last]
    options = {"rng": random.Random(kills), "span": 0.05, "early": 3.0, "environ": cached_environ}
    assert kill_often(lambda: words, directory, kills, last, **options) == kills
    finish(words, directory, cached_environ)
    assert_same(directory, untouched(last))


def test_signals_save_and_stop(untouched, cached_environ, tmp_path):
    directory, last = tmp_path / "run", STEPS[3]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = launch([VICTIM, directory, last], directory, cached_environ)
        wait_for_checkpoint(process, directory)
        process.send_signal(number)
        assert process.wait(timeout=60) == code
        status, reason = RunDirectory(directory).status()
        assert status == "interrupted" and f"by signal {int(number)} at step" in reason
        assert reason.endswith(f"resume continues from step {newest(directory)}")
    finish([VICTIM, directory, last], directory, cached_environ)
    assert_same(directory, untouched(last))


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
