"""Topology files: the graph of an index without its vectors, as arrays that are mapped."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

from . import _native
from .progress import Progress

if TYPE_CHECKING:
    from .index import Index

Path = Union[str, "os.PathLike[str]"]


class Topology:
    """An open topology file. Its arrays are read-only and lie in the file; it is closed with the last of them.

    Points are sorted by key; the number of a point in that order is its position. The neighbours of the point at
    position p are ``neighbours[starts[p]:starts[p + 1]]``, positions, nearest first.
    """

    def __init__(self, path: Path) -> None:
        native = _native.topology_open(os.fsencode(os.path.abspath(path)))
        keys, starts, levels, neighbours, distances = native.arrays()
        self._native = native
        self.keys: NDArray[np.uint64] = np.frombuffer(keys, np.uint64)
        self.starts: NDArray[np.uint64] = np.frombuffer(starts, np.uint64)
        self.levels: NDArray[np.uint8] = np.frombuffer(levels, np.uint8)
        self.neighbours: NDArray[np.uint32] = np.frombuffer(neighbours, np.uint32)
        self.distances: NDArray[np.float32] | None = None if distances is None else np.frombuffer(distances, np.float32)

    @property
    def stats(self) -> _native.TopologyStats:
        """What the file is."""
        return self._native.stats()

    def __len__(self) -> int:
        return len(self.keys)

    def verify(self) -> None:
        """Checks every checksum and every rule of the arrays; what is wrong is Corrupt."""
        self._native.verify()

    def csr(self) -> Any:
        """The graph as a scipy.sparse.csr_array of distances, or of ones if the file has none. The neighbours are those
        of the file, without a copy, unless there are more than 2**31 links."""
        from scipy.sparse import csr_array  # type: ignore[import-untyped, import-not-found, unused-ignore]

        values = np.ones(len(self.neighbours), np.float32) if self.distances is None else self.distances
        narrow = len(self.neighbours) < 2**31
        starts = self.starts.astype(np.int32 if narrow else np.int64)
        return csr_array((values, self.neighbours.view(np.int32), starts), shape=(len(self), len(self)))


def graph_of(index: Index, path: Path | None, all_levels: bool, progress: Progress) -> Any:
    """A csr_array of an index; without a path, over a file that has no name any more."""
    if path is not None:
        index.export_topology(path, all_levels=all_levels, progress=progress)
        return Topology(path).csr()
    with tempfile.TemporaryDirectory(prefix="rhumb-") as folder:
        name = os.path.join(folder, "topology")
        index.export_topology(name, all_levels=all_levels, progress=progress)
        return Topology(name).csr()
