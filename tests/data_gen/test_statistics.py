"""Means and spreads are those of all samples together, however they came in, and the same bytes every time."""

import json
import math

import numpy as np
import pytest

from data_gen import statistics

N = 12


def samples(shape, mean=0.0, scale=1.0, dtype="float32"):
    return (mean + scale * np.random.default_rng(0).standard_normal((N, *shape))).astype(dtype)


# name: (samples (n, [t,] c, *s), evolving)
CASES = {
    "evolving 1-D": (samples((5, 2, 16)), True),
    "steady 2-D": (samples((3, 6, 8)), False),
    "one frame": (samples((1, 1, 8)), True),
    "double": (samples((4, 1, 8), dtype="float64"), True),
    "far from zero": (samples((4, 1, 64), mean=1e6, dtype="float64"), True),
    "tiny": (samples((4, 1, 8), scale=1e-12), True),
    "constant": (np.full((N, 3, 1, 4), 7.0, "float32"), True),
}
CUTS = {"at once": [], "one by one": list(range(1, N)), "unequal": [1, 4, 9]}


def summary(values, evolving, cuts):
    parts = np.split(values, cuts)
    return statistics.summarise(statistics.merge([statistics.of_samples({"u": p}, ["u"] * evolving) for p in parts]))


def exactly(values):
    """{mean, std, rms} of every component (…, c, *s moved to the front) with correctly rounded sums."""
    rows = [[float(v) for v in row] for row in values]
    means = [math.fsum(row) / len(row) for row in rows]
    variances = [math.fsum((v - m) ** 2 for v in row) / len(row) for row, m in zip(rows, means, strict=True)]
    rms = [math.sqrt(m**2 + v) for m, v in zip(means, variances, strict=True)]
    return {"mean": means, "std": [math.sqrt(v) for v in variances], "rms": rms}


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("name", CASES)
def test_statistics_are_those_of_all_samples(name, cuts):
    values, evolving = CASES[name]
    found = summary(values, evolving, CUTS[cuts])["u"]
    by_component = lambda a: np.moveaxis(a, 1 + evolving, 0).reshape(a.shape[1 + evolving], -1)
    assert found["count"] == values[:, :, 0].size if evolving else values[:, 0].size
    parts = {"": values.astype(float)}
    if evolving and values.shape[1] > 1:
        parts["_delta"] = np.diff(values.astype(float), axis=1)
    assert set(found) == {"count"} | {kind + suffix for suffix in parts for kind in ("mean", "std", "rms")}
    for suffix, part in parts.items():
        wanted = exactly(by_component(part))
        rounding = 4e-16 * np.abs(part).max()  # of numbers as large as the largest; sums of squares would lose more
        for kind, figures in wanted.items():
            np.testing.assert_allclose(found[kind + suffix], figures, rtol=1e-14, atol=rounding)


def test_the_same_order_gives_the_same_bytes_also_through_json():
    values, _ = CASES["evolving 1-D"]
    shards = [statistics.of_samples({"u": part}, ["u"]) for part in np.split(values, [4, 8])]
    again = [json.loads(json.dumps(statistics.of_samples({"u": p.copy()}, ["u"]))) for p in np.split(values, [4, 8])]
    assert again == shards
    texts = {statistics.to_json(statistics.summarise(statistics.merge(states))) for states in (shards, again)}
    assert len(texts) == 1
    assert json.loads(texts.pop()) == statistics.summarise(statistics.merge(shards))


def test_variables_have_statistics_of_their_own():
    arrays = {"u": CASES["evolving 1-D"][0], "a": CASES["steady 2-D"][0]}
    found = statistics.summarise(statistics.of_samples(arrays, ["u"]))
    assert found["u"] == summary(arrays["u"], True, [])["u"] and found["a"] == summary(arrays["a"], False, [])["u"]
    assert "mean_delta" in found["u"] and "mean_delta" not in found["a"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_is_refused(value):
    values = CASES["evolving 1-D"][0].copy()
    values[3, 0, 0, 0] = value
    with pytest.raises(ValueError, match="sample 3 of 'u' .* not finite"):
        statistics.of_samples({"u": values}, ["u"])


def test_what_does_not_belong_together_is_refused():
    one = statistics.of_samples({"u": CASES["evolving 1-D"][0]}, ["u"])
    other = statistics.of_samples({"u": CASES["evolving 1-D"][0]})
    with pytest.raises(ValueError, match="cannot be merged"):
        statistics.merge([one, other])
    with pytest.raises(ValueError, match="no statistics to merge"):
        statistics.merge([])
    with pytest.raises(ValueError, match="no samples of 'u'"):
        statistics.of_samples({"u": np.zeros((0, 1, 4))})
