"""The files of a run directory: atomic, parseable, cut back, and locked."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from lagrangian_ml.training import RunDirectory


def test_records_are_json_whatever_they_hold(tmp_path):
    run = RunDirectory(tmp_path)
    run.append({"step": np.int64(1), "loss": np.float32(0.5), "error": float("nan"), "shape": (2, np.zeros(2))})
    assert run.records() == [{"step": 1, "loss": 0.5, "error": None, "shape": [2, [0.0, 0.0]]}]
    run.write_json("summary.json", {"inf": float("inf"), "path": tmp_path})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"inf": None, "path": str(tmp_path)}


def test_a_torn_line_is_passed_over_and_cut_away(tmp_path):
    run = RunDirectory(tmp_path)
    for step in (1, 2, 3):
        run.append({"step": step})
    with run.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [record["step"] for record in run.records()] == [1, 2, 3]
    run.cut(2)
    assert run.metrics.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_record_after_a_torn_line_is_not_lost(tmp_path):
    run = RunDirectory(tmp_path)
    run.metrics.write_text('{"step": 1}\n{"step": 2, "lo')
    run.append({"step": 3})
    assert [record["step"] for record in run.records()] == [1, 3]


def test_status(tmp_path):
    run = RunDirectory(tmp_path / "run")
    assert run.status() == ("", "") and run.read_json("summary.json") == {}
    run.write_status("failed", "ValueError: no")
    assert run.status() == ("failed", "ValueError: no")
    assert not list(run.path.glob(".STATUS*"))


def test_what_cannot_be_written_warns_once(tmp_path):
    run = RunDirectory(tmp_path)
    (tmp_path / "metrics.jsonl").mkdir()
    (tmp_path / "STATUS").mkdir()
    with pytest.warns(UserWarning, match="could not be written") as caught:
        run.append({"step": 1})
        run.write_status("finished")
    assert len(caught) == 1
    with pytest.raises(OSError, match="STATUS could not be written"):
        run.write_text("STATUS", "", needed=True)


HOLD = """
import sys
from lagrangian_ml.training.record import RunDirectory
with RunDirectory(sys.argv[1]).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_names_its_holder_and_ends_with_it(tmp_path):
    run = RunDirectory(tmp_path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RuntimeError, match=f"in use by process {holder.pid} on "), run.locked():
            pass
        holder.kill()
    with run.locked():
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


def test_a_directory_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError), RunDirectory(tmp_path / "file" / "run").locked():
        pass
