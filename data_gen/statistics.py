"""Means and standard deviations of what is stored, and of its one-step differences, for each component.

Moments (count, mean, M₂ = Σ (x − mean)²) in float64: of one sample by two passes, of many by the pairwise update of
Chan, Golub and LeVeque (1983), in the order of the samples. No difference of large squares is taken, and merged in
the same order the same bytes come out. A state is plain numbers, so that it goes through JSON unchanged.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

State = dict[str, dict[str, dict[str, Any]]]  # {variable: {"values" | "steps": {"count", "mean" [c], "m2" [c]}}}
Summary = dict[str, dict[str, Any]]


def of_samples(arrays: Mapping[str, np.ndarray], evolving: Collection[str] = ()) -> State:
    """The moments of samples, {name: (n, c, *s)}, or (n, t, c, *s) for the names in `evolving`.

    Those also have the moments of x(t + 1) − x(t), taken in float64. ValueError if a sample is not finite.
    """
    state: State = {}
    for name, samples in arrays.items():
        parts = [_of_sample(name, i, sample, name in evolving) for i, sample in enumerate(samples)]
        if not parts:
            raise ValueError(f"there are no samples of {name!r} to take statistics of.")
        state[name] = {kind: _fold(part[kind] for part in parts) for kind in parts[0]}
    return state


def merge(states: Iterable[State]) -> State:
    """The moments of all samples together, taken in this order. ValueError if the variables differ."""
    parts = list(states)
    if not parts:
        raise ValueError("there are no statistics to merge; a data set has at least one shard.")
    for part in parts:
        if _kinds(part) != _kinds(parts[0]):
            raise ValueError(f"statistics of {_kinds(part)} cannot be merged with those of {_kinds(parts[0])}.")
    return {name: {kind: _fold(part[name][kind] for part in parts) for kind in parts[0][name]} for name in parts[0]}


def summarise(state: State) -> Summary:
    """{variable: {count, mean, std, rms, mean_delta, std_delta, rms_delta}}, lists by component; std divides by n."""
    summary: Summary = {}
    for name, kinds in state.items():
        summary[name] = {"count": kinds["values"]["count"]}
        for kind, suffix in (("values", ""), ("steps", "_delta")):
            if kind in kinds:
                count, mean, m2 = _arrays(kinds[kind])
                variance = m2 / count
                figures = {"mean": mean, "std": np.sqrt(variance), "rms": np.sqrt(mean**2 + variance)}
                summary[name] |= {figure + suffix: values.tolist() for figure, values in figures.items()}
    return summary


def to_json(summary: Summary) -> str:
    """The text of statistics.json: every float64 in its shortest form that reads back the same."""
    return json.dumps(summary, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _of_sample(name, index, sample, evolving):
    sample = np.asarray(sample, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        moments = {"values": _moments(sample if evolving else sample[None])}
        if evolving and len(sample) > 1:
            moments["steps"] = _moments(np.diff(sample, axis=0))
    if not np.isfinite(moments["values"]["m2"]).all():
        raise ValueError(f"sample {index} of {name!r} has values that are not finite, or too large to be squared.")
    return moments


def _moments(values):
    """Of (t, c, *s), over t and *s."""
    values = values.reshape(*values.shape[:2], -1)
    mean = values.mean(axis=(0, 2))
    m2 = np.square(values - mean[:, None]).sum(axis=(0, 2))
    return {"count": values.shape[0] * values.shape[2], "mean": mean.tolist(), "m2": m2.tolist()}


def _fold(moments):
    count, mean, m2 = 0, 0.0, 0.0
    for part in moments:
        n, other, spread = _arrays(part)
        total, shift = count + n, other - mean
        mean, m2 = mean + shift * (n / total), m2 + spread + shift**2 * (count * n / total)
        count = total
    return {"count": count, "mean": np.asarray(mean).tolist(), "m2": np.asarray(m2).tolist()}


def _arrays(moments):
    return moments["count"], np.asarray(moments["mean"]), np.asarray(moments["m2"])


def _kinds(state):
    return {name: sorted(kinds) for name, kinds in state.items()}
