"""How far particles are from exact solutions, against the spacing of the grid and for every transfer; in float64.

The cases are those of `tests/laws/test_particle_accuracy.py`, on finer grids: the frequency of an elastic bar, a
manufactured twist of a neo-Hookean disc, a dam break against Ritter's solution, blocks that slide, two discs that
collide. `--only twist` runs a part; what is stored of the others is kept. About twenty CPU-minutes in all.
"""

import argparse
import importlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from record import RESULTS, store

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "laws"))
cases = importlib.import_module("test_particle_accuracy")

NAME = "mpm_accuracy"
FIGURE = ROOT / "docs" / "figures" / "mpm_accuracy.png"
TRANSFERS: dict[str, dict[str, Any]] = {
    f"{name}, {kernel}": {**options, "kernel": kernel}
    for kernel in ("quadratic", "cubic")
    for name, options in {
        "APIC": {"scheme": "apic"},
        "TPIC": {"scheme": "tpic"},
        "AFLIP": {"scheme": "apic", "flip": 1.0},
        "FLIP": {"scheme": "pic", "flip": 1.0},
    }.items()
}


def orders(cells: list[int], errors: list[float]) -> list[float]:
    pairs = zip(zip(cells, errors, strict=True), zip(cells[1:], errors[1:], strict=False), strict=False)
    return [math.log(abs(a / b)) / math.log(m / n) for (n, a), (m, b) in pairs]


def bar() -> list[dict]:
    """The error of the frequency, of a bar that ends at the wall (`extra` 0) or is held by 3 more cells behind it."""
    rows, cells = [], [16, 32, 64]
    for extra in (0, 3):
        for name in ("APIC, quadratic", "TPIC, quadratic", "AFLIP, quadratic", "APIC, cubic"):
            found = [cases.bar(n, extra=extra, periods=4, **TRANSFERS[name]) for n in cells]
            errors, decay = ([row[k] for row in found] for k in (0, 1))
            row = {"transfer": name, "extra": extra, "cells": cells, "error": errors, "decay": decay}
            rows.append(row | {"orders": orders(cells, errors)})
            print("bar", rows[-1], flush=True)
    return rows


def twist() -> list[dict]:
    """Relative L2 errors of places and of F."""
    rows, cells = [], [16, 32, 64, 128]
    for amplitude in (0.3, 1.0):
        for name, transfer in TRANSFERS.items():
            found = [cases.twist(n, amplitude=amplitude, **transfer) for n in cells]
            x, F = ([row[k] for row in found] for k in (0, 1))
            row = {"transfer": name, "amplitude": amplitude, "cells": cells, "x": x, "F": F}
            rows.append(row | {"orders_x": orders(cells, x), "orders_F": orders(cells, F)})
            print("twist", rows[-1], flush=True)
    return rows


def dam() -> list[dict]:
    """Errors at ten times with 8, 16 and 32 cells in the depth; profiles of the finest are kept for the figure."""
    rows = []
    for depth in (8, 16, 32):
        start = time.process_time()
        frames = cases.dam_break(depth, frames=10)
        for frame in frames:
            keys = ("t", "front", "tip", "profile") + (("nodes", "depth", "ritter") if depth == 32 else ())
            kept = {key: np.round(frame[key], 5).tolist() for key in keys}
            rows.append({"cells": depth, "levels": cases.DEPTHS, **kept})
            print("dam", depth, {key: kept[key] for key in keys[:4]}, flush=True)
        print(f"dam {depth}: {time.process_time() - start:.0f} CPU-s", flush=True)
    return rows


def sliding() -> list[dict]:
    """The way of a block after t = 1 and its derivative by μ, sliding from the start and from rest; tan 30° = 0.577."""
    rows = []
    for n, young in ((4, 2e3), (8, 2e3), (4, 2e4)):
        slide = cases.sliding(n, young=young)
        for speed in (0.5, 0.0):
            for mu in (0.1, 0.3, 0.5, 0.6, 0.7, 1.0):
                (way, rise), slope = slide(mu, speed)
                pull = cases.ALONG - mu * cases.ACROSS
                stops = pull < 0 and speed + pull < 0
                exact = speed**2 / (-2 * pull) if stops else speed + pull / 2
                exact_slope = -(cases.ACROSS / 2) * (speed / pull) ** 2 if stops else -cases.ACROSS / 2
                row = {"cells": n, "young": young, "speed": speed, "mu": mu, "way": way, "exact": exact}
                rows.append(row | {"rise": rise, "slope": slope, "exact_slope": exact_slope})
                print("sliding", rows[-1], flush=True)
    return rows


def discs() -> list[dict]:
    """Momentum over that of one disc, restitution and energy, with the place of contact at rest or in motion."""
    rows = []
    for name, transfer in TRANSFERS.items():
        for cells in (8, 16):
            for drift in (0.0, 0.6):
                found = cases.discs(cells, drift=drift, **transfer)
                rows.append({"transfer": name, "cells": cells, "drift": drift, **found})
                print("discs", rows[-1], flush=True)
    return rows


PARTS: dict[str, Any] = {
    "bar": bar,
    "twist": twist,
    "dam": dam,
    "sliding": sliding,
    "discs": discs,
}


def draw(found: dict[str, list[dict]]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator

    figure = Figure(figsize=(7.2, 5.4), layout="constrained")
    (bars, twists), (dams, slides) = figure.subplots(2, 2)
    colours = dict(zip(TRANSFERS, 2 * ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True))
    look = lambda name: {"color": colours[name], "ls": "-" if "quadratic" in name else "--", "lw": 1.2, "ms": 3.5}
    for row in found["bar"]:
        style = look(row["transfer"]) | {"marker": "os"[row["extra"] > 0]}
        bars.loglog(row["cells"], 100 * np.abs(row["error"]), **style)
    bars.axhline(1, color="0.6", lw=0.8)
    bars.set(
        title="bar (squares: goes on behind the wall)", xlabel="cells along it", ylabel="error of the frequency, %"
    )
    for row in found["twist"]:
        if row["amplitude"] == 0.3:
            twists.loglog(row["cells"], row["x"], marker="o", label=row["transfer"], **look(row["transfer"]))
    n = np.array([24, 128])
    twists.loglog(n, 25 / n**2, color="0.6", lw=0.8)
    twists.set(title="manufactured twist", xlabel="cells on an axis", ylabel="relative $L_2$ error of places")
    for axis, ticks in ((bars.xaxis, (16, 32, 64)), (twists.xaxis, (16, 32, 64, 128)), (bars.yaxis, (0.2, 0.5, 1, 2))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
    finest = [row for row in found["dam"] if "nodes" in row][1::4]
    for row in finest:
        line = dams.plot(row["nodes"], row["ritter"], color="0.5", lw=1)
        dams.plot(row["nodes"], row["depth"], lw=1.2, color="#0072B2")
    line[0].set_label("Ritter")
    dams.set(title="dam break, $t$ = " + ", ".join(f"{row['t']:g}" for row in finest), xlabel="$x/h$", ylabel="depth")
    dams.legend(frameon=False, fontsize=8)
    for speed, marker in ((0.5, "o"), (0.0, "s")):
        rows = [r for r in found["sliding"] if (r["cells"], r["young"], r["speed"]) == (4, 2e3, speed)]
        mu = [row["mu"] for row in rows]
        slides.plot(mu, [row["exact"] for row in rows], color="0.6", lw=1)
        start = f"from speed {speed:g}" if speed else "from rest"
        slides.plot(mu, [row["way"] for row in rows], marker, ms=4, color="#D55E00", label=start)
    slides.set(title="block on an incline of 30°", xlabel=r"$\mu$", ylabel="way after $t$ = 1")
    slides.legend(frameon=False, fontsize=8)
    figure.legend(*twists.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=200)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--draw", action="store_true", help="draw what is stored")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    stored = RESULTS / f"{NAME}.json"
    found = json.loads(stored.read_text())["cases"] if stored.exists() else {}
    for part in () if options.draw else [options.only] if options.only else PARTS:
        found[part] = PARTS[part]()
        store(NAME, {"dtype": "float64", "cases": found})
    if not set(PARTS) - set(found):
        draw(found)
        print(stored, FIGURE)
