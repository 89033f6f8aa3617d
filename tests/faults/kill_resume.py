"""Kill a run again and again, resume it, and compare with a run left alone, bit for bit.

    python tests/faults/kill_resume.py [--kills 10] [OVERRIDE ...]

Here it is the command line's run; without overrides a short burgers_pinn. Both runs stand in a temporary folder
(`--keep DIR` keeps them in DIR). Exits with 0 only if the run was killed as often as asked for and every leaf of the
two final states has the same SHA-256 sum. The tests use the functions on a smaller run.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEFAULT = ["experiment=burgers_pinn", "trainer.num_steps=200", "trainer.checkpoint_every=10", "trainer.log_every=20"]


def launch(words, directory, environ=None):
    """A process of `python *words`; what it prints is added to the log beside the directory."""
    with open(f"{directory}.log", "a") as log:
        return subprocess.Popen([sys.executable, *map(str, words)], stdout=log, stderr=log, env=environ)


def finish(words, directory, environ=None):
    """Run it to its end. RuntimeError with the end of its log if it fails."""
    code = launch(words, directory, environ).wait()
    if code:
        log = Path(f"{directory}.log").read_text()
        raise RuntimeError(f"the run in {directory} ended with {code}:\n{log[-3000:]}")


def newest(directory):
    """The newest step saved completely, 0 without one."""
    return max((int(p.parent.name) for p in (directory / "checkpoints").glob("[0-9]*/manifest.json")), default=0)


def wait_for_checkpoint(process, directory):
    """Return when the process has saved a checkpoint of its own, or ended, or hangs."""
    start, deadline = newest(directory), time.monotonic() + 300
    while process.poll() is None and newest(directory) <= start and time.monotonic() < deadline:
        time.sleep(0.005)


def kill_often(words, directory, kills, last, *, rng, span, early, environ=None):
    """Start or resume the run and kill it until that was done `kills` times, or the run came to step `last`.

    One kill in five comes within `early` seconds, mostly before the first checkpoint of the process; the others come
    within `span` seconds after it. `words()` are those that start or resume the run. Returns how many there were.
    """
    done = 0
    while done < kills and newest(directory) < last:
        process, is_early = launch(words(), directory, environ), done % 5 == 0
        if not is_early:
            wait_for_checkpoint(process, directory)
        time.sleep(rng.uniform(0.0, early if is_early else span))
        alive = process.poll() is None
        process.kill()
        process.wait()
        done += alive
        left = sorted(path.name for path in (directory / "checkpoints").glob("*"))
        print(f"kill {done}: saved {newest(directory)}, {'' if alive else 'had ended, '}left {left}", flush=True)
    return done


def final_sums(directory):
    """(the newest step, the sums of its leaves)."""
    manifest = directory / "checkpoints" / str(newest(directory)) / "manifest.json"
    return newest(directory), json.loads(manifest.read_text())["leaves"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="folder for the two runs")
    options, overrides = parser.parse_known_args()
    command = ["-m", "lagrangian_ml"]
    start = lambda path: [*command, "run", *(overrides or DEFAULT), "--run-dir", path]
    go_on = lambda path: [*command, "resume", path] if (path / "config.yaml").exists() else start(path)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        alone, killed = folder / "alone", folder / "killed"
        began = time.perf_counter()
        finish(go_on(alone), alone)
        last, expected = final_sums(alone)
        seconds = json.loads((alone / "summary.json").read_text())["seconds"]
        print(f"left alone: {last} steps, {len(expected)} leaves; seconds {seconds}", flush=True)
        span = (seconds["run"] + seconds["evaluate"]) / (3 * options.kills)  # two thirds for going on to a checkpoint
        early = time.perf_counter() - began - seconds["run"] - seconds["evaluate"]  # until the first step
        rng, words = random.Random(options.seed), lambda: go_on(killed)
        done = kill_often(words, killed, options.kills, last, rng=rng, span=span, early=early)
        finish(go_on(killed), killed)
        step, found = final_sums(killed)
    different = [path for path in expected | found if expected.get(path) != found.get(path)]
    print(f"{done} kills; step {step} of {last}; {len(different)} of {len(expected)} leaves differ", *different[:5])
    if done < options.kills:
        print(f"the run ended before {options.kills} kills: give it more trainer.num_steps", file=sys.stderr)
    sys.exit(bool(different) or step != last or done < options.kills)


if __name__ == "__main__":
    main()
