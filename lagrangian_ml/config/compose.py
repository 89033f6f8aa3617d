"""From the words of a command line to a complete configuration: groups by Hydra, values by our own rules.

Hydra composes the groups and presets and reads the override grammar. Values are set only after every default has
been filled in, so a misspelt key is refused where Hydra would add it, and no `+` is ever needed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from .errors import ConfigError, listing
from .folders import (
    DATASET,
    ROOT,
    RUN,
    Root,
    builtin_folder,
    check_choice,
    check_choices,
    config_folders,
    is_group,
    options,
)
from .signatures import read_signature
from .targets import Targets
from .tree import assign, check_complete, check_top_level, fill
from .types import is_node


def load_config(
    overrides: Sequence[str],
    *,
    config_dirs: Sequence[str | Path] = (),
    modules: Sequence[str] = (),
    root: Root = RUN,
) -> dict[str, Any]:
    """The complete, resolved configuration that `experiment=… group=choice a.b.c=value …` stands for.

    With the root `DATASET` it is that of a data set, `dataset=… num_samples=… dataset.a.b=value …`.

    Raises:
        ConfigError: for every mistake in the overrides, the configs or their targets.
    """
    folders = config_folders(config_dirs)
    check_choices(overrides, folders)
    choices, values = [], []
    for text in overrides:
        key, value = parse_override(text)
        if value is not None and _is_choice(key, value, folders, root):
            choices.append((text, key, value))
        elif key != "experiment" or value is not None:
            values.append((key, value))
    chosen = {key: value for _, key, value in choices}
    presets = {"experiment"} if root is RUN else set()
    check_top_level((key.split(".")[0].split("/")[0] for key in [*dict(values), *chosen] if key not in presets), root)
    tree = _compose([text for text, _, _ in choices], folders, root)
    check_top_level(tree, root)
    _check_subject(tree, dict(values), folders, root)
    targets = Targets(modules)
    targets.import_modules()
    if root is DATASET:
        notes = {"name": chosen.get("dataset", "custom")}
    else:
        notes = {"experiment": chosen.get("experiment") or chosen.get("problem") or "custom"}
        if "experiment" in chosen and len(chosen) > 1:
            _prune(tree, _compose([f"experiment={chosen['experiment']}"], folders, root), targets)
    return complete(notes | {"modules": list(modules)} | tree, values, targets, root)


def _check_subject(tree, values, folders, root):
    """ConfigError if nothing says what is to be solved, or generated."""
    subject = root.groups[0]
    if tree.get(subject) is not None or values.get(subject) is not None:
        return
    if root is DATASET:
        known = listing(options("dataset", folders))
        raise ConfigError(f"there is nothing to generate: give dataset=…. Data sets: {known}.")
    known = listing(options("experiment", folders))
    raise ConfigError(f"there is nothing to solve: give experiment=… or problem=…. Experiments: {known}.")


def _prune(tree: dict, preset: dict, targets: Targets) -> None:
    """Drop what a preset says about a group whose choice was replaced, where the new choice does not know it.

    `experiment=… optimizer=adam` must not fail because the preset sets the damping of another optimizer.
    """
    for group in RUN.groups:
        new, old = tree.get(group) or {}, preset.get(group) or {}
        if is_node(new) and is_node(old) and new["_target_"] != old["_target_"]:
            _keep_known(new, targets.resolve(new["_target_"], group), old)


def _keep_known(node, target, candidates):
    """Delete those arguments of a node, out of the candidates, that its target does not take."""
    signature = read_signature(target)
    for name in [name for name in node if name in candidates and not name.startswith("_")]:
        if name not in signature.parameters and not signature.is_open:
            del node[name]


def complete(tree: dict, values: Sequence[tuple[str, Any]], targets: Targets, root: Root = RUN) -> dict[str, Any]:
    """Fill the tree, put the values in, resolve the references, and check the whole. ConfigError for any mistake."""
    late = []
    for key, value in values:  # whole objects come first: they decide which keys there are
        if key in root.values or key in root.groups and value is None:
            tree[key] = value
        elif key.endswith("._target_") or (isinstance(value, dict) and "_target_" in value):
            _graft(tree, key, value, targets)
        else:
            late.append((key, value))
    tree = fill(tree, targets, root)
    for key, value in late:
        assign(tree, key, value, targets, root)
    tree = fill(_resolve(tree), targets, root)
    for name in root.groups:
        if tree[name] is None and name not in root.optional:
            raise ConfigError(f"{name} is not set: choose one by {name}=….")
    check_complete({name: tree[name] for name in root.groups}, targets)
    return tree


def parse_override(text: str) -> tuple[str, Any]:
    """`a.b.c=value` in Hydra's grammar as (key, value): numbers, text, true, null, [lists], {mappings}."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(f"{text!r} cannot be read: write key=value, quoting a value with special signs.") from error
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise ConfigError(f"{text!r}: write key=value. No '+' is needed for a key; null takes an optional value away.")
    if override.is_sweep_override():
        raise ConfigError(f"{text!r} gives several values: use `sweep` for that, or [a,b] for a list.")
    if override.package is not None:
        raise ConfigError(f"{text!r}: packages (@) belong in config files; write key=value.")
    return override.key_or_group, override.value()


def _is_choice(key, value, folders, root):
    """Whether an override chooses from a group, rather than setting a value or replacing a whole node."""
    if not is_group(key, folders):
        return False
    if isinstance(value, str):
        check_choice(key, value, folders)
        return True
    if key in root.groups and is_node(value):
        return False
    raise ConfigError(f"{key}={value} is not a choice of the group {key}: {listing(options(key, folders))}.")


def _compose(choices: Sequence[str], folders: Sequence[Path], root: Root) -> dict:
    quoted = ["'" + f"file://{folder}".replace("\\", "\\\\").replace("'", "\\'") + "'" for folder in folders]
    try:
        with initialize_config_dir(str(builtin_folder() / ROOT), version_base="1.3"):
            composed = hydra_compose(root.file, [*choices, f"hydra.searchpath=[{','.join(quoted)}]"])
        tree = OmegaConf.to_container(composed, resolve=False)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"the configs cannot be composed: {error}") from error
    assert isinstance(tree, dict)
    return {str(name): value for name, value in tree.items()}


def _graft(tree, key, value, targets):
    """Put a whole node, or a new target of a node, into the unfilled tree; arguments the new target has are kept."""
    *parents, last = key.split(".")
    here: Any = tree
    for segment in parents:
        index = _index(here, segment, key)
        child = here[index] if isinstance(here, list) else here.get(index)
        if not isinstance(child, (dict, list)):
            child = here[index] = {}
        here = child
    if last == "_target_" and "_target_" in here:
        _keep_known(here, targets.resolve(value, ".".join(parents)), here)
    here[_index(here, last, key)] = value


def _index(here, segment, key):
    if isinstance(here, list):
        if not segment.isdigit() or int(segment) >= len(here):
            raise ConfigError(f"{key}: {segment!r} is not an entry of a list of {len(here)}.")
        return int(segment)
    return segment


def _resolve(tree):
    _refuse_calls(tree)
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
    except OmegaConfBaseException as error:
        where = f"{error.full_key}: its" if error.full_key else "a"
        raise ConfigError(f"{where} reference cannot be resolved: {str(error).splitlines()[0]}") from error
    assert isinstance(resolved, dict)
    return {str(name): value for name, value in resolved.items()}


def _refuse_calls(value, where=""):
    """ConfigError for `${name:…}`, which calls a resolver of OmegaConf, such as one that reads the environment."""
    if isinstance(value, str) and _has_call(value):
        raise ConfigError(f"{where}={value}: ${{name:…}} is not allowed; refer to a key, such as ${{problem.horizon}}.")
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _refuse_calls(item, f"{where}.{name}" if where else str(name))


def _has_call(text):
    depth = 0  # of references, which may stand in one another
    for position, sign in enumerate(text):
        depth += text.startswith("${", position) - (sign == "}" and depth > 0)
        if sign == ":" and depth:
            return True
    return False


def to_yaml(tree: dict) -> str:
    """The configuration as YAML."""
    return OmegaConf.to_yaml(OmegaConf.create(tree))


def read_config(path: str | Path, root: Root = RUN) -> dict[str, Any]:
    """A stored configuration. ConfigError if the file is not one."""
    try:
        tree = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, UnicodeDecodeError, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as a configuration: {str(error).splitlines()[0]}") from error
    if not isinstance(tree, dict) or not all(name in tree for name in root.keys):
        raise ConfigError(f"{path} is not the stored configuration of a {root.noun}.")
    return {str(name): value for name, value in tree.items()}
