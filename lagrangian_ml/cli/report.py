"""The end of a run as a person sees it: errors, seconds, parameters, and the path on the last line."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

WORDS = {"relative_l2": "relative L2 error", "vrmse": "variance-scaled error", "max": "maximum error"}


def report(path: Path) -> None:
    """Print the summary of a run directory as a table."""
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    rows = [(WORDS.get(str(name), str(name).replace("_", " ")), _number(e)) for name, e in summary["errors"].items()]
    rows += [(f"seconds to {name}", _seconds(value)) for name, value in summary["seconds"].items()]
    rows += [("parameters", str(summary["num_parameters"])), ("steps", str(summary["steps"]))]
    table(rows, title=summary.get("experiment"))
    print(path)


def table(rows: Sequence[Sequence[str]], *, header: Sequence[str] = (), title: str | None = None) -> None:
    """Rows of text, drawn in a terminal and as aligned plain lines elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        drawn = Table(*header, title=title, show_header=bool(header), title_justify="left")
        for row in rows:
            drawn.add_row(*row)
        Console().print(drawn)
        return
    lines = [list(header), *rows] if header else rows
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))] if lines else []
    for row in lines:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _number(value):
    return "not finite" if value is None else f"{value:.3e}"


def _seconds(value):
    return "unknown" if value is None else f"{value:.1f}"
