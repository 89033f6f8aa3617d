"""What is read is what was written, by any index, in an order that needs no state; damage is never returned."""

import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tensorstore as ts
import toy_datasets as toy

from data_gen import manifest
from data_gen.feed import source
from data_gen.order import shuffled
from data_gen.read import Dataset, DatasetError, open_store
from lagrangian_ml import fit
from lagrangian_ml.core import Term
from lagrangian_ml.training.manifest import leaf_sums


@pytest.fixture(scope="module", params=toy.CONTENTS)
def written(request, tmp_path_factory):
    """(a data set on disk, its arrays)"""
    directory = tmp_path_factory.mktemp("data") / "set"
    return directory, toy.write(directory, request.param)


@pytest.fixture
def burgers(tmp_path):
    toy.write(tmp_path / "set", "burgers")
    return tmp_path / "set"


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


# Random access


def test_any_samples_frames_and_variables_are_read_in_the_order_asked_for(written):
    directory, arrays = written
    data = Dataset(directory)
    n = len(data)
    same(data[1], {name: array[1] for name, array in arrays.items()})
    for indices in ([3], [n - 1, 0, 2, 2], [-1], range(n)):
        same(data.read(indices), {name: array[list(indices)] for name, array in arrays.items()})
    name = list(arrays)[-1]
    same(data.read([2, 0], variables=[name]), {name: arrays[name][[2, 0]]})
    for frames in (slice(1, None), [2, 0], slice(0, 1)):
        expected = {k: a[[1, 3]][:, frames] if data.variables[k].evolving else a[[1, 3]] for k, a in arrays.items()}
        if "t" in data.coordinates:
            same(data.read([1, 3], frames=frames), expected)


def test_a_data_set_says_what_it_holds(written):
    directory, arrays = written
    data = Dataset(directory)
    assert len(data) == len(next(iter(arrays.values()))) and data.seed == toy.SEED and data.recipe == toy.RECIPE
    assert {name: v.shape for name, v in data.variables.items()} == {name: a.shape[1:] for name, a in arrays.items()}
    assert len(data.boundary) == sum(axis in data.coordinates for axis in "xyz")
    for variable in data.variables.values():
        sizes = [len(data.coordinates[axis]) for axis in variable.axes if axis != "component"]
        assert sizes == [n for axis, n in zip(variable.axes, variable.shape, strict=True) if axis != "component"]


def test_the_normaliser_leaves_zero_mean_and_unit_variance(written):
    directory, arrays = written
    data = Dataset(directory)
    for name, variable in data.variables.items():
        for delta in (False, True)[: 1 + variable.evolving]:
            values = arrays[name].astype(float)
            values = np.diff(values, axis=1) if delta else values
            mean, std = data.normaliser(name, delta=delta)
            scaled = (values - mean) / std
            axes = tuple(i for i, axis in enumerate(("sample", *variable.axes)) if axis != "component")
            np.testing.assert_allclose(scaled.mean(axis=axes), 0.0, atol=1e-13)
            np.testing.assert_allclose(scaled.std(axis=axes), 1.0, rtol=1e-13)


def test_other_places_are_opened_by_their_url(burgers):
    expected = Dataset(burgers)
    disk, memory = open_store(burgers), ts.KvStore.open("memory://data/").result()
    for key in disk.list().result():
        memory.write(key, disk.read(key).result().value).result()
    for url in (f"file://{burgers}", memory):
        data = Dataset(url)
        same(data.read(range(len(data))), expected.read(range(len(data))))
        same(data.coordinates, expected.coordinates)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda data: data[10], IndexError, "samples 0 … 9; there is no sample 10"),
        (lambda data: data.read([-11]), IndexError, "no sample -11"),
        (lambda data: data.read([0], ["w"]), ValueError, "no variable 'w'; it has u"),
        (lambda data: data.read([0], frames=[6]), IndexError, "6 frames; there is no frame 6"),
        (lambda data: data.batches(11), ValueError, "batch_size=11 of 10 samples"),
        (lambda data: data.batches(0), ValueError, "at least 1 sample"),
        (lambda data: data.batches(4, process_count=3), ValueError, "multiple of process_count=3"),
        (lambda data: data.batches(4, process_index=2, process_count=2), ValueError, "must lie in 0 … "),
        (lambda data: source(data, 11), ValueError, "batch_size=11"),
    ],
)
def test_a_wrong_request_is_refused(burgers, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(Dataset(burgers))


# Order


@pytest.mark.parametrize("n", [1, 2, 3, 10, 97, 1024])
def test_every_epoch_holds_every_sample_once(n):
    orders = [shuffled(np.arange(n), n, seed, epoch) for seed in (0, 1) for epoch in range(4)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(n))
    if n > 3:
        assert len({order.tobytes() for order in orders}) > 6
    compiled = jax.jit(lambda positions, seed, epoch: shuffled(positions, n, seed, epoch, jnp))
    np.testing.assert_array_equal(compiled(jnp.arange(n), jnp.uint32(1), jnp.int32(3)), orders[-1])


def test_orders_are_uniform():
    """Pearson's statistic of the 120 orders of five samples has mean 119 and standard deviation 15.4."""
    orders, counts = np.unique(
        [shuffled(np.arange(5), 5, 1, epoch) for epoch in range(1200)], axis=0, return_counts=True
    )
    assert len(orders) == 120 and ((counts - 10.0) ** 2 / 10.0).sum() < 119 + 4 * 15.4


@pytest.mark.parametrize("prefetch", [0, 3])
@pytest.mark.parametrize("drop_last", [True, False])
def test_seed_epoch_and_step_give_the_batches(burgers, prefetch, drop_last):
    data = Dataset(burgers)
    everything = data.read(range(10))["u"]
    batches = lambda **which: [b["u"] for b in data.batches(4, seed=5, drop_last=drop_last, prefetch=prefetch, **which)]
    epochs = [batches(epoch=e) for e in range(3)]
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [4, 4, 2][: 2 + (not drop_last)]
        found = [np.flatnonzero((everything == sample).all(axis=(1, 2, 3))).item() for b in epoch for sample in b]
        assert len(set(found)) == len(found)
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    for step in range(len(epochs[1])):
        np.testing.assert_array_equal(np.concatenate(batches(epoch=1, step=step)), np.concatenate(epochs[1][step:]))


@pytest.mark.parametrize("process_count", [1, 2, 4])
def test_the_parts_of_the_processes_are_the_batch(burgers, process_count):
    data = Dataset(burgers)
    parts = [data.batches(4, epoch=2, process_index=p, process_count=process_count) for p in range(process_count)]
    for whole, *shares in zip(data.batches(4, epoch=2), *parts, strict=True):
        assert {len(share["u"]) for share in shares} == {4 // process_count}
        np.testing.assert_array_equal(np.concatenate([share["u"] for share in shares]), whole["u"])


# A source for fit


def mean_residual(model, sample):
    return jnp.atleast_1d(model["mean"] - sample["u"].mean() * jnp.asarray([1.0, 2.0]))


OBJECTIVE = {"data": Term(mean_residual)}


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_source_gives_the_batches_of_the_data_set_from_memory_and_from_disk(burgers, shuffle):
    data = Dataset(burgers)
    sources = [source(data, 4, in_memory=held, shuffle=shuffle) for held in (True, False)]
    states = [s.init(jax.random.key(3)) for s in sources]
    seed = int(states[0]["seed"])
    expected = [b["u"] for epoch in range(3) for b in data.batches(4, seed=seed, epoch=epoch, shuffle=shuffle)]
    following = [jax.jit(lambda state, s=s: s.next(state, None, OBJECTIVE)) for s in sources]
    for batch in expected:
        for i, advance in enumerate(following):
            found, states[i] = advance(states[i])
            np.testing.assert_array_equal(found["data"]["u"], batch)
    assert {int(state["epoch"]) for state in states} == {3}


def test_a_fit_is_the_same_from_memory_and_from_disk_and_goes_on_in_the_middle_of_an_epoch(burgers):
    model = {"mean": jnp.zeros(2)}
    run = lambda s, steps, state=None: fit(
        model, OBJECTIVE, s, optax.sgd(0.1), num_steps=steps, key=jax.random.key(0), log_every=7, state=state
    )
    memory, disk = (source(burgers, 4, in_memory=held) for held in (True, False))
    wanted, whole = run(memory, 7), run(disk, 7)
    resumed = run(disk, 7, run(disk, 3).state)
    assert leaf_sums(resumed.state) == leaf_sums(whole.state) == leaf_sums(wanted.state)
    assert np.abs(wanted.model["mean"]).max() > 0


def test_damage_met_by_a_fit_ends_it_with_its_name(burgers):
    batches = source(burgers, 4, in_memory=False)
    shard = burgers / "u/c/1/0/0/0"
    flip(shard, 8 * shard.stat().st_size - 5)  # the index, and with it all four samples
    with pytest.raises(Exception, match=r"u/c/1/0/0/0 is damaged .* verify"):
        fit({"mean": jnp.zeros(2)}, OBJECTIVE, batches, optax.sgd(0.1), num_steps=4, key=jax.random.key(0))


# Damage


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("content", ["burgers", "mixed"])
def test_no_flipped_bit_is_ever_returned(tmp_path, content):
    """100 bits over all files of a data set, chosen evenly over its bytes and once more over its files."""
    directory = tmp_path / "set"
    arrays = toy.write(directory, content)
    whole = Dataset(directory)
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sizes = np.array([8 * path.stat().st_size for path in files])
    rng = np.random.default_rng(0)
    raised = 0
    for i in range(100):
        k = rng.choice(len(files), p=sizes / sizes.sum() if i % 2 else None)
        bit = int(rng.integers(sizes[k]))
        flip(files[k], bit)
        try:
            data = Dataset(directory)
            same(data.coordinates, whole.coordinates)
            assert (data.variables, data.statistics, data.recipe) == (whole.variables, whole.statistics, whole.recipe)
            same(data.read(range(len(data))), arrays)
        except DatasetError as error:
            assert "verify" in str(error) and str(directory) in str(error)
            raised += 1
        flip(files[k], bit)
    assert raised == 100  # every byte of these files is covered by a check
    same(Dataset(directory).read(range(len(whole))), arrays)


def test_damage_to_one_sample_leaves_the_others_readable(burgers):
    expected = Dataset(burgers).read(range(10))["u"]
    flip(burgers / "u/c/1/0/0/0", 5)  # of the first sample of the shard, 4
    data = Dataset(burgers)
    with pytest.raises(DatasetError, match=r"u/c/1/0/0/0 is damaged .*verify"):
        data[4]
    np.testing.assert_array_equal(data.read([0, 1, 2, 3, 5, 6, 7, 8, 9])["u"], np.delete(expected, 4, axis=0))


def remove(name):
    return lambda directory: (directory / name).unlink()


def cut(name):
    return lambda directory: (directory / name).write_bytes((directory / name).read_bytes()[:-3])


def of_another_version(directory):
    lines = (directory / manifest.NAME).read_text().splitlines(keepends=True)
    header = manifest.from_line(lines[0])
    files = {name: entry for line in lines[1:-1] for name, entry in manifest.from_line(line)["files"].items()}
    manifest.write(directory, header | {"version": 2}, [], files)


@pytest.mark.parametrize(
    "harm, message",
    [
        (remove("manifest.jsonl"), r"unfinished: .* `lagrangian-ml generate --out"),
        (shutil.rmtree, r"holds no data set"),
        (
            lambda directory: (remove("manifest.jsonl")(directory), remove("recipe.yaml")(directory)),
            "holds no data set",
        ),
        (remove("u/zarr.json"), r"u/zarr.json is missing"),
        (remove("t/c/0"), r"t/c/0 is missing"),
        (remove("u/c/2/0/0/0"), r"u/c/2/0/0/0 is missing; run `lagrangian-ml verify"),
        (cut("u/c/2/0/0/0"), r"u/c/2/0/0/0 is damaged .*verify"),
        (lambda directory: (directory / "u/c/2/0/0/0").write_bytes(b""), r"u/c/2/0/0/0 is damaged .*verify"),
        (cut("statistics.json"), r"statistics.json has changed"),
        (of_another_version, r"version 2.*update"),
    ],
)
def test_a_data_set_that_is_not_whole_says_so(burgers, harm, message):
    harm(burgers)
    with pytest.raises(DatasetError, match=message):
        Dataset(burgers).read(range(10))


def test_a_zarr_group_of_others_is_no_data_set(burgers):
    (burgers / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(DatasetError, match="another kind"):
        Dataset(burgers, check=False)
