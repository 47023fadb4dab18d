"""USearch's interface: ``from rhumb.compat.usearch import Index`` in place of ``from usearch.index import Index``.

As there, an index lives with its object: in a temporary file, until save. What is saved is a rhumb index, which
rhumb.open opens; USearch's own files cannot be loaded. A loaded index is mapped, and copied by the first change.

Vectors are of the dtype that the index was made with, f32 unless given. As there, floats that go into an index of i8 or
u8 are scaled to the length 127 or 255, and such vectors come back as floats of length 1. There is one vector per key
(`multi` is refused), and there are no clusters and no joins. The metrics are those that both libraries know.
"""

from __future__ import annotations

import contextlib
import enum
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as _index
from ..errors import Cancelled, Error
from ..files import info as _info
from ..result import Result
from ..vectors import element_of
from .store import Stored

DEFAULT_CONNECTIVITY = 16
DEFAULT_EXPANSION_ADD = 128
DEFAULT_EXPANSION_SEARCH = 64

Key = np.uint64


class MetricKind(enum.Enum):
    """How the distance of two vectors is measured; the values are rhumb's names, or none of them."""

    IP = "ip"
    Cos = "cosine"
    L2sq = "l2sq"
    Hamming = "hamming"
    Tanimoto = "jaccard"
    Jaccard = "jaccard"
    Haversine = "haversine"
    Divergence = "divergence"
    Pearson = "pearson"
    Sorensen = "sorensen"


class ScalarKind(enum.Enum):
    """The type of a component; the values are rhumb's names, or none of them."""

    F64 = "f64"
    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    I8 = "i8"
    U8 = "u8"
    B1 = "b1"
    E5M2 = "e5m2"
    E4M3 = "e4m3"
    E3M2 = "e3m2"
    E2M3 = "e2m3"


_METRICS = {"cos": MetricKind.Cos, "cosine": MetricKind.Cos, "ip": MetricKind.IP, "dot": MetricKind.IP,
            "inner_product": MetricKind.IP, "l2sq": MetricKind.L2sq, "l2_sq": MetricKind.L2sq,
            "hamming": MetricKind.Hamming, "tanimoto": MetricKind.Tanimoto, "jaccard": MetricKind.Jaccard}  # fmt: skip
_BITS = (MetricKind.Hamming, MetricKind.Tanimoto)
_SCALES = {ScalarKind.I8: 127, ScalarKind.U8: 255}  # the length that floats are given in an index of integers
_NUMPY = {ScalarKind.F64: np.float64, ScalarKind.F32: np.float32, ScalarKind.F16: np.float16,
          ScalarKind.BF16: np.float32, ScalarKind.I8: np.int8, ScalarKind.U8: np.uint8,
          ScalarKind.B1: np.uint8}  # fmt: skip


def _metric_of(metric: Any) -> MetricKind:
    if isinstance(metric, MetricKind):
        return metric
    if str(metric).lower() not in _METRICS:
        raise ValueError(f"there is no metric {metric!r} here; there are {', '.join(_METRICS)}")
    return _METRICS[str(metric).lower()]


def _scalar_of(dtype: Any) -> ScalarKind:
    if isinstance(dtype, ScalarKind):
        return dtype
    name = str(dtype).lower()
    if name in ("e5m2", "e4m3", "e3m2", "e2m3"):
        return ScalarKind(name)
    if dtype is np.uint8 or name in ("b1x8", "bits"):  # USearch's np.uint8 are bits, its "u8" are not
        return ScalarKind.B1
    return ScalarKind(element_of(dtype))


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
    visited_members: int = 0  # is not counted here
    computed_distances: int = 0  # is not counted here

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
    visited_members: int = 0  # is not counted here
    computed_distances: int = 0  # is not counted here

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position: int) -> Matches:
        count = int(self.counts[position])
        return Matches(self.keys[position, :count], self.distances[position, :count])

    def __iter__(self) -> Iterator[Matches]:
        return (self[position] for position in range(len(self)))

    def to_list(self) -> list[tuple[int, float]]:
        """Pairs (key, distance) of all queries, one after the other."""
        return [pair for matches in self for pair in matches.to_list()]

    def mean_recall(self, expected: NDArray[Any], count: int | None = None) -> float:
        """The share of queries that have the expected key among their first `count` results."""
        return self.count_matches(expected, count) / len(expected)

    def count_matches(self, expected: NDArray[Any], count: int | None = None) -> int:
        """How many queries have the expected key among their first `count` results."""
        keys = self.keys if count is None else self.keys[:, :count]
        return int((keys == np.asarray(expected, np.uint64)[:, None]).any(axis=1).sum())


@dataclass
class IndexStats:
    """How many nodes there are on a level or on all, and how many links these may have."""

    nodes: int
    max_edges: int


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
        self._scalar = _scalar_of(dtype or ("b1" if self._metric in _BITS else "f32"))
        if self._metric not in _METRICS.values() or self._scalar not in _NUMPY:
            raise NotImplementedError(f"rhumb has no {self._metric.name} of {self._scalar.name}")
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
        self, keys: Any, vectors: Any, *, copy: bool = True, threads: int = 0, log: Any = False, progress: Any = None,
        dtype: Any = None,
    ) -> Any:  # fmt: skip
        """Inserts one vector or many, and returns its key or theirs; without keys they are numbered.

        `dtype` says what the numbers are where the array does not: bf16 in uint16. Vectors are always copied.
        """
        del copy
        if isinstance(keys, Iterable):
            keys = np.asarray(keys)
            vectors = np.atleast_2d(vectors)
        store = self._writable()
        with _terminated():
            return store.add(self._vectors_of(vectors, dtype), keys, threads=threads, progress=progress or bool(log))

    def _vectors_of(self, vectors: Any, dtype: Any) -> Any:
        """An array as the store takes it."""
        vectors = np.asarray(vectors)
        if dtype is not None and _scalar_of(dtype) is ScalarKind.BF16 and vectors.dtype == np.uint16:
            if self._scalar is ScalarKind.BF16:
                return vectors
            vectors = _floats_of_bfloat16(vectors)
        if self._scalar not in _SCALES or vectors.dtype.kind != "f":
            return vectors
        vectors = vectors.astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
        scaled = vectors * (_SCALES[self._scalar] / np.where(lengths == 0, 1, lengths))
        return np.clip(scaled, -128 if self._scalar is ScalarKind.I8 else 0, None).astype(_NUMPY[self._scalar])

    def search(
        self, vectors: Any, count: int = 10, radius: float = np.inf, *, threads: int = 0, exact: bool = False,
        log: Any = False, progress: Any = None, dtype: Any = None,
    ) -> Matches | BatchMatches:  # fmt: skip
        """Finds the `count` nearest of one query (also as a matrix of one row) or of many, within a radius."""
        store = self._opened()
        vectors = self._vectors_of(vectors, dtype)
        if vectors.ndim == 2 and len(vectors) == 1:
            vectors = vectors[0]
        limit = None if np.isinf(radius) else radius / self._unit
        how: dict[str, Any] = {"radius": limit} if limit is not None else {"exact": exact, "threads": threads}
        with _terminated():
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
        """The vector of a key, or None; of several keys a tuple of these."""
        if isinstance(keys, Iterable):
            return tuple(self.get(key, dtype) for key in np.asarray(keys).tolist())
        vector = self._opened().get(int(keys), None)
        return None if vector is None else self._shown(vector, dtype)

    def _shown(self, vectors: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Stored vectors as the numbers that a caller asks for."""
        wanted = self._scalar if dtype is None else _scalar_of(dtype)
        if self._scalar is ScalarKind.BF16:
            vectors = _floats_of_bfloat16(vectors.view(np.uint16))
        elif self._scalar in _SCALES and np.dtype(_NUMPY[wanted]).kind == "f":
            vectors = vectors / np.float32(_SCALES[self._scalar])
        return vectors.astype(_NUMPY[wanted])

    def pairwise_distance(self, left: Any, right: Any) -> Any:
        """The distance between the vectors of two keys; of several pairs, an array."""
        if isinstance(left, Iterable):
            return np.array([self.pairwise_distance(*pair) for pair in zip(left, right)], np.float32)
        store = self._opened()
        if int(right) not in store:
            raise KeyError(right)
        found = store.search(store.get(int(left)), 1, filter=[int(right)], exact=True)
        return float(found.distances[0]) * self._unit

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

    def save(self, path_or_buffer: Any = None, progress: Any = None) -> bytearray | None:
        """Writes the index into a file, in place of one that is there; without a path, returns it."""
        del progress
        path = self.path if path_or_buffer is None else path_or_buffer
        if path is None:
            return bytearray(self._content())
        self._save(os.fspath(path))
        return None

    def load(self, path_or_buffer: Any = None, progress: Any = None) -> None:
        """Opens an index that was saved; the first change copies it."""
        del progress
        source = self.path if path_or_buffer is None else path_or_buffer
        if isinstance(source, (str, os.PathLike)):
            store = _index.open(source, read_only=True)
        else:
            store = self._hold_content(_bytes_of(source))
        self._metric, self._scalar = MetricKind(store.metric), ScalarKind(store.element)
        self._ndim = store.dim
        self.connectivity, self.expansion_add = store.options.M, store.options.ef_construction
        self._store = store

    def view(self, path_or_buffer: Any = None, progress: Any = None) -> None:
        """The same as load: a loaded index is mapped anyway."""
        self.load(path_or_buffer, progress)

    @staticmethod
    def metadata(path_or_buffer: Any) -> dict[str, Any] | None:
        """What a file says of itself, or None if it is not an index."""
        if not isinstance(path_or_buffer, (str, os.PathLike)):
            with tempfile.NamedTemporaryFile(prefix="rhumb-") as file:
                file.write(_bytes_of(path_or_buffer))
                file.flush()
                return Index.metadata(file.name)
        try:
            info = _info(path_or_buffer)
        except (Error, OSError, ValueError):
            return None
        return {"dimensions": info.dim, "kind_metric": MetricKind(info.metric), "kind_scalar": ScalarKind(info.element),
                "count_present": info.count, "count_deleted": info.deleted_count, "multi": False}  # fmt: skip

    @staticmethod
    def restore(path_or_buffer: Any, view: bool = False, **options: Any) -> Index | None:
        """Opens an index that was saved, or returns None if there is none. Options are those of Index."""
        del view  # a loaded index is mapped anyway
        about = Index.metadata(path_or_buffer)
        if about is None:
            return None
        options |= {"ndim": about["dimensions"], "metric": about["kind_metric"], "dtype": about["kind_scalar"]}
        restored = Index(**options)
        restored.load(path_or_buffer)
        return restored

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
        return self._shown(self._opened().get(self.keys), None)

    @property
    def max_level(self) -> int:
        """The highest level in use."""
        return self._opened().stats.level_top

    @property
    def nlevels(self) -> int:
        """How many levels there are."""
        return self.max_level + 1

    @property
    def memory_usage(self) -> int:
        """The bytes of its file, which is memory only as far as pages are touched."""
        return self._opened().stats.file_bytes

    @property
    def serialized_length(self) -> int:
        """About the bytes that save writes."""
        return self.memory_usage

    @property
    def capacity(self) -> int:
        """How many vectors there are: an index grows by itself."""
        return len(self)

    @property
    def multi(self) -> bool:
        """Whether a key may have several vectors."""
        return False

    @property
    def jit(self) -> bool:
        """Whether the metric is a function of the caller's."""
        return False

    @property
    def metric_kind(self) -> MetricKind:
        """How distances are measured."""
        return self._metric

    @property
    def hardware_acceleration(self) -> str:
        """The set of instructions that distances are measured with."""
        return self._opened().stats.simd

    @property
    def levels_stats(self) -> list[IndexStats]:
        """What is on each level."""
        return [self.level_stats(level) for level in range(self.nlevels)]

    def level_stats(self, level: int) -> IndexStats:
        """What is on a level."""
        opened = self._opened()
        nodes = sum(opened.stats.level_counts[level:])
        return IndexStats(nodes, nodes * (opened.options.M if level else opened.options.M0))

    @property
    def stats(self) -> IndexStats:
        """What is in the index: its vectors, and the links of all levels."""
        return IndexStats(len(self), sum(level.max_edges for level in self.levels_stats))

    @property
    def specs(self) -> dict[str, Any]:
        """The parameters, by name."""
        return {"type": "rhumb.compat.usearch.Index", "ndim": self.ndim, "multi": self.multi,
                "connectivity": self.connectivity, "expansion_add": self.expansion_add,
                "expansion_search": self.expansion_search, "size": self.size, "jit": self.jit,
                "hardware_acceleration": self.hardware_acceleration, "metric_kind": self.metric_kind,
                "dtype": self.dtype, "path": self.path}  # fmt: skip


def search(
    dataset: Any, query: Any, count: int = 10, metric: Any = MetricKind.Cos, *, exact: bool = False, threads: int = 0,
    log: Any = False, progress: Any = None, dtype: Any = None,
) -> Matches | BatchMatches:  # fmt: skip
    """Finds the `count` nearest rows of a matrix: their numbers are the keys. Bits are packed."""
    dataset = np.asarray(dataset)
    metric = _metric_of(metric)
    bits = metric in _BITS
    index = Index(ndim=dataset.shape[1] * (8 if bits else 1), metric=metric, dtype="b1" if bits else dataset.dtype.name)
    index.add(None, dataset, threads=threads, dtype=dtype)
    return index.search(query, count, threads=threads, exact=exact, log=log, progress=progress, dtype=dtype)


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """What a call raises that a progress function stops."""
    try:
        yield
    except Cancelled as error:
        raise RuntimeError("Operation has been terminated") from error


def _floats_of_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _bytes_of(buffer: Any) -> memoryview:
    try:
        return memoryview(buffer).cast("B")
    except TypeError as error:
        raise TypeError(f"a path or a buffer expected, found {buffer!r}") from error
