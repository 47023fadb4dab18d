"""Results of several shards as those of one index: a pure function on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..result import Result


def merge(parts: Sequence[Result], k: int | None, *, pad: bool = True) -> Result:
    """The `k` nearest of the results of several shards, or all of them; equal distances are ordered by key.

    All parts are of one query, or of the same batch: arrays of keys and distances, in a batch matrices with a row for
    each query and NO_KEY and infinity after the last result. With `pad` the rows of a batch have `k` places, as those
    of a search for k have; otherwise as many as the longest row needs.
    """
    if not parts:
        raise ValueError("no results to merge")
    if len(parts) == 1:
        return _sorted(parts[0])
    keys = np.concatenate([part.keys for part in parts], axis=-1)
    distances = np.concatenate([part.distances for part in parts], axis=-1)
    if keys.ndim == 1:
        order = np.lexsort((keys, distances))[:k]
        return Result(keys[order], distances[order], len(order))
    counts = np.array([part.counts for part in parts], np.uint64).sum(axis=0, dtype=np.uint64)
    width = keys.shape[1]
    if k is not None:
        counts = np.minimum(counts, np.uint64(k))
        width = min(width, k)
    if not pad:
        width = min(width, int(counts.max(initial=0)))
    order = _order(keys, distances)[:, :width]
    keys, distances = np.take_along_axis(keys, order, 1), np.take_along_axis(distances, order, 1)
    return Result(keys, distances, counts)


def _order(keys: Any, distances: Any) -> Any:
    """How to order each row by distance, and equal distances by key: places without a result come last."""
    return np.lexsort((keys, distances), axis=-1)


def _sorted(part: Result) -> Result:
    """A result whose equal distances are ordered by key."""
    order = _order(part.keys, part.distances)
    return Result(np.take_along_axis(part.keys, order, -1), np.take_along_axis(part.distances, order, -1), part.counts)
