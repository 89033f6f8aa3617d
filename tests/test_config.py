"""Configurations: composed, filled from signatures, checked, refused with the nearest name, and built."""

import copy
from functools import cache
from math import inf
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lagrangian_ml.config import (
    ConfigError,
    Targets,
    build,
    build_group,
    complete,
    load_config,
    parse_override,
    read_config,
    to_yaml,
)
from lagrangian_ml.config.compose import _compose
from lagrangian_ml.config.folders import builtin_folder, config_folders, options
from lagrangian_ml.config.objects import fold_key
from lagrangian_ml.config.signatures import INEXPRESSIBLE, as_yaml
from lagrangian_ml.config.types import Mismatch, convert

TESTS = Path(__file__).parent


@cache
def composed(choices, folders, root):
    return _compose(choices, folders, root)


@pytest.fixture(autouse=True)
def composed_once(monkeypatch):
    """What Hydra composed once (0.2 s) is not composed again."""
    again = lambda choices, folders, root: copy.deepcopy(composed(tuple(choices), tuple(folders), root))
    monkeypatch.setattr("lagrangian_ml.config.compose._compose", again)


def load(*overrides, experiment="toy"):
    choices = [f"experiment={experiment}"] if experiment else []
    return load_config([*choices, *overrides], config_dirs=[TESTS / "toy_configs"], modules=["toy_parts"])


def refused(*overrides, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*overrides, **kwargs)
    return str(caught.value)


def test_defaults_of_signatures_are_filled_in_at_every_depth():
    config = load()
    assert config["problem"] == {
        "_target_": "toy_parts.decay",
        "equation": {"_target_": "lagrangian_ml.equations.diffusion.Diffusion", "diffusivity": 0.25},
        "horizon": 1.0,
        "exact": True,
    }
    assert config["model"] == {
        "_target_": "lagrangian_ml.fields.mlp.MLP",
        "_partial_": True,
        "width": 8,
        "depth": 1,
        "activation": "tanh",
    }
    shape = config["method"]["shape"]
    assert shape["sizes"] == [2, 3] and "squash" not in shape and "key" not in config["method"]
    assert config["trainer"]["num_steps"] == 6 and config["trainer"]["keep"] == 2
    assert (config["seed"], config["precision"], config["experiment"]) == (0, "float64", "toy")


def test_values_are_set_at_any_depth_without_plus_and_references_follow():
    config = load("problem.equation.diffusivity=0.003", "problem.horizon=2", "method.shape.sizes=[4,5,6]", "seed=7")
    assert config["problem"]["equation"]["diffusivity"] == 0.003
    assert config["method"]["shape"]["scale"] == 2.0  # ${problem.horizon}
    assert config["method"]["shape"]["sizes"] == [4, 5, 6] and config["seed"] == 7


def test_stored_configuration_reproduces_itself(tmp_path):
    config = load("problem.horizon=0.5", "observations=noise")
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    stored = read_config(tmp_path / "config.yaml")
    assert stored == config
    assert complete(stored, [], Targets(["toy_parts"])) == config


def test_a_choice_of_a_group_is_filled_anew_and_foreign_values_of_the_preset_are_dropped():
    config = load("optimizer=levenberg_marquardt")
    assert config["optimizer"]["_target_"].endswith("LevenbergMarquardt")
    assert "b1" not in config["optimizer"] and "max_tries" in config["optimizer"]
    assert load()["optimizer"]["b1"] == 0.8


def test_whole_nodes_and_targets_can_be_replaced():
    config = load("optimizer.learning_rate=0.01", "model.activation={_target_: jax.nn.silu, _partial_: true}")
    assert config["optimizer"]["learning_rate"] == 0.01
    assert config["model"]["activation"] == {"_target_": "jax.nn.silu", "_partial_": True}
    config = load("optimizer={_target_: optax.sgd, learning_rate: 0.1}", "optimizer.momentum=0.9")
    assert config["optimizer"]["momentum"] == 0.9
    config = load("optimizer._target_=optax.sgd", "optimizer.nesterov=true")
    assert config["optimizer"]["nesterov"] is True and "b1" not in config["optimizer"]
    assert config["optimizer"]["learning_rate"]["_target_"] == "optax.exponential_decay"
    config = load("problem.equation={_target_: lagrangian_ml.equations.diffusion.Diffusion}", "seed=1")
    assert config["problem"]["equation"]["diffusivity"] == 1.0


def test_null_takes_an_optional_group_away():
    config = load("observations=null", "mesh=null", "experiment=null", "experiment=toy", experiment=None)
    assert config["observations"] is None and build(config).mesh is None


def test_free_mappings_take_new_keys():
    assert load("method.shape.named={a: 1}")["method"]["shape"]["named"] == {"a": 1.0}
    assert load("method.shape.named.a=2")["method"]["shape"]["named"] == {"a": 2.0}
    assert load("method.shape.axes={0: 1}", "method.shape.axes.0=5", "method.shape.axes.1=6")["method"]["shape"][
        "axes"
    ] == {
        0: 5,
        1: 6,
    }
    assert load("method.shape.axes.0=3")["method"]["shape"]["axes"] == {0: 3}
    assert "mapping to a number" in refused("method.shape.named={a: b}")


@pytest.mark.parametrize(
    "override, words",
    [
        ("sede=1", ["sede is not a key", "'seed'"]),
        ("optimzer=adam", ["optimzer", "'optimizer'"]),
        ("trainer.num_step=3", ["trainer.num_step", "'num_steps'", "checkpoint_every"]),
        ("problem.equation.difusivity=1", ["problem.equation.difusivity", "Diffusion", "'diffusivity'"]),
        ("problem.equaton.diffusivity=1", ["problem.equaton", "'equation'"]),
        ("problem.horizon.x=1", ["problem.horizon.x", "1.0"]),
        ("optimizer.learning_rate.decay_rat=1", ["'decay_rate'"]),
        ("optimizer=adm", ["optimizer=adm", "'adam'", "levenberg_marquardt"]),
        ("experiment=toi", ["experiment=toi", "'toy'"]),
        ("experiment='../experiment/toy'", ["../experiment/toy", "Allowed"]),
        ("optimizer=/etc/passwd", ["/etc/passwd", "Allowed"]),
        ("model.in_size=3", ["model.in_size", "MLP"]),
        ("method.key=3", ["method.key", "seed"]),
        ("observations.key=3", ["observations.key", "seed"]),
        ("trainer=5", ["trainer=5", "default"]),
        ("trainer=null", ["trainer is not set"]),
        ("hydra.run.dir=x", ["hydra"]),
        ("+trainer.num_steps=3", ["No '+'"]),
        ("~trainer", ["key=value"]),
        ("seed", ["key=value"]),
        ("seed=1,2", ["sweep"]),
        ("modules=[os]", ["modules"]),
        ("experiment.x=1", ["experiment"]),
        ("problem.horizon=${nowhere.x}", ["reference", "nowhere"]),
        ("method.shape.sizes.7=1", ["list", "0 … 1"]),
        ("problem.horizon=${oc.env:HOME}", ["problem.horizon=${oc.env:HOME}", "not allowed"]),
        ("method.shape.label='at ${oc.${seed}:x}'", ["method.shape.label", "not allowed"]),
        ("method.shape.named={a: '${oc.env:HOME}'}", ["method.shape.named.a", "not allowed"]),
    ],
)
def test_unknown_keys_name_the_nearest(override, words):
    message = refused(override)
    assert all(word in message for word in words) and "\n" not in message


@pytest.mark.parametrize(
    "override, expected",
    [
        ("trainer.num_steps=abc", "an integer"),
        ("trainer.num_steps=1.5", "an integer"),
        ("trainer.num_steps=true", "an integer"),
        ("trainer.num_steps=null", "an integer"),
        ("optimizer.learning_rate=abc", "a number"),
        ("problem.equation.diffusivity=thick", "a number"),
        ("problem.equation=3", "a node"),
        ("problem.horizon=[1,2]", "a number"),
        ("problem.horizon=nan", "a number that is finite"),
        ("problem.horizon=inf", "a number that is finite"),
        ("method.shape.scale=-inf", "a number that is finite"),
        ("method.shape.offsets=[1,inf]", "a list [a number]"),
        ("method.shape.law=sobl", "one of uniform, sobol"),
        ("method.shape.sizes=3", "a list"),
        ("method.shape.sizes=[1,a]", "a list [an integer]"),
        ("method.shape.on=1", "true or false"),
        ("method.shape.label=3", "text"),
        ("method.shape.squash=tanh", "a node"),
        ("method.shape.scale=None", "a number or null"),
        ("seed=-1", "not negative"),
        ("seed=a", "an integer"),
        ("precision=float16", "float32"),
    ],
)
def test_wrong_types_name_key_value_and_what_is_expected(override, expected):
    message = refused(override)
    assert override.split("=")[0] in message and expected in message


def test_types_behind_references_are_checked():
    assert "trainer.num_steps" in refused("trainer.num_steps=${problem.horizon}", "problem.horizon=1.5")


def test_a_key_behind_a_reference_is_named():
    message = refused("method.observations.noise=0.05", experiment="burgers_inverse")
    assert "set observations.noise instead" in message


def test_stored_configurations_call_nothing_either():
    stored = load() | {"seed": "${oc.env:HOME}"}
    with pytest.raises(ConfigError, match="^seed=.*not allowed"):
        complete(stored, [], Targets(["toy_parts"]))


def test_integral_numbers_become_what_the_annotation_asks_for():
    config = load("trainer.num_steps=1e3", "problem.horizon=3")
    assert (config["trainer"]["num_steps"], type(config["trainer"]["num_steps"])) == (1000, int)
    assert type(config["problem"]["horizon"]) is float


def test_required_arguments_are_asked_for():
    assert "optimizer.learning_rate needs a value" in refused("optimizer={_target_: optax.sgd}")
    assert "nothing to solve" in refused(experiment=None)


ALLOWED = [
    "lagrangian_ml.fields.mlp.MLP",
    "lagrangian_ml.fields.MLP",
    "lagrangian_ml.training.Trainer",
    "lagrangian_ml.training.make_mesh",
    "optax.adam",
    "optax.schedules.exponential_decay",
    "optax.contrib.schedule_free_adamw",
    "equinox.nn.MLP",
    "jax.nn.relu",
    "jax.nn.tanh",
    "jax.nn.initializers.glorot_normal",
    "diffrax.Tsit5",
    "toy_parts.decay",
]

REFUSED = [
    "os.system",
    "builtins.open",
    "subprocess.run",
    "numpy.load",
    "optax.schedules._inject.inspect.os.system",
    "equinox.nn._conv.np.load",
    "equinox.filter_jit",
    "jax.numpy.load",
    "jax.nn.initializers.jnp.load",
    "jax.nn._src",
    "jax.nn.initializers.partial",
    "lagrangian_ml.cli.sys.exit",
    "lagrangian_ml.cli.main",
    "lagrangian_ml.runs.start",
    "lagrangian_ml.load_run",
    "lagrangian_ml.runs.np.load",
    "lagrangian_ml.fields.mlp.jnp.load",
    "lagrangian_ml.fields.mlp.jax.nn.relu",
    "lagrangian_ml.fields.mlp.MLP.__init__",
    "lagrangian_ml.training.record.subprocess.run",
    "lagrangian_ml.training.record.RunDirectory",
    "lagrangian_ml.training.RunDirectory.write_text",
    "lagrangian_ml.training.run_task",
    "lagrangian_ml.plots.save_run_figures",
    "lagrangian_ml.core.Equation.rate",
    "lagrangian_ml.training.record.os.system",
    "lagrangian_ml.fields",
    "lagrangian_ml.fields.mlp",
    "lagrangian_ml",
    "lagrangian_ml.nowhere.MLP",
    "lagrangian_ml..fields.MLP",
    "lagrangian_ml.fields.mlp.MLQ",
    "toy_parts.os.system",
    "toy_parts.shell",
    "toy_parts.eqx.Module",
    "other_module.f",
    "optax",
    "",
    3,
]


@pytest.mark.parametrize("path", ALLOWED)
def test_targets_that_are_allowed(path):
    assert callable(Targets(["toy_parts"]).resolve(path, "model"))


@pytest.mark.parametrize("path", REFUSED)
def test_targets_that_are_refused(path):
    with pytest.raises(ConfigError, match="model._target_="):
        Targets(["toy_parts"]).resolve(path, "model")


def test_modules_of_the_user_need_to_be_named():
    with pytest.raises(ConfigError, match="--module"):
        Targets().resolve("toy_parts.decay", "problem")
    with pytest.raises(ConfigError, match="no module 'toy_prats'"):
        Targets(["toy_prats"]).import_modules()


def test_forbidden_targets_are_refused_before_they_are_imported(monkeypatch, tmp_path):
    (tmp_path / "tripwire.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "is not allowed" in refused("model={_target_: tripwire.f}")
    assert "is not allowed" in refused("model.activation={_target_: tripwire.f}")


@pytest.mark.parametrize("mark", ["_recursive_: false", "_args_: [1]", "_convert_: all", "_hidden: 1"])
def test_private_keys_are_refused(mark):
    assert "is not allowed" in refused("optimizer={_target_: optax.sgd, learning_rate: 0.1, " + mark + "}")


def test_objects_are_built_with_keys_of_their_paths():
    parts = build(load("method.noise={_target_: toy_parts.Noise}", "seed=3"))
    assert parts.problem.equation.diffusivity == 0.25 and parts.problem.horizon == 1.0
    draw = lambda path: jax.random.normal(fold_key(3, path))
    assert parts.observations.amplitude == draw("observations")
    assert parts.method.keywords["noise"].amplitude == draw("method.noise") != draw("observations")
    assert parts.method.keywords["shape"].sizes == (2, 3)  # tuples, which are hashable
    assert parts.method.keywords["shape"].squash is jnp.tanh
    network = parts.model(2, 1, key=parts.key("method"))
    assert network.layers[0].weight.shape == (8, 2)
    assert parts.mesh.shape == {"batch": jax.device_count()}


@pytest.mark.parametrize(
    "override, words",
    [
        ("problem.equation.diffusivity=-1", ["problem.equation", "diffusivity=-1"]),
        ("trainer.num_steps=0", ["trainer.num_steps=0"]),
        ("mesh.batch=999", ["mesh.batch=999"]),
        (
            "observations={_target_: toy_parts.reciprocal, scale: 0}",
            ["observations: ZeroDivisionError", "out of range"],
        ),
    ],
)
def test_what_a_constructor_refuses_names_the_node(override, words):
    with pytest.raises(ConfigError) as caught:
        build(load(override))
    assert all(word in str(caught.value) for word in words)


def test_what_a_partial_call_refuses_names_the_node():
    parts = build(load("model.width=-3"))
    with pytest.raises(ConfigError, match="^model.width=-3"):
        parts.model(2, 1, key=jax.random.key(0))


def test_folder_of_the_user_comes_first_and_ours_is_found_from_anywhere(tmp_path, monkeypatch):
    for name in ("experiments", "mine, 'quoted'"):
        (tmp_path / name / "optimizer").mkdir(parents=True)
        (tmp_path / name / "optimizer" / "adam.yaml").write_text("# mine\n_target_: optax.adam\nlearning_rate: 0.5\n")
    monkeypatch.chdir(tmp_path)  # a folder named experiments where the user stands is not ours
    folders = config_folders([])
    assert folders == (builtin_folder(),) and folders[0].is_relative_to(TESTS.parent)
    assert load()["optimizer"]["learning_rate"] != 0.5
    folders = [tmp_path / "mine, 'quoted'", TESTS / "toy_configs"]
    config = load_config(["experiment=toy"], config_dirs=folders, modules=["toy_parts"])
    assert config["optimizer"]["learning_rate"] == 0.5
    with pytest.raises(ConfigError, match="no such folder"):
        config_folders([tmp_path / "nowhere"])


def test_our_folder_is_the_package_s_data_or_the_repository_s(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "lagrangian_ml"
    monkeypatch.setattr("lagrangian_ml.config.folders._PACKAGE", package)
    monkeypatch.chdir(TESTS.parent)
    with pytest.raises(ConfigError, match="reinstall"):
        builtin_folder()
    for folder in (package.parent / "experiments", package / "_experiments"):  # the second counts if there are both
        (folder / "root").mkdir(parents=True)
        (folder / "root" / "config.yaml").touch()
        assert builtin_folder() == folder


@pytest.mark.parametrize(
    "text, word",
    [
        ("_target_: optax.adam\nlearning_rat: 1\n", "'learning_rate'"),
        ("_target_: optax.adam\nlearning_rate: [\n", "cannot be composed"),
        ("_target_: !!python/name:os.system\n", "cannot be composed"),
        ("_target_: !!python/object/apply:os.getcwd []\n", "cannot be composed"),
        ("_target_: 3\n", "is not allowed"),
        ("learning_rate: 1\n", "_target_"),
        ("- 1\n", "cannot be composed"),
        ("# @package _global_\nmodules: [os]\n", "modules is not a key"),
    ],
)
def test_mistakes_in_config_files_are_told(tmp_path, text, word):
    (tmp_path / "optimizer").mkdir()
    (tmp_path / "optimizer" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=word):
        load_config(
            ["experiment=toy", "optimizer=mine"], config_dirs=[tmp_path, TESTS / "toy_configs"], modules=["toy_parts"]
        )


@pytest.mark.parametrize("text", ["a: 1\n", "a: [\n", "- 1\n", "", "\x00"])
def test_files_that_are_no_stored_configuration(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="config.yaml"):
        read_config(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    "text, value",
    [
        ("a=1e-3", 1e-3),
        ("a=null", None),
        ("a=true", True),
        ("a='x y'", "x y"),
        ("a=[1,b]", [1, "b"]),
        ("a=inf", inf),
    ],
)
def test_values_are_read_in_the_grammar_of_hydra(text, value):
    assert parse_override(text) == ("a", value)


@pytest.mark.parametrize(
    "value, hint, result",
    [
        (2, float, 2.0),
        (2.0, int, 2),
        (2, float | int, 2),
        ([1, 2.5], tuple[float, ...], [1.0, 2.5]),
        ([1, "a"], tuple[int, str], [1, "a"]),
        (None, int | None, None),
        ("here", Path, "here"),
        (1, object, 1),
    ],
)
def test_conversion(value, hint, result):
    assert convert(value, hint) == result and type(convert(value, hint)) is type(result)


@pytest.mark.parametrize(
    "value, hint", [(True, int), (True, float), ([1], tuple[int, int]), ("1", int | float), (1, str)]
)
def test_conversion_refuses(value, hint):
    with pytest.raises(Mismatch):
        convert(value, hint)


def test_a_default_may_be_infinite():
    assert convert(inf, float, inf) == inf


def test_objects_become_nodes_only_if_their_arguments_can_be_read_back():
    class Local(eqx.Module):
        a: int = 1

    assert as_yaml(Local()) is INEXPRESSIBLE and as_yaml(jnp.ones(3)) is INEXPRESSIBLE and as_yaml(len) is INEXPRESSIBLE
    assert as_yaml((1, {"a": (2.0,)})) == [1, {"a": [2.0]}]


PRESETS = sorted(options("experiment", (builtin_folder(),)))
LONG = {"swirl_lflow", "burgers_shock_lpinn", "convection_lpinn", "burgers_inverse"}  # to trace; fitted elsewhere


@pytest.fixture
def restored_precision():
    """A run sets its own precision."""
    yield
    jax.config.update("jax_enable_x64", True)


@pytest.fixture
def made_up_data(monkeypatch):
    """Data sets of presets have the shapes of their recipes and random numbers: the real ones take minutes."""
    from data_gen import problems
    from data_gen.store import SampleStore

    class Random(SampleStore):
        def __init__(self, recipe, num_samples):
            self.name, self.variables, self._num = "random", {v.name: v for v in recipe.variables}, num_samples
            self.coordinates = {} if recipe.times is None else {"t": recipe.times}

        def __len__(self):
            return self._num

        def _start(self, indices, names, frames):
            def read(name):
                shape = self.variables[name].shape
                one = np.random.default_rng(0).standard_normal(shape).astype("float32")
                one = one if frames is None else one[frames]
                return np.broadcast_to(one, (len(indices), *one.shape))

            return lambda: {name: read(name) for name in names}

    def prepare(recipe, settings, num_samples, seed, path):
        config = problems._config(recipe, settings, seed, num_samples)
        return Random(build_group(config, "dataset"), num_samples)

    monkeypatch.setattr(problems, "prepare", prepare)


@pytest.mark.usefixtures("restored_precision", "made_up_data")
@pytest.mark.parametrize("preset", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in PRESETS])
def test_every_preset_builds_and_its_first_step_traces(preset):
    from lagrangian_ml.runs import prepare
    from lagrangian_ml.training import begin
    from lagrangian_ml.training.state import as_optimizer

    prepared = prepare(load_config([f"experiment={preset}"]))
    task, optimizer = prepared.task, as_optimizer(prepared.parts.optimizer)
    if not task.objective:
        return  # nothing is trained

    def first_step(key):
        state = begin(task.model, task.source, optimizer, key=key, objective=task.objective)
        batch, _ = task.source.next(state.source, state.model, task.objective)
        return optimizer.step(state.model, state.optimizer, task.objective, batch)

    model, _, info = eqx.filter_eval_shape(first_step, prepared.parts.key("fit"))
    shapes = lambda tree: [getattr(leaf, "shape", ()) for leaf in jax.tree.leaves(tree)]
    assert "loss" in info
    assert jax.tree.structure(model) == jax.tree.structure(task.model) and shapes(model) == shapes(task.model)


@pytest.mark.usefixtures("restored_precision")
@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (TESTS.parent / "experiments" / "optimizer").glob("*.yaml"))
)
def test_every_optimizer_takes_several_terms(name):
    from lagrangian_ml.runs import prepare
    from lagrangian_ml.training import begin
    from lagrangian_ml.training.state import as_optimizer

    soft = "method.ansatz._target_=lagrangian_ml.fields.soft_constraints"
    prepared = prepare(load_config(["experiment=heat_pinn", f"optimizer={name}", soft, "model.width=4"]))
    task, optimizer = prepared.task, as_optimizer(prepared.parts.optimizer)
    assert set(task.objective) == {"equation", "initial", "boundary"}

    def first_step(key):
        state = begin(task.model, task.source, optimizer, key=key, objective=task.objective)
        batch, _ = task.source.next(state.source, state.model, task.objective)
        return state.optimizer, *optimizer.step(state.model, state.optimizer, task.objective, batch)

    before, _, after, info = eqx.filter_eval_shape(first_step, prepared.parts.key("fit"))
    shapes = lambda tree: [getattr(leaf, "shape", ()) for leaf in jax.tree.leaves(tree)]
    assert "loss" in info
    assert jax.tree.structure(before) == jax.tree.structure(after) and shapes(before) == shapes(after)


@pytest.mark.usefixtures("restored_precision")
@pytest.mark.parametrize("name", ["mdmm", "augmented_lagrangian"])
def test_a_constraint_that_the_ansatz_holds_already_is_refused(name):
    from lagrangian_ml.runs import prepare

    with pytest.raises(ConfigError, match="'boundary' is no term of this objective, which has equation"):
        prepare(load_config(["experiment=heat_pinn", f"optimizer={name}"]))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_reproduced_by_its_stored_configuration(preset, tmp_path):
    config = load_config([f"experiment={preset}"])
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert complete(read_config(tmp_path / "config.yaml"), [], Targets()) == config


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_short_and_say_what_they_are(preset):
    lines = (builtin_folder() / "experiment" / f"{preset}.yaml").read_text().splitlines()
    assert len(lines) <= 12 and options("experiment", (builtin_folder(),))[preset]
