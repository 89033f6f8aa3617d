"""The words of the command line: commands, their options and help. Standard library only."""

import argparse
import os
import sys
from typing import NoReturn

from ..config.errors import nearest

NAME = "lagrangian-ml"

OVERRIDES = """\
overrides are written key=value:
  experiment=burgers_pinn             a preset (`lagrangian-ml list` shows them)
  optimizer=adam                      another choice of a group
  problem.equation.viscosity=0.003    any value; `lagrangian-ml config experiment=…` shows all of them
  seed=1  precision=float32  trainer.num_steps=500
Values are numbers, text, true, false, null, [lists], {mappings}; quote them against the shell where needed."""

SUMMARIES = {
    "run": "solve a problem: fit, plot and report",
    "resume": "go on with a run from its newest sound checkpoint",
    "evaluate": "errors of a run against the arrays of an .npz file",
    "list": "the experiments and the choices of every group",
    "config": "print the complete configuration that overrides stand for, without running it",
    "doctor": "check this installation: devices, versions, precision, files",
    "sweep": "run every combination of values, one process a job: seed=0,1,2",
    "generate": "make a data set from a recipe, go on with one, or repair it",
    "verify": "compare every byte of a data set with its manifest, and say how to repair it",
    "info": "what a data set holds, and how far its numbers can be trusted",
    "export": "write a data set in the format of PDEBench or of The Well",
}

DATASET_OVERRIDES = """\
overrides are written key=value:
  dataset=burgers_fno_paper           a recipe (`lagrangian-ml list dataset` shows them)
  num_samples=1000  seed=0            sample i depends on the recipe, the seed and i only
  dataset.equation.viscosity=0.05     any value of the recipe; `lagrangian-ml config dataset=…` shows all of them
The same command goes on with what was ended, and repairs what is damaged; then --out DIR alone is enough."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaint is one message, with the nearest option."""

    def error(self, message: str) -> NoReturn:
        word = message.partition("unrecognized arguments: ")[2].split(" ")[0].partition("=")[0]
        known = [option for action in self._actions for option in action.option_strings]
        sys.stderr.write(f"{NAME}: error: {message}.{nearest(word, known) if word else ''} See `{self.prog} --help`.\n")
        sys.exit(2)


def overview() -> str:
    """The help of the command itself."""
    lines = "\n".join(f"  {name:<10}{SUMMARIES[name]}" for name in SUMMARIES)
    return (
        f"usage: {NAME} COMMAND [OVERRIDE …] [OPTION …]\n\nDifferentiable physics and neural PDE solvers in JAX.\n\n"
        f"commands:\n{lines}\n\n{OVERRIDES}\n\nHelp on a command: {NAME} COMMAND --help\n"
    )


def parser_of(command: str) -> Parser:
    """The parser of one command."""
    parser = Parser(
        prog=f"{NAME} {command}",
        description=f"{SUMMARIES[command][0].upper()}{SUMMARIES[command][1:]}.",
        epilog=({"generate": DATASET_OVERRIDES} | dict.fromkeys(("run", "config", "sweep"), OVERRIDES)).get(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if command in ("resume", "evaluate"):
        parser.add_argument("run_dir", metavar="RUN_DIR", help="the directory of the run")
    if command == "evaluate":
        parser.add_argument("--reference", required=True, metavar="FILE.npz", help=_REFERENCE)
        parser.add_argument("--out", metavar="FILE.npz", help="write the arrays of the file and the prediction there")
    if command == "list":
        parser.add_argument("group", nargs="?", metavar="GROUP", help="show this group only")
    if command in ("run", "config", "sweep", "generate", "resume"):
        what = "trainer.num_steps=N extends the run" if command == "resume" else "see below"
        parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=what)
    if command in ("run", "sweep"):
        parser.add_argument("--run-dir", metavar="DIR", help="where to write (default: runs/EXPERIMENT/TIME)")
    if command in ("verify", "info", "export"):
        what = "the folder of a data set, or its URL (gs://…)" + ("; or an HDF5 file" if command == "info" else "")
        parser.add_argument("data_dir", metavar="DIR", help=what)
    if command == "generate":
        parser.add_argument("--out", metavar="DIR", help="where to write the data set")
        parser.add_argument("--workers", type=int, metavar="K", help="processes (default: as many as there are cores)")
        parser.add_argument("--shards", metavar="I/N", help="make every N-th shard only, from shard I on (0 ≤ I < N)")
        parser.add_argument("--dry-run", action="store_true", help="print size, work and time; write nothing")
    if command == "export":
        parser.add_argument("--format", required=True, choices=("pdebench", "well"), help="whose format")
        parser.add_argument("--out", required=True, metavar="PATH", help=_OUT)
    if command in ("run", "config", "sweep", "list", "generate"):
        parser.add_argument(
            "--config-dir", action="append", default=[], metavar="DIR", help="a folder with configs of your own"
        )
    if command in ("run", "config", "sweep", "resume", "evaluate", "generate"):
        parser.add_argument("--module", action="append", default=[], metavar="NAME", help=_MODULE)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


_MODULE = "a Python module of your own, for _target_; name those of a run again to resume or evaluate it"
_OUT = "pdebench: NAME.hdf5 or NAME.h5; well: a folder, or one file NAME.hdf5; it must not exist"
_REFERENCE = (
    "a grid (x or x, y, …; t; u as (t, x, …[, c])) or scattered points (x (n, d), t (n,), u (n, c)); of an operator "
    "its inputs x (n, [c,] …) and outputs y (n, [c,] …), of any resolution; "
    "a bare name is also looked for in $LAGRANGIAN_ML_REFERENCE_DATA"
)


def parse(arguments: list[str]) -> tuple[str, argparse.Namespace] | None:
    """(command, its options), or None after help or the version was printed."""
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        if arguments[1:] and arguments[1] in SUMMARIES:
            parser_of(arguments[1]).print_help()
        else:
            print(overview(), end="")
        return None
    if command == "--version":
        from .. import __version__

        print(f"{NAME} {__version__}")
        return None
    if command not in SUMMARIES:
        hint = nearest(command, SUMMARIES)
        sys.stderr.write(f"{NAME}: error: {command} is not a command.{hint} Commands: {', '.join(SUMMARIES)}.\n")
        sys.exit(2)
    os.environ.setdefault("COLUMNS", "110")  # argparse wraps its help at 80 otherwise where there is no terminal
    return command, parser_of(command).parse_intermixed_args(arguments[1:])
