"""Kill the command line's run again and again, resume it, and compare with a run left alone, bit for bit.

    python tests/faults/kill_resume.py [--kills 10] [OVERRIDE ...]

Without overrides: a short burgers_pinn. Both runs stand in a temporary folder (`--keep DIR` keeps them in DIR).
Prints one line a kill and exits with 0 only if every leaf of the two final states has the same SHA-256 sum.
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


def launch(directory, overrides):
    """Start the run, or resume it where it has been started."""
    resume = (directory / "config.yaml").exists()
    words = ["resume", str(directory)] if resume else ["run", *overrides, "--run-dir", str(directory)]
    with open(f"{directory}.log", "a") as log:
        return subprocess.Popen([sys.executable, "-m", "lagrangian_ml", *words], stdout=log, stderr=log)


def finish(directory, overrides):
    code = launch(directory, overrides).wait()
    if code:
        sys.exit(f"the run in {directory} ended with {code}:\n{Path(f'{directory}.log').read_text()[-3000:]}")


def newest(directory):
    """The newest step saved completely, 0 without one."""
    return max((int(p.parent.name) for p in (directory / "checkpoints").glob("[0-9]*/manifest.json")), default=0)


def final_sums(directory):
    manifest = directory / "checkpoints" / str(newest(directory)) / "manifest.json"
    return newest(directory), json.loads(manifest.read_text())["leaves"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="folder for the two runs")
    options, overrides = parser.parse_known_args()
    overrides = overrides or DEFAULT
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        alone, killed = folder / "alone", folder / "killed"
        finish(alone, overrides)
        last, expected = final_sums(alone)
        summary = json.loads((alone / "summary.json").read_text())
        span = (summary["seconds"]["run"] + summary["seconds"]["evaluate"]) / options.kills
        print(f"left alone: {last} steps, {len(expected)} leaves; seconds {summary['seconds']}", flush=True)
        done = 0
        while done < options.kills and newest(killed) < last:
            before, process = newest(killed), launch(killed, overrides)
            while process.poll() is None and newest(killed) <= before:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, span))
            alive = process.poll() is None
            process.kill()
            process.wait()
            done += alive
            left = sorted(path.name for path in (killed / "checkpoints").glob("*"))
            print(f"kill {done}: saved {newest(killed)}, {'' if alive else 'had ended, '}left {left}", flush=True)
        finish(killed, overrides)
        step, found = final_sums(killed)
        different = [path for path in expected | found if expected.get(path) != found.get(path)]
        print(f"{done} kills; step {step} of {last}; {len(different)} of {len(expected)} leaves differ", *different[:5])
        sys.exit(bool(different) or step != last)


if __name__ == "__main__":
    main()
