"""USearch's interface: ``from rhumb.compat.usearch import Index`` in place of ``from usearch.index import Index``.

As there, an index lives with its object: in a temporary file, until save. What is saved is a rhumb index, which
rhumb.open opens; USearch's own files cannot be loaded. A loaded index is mapped, and copied by the first change.

Vectors are of the dtype that the index was made with, f32 unless given. There is one vector per key (`multi` is
refused), and there are no clusters and no joins. The metrics are those that both libraries know.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as _index
from ..files import info as _info
from ..result import Result
from ..vectors import element_of
from .store import Stored

DEFAULT_CONNECTIVITY = 16
DEFAULT_EXPANSION_ADD = 128
DEFAULT_EXPANSION_SEARCH = 64

Key = np.uint64


class MetricKind(enum.Enum):
    """How the distance of two vectors is measured; the values are rhumb's names."""

    IP = "ip"
    Cos = "cosine"
    L2sq = "l2sq"
    Hamming = "hamming"
    Tanimoto = "jaccard"
    Jaccard = "jaccard"


class ScalarKind(enum.Enum):
    """The type of a component; the values are rhumb's names."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I8 = "i8"
    U8 = "u8"
    B1 = "b1"


_METRICS = {"cos": MetricKind.Cos, "ip": MetricKind.IP, "l2sq": MetricKind.L2sq, "l2_sq": MetricKind.L2sq,
            "hamming": MetricKind.Hamming, "tanimoto": MetricKind.Tanimoto, "jaccard": MetricKind.Jaccard}  # fmt: skip


def _metric_of(metric: Any) -> MetricKind:
    if isinstance(metric, MetricKind):
        return metric
    if str(metric).lower() not in _METRICS:
        raise ValueError(f"there is no metric {metric!r} here; there are {', '.join(_METRICS)}")
    return _METRICS[str(metric).lower()]


def _scalar_of(dtype: Any) -> ScalarKind:
    return dtype if isinstance(dtype, ScalarKind) else ScalarKind(element_of(dtype))


@dataclass
class Match:
    """One result."""

    key: int
    distance: float

    def to_tuple(self) -> tuple[int, float]:
        """(key, distance)"""
        return self.key, self.distance


@dataclass
class Matches:
    """The results of one query, nearest first."""

    keys: NDArray[np.uint64]
    distances: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position: int) -> Match:
        return Match(int(self.keys[position]), float(self.distances[position]))

    def __iter__(self) -> Iterator[Match]:
        return (self[position] for position in range(len(self)))

    def to_list(self) -> list[tuple[int, float]]:
        """Pairs (key, distance)."""
        return [match.to_tuple() for match in self]


@dataclass
class BatchMatches:
    """The results of several queries: matrices, and how many results each row has."""

    keys: NDArray[np.uint64]
    distances: NDArray[np.float32]
    counts: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position: int) -> Matches:
        count = int(self.counts[position])
        return Matches(self.keys[position, :count], self.distances[position, :count])

    def __iter__(self) -> Iterator[Matches]:
        return (self[position] for position in range(len(self)))

    def to_list(self) -> list[list[tuple[int, float]]]:
        """Pairs (key, distance), a list for each query."""
        return [matches.to_list() for matches in self]

    def mean_recall(self, expected: NDArray[Any], count: int | None = None) -> float:
        """The share of queries that have the expected key among their first `count` results."""
        return self.count_matches(expected, count) / len(expected)

    def count_matches(self, expected: NDArray[Any], count: int | None = None) -> int:
        """How many queries have the expected key among their first `count` results."""
        keys = self.keys if count is None else self.keys[:, :count]
        return int((keys == np.asarray(expected, np.uint64)[:, None]).any(axis=1).sum())


class Index(Stored):
    """usearch.index.Index."""

    def __init__(
        self, *, ndim: int = 0, metric: Any = MetricKind.Cos, dtype: Any = None, connectivity: int | None = None,
        expansion_add: int | None = None, expansion_search: int | None = None, multi: bool = False,
        path: str | os.PathLike[str] | None = None, view: bool = False,
    ) -> None:  # fmt: skip
        if multi:
            raise NotImplementedError("multi: rhumb has one vector per key")
        self._metric = _metric_of(metric)
        bits = self._metric in (MetricKind.Hamming, MetricKind.Tanimoto)
        self._scalar = _scalar_of(dtype or ("b1" if bits else "f32"))
        self._ndim = ndim
        self.connectivity = connectivity or DEFAULT_CONNECTIVITY
        self.expansion_add = expansion_add or DEFAULT_EXPANSION_ADD
        self.expansion_search = expansion_search or DEFAULT_EXPANSION_SEARCH
        self.path = path
        if path is not None and os.path.exists(path):
            self.view(path) if view else self.load(path)
        else:
            self.reset()

    def __repr__(self) -> str:
        return f"rhumb.compat.usearch.Index({self.dtype.value} x {self.ndim}, {self.metric.name}, size: {len(self):,})"

    # ---- vectors ----------------------------------------------------------------------------------------------------

    def add(
        self, keys: Any, vectors: Any, *, copy: bool = True, threads: int = 0, log: Any = False, progress: Any = None
    ) -> Any:
        """Inserts one vector or many, and returns its key or theirs; without keys they are numbered."""
        del copy  # the vectors are always copied
        if isinstance(keys, Iterable):
            keys = np.asarray(keys)
        return self._writable().add(vectors, keys, threads=threads, progress=progress or bool(log))

    def search(
        self, vectors: Any, count: int = 10, radius: float = np.inf, *, threads: int = 0, exact: bool = False,
        log: Any = False, progress: Any = None,
    ) -> Matches | BatchMatches:  # fmt: skip
        """Finds the `count` nearest of one query or of many, within a radius if one is given."""
        store = self._opened()
        limit = None if np.isinf(radius) else radius / self._unit
        how: dict[str, Any] = {"radius": limit} if limit is not None else {"exact": exact, "threads": threads}
        found = store.search(vectors, count, ef_search=self.expansion_search, progress=progress or bool(log), **how)
        return self._matches(found)

    def _matches(self, found: Result) -> Matches | BatchMatches:
        distances = found.distances * np.float32(self._unit)
        if found.keys.ndim == 1:
            return Matches(found.keys, distances)
        return BatchMatches(found.keys, distances, np.asarray(found.counts))

    @property
    def _unit(self) -> float:
        """USearch's hamming counts components, rhumb's is their share."""
        return self.ndim if self._metric is MetricKind.Hamming else 1

    def get(self, keys: Any, dtype: Any = None) -> Any:
        """The vector of a key, or None; of several keys a matrix, or a list if one of them is missing."""
        store = self._opened()
        if not isinstance(keys, Iterable):
            vector = store.get(keys, None)
            return vector if vector is None or dtype is None else vector.astype(_numpy_of(dtype))
        keys = np.asarray(keys)
        if not store.contains(keys).all():
            return [self.get(int(key), dtype) for key in keys]
        vectors = store.get(keys)
        return vectors if dtype is None else vectors.astype(_numpy_of(dtype))

    def __getitem__(self, keys: Any) -> Any:
        return self.get(keys)

    def contains(self, keys: Any) -> Any:
        """Whether a key is in the index; of several, an array of bool."""
        return self._opened().contains(np.asarray(keys) if isinstance(keys, Iterable) else keys)

    def __contains__(self, keys: Any) -> Any:
        return self.contains(keys)

    def count(self, keys: Any) -> Any:
        """How many vectors a key has, 0 or 1; of several, an array."""
        found = self.contains(keys)
        return int(found) if isinstance(found, bool) else found.astype(np.uint64)

    def remove(self, keys: Any, *, compact: bool = False, threads: int = 0) -> Any:
        """Deletes the vectors of keys, and returns how many there were."""
        store = self._writable()
        deleted = store.delete(keys, missing="ignore", threads=threads)
        if compact:
            store.compact()
        return deleted

    def __delitem__(self, keys: Any) -> None:
        self.remove(keys)

    def rename(self, from_: Any, to: Any) -> Any:
        """Gives the vectors of keys other keys, and returns how many there were."""
        store = self._writable()
        many = isinstance(from_, Iterable)
        old, new = np.atleast_1d(np.asarray(from_)), np.atleast_1d(np.asarray(to))
        there = store.contains(old)
        vectors = store.get(old[there])
        store.delete(old[there])
        store.upsert(vectors, new[there])
        return there.astype(np.uint64) if many else int(there[0])

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self, path_or_buffer: Any = None, progress: Any = None) -> None:
        """Writes the index into a file, in place of one that is there."""
        del progress
        self._save(os.fspath(self._path_of(path_or_buffer)))

    def load(self, path_or_buffer: Any = None, progress: Any = None) -> None:
        """Opens an index that was saved; the first change copies it."""
        del progress
        store = _index.open(self._path_of(path_or_buffer), read_only=True)
        self._metric, self._scalar = MetricKind(store.metric), ScalarKind(store.element)
        self._ndim = store.dim
        self.connectivity, self.expansion_add = store.options.M, store.options.ef_construction
        self._store = store

    def view(self, path_or_buffer: Any = None, progress: Any = None) -> None:
        """The same as load: a loaded index is mapped anyway."""
        self.load(path_or_buffer, progress)

    def _path_of(self, path: Any) -> Any:
        path = self.path if path is None else path
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"a path expected, found {path!r}")
        return path

    @staticmethod
    def metadata(path_or_buffer: Any) -> dict[str, Any] | None:
        """What a file says of itself, or None if it is not an index."""
        try:
            info = _info(path_or_buffer)
        except (OSError, ValueError):
            return None
        return {"dimensions": info.dim, "kind_metric": MetricKind(info.metric), "kind_scalar": ScalarKind(info.element),
                "count_present": info.count, "count_deleted": info.deleted_count, "multi": False}  # fmt: skip

    @staticmethod
    def restore(path_or_buffer: Any, view: bool = False) -> Index | None:
        """Opens an index that was saved, or returns None if there is none."""
        about = Index.metadata(path_or_buffer)
        if about is None:
            return None
        return Index(ndim=about["dimensions"], metric=about["kind_metric"], dtype=about["kind_scalar"],
                     path=path_or_buffer, view=view)  # fmt: skip

    def copy(self) -> Index:
        """Another index with the same content."""
        other: Index = Index.__new__(Index)
        other.__setstate__(self.__getstate__())
        return other

    def clear(self) -> None:
        """Removes everything; the parameters stay."""
        self.reset()

    def reset(self) -> None:
        """Removes everything, and forgets the file."""
        self._begin(self._ndim, self._metric.value, self._scalar.value, M=self.connectivity,
                    ef_construction=self.expansion_add, ef_search=self.expansion_search)  # fmt: skip

    # ---- what it is -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._opened())

    @property
    def size(self) -> int:
        """How many vectors there are."""
        return len(self)

    @property
    def ndim(self) -> int:
        """Components per vector."""
        return self._ndim

    @property
    def dtype(self) -> ScalarKind:
        """The type of a component."""
        return self._scalar

    @property
    def metric(self) -> MetricKind:
        """How distances are measured."""
        return self._metric

    @property
    def keys(self) -> NDArray[np.uint64]:
        """All keys."""
        return self._opened().keys()

    @property
    def vectors(self) -> NDArray[Any]:
        """All vectors, in the order of `keys`."""
        return self._opened().get(self.keys)  # type: ignore[no-any-return]

    @property
    def max_level(self) -> int:
        """The highest level in use."""
        return self._opened().stats.level_top

    @property
    def memory_usage(self) -> int:
        """The bytes of its file, which is memory only as far as pages are touched."""
        return self._opened().stats.file_bytes


def _numpy_of(dtype: Any) -> Any:
    names = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "i8": np.int8, "u8": np.uint8, "b1": np.uint8}
    return names[dtype.value] if isinstance(dtype, ScalarKind) else dtype
