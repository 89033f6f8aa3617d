"""The package as it is installed: imports cost nothing, exports resolve, the README and the checks agree."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lagrangian_ml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "lagrangian_ml"
HEAVY = {"jax", "jaxlib", "numpy", "scipy", "equinox", "hydra", "omegaconf", "yaml", "matplotlib", "orbax", "rich"}


def imported_by(*arguments: str) -> set[str]:
    """The top-level modules that a fresh interpreter imports for `python *arguments`, which must succeed."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    modules = re.findall(r"^import time:.*\| +([\w.]+)$", done.stderr, re.MULTILINE)
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("arguments", ["--help", "list", "run --help"])
def test_command_line_answers_without_heavy_imports(arguments):
    imported = imported_by("-m", "lagrangian_ml", *arguments.split())
    assert "lagrangian_ml" in imported and not imported & HEAVY


def test_package_is_imported_without_heavy_imports_until_a_name_is_touched():
    assert not imported_by("-c", "import lagrangian_ml; dir(lagrangian_ml)") & HEAVY
    assert imported_by("-c", "import lagrangian_ml; lagrangian_ml.Equation") & HEAVY >= {"jax", "equinox"}


@pytest.mark.parametrize("name", lagrangian_ml.__all__)
def test_export_resolves(name):
    value = getattr(lagrangian_ml, name)
    assert callable(value) and name in dir(lagrangian_ml)
    assert value.__module__.startswith("lagrangian_ml.") and value.__name__ == name


def test_exports_are_the_same_for_type_checkers():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    assert typed == lagrangian_ml._HOMES | dict.fromkeys(lagrangian_ml._ROOMS)


@pytest.mark.parametrize("room", lagrangian_ml._ROOMS)
def test_room_is_an_attribute(room):
    assert getattr(lagrangian_ml, room).__name__ == f"lagrangian_ml.{room}"


def test_unknown_export_is_named_with_the_known_ones():
    with pytest.raises(AttributeError, match=r"no attribute 'fitt'; it exports .*\bfit\b"):
        lagrangian_ml.fitt  # noqa: B018


def readme_lines() -> list[str]:
    return re.findall(r"^python3\.11 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_readme_has_two_set_up_lines():
    setup = "python3.11 -m venv .venv && .venv/bin/pip install"
    assert readme_lines() == [
        f"{setup} -e . && .venv/bin/lagrangian-ml run experiment=burgers_pinn",
        f'{setup} -e ".[test]" && .venv/bin/python -m pytest -n 2',
    ]


def test_checks_run_what_the_readme_says():
    """`.ci/run --print` lists its installation and test commands, which are the README's second line elsewhere."""
    command = ["bash", str(ROOT / ".ci" / "run"), "--print"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL)
    venv, install, tests = done.stdout.splitlines()
    assert venv and " && ".join([install, tests]).replace(venv, ".venv") == readme_lines()[1]


def test_every_room_stands_in_the_layers():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    named = set(re.findall(r"\w+", " ".join(layers["layers"])))
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {path.stem for path in PACKAGE.glob("*.py")}
    assert layers["exhaustive"] and rooms - {"__init__", "__main__"} <= named


def test_version_is_in_the_changelog():
    assert lagrangian_ml.__version__ in (ROOT / "CHANGELOG.md").read_text()
