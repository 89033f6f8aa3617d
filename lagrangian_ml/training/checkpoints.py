"""Checkpoints that notice damage. Orbax writes the arrays of a state into `directory/<step>/`; a manifest of SHA-256
sums, written last, makes the step count. Orbax itself restores flipped bits and casts types without a word.
"""

import contextlib
import logging
import shutil
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp

from . import manifest
from .manifest import Damaged, describe
from .state import FitState

ITEM = "state"


class CheckpointError(RuntimeError):
    """There are checkpoints, but none of them can be used; says why for each."""


class Checkpoints:
    """The checkpoints of one run. The newest `keep` sound steps are kept. Use as a context manager."""

    def __init__(self, directory: str | Path, *, keep: int = 2):
        if keep < 1:
            raise ValueError(f"keep={keep}: at least 1 checkpoint must be kept.")
        self.directory, self.keep = Path(directory).absolute(), keep
        self._manager = None  # made by the first `save`: to restore never changes the directory
        self._current: int | None = None  # the step last saved or restored, known to be sound
        self._damaged: set[int] = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def steps(self) -> list[int]:
        """Steps that were saved completely, in order; whether they are still undamaged is seen by `restore`."""
        return [step for step in self._on_disk() if (self._folder(step) / manifest.NAME).exists()]

    @property
    def newest(self) -> int:
        """The step last saved or restored, from which a resume goes on; 0 if there is none."""
        return self._current or 0

    def save(self, state: FitState) -> bool:
        """Save a state; a full disk is a warning and False, and the earlier checkpoints stay."""
        step = int(state.step)
        if step == self._current:
            return True
        try:
            with _quiet():
                for later in self._on_disk():  # left by a run that went further, but could not be restored
                    if later >= step:
                        self._remove(later)
                self._write(step, state)
                manifest.write(self._folder(step), state)
        except Exception as error:
            if not (isinstance(error, OSError) or "os_error_code" in str(error)):
                raise
            newest = f"the newest is still that of step {self.newest}" if self.newest else "none is saved yet"
            warnings.warn(
                f"the checkpoint of step {step} could not be written ({_reason(error)}); {newest}. "
                f"Make room in {self.directory}.",
                stacklevel=2,
            )
            self._discard(step)
            return False
        self._current = step
        self._prune()
        return True

    def _prune(self):
        """Remove all but the newest `keep` sound steps."""
        try:
            sound = [step for step in self.steps() if step not in self._damaged]
            for old in self._on_disk():
                if old not in sound[-self.keep :]:
                    self._remove(old)
        except OSError as error:
            warnings.warn(f"an old checkpoint could not be removed ({_reason(error)}); going on.", stacklevel=3)

    def restore(self, template: FitState) -> FitState | None:
        """The newest sound state, or None where nothing was ever saved completely.

        `template` is a state of the same structure (`begin(...)`). Damaged steps are passed over with a warning.

        Raises:
            CheckpointError: if every checkpoint is damaged.
            ValueError: if leaves differ from the template's in path, shape or dtype.
        """
        reasons = []
        for step in reversed(self.steps()):
            try:
                state = self._read(step, template)
            except Damaged as damage:
                self._damaged.add(step)
                reasons.append(f"step {step}: {damage}")
                warnings.warn(f"checkpoint {step} is damaged, {damage}; trying the one before it", stacklevel=2)
                continue
            self._current = step
            return state
        if reasons:
            raise CheckpointError(
                f"no checkpoint in {self.directory} can be used: {'; '.join(reasons)}. "
                "Start a new run in another directory, or bring back the files from a copy."
            )
        return None

    def _on_disk(self):
        folders = self.directory.iterdir() if self.directory.is_dir() else ()
        return sorted(int(path.name) for path in folders if path.name.isdecimal() and path.is_dir())

    def _folder(self, step):
        return self.directory / str(step)

    def _write(self, step, state):
        import orbax.checkpoint as ocp

        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=None,  # deletion is ours: only after the manifest of the next one is written
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
                create=True,
            )
            self._manager = ocp.CheckpointManager(self.directory, options=options, item_names=(ITEM,))
        arrays = {path: leaf for path, leaf in manifest.leaves(state).items() if leaf.size}
        self._manager.save(step, args=ocp.args.Composite(**{ITEM: ocp.args.StandardSave(arrays)}), force=True)

    def _read(self, step, template):
        import orbax.checkpoint as ocp

        sums = manifest.read(self._folder(step))
        arrays, static = eqx.partition(template, eqx.is_array)
        wanted = manifest.leaves(template)
        _check_match(sums, wanted, self._folder(step))
        target = {path: ocp.utils.to_shape_dtype_struct(leaf) for path, leaf in wanted.items() if leaf.size}
        try:
            with _quiet(), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
                found = checkpointer.restore(self._folder(step) / ITEM, args=ocp.args.StandardRestore(target))
        except Exception as error:  # whatever Orbax makes of files that hold, but cannot be read
            raise Damaged(f"it cannot be read ({_reason(error)})") from error
        values = [found[path] if leaf.size else jnp.array(leaf) for path, leaf in wanted.items()]
        state = eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), values), static)
        changed = [path for path, entry in manifest.leaf_sums(state).items() if entry != sums[path]]
        if changed:
            raise Damaged(f"{changed[0]} is not what was saved")
        return state

    def _remove(self, step):
        (self._folder(step) / manifest.NAME).unlink(missing_ok=True)  # first: half a step must never look whole
        shutil.rmtree(self._folder(step))
        if self._manager is not None:
            self._manager.reload()

    def _discard(self, step):
        for path in self.directory.glob(f"{step}*"):
            if path.name == str(step) or path.name.startswith(f"{step}.orbax-checkpoint-tmp"):
                shutil.rmtree(path, ignore_errors=True)
        if self._manager is not None:
            self._manager.reload()


def _check_match(sums, wanted, folder):
    stored = {path: entry[0] for path, entry in sums.items()}
    given = {path: describe(leaf) for path, leaf in wanted.items()}
    differ = [path for path in stored | given if stored.get(path) != given.get(path)]
    if differ:
        lines = [f"  {p}: stored {stored.get(p, 'nothing')}, wanted {given.get(p, 'nothing')}" for p in differ]
        more = [f"  and {len(lines) - 5} more"] if len(lines) > 5 else []
        raise ValueError(
            f"the checkpoint {folder} is of another model, optimizer, source or precision:\n"
            + "\n".join([*lines[:5], *more])
            + "\nResume with the configuration that it was saved with."
        )


def _reason(error):
    text = str(error).strip().splitlines()
    text = text[0] if text else type(error).__name__
    return "No space left on device" if "No space left" in text else text[:200]


@contextlib.contextmanager
def _quiet():
    """Orbax logs tracebacks of errors that are handled here."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
