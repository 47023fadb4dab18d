"""Searches within a radius: of one query, or of many on threads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from . import _native
from .errors import Cancelled
from .fanout import FanOut, Report, processor_count
from .inside import Owner
from .progress import Progress
from .result import NO_KEY, Result
from .vectors import Native

_ROOM = 1024  # results for which there is room at first

_Found = tuple[NDArray[np.uint64], NDArray[np.float32]]


class Within:
    """What is to be found: everything within a radius, or the `k` nearest of it. Any number of threads may use one."""

    def __init__(
        self, handle: _native.Handle, radius: float, k: Union[int, None], ef_search: int, filter: Any
    ) -> None:
        self._handle = handle
        self._radius = radius
        self._k = k
        self._ef_search = ef_search
        self._filter = filter

    def search(self, query: Native) -> Result:
        """Of one query, nearest first."""
        keys, distances = self._find(query)
        return Result(keys, distances, len(keys))

    def search_many(self, queries: Sequence[Native], threads: int, progress: Progress) -> Result:
        """Of each of several queries, in matrices as wide as the longest answer."""
        call_count = min(threads or processor_count(), len(queries))
        found: list[_Found] = [(np.empty(0, np.uint64), np.empty(0, np.float32))] * len(queries)

        def search_some(first: int, report: Report) -> None:
            mine = range(first, len(queries), call_count)
            for done, i in enumerate(mine, 1):
                found[i] = self._find(queries[i])
                if not report(done, len(mine)):
                    raise Cancelled("stopped by the caller", "RHUMB_E_CANCELLED")

        with closing(FanOut(call_count, Owner())) as fan:
            fan.run([partial(search_some, first) for first in range(call_count)], progress, "search")
        return _as_matrices(found)

    def _find(self, query: Native) -> _Found:
        """Searched again with more room if there may be more."""
        room = _ROOM if self._k is None else self._k
        while True:
            keys, distances = np.empty(room, np.uint64), np.empty(room, np.float32)
            count = self._handle.search_radius(query, self._radius, self._ef_search, self._filter, keys, distances)
            if count < room or self._k is not None:
                return keys[:count], distances[:count]
            room *= 8


def _as_matrices(found: Sequence[_Found]) -> Result:
    counts = np.array([len(keys) for keys, _ in found], np.uint64)
    width = int(counts.max(initial=0))
    keys = np.full((len(found), width), NO_KEY, np.uint64)
    distances = np.full((len(found), width), np.inf, np.float32)
    for i, (row_keys, row_distances) in enumerate(found):
        keys[i, : len(row_keys)] = row_keys
        distances[i, : len(row_keys)] = row_distances
    return Result(keys, distances, counts)
