"""Searching open shards: each shard is asked, and what they found is merged."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import vectors
from ..filters import as_filter
from ..index import Index
from ..progress import Progress
from ..result import Result
from ..fanout import FanOut, Report, processor_count
from .merge import merge
from .opened import OpenShards


def search(
    opened: OpenShards, fan: FanOut, queries: Any, k: int | None, threads: int, progress: Progress, **options: Any
) -> Result:
    """Index.search on every shard, with up to `threads` threads in all; `options` are those of Index.search."""
    total = threads or processor_count()
    groups = spread(opened.indexes, total)
    each = max(1, total // len(groups))

    def call_for(group: Sequence[Index]) -> Any:
        def call(report: Report) -> list[Result]:
            return [index.search(queries, k, threads=each, progress=report, **options) for index in group]

        return call

    found = fan.run([call_for(group) for group in groups], progress, "search")
    radius = options.get("radius") is not None
    return merge([part for parts in found for part in parts], k if radius or k is not None else 10, pad=not radius)


def spread(indexes: Sequence[Index], part_count: int) -> list[Sequence[Index]]:
    """Shards in up to `part_count` parts, each for a thread."""
    count = max(1, min(part_count, len(indexes)))
    return [indexes[i::count] for i in range(count)]


def search_like(opened: OpenShards, fan: FanOut, key: int, k: int, ef_search: int | None, filter: Any) -> Result:
    """The `k` vectors nearest to that of a key, without that key."""
    home = opened.home_of(key)
    vector = home.get(key)
    prepared = as_filter(filter)

    def call_for(index: Index) -> Any:
        if index is home:
            return lambda report: index.search_like(key, k, ef_search=ef_search, filter=prepared)
        return lambda report: index.search(vector, k, ef_search=ef_search, filter=prepared)

    return merge(fan.run([call_for(index) for index in opened.indexes]), k)


def iterate(
    opened: OpenShards, query: Any, ef_search: int | None, filter: Any, chunk: int
) -> Iterator[tuple[int, float]]:
    """Pairs (key, distance) of all shards, nearest first."""
    each = [index.iterate(query, ef_search=ef_search, filter=filter, chunk=chunk) for index in opened.indexes]
    return heapq.merge(*each, key=lambda pair: (pair[1], pair[0]))


def take_output(result: Result, out: Any) -> Result:
    """The result in arrays of the caller's; (keys, None) has no distances."""
    keys: Any = out[0]
    distances: Any = out[1]
    count = result.keys.shape[-1]
    keys[..., :count] = result.keys
    if distances is not None:
        distances[..., :count] = result.distances
    if keys.ndim == 1:
        distances = None if distances is None else distances[:count]
        return Result(keys[:count], distances, result.counts)
    return Result(keys, distances, result.counts)


def check_output(out: Any, shape: tuple[int, ...]) -> None:
    """Invalid, unless there is room of the right kind in arrays of the caller's."""
    vectors.take_output(out[0], np.uint64, shape, "keys")
    if out[1] is not None:
        vectors.take_output(out[1], np.float32, shape, "distances")
