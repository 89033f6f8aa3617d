"""The order in which samples are read: a permutation of 0 … n − 1 for every seed and epoch, as a function of position.

Swap-or-not (Hoang, Morris, Rogaway, 2012): a round draws a pivot K and pairs i with K − i mod n; a hash of the larger
of the two says whether both change places. Any n, no table, no state: a run that stops in the middle of an epoch needs
its epoch and step only, every process knows the order of all, and a compiled step computes its own rows.
"""

from typing import Any

import jax
import numpy as np

_ROUNDS = 48  # a round swaps about n / 4 random pairs; ln n rounds mix, n < 2³¹
_ODD = 0x9E3779B9  # 2³² divided by the golden ratio


def shuffled(positions: Any, num_samples: int, seed: Any, epoch: Any, xp: Any = np) -> Any:
    """The samples (b,) at these positions of the epoch, uint32; `xp` is numpy, or jax.numpy inside compiled code.

    Both give the same. Seed and epoch count modulo 2³². ValueError unless 1 ≤ num_samples < 2³¹.
    """
    if not 1 <= num_samples < 2**31:
        raise ValueError(f"num_samples={num_samples}; an order needs 1 to 2³¹ − 1 samples.")
    n, word = xp.uint32(num_samples), lambda a: xp.atleast_1d(xp.asarray(a)).astype(xp.uint32)
    rounds = xp.arange(_ROUNDS, dtype=xp.uint32)
    key = _mix(word(epoch) + _mix(word(seed) + xp.uint32(_ODD)))
    salts = _mix(rounds * xp.uint32(_ODD) + key)
    pivots = _mix(salts ^ key) % n

    def swap_or_not(r, i):
        partner = (pivots[r] + n - i) % n
        return xp.where(_mix(xp.maximum(i, partner) ^ salts[r]) >> 31, partner, i)

    return (_loop if xp is np else jax.lax.fori_loop)(0, _ROUNDS, swap_or_not, word(positions))


def num_batches(num_samples: int, batch_size: int, drop_last: bool) -> int:
    """Batches in an epoch. ValueError if there is none."""
    count = 0
    if batch_size > 0:
        count = num_samples // batch_size if drop_last else -(-num_samples // batch_size)
    if count < 1:
        raise ValueError(
            f"batch_size={batch_size} of {num_samples} samples; a batch has at least 1 sample, and with drop_last an "
            "epoch at least one whole batch."
        )
    return count


def rows(
    num_samples: int,
    batch_size: int,
    epoch: int,
    step: int,
    *,
    seed: int = 0,
    shuffle: bool = True,
    process_index: int = 0,
    process_count: int = 1,
) -> np.ndarray:
    """The samples of one batch, or this process's even part of them; the batch itself does not depend on the parts."""
    positions = np.arange(step * batch_size, min((step + 1) * batch_size, num_samples))
    positions = np.array_split(positions, process_count)[process_index]
    return shuffled(positions, num_samples, seed, epoch).astype(np.int64) if shuffle else positions


def _loop(start, stop, body, value):
    for r in range(start, stop):
        value = body(r, value)
    return value


def _mix(a):
    """Murmur3's finaliser: every bit of the word reaches every other."""
    a = (a ^ (a >> 16)) * a.dtype.type(0x85EBCA6B)
    a = (a ^ (a >> 13)) * a.dtype.type(0xC2B2AE35)
    return a ^ (a >> 16)
