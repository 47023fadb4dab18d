"""The rows, queries and true neighbours of a file that bench/datasets.py makes, and the recall of answers.

Rows are mapped, not read: several processes share one copy of them, and a set may be larger than memory.
"""

import h5py
import numpy as np

BLOCK_ROWS = 16384
UNIT_TOLERANCE = 1e-5  # a length as near to 1 as this needs no division


def spread(count, wanted):
    """At most `wanted` of the numbers below `count`, evenly spread; 0: all.

    The first ones would be no sample: words-100-angular has its queries by the words' frequency, the easiest first.
    """
    return np.arange(count) if wanted == 0 or wanted >= count else np.arange(wanted) * count // wanted


class Dataset:
    """Opened for reading; at most `query_count` queries are used, 0 for all."""

    def __init__(self, path, query_count=0):
        self.path = path
        with h5py.File(path, "r") as file:
            self.distance = file.attrs["distance"]
            if self.distance not in ("euclidean", "angular"):
                raise SystemExit(f"{path}: distance {self.distance}, but only euclidean and angular are compared")
            train = file["train"]
            if train.dtype != np.float32 or train.id.get_offset() is None:
                raise SystemExit(f"{path}: its rows cannot be mapped, as they are not float32 or not in one piece")
            # Mapped privately, as some libraries insist on arrays that could be written to.
            self.rows = np.memmap(path, "<f4", "c", train.id.get_offset(), train.shape)
            chosen = spread(len(file["test"]), query_count)
            self.queries = np.ascontiguousarray(file["test"][:][chosen], dtype=np.float32)
            self.neighbours = file["neighbors"][:][chosen]
            self.distances = file["distances"][:][chosen].astype(np.float64)

    def prepared(self, vectors):
        """Rows or queries for libraries that are to measure euclidean distances: under angular, of length 1."""
        return vectors if self.distance == "euclidean" else of_length_one(vectors)

    def _measured(self, query, rows):
        """The exact distances of a query to some rows, in the unit of the truth."""
        block = self.rows[rows].astype(np.float64)
        query = self.queries[query].astype(np.float64)
        if self.distance == "euclidean":
            return np.linalg.norm(block - query, axis=1)
        norms = np.linalg.norm(block, axis=1) * np.linalg.norm(query)
        products = block @ query
        return 1.0 - np.divide(products, norms, out=np.zeros_like(products), where=norms > 0)

    def recall(self, ids, k):
        """The share of the true k nearest that were found, over all queries.

        A row as near as the k-th, within rounding, is one of them, whichever number it has. A row returned twice counts
        once. `ids` has a row of k answers per query; numbers that are no row's are places without an answer.
        """
        hit_count = 0
        for query, answers in enumerate(np.asarray(ids)):
            answers = np.unique(answers[(answers >= 0) & (answers < len(self.rows))].astype(np.int64))
            farthest = self.distances[query, k - 1]
            limit = farthest + 1e-6 * abs(farthest) + 1e-7
            near = self.neighbours[query][self.distances[query] <= limit]
            listed = np.isin(answers, near)
            hits = int(listed.sum())
            # A further row can only be as near as the k-th if every row in the list is.
            if hits < k and len(near) == self.neighbours.shape[1] and not listed.all():
                hits += int((self._measured(query, answers[~listed]) <= limit).sum())
            hit_count += min(hits, k)
        return hit_count / (len(self.queries) * k)


def of_length_one(rows):
    """The rows divided by their lengths, as float32; the same array if they have length 1 already. Zeros stay zeros."""
    norms = np.empty(len(rows))
    for first in range(0, len(rows), BLOCK_ROWS):
        block = np.asarray(rows[first : first + BLOCK_ROWS], dtype=np.float64)
        norms[first : first + BLOCK_ROWS] = np.linalg.norm(block, axis=1)
    if (np.abs(norms - 1.0) <= UNIT_TOLERANCE).all():
        return rows
    norms[norms == 0] = 1.0
    result = np.empty(rows.shape, dtype=np.float32)
    for first in range(0, len(rows), BLOCK_ROWS):
        part = slice(first, first + BLOCK_ROWS)
        result[part] = rows[part] / norms[part, None]
    return result
