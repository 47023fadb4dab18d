"""An open index."""

from __future__ import annotations

import os
import threading
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from . import _native, html, topology
from ._native import CompactReport, Options, RecallCurve, Stats, VerifyReport, WriteReport
from .errors import Corrupt, Exists, Invalid, KeyNotFound, NotFound
from .filters import FilterLike, address_of, as_filter, as_filters
from .inside import Owner, Turn
from .options import CreateOptions, OpenOptions
from .progress import Progress, watching
from .radius import Within
from .result import Result
from .vectors import VectorType, element_of, take_keys, take_keys_for, take_output

try:
    from typing import Unpack
except ImportError:  # pragma: no cover
    from typing_extensions import Unpack

Path = Union[str, "os.PathLike[str]"]
KeyLike = Union[int, NDArray[Any], Iterable[int]]
Out = tuple[NDArray[np.uint64], Union[NDArray[np.float32], None]]

_MISSING: Any = object()
_U64, _F32 = np.dtype(np.uint64), np.dtype(np.float32)  # faster to pass than the types
_ndarray, _empty = np.ndarray, np.empty  # faster than as attributes
_WAIT_MS = 100  # how long a wait for a checkpoint lasts until it looks for Ctrl-C and for close()


def encode_path(path: Path) -> bytes:
    return os.fsencode(os.path.abspath(path))


def native_options(options: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Options for the extension module, and what has to live as long as the index."""
    distance = options.get("custom_distance")
    if distance is None:
        return {name: value for name, value in options.items() if value is not None}, None
    if not (address := address_of(distance)):
        raise TypeError("custom_distance: a C function of numba.cfunc or ctypes expected")
    return {**options, "custom_distance": address}, distance


def create(
    path: Path, dim: int, metric: str = "l2", dtype: Any = "f32", *, exist_ok: bool = False,
    **options: Unpack[CreateOptions],
) -> Index:  # fmt: skip
    """Creates an index in a new file and opens it for writing.

    `metric` and `dtype` are those of rhumb_types.h ("cosine", "ip", "l2sq"...; "f32", numpy.float16, "b1"...); options
    that are not given have the library's defaults. With `exist_ok` an index that exists and is of this kind is opened.
    """
    values: dict[str, Any] = dict(options)
    opening = {name: values.pop(name) for name in OpenOptions.__annotations__ if name in values}
    values.update(dim=dim, metric=metric, element=element_of(dtype))
    native_open, kept = native_options(opening)
    try:
        return Index(_native.create(encode_path(path), native_options(values)[0], native_open, kept), path)
    except Exists:
        if not exist_ok or not os.path.exists(path):
            raise
    index = open(path, **opening)
    found = index.options
    if (found.dim, found.element, found.metric) != (dim, values["element"], _native.metric_name(metric)):
        index.close()
        raise Invalid(f"{path} has vectors of {found.dim} x {found.element} under {found.metric}")
    return index


def open(path: Path, **options: Unpack[OpenOptions]) -> Index:
    """Opens an index, for writing unless ``read_only=True``."""
    native, kept = native_options(dict(options))
    return Index(_native.open(encode_path(path), native, kept), path)


def _unpickled(path: str, identity: bytes, options: dict[str, Any]) -> Index:
    index = open(path, **{**options, "read_only": True})
    if index.uuid.bytes != identity:
        index.close()
        raise NotFound(f"another index is at {path} now", "RHUMB_E_NOTFOUND", path)
    return index


class Index:
    """An open index: made by rhumb.create and rhumb.open, closed by close() or at the end of a `with` block.

    Any number of threads may use it, and all of them work at the same time: the GIL is released during each call. A
    pickle of an index is its path: unpickled, it is open read-only, and shares its memory with all other processes.
    """

    def __init__(self, handle: _native.Handle, path: Path) -> None:
        self._handle = handle
        self._path = os.path.abspath(path)
        self._options = handle.options()
        self._vectors = VectorType(self._options.element, self._options.dim, self._options.metric)
        self._assigning = Turn()  # of an add that numbers its keys
        self._counting = threading.Lock()  # guards _key_next
        self._key_next: int | None = None  # one above the largest key ever inserted; None: not looked up yet

    # ---- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Makes a checkpoint if anything changed, and closes the index; the second time there is nothing to do.

        Waits for calls of other threads. Iterators of the index end; arrays from view() stay.
        """
        self._handle.close()

    def belong_to(self, owner: Owner) -> None:
        """Counts the calls of this index as those of an owner: for what has several indexes."""
        self._handle.owner_set(owner.number)

    @property
    def closed(self) -> bool:
        """Whether the index has been closed."""
        return self._handle.closed()

    @property
    def read_only(self) -> bool:
        """Whether it was opened read-only."""
        return self._handle.read_only()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        handle = getattr(self, "_handle", None)
        if handle is not None and not handle.closed() and not handle.read_only():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __reduce__(self) -> Any:
        kept = {"graph_only", "immutable"} & self._opening.keys()
        return _unpickled, (self._path, self.uuid.bytes, {name: self._opening[name] for name in kept})

    @property
    def _opening(self) -> dict[str, Any]:
        return self._handle.opening()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<rhumb.Index {self._path!r}, {self.dim} x {self.element}, {self.metric}, {state}>"

    def _repr_html_(self) -> str:
        return html.table_of(self)

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The absolute path of its file."""
        return self._path

    @property
    def uuid(self) -> uuid.UUID:
        """The identity of its file."""
        return uuid.UUID(bytes=self._handle.uuid())

    @property
    def options(self) -> Options:
        """What it was created with; defaults are resolved."""
        return self._options

    @property
    def dim(self) -> int:
        """Components per vector; of sequences the most that there can be."""
        return self._options.dim

    @property
    def metric(self) -> str:
        """The distance, as "l2"."""
        return self._options.metric

    @property
    def element(self) -> str:
        """The type of a component, as "f32"."""
        return self._options.element

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of arrays of its vectors: packed bits are uint8, and bf16 is ml_dtypes.bfloat16 if that package is
        installed, otherwise uint16."""
        return self._vectors.shown

    @property
    def stats(self) -> Stats:
        """What it holds and what this handle has done."""
        return self._handle.stats()

    @property
    def lsn(self) -> int:
        """The number of the last operation."""
        return self._handle.lsn()

    @property
    def durable_lsn(self) -> int:
        """The number of the last operation that a power cut can no longer undo."""
        return self._handle.durable_lsn()

    @property
    def metadata(self) -> bytes:
        """Up to 3,072 bytes of the caller's. Setting them makes a checkpoint."""
        return self._handle.metadata_get()

    @metadata.setter
    def metadata(self, value: bytes) -> None:
        self._handle.metadata_set(value)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add(
        self, vectors: Any, keys: KeyLike | None = None, *, threads: int = 0, progress: Progress = None,
        partial: bool = False,
    ) -> Any:  # fmt: skip
        """Inserts one vector or many, and returns its key or theirs.

        Without `keys` they are consecutive numbers from one above the largest ever inserted. A key that is in the index
        is KeyExists. A batch is all or nothing, also after Ctrl-C, unless `partial` keeps what was inserted before.
        """
        native, count, single = self._vectors.take(vectors)
        if keys is not None:
            taken = take_keys_for(count, keys)
            self._insert(taken, native, threads, partial, progress)
        else:
            with self._assigning.taken("add() without keys", progress) as report:
                first = self._first_free_key()
                taken = np.arange(first, first + count, dtype=np.uint64)
                self._insert(taken, native, threads, partial, report)
        return int(taken[0]) if single else taken

    def _insert(self, keys: NDArray[np.uint64], native: Any, threads: int, partial: bool, progress: Progress) -> None:
        with self._noting(keys), watching(progress, "add") as report:
            self._handle.insert(keys, native, threads, partial, report)

    def _first_free_key(self) -> int:
        with self._counting:
            if self._key_next is None:
                self._key_next = self._handle.stats().key_next
            return self._key_next

    @contextmanager
    def _noting(self, keys: NDArray[np.uint64]) -> Iterator[None]:
        """Counts keys that are inserted by this object, which is the only one that writes the index."""
        try:
            yield
        except BaseException:
            with self._counting:
                self._key_next = None  # some of them may be there
            raise
        with self._counting:
            if self._key_next is not None and len(keys):
                self._key_next = max(self._key_next, int(keys.max()) + 1)

    def upsert(
        self, vectors: Any, keys: KeyLike, *, threads: int = 0, progress: Progress = None, partial: bool = False
    ) -> WriteReport:
        """Inserts vectors, or replaces those of keys that are in the index; all or nothing, unless `partial`."""
        native, count, _ = self._vectors.take(vectors)
        taken = take_keys_for(count, keys)
        with self._noting(taken), watching(progress, "upsert") as report:
            return self._handle.upsert(taken, native, threads, partial, report)

    def delete(
        self, keys: KeyLike, *, missing: str = "raise", threads: int = 0, progress: Progress = None,
        partial: bool = False,
    ) -> int:  # fmt: skip
        """Deletes the vectors of keys, all or nothing unless `partial`, and returns how many were there.

        A key that is not in the index is KeyNotFound, and nothing is deleted, unless `missing` is "ignore".
        """
        if missing not in ("raise", "ignore"):
            raise Invalid(f"missing: 'raise' or 'ignore' expected, found {missing!r}")
        taken, _ = take_keys(keys)
        if missing == "raise":
            absent = taken[~self.contains(taken)]
            if len(absent):
                raise KeyNotFound(f"key {absent[0]} is not in the index", "RHUMB_E_NOTFOUND", self._path)
        with watching(progress, "delete") as report:
            return self._handle.delete(taken, threads, partial, report).deleted_count

    def __delitem__(self, keys: KeyLike) -> None:
        self.delete(keys)

    def __setitem__(self, keys: KeyLike, vectors: Any) -> None:
        self.upsert(vectors, keys)

    # ---- searching --------------------------------------------------------------------------------------------------

    def search(
        self, queries: Any, k: int | None = None, *, ef_search: int | None = None, filter: FilterLike = None,
        filters: Sequence[FilterLike] | None = None, radius: float | None = None, exact: bool = False,
        threads: int = 0, out: Out | None = None, progress: Progress = None, recall: float | None = None,
    ) -> Result:  # fmt: skip
        """Finds the `k` nearest vectors of one query or of many, approximately.

        `k` is 10 unless given. `ef_search` is the breadth of the search: larger is slower and finds more. In its place
        `recall` is the share of the `k` nearest that is to be found, in the mean; measure_recall makes it known. `filter`
        restricts which keys may be found, for all queries; `filters` has one for each. With `radius` everything within
        it is found, or the `k` nearest of that. `exact` measures every vector. `out` has the arrays to write keys and
        distances to; without distances it is (keys, None).
        """
        kind = self._vectors
        if recall is not None:
            if ef_search is not None or radius is not None or exact:
                raise Invalid("recall: there is no ef_search, no radius and no exact with it")
            ef_search = self.ef_for(recall, 10 if k is None else k)
        if (
            type(queries) is _ndarray and queries.ndim == kind.ndim and queries.dtype is kind.dtype
            and filter is None and filters is None and radius is None and out is None and not exact
        ):  # fmt: skip; one query, likely to be usable as it is: the checks below cost as much as a small search
            native: Any = queries
        else:
            native, count, single = kind.take(queries)
            if filter is not None and type(filter) is not _native.Filter:
                filter = as_filter(filter)
            if radius is not None:
                if exact or out is not None or filters is not None:
                    raise Invalid("radius: there is no exact, no out and no filters with it")
                within = Within(self._handle, radius, None if k is None else _positive(k), ef_search or 0, filter)
                if single:
                    return within.search(native)
                return within.search_many([kind.take_one(row) for row in queries], threads, progress)
            if not single or exact or filters is not None or out is not None:
                each = filter if filters is None else self._filters_for(filters, filter)
                k = 10 if k is None else _positive(k)
                return self._search_many(native, count, single, k, ef_search, each, exact, threads, out, progress)
        if k is None:
            k = 10
        elif k < 1:
            _positive(k)
        keys, distances = _empty(k, _U64), _empty(k, _F32)
        found = None
        try:
            found = self._handle.search_one(native, ef_search or 0, filter, keys, distances)
        except ValueError:
            if native is not queries or (queries.shape == kind.shape and queries.flags.c_contiguous):
                raise
        if found is None:
            found = self._handle.search_one(kind.take_one(queries), ef_search or 0, filter, keys, distances)
        return Result(keys, distances, found) if found == k else Result(keys[:found], distances[:found], found)

    def _search_many(
        self, native: Any, count: int, single: bool, k: int, ef_search: int | None, filter: Any, exact: bool,
        threads: int, out: Out | None, progress: Progress,
    ) -> Result:  # fmt: skip
        shape = (k,) if single else (count, k)
        distances: Any  # an array, or None
        if out is None:
            keys, distances = np.empty(shape, np.uint64), np.empty(shape, np.float32)
        else:
            keys = take_output(out[0], np.uint64, shape, "keys")
            distances = None if out[1] is None else take_output(out[1], np.float32, shape, "distances")
        counts = np.empty(count, np.uint64)
        with watching(progress, "search") as report:
            self._handle.search(native, k, ef_search or 0, threads, filter, exact, keys, distances, counts, report)
        if single:
            found = int(counts[0])
            distances = None if distances is None else distances[:found]
            return Result(keys[:found], distances, found)
        return Result(keys, distances, counts)

    @staticmethod
    def _filters_for(filters: Sequence[FilterLike], filter: FilterLike) -> Any:
        if filter is not None:
            raise Invalid("filter and filters cannot be combined")
        return as_filters(filters)

    def search_like(
        self, key: int, k: int = 10, *, ef_search: int | None = None, filter: FilterLike = None,
        recall: float | None = None,
    ) -> Result:  # fmt: skip
        """Finds the `k` vectors nearest to that of a key, without that key. Options are those of search."""
        if recall is not None:
            if ef_search is not None:
                raise Invalid("recall: there is no ef_search with it")
            ef_search = self.ef_for(recall, k)
        keys, distances = np.empty(_positive(k), np.uint64), np.empty(k, np.float32)
        found = self._handle.search_like(key, ef_search or 0, as_filter(filter), keys, distances)
        return Result(keys[:found], distances[:found], found)

    def iterate(
        self, query: Any, *, ef_search: int | None = None, filter: FilterLike = None, chunk: int = 100
    ) -> Iterator[tuple[int, float]]:
        """Pairs (key, distance), nearest first, as many as are asked for; looks for `chunk` of them at a time."""
        native = self._handle.iterate(self._vectors.take_one(query), ef_search or 0, as_filter(filter))
        return _pairs(native, _positive(chunk))

    # ---- recall -----------------------------------------------------------------------------------------------------

    def measure_recall(
        self, queries: Any = None, *, count: int = 0, seed: int = 397, threads: int = 0, dry_run: bool = False,
        progress: Progress = None,
    ) -> RecallCurve:  # fmt: skip
        """Measures how much searches find, by their breadth, and keeps that in the index unless it is a `dry_run`.

        Without `queries` a sample of the vectors of the index is searched for, 1,000 or `count` of them, each left out
        while it is the query. From then on search takes `recall`. The result has `points`: (k, ef, recall).
        """
        native = None if queries is None else self._vectors.take(queries)[0]
        with watching(progress, "measure recall") as report:
            return self._handle.recall_measure(native, count, seed, threads, dry_run, report)

    def recall_curve(self) -> RecallCurve | None:
        """What measure_recall has measured, with what has changed since; None if it has not been called."""
        return self._handle.recall_curve()

    def ef_for(self, recall: float, k: int = 10) -> int:
        """The breadth at which searches for `k` find such a share, or the largest measured if none did."""
        return self._handle.recall_ef(k, recall)[0]

    # ---- points -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._handle.count()

    def contains(self, keys: KeyLike) -> Any:
        """Whether a key is in the index; of several, an array of bool."""
        taken, single = take_keys(keys)
        answers = np.empty(len(taken), np.bool_)
        self._handle.contains(taken, answers)
        return bool(answers[0]) if single else answers

    def __contains__(self, key: int) -> bool:
        return bool(self.contains(key))

    def get(self, keys: KeyLike, default: Any = _MISSING) -> Any:
        """A copy of the vector of a key, or the matrix of those of several.

        A key that is not in the index is KeyNotFound, unless there is a `default`: then that is the answer, or fills
        the row.
        """
        taken, single = take_keys(keys)
        if self._vectors.sequences:
            rows = [self._get_sequence(int(key), default) for key in taken]
            return rows[0] if single else rows
        vectors = self._vectors.new(len(taken))
        found = None if default is _MISSING else np.empty(len(taken), np.bool_)
        self._handle.get(taken, vectors, found)
        shown = self._vectors.show(vectors)
        if found is not None and not found.all():
            if single:
                return default
            shown[~found] = default
        return shown[0] if single else shown

    def _get_sequence(self, key: int, default: Any) -> Any:
        try:
            return np.frombuffer(self._handle.get_sequence(key), self._vectors.dtype)
        except KeyNotFound:
            if default is _MISSING:
                raise
            return default

    def __getitem__(self, keys: KeyLike) -> Any:
        return self.get(keys)

    def view(self, key: int) -> NDArray[Any]:
        """The vector of a key in the mapped file, read-only and without a copy.

        It stays valid and unchanged as long as the array lives, whatever happens to the key and the index; except in a
        forked child, which must not touch it.
        """
        return self._vectors.show(np.frombuffer(self._handle.view(key), self._vectors.dtype))

    def keys(self, level: int = 0) -> NDArray[np.uint64]:
        """The keys of all points that are on a level, in the order in which they lie in the file."""
        return np.frombuffer(self._handle.keys(level), np.uint64)

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys().tolist())

    def level(self, key: int) -> int:
        """The highest level that the node of a key is on."""
        return self._handle.level(key)

    def neighbours(self, key: int, level: int | None = 0) -> Result:
        """The keys that the node of a key has links to on a level, or on all (None), nearest first."""
        room = self._options.M0 + (16 * self._options.M if level is None else 0)
        keys = np.empty(room, np.uint64)
        distances = None if self._opening.get("graph_only") else np.empty(room, np.float32)
        found = self._handle.neighbours(key, level, keys, distances)
        shown = np.empty(0, np.float32) if distances is None else distances[:found]
        return Result(keys[:found], shown, found)

    def graph(self, path: Path | None = None, *, all_levels: bool = False, progress: Progress = None) -> Any:
        """The graph as a scipy.sparse.csr_array of distances; row i is that of the i-th smallest key.

        The matrix lies in a topology file that is mapped, at `path` if one is given. For its keys, and without scipy,
        use export_topology and rhumb.Topology.
        """
        return topology.graph_of(self, path, all_levels, progress)

    def export_topology(
        self, path: Path, *, all_levels: bool = False, with_distances: bool = True, threads: int = 0,
        progress: Progress = None,
    ) -> _native.TopologyStats:  # fmt: skip
        """Writes the graph into a new file, which rhumb.Topology opens."""
        with watching(progress, "export") as report:
            return self._handle.export_topology(encode_path(path), all_levels, with_distances, threads, report)

    def export(self, path: Path, format: str = "hnswlib", *, progress: Progress = None) -> None:
        """Writes the index with its graph into a new file of another library."""
        with watching(progress, "export") as report:
            self._handle.export(encode_path(path), {"format": format}, report)

    # ---- upkeep -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Makes every operation that returned before durable, whatever the mode."""
        self._handle.sync()

    def checkpoint(self) -> None:
        """Writes every operation to the index file and publishes it for readers."""
        self._handle.checkpoint()

    def refresh(self) -> bool:
        """Moves a read-only index to the newest checkpoint; returns whether there was one."""
        return self._handle.refresh()

    def hot_pages_save(self) -> None:
        """Lists the pages that are in memory, for openings of an index that memory cannot hold."""
        self._handle.hot_pages_save()

    def wait_epoch(self, timeout: float | None = None, *, epoch: int | None = None) -> bool:
        """Waits until there is a newer checkpoint than the one that is shown, or one of number `epoch`; the index stays
        on its own until refresh(). Returns False if there is none after `timeout` seconds; None waits without end.

        A checkpoint of another process is noticed at once. Ctrl-C and close() end the wait within a tenth of a second.
        """
        wanted = self.stats.epoch + 1 if epoch is None else epoch
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left_ms = _WAIT_MS if end is None else max(0, min(_WAIT_MS, int(1000 * (end - time.monotonic()) + 0.999)))
            if self._handle.wait_epoch(wanted, left_ms) >= wanted:
                return True
            if left_ms == 0:
                return False

    def wait_idle(self) -> None:
        """Waits until nothing is to be done in the background."""
        self._handle.wait_idle()

    def verify(self, *, progress: Progress = None) -> VerifyReport:
        """Checks every checksum and every rule of the graph; what is wrong is Corrupt, with `report`."""
        with watching(progress, "verify") as report:
            found = self._handle.verify(report)
        if found.first_error:
            error = Corrupt(found.first_error, "RHUMB_E_CORRUPT", self._path)
            error.report = found
            raise error
        return found

    def compact(self, *, progress: Progress = None, **options: Any) -> CompactReport | None:
        """Drops deleted vectors and returns their space, while everything else goes on.

        Options are those of rhumb_compact_options: threads, order, second_pass, bytes_per_second, shrink, codes, fused,
        and background, which returns None at once.
        """
        with watching(progress, "compact") as report:
            return self._handle.compact(compact_options(options), report)

    def compact_cancel(self) -> None:
        """Stops a compaction that is running."""
        self._handle.compact_cancel()


def compact_options(options: dict[str, Any]) -> dict[str, Any]:
    if "threads" in options:
        options["thread_count"] = options.pop("threads")
    return options


def _positive(number: int) -> int:
    if number < 1:
        raise Invalid(f"at least 1 expected, found {number}")
    return number


def _pairs(native: _native.Iterator, chunk: int) -> Iterator[tuple[int, float]]:
    keys, distances = np.empty(chunk, np.uint64), np.empty(chunk, np.float32)
    while found := native.next(keys, distances):
        yield from zip(keys[:found].tolist(), distances[:found].tolist())
