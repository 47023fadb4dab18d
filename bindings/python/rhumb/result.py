"""What a search has found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

#: Stands in a matrix of keys where there is no result; the distance there is infinite.
NO_KEY = 2**64 - 1


class Result:
    """Keys and distances, nearest first: ``keys, distances = index.search(...)``.

    Of one query they are arrays of what was found. Of a batch they are matrices with a row per query, and `counts` says
    how many results each row has; places after those have the key NO_KEY and an infinite distance.
    """

    __slots__ = ("keys", "distances", "counts")

    def __init__(
        self, keys: NDArray[np.uint64], distances: NDArray[np.float32], counts: Union[int, NDArray[np.uint64]]
    ) -> None:
        self.keys = keys
        self.distances = distances
        self.counts = counts

    def __iter__(self) -> Iterator[Any]:
        yield self.keys
        yield self.distances

    def __len__(self) -> int:
        return 2  # of the two that it unpacks to

    def __repr__(self) -> str:
        return f"Result(keys={self.keys!r}, distances={self.distances!r})"

    def to_list(self) -> Any:
        """The results as pairs (key, distance): a list of them, or of a batch a list for each query."""
        if self.keys.ndim == 1:
            return list(zip(self.keys.tolist(), self.distances.tolist()))
        rows = zip(self.keys, self.distances, np.asarray(self.counts).tolist())
        return [list(zip(keys[:count].tolist(), distances[:count].tolist())) for keys, distances, count in rows]

    def recall(self, truth: Result | NDArray[Any]) -> float:
        """The share of the true keys, those of an exact search, that were found."""
        true_keys = np.atleast_2d(truth.keys if isinstance(truth, Result) else np.asarray(truth))
        found = hits = 0
        for row, true_row in zip(np.atleast_2d(self.keys), true_keys, strict=True):
            wanted = true_row[true_row != NO_KEY]
            found += len(wanted)
            hits += int(np.isin(wanted, row).sum())
        return hits / found if found else 1.0
