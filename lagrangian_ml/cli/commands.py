"""The commands, and how their errors end: 2 for a mistake of the user, 1 for a run that failed.

A mistake is told in one message on stderr without a traceback (`--debug` shows it). Numerics are imported only by
the commands that compute, after the names in the overrides were checked.
"""

import io
import os
import sys
import warnings
from collections.abc import Sequence

from ..config.errors import ConfigError, listing, nearest
from ..config.folders import DATASET, RUN, check_choices, config_folders, is_group, refuse_used, run_config
from ..config.folders import options as choices_of
from .parsers import NAME, SUMMARIES, parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these letters must not end a run
    parsed = parse(list(sys.argv[1:] if argv is None else argv))
    if parsed is None:
        return 0
    command, options = parsed
    formatting = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    if getattr(options, "module", None):
        sys.path.append(os.getcwd())  # the user's own modules; last, so that they hide nothing
    try:
        return globals()[f"_{command}"](options)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stdout = None
        return 0
    except Exception as error:
        if options.debug:
            raise
        if isinstance(error, ConfigError):
            return _fail(f"error: {error}", 2)
        expected = type(error) in (RuntimeError, OSError) or type(error).__module__.startswith(
            ("lagrangian_ml.", "data_gen.")
        )
        if expected:
            return _fail(f"failed: {error}", 1)
        raise
    finally:
        warnings.formatwarning = formatting


def _fail(message: str, code: int) -> int:
    print(f"{NAME}: {message}", file=sys.stderr)
    return code


def _load(options):
    check_choices(options.overrides, config_folders(options.config_dir))
    from ..config import load_config

    about_data = any(text.partition("=")[0] in ("dataset", "num_samples") for text in options.overrides)
    root = DATASET if about_data else RUN
    return load_config(options.overrides, config_dirs=options.config_dir, modules=options.module, root=root)


def _run(options):
    if options.run_dir is not None:
        refuse_used(options.run_dir)
    config = _load(options)
    from .. import runs
    from .report import report

    path = runs.start(config, options.run_dir)
    report(path)
    return 0


def _resume(options):
    run_config(options.run_dir)
    from .. import runs
    from .report import report

    path = runs.resume(options.run_dir, options.overrides, modules=options.module)
    report(path)
    return 0


def _evaluate(options):
    run_config(options.run_dir)
    from .. import runs

    found = runs.evaluate(options.run_dir, options.reference, out=options.out, modules=options.module)
    for name, value in found.items():
        print(f"{name.replace('_', ' ').replace('l2', 'L2'):<12} {value:.4e}")
    return 0


def _list(options):
    folders = config_folders(options.config_dir)
    groups = ("experiment", *RUN.groups, *DATASET.groups)
    if options.group is not None and not is_group(options.group, folders):
        raise ConfigError(f"{options.group} is not a group.{nearest(options.group, groups)} Groups: {listing(groups)}.")
    for group in groups if options.group is None else (options.group,):
        found = choices_of(group, folders)
        width = max(map(len, found), default=0)
        print(f"{group}=" if found else f"{group}: no choices")
        for name, text in found.items():
            print(f"  {name:<{width}}  {text}".rstrip())
    return 0


def _config(options):
    from ..config import to_yaml

    print(to_yaml(_load(options)), end="")
    return 0


def _doctor(options):
    from .doctor import doctor

    return doctor()


def _sweep(options):
    from .sweep import sweep

    return sweep(options)


def _generate(options):
    check_choices(options.overrides, config_folders(options.config_dir))
    return _data_gen("generate").main(
        options.overrides,
        options.out,
        workers=options.workers,
        shards=options.shards,
        dry_run=options.dry_run,
        config_dirs=options.config_dir,
        modules=options.module,
    )


def _verify(options):
    return _data_gen("commands").verify(options.data_dir)


def _info(options):
    return _data_gen("commands").info(options.data_dir)


def _export(options):
    return _data_gen("commands").export(options.data_dir, options.format, options.out)


def _data_gen(module):
    """A module of `data_gen`, which imports this package and is therefore not imported by it."""
    import importlib

    return importlib.import_module(f"data_gen.{module}")


assert all(f"_{command}" in globals() for command in SUMMARIES)
