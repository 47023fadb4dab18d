"""A folder of shards, open: what reading it takes. shards.py has what writes it."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
import uuid as uuids
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._native import Options, Stats, VerifyReport
from ..errors import Closed, Corrupt, Forked, Invalid, NotFound
from ..filters import FilterLike, as_filter, as_filters
from ..index import Index, KeyLike, Out, Path
from ..inside import Owner, Turn
from ..progress import Progress
from ..result import Result
from ..vectors import VectorType, take_keys
from . import folder as folders
from . import placement, searching
from .copying import Recorder
from ..fanout import FanOut, Report, processor_count
from .folder import FolderLock
from .manifest import Manifest
from .opened import Gate, OpenShards, SharedIndex, check_shard, open_shard

_MISSING: Any = object()
_WAIT_SECONDS = 0.1  # between two looks at the manifest
_OPEN_TRIES = 20  # how often an opening begins again because a reshard has replaced the shards in the meantime


@dataclasses.dataclass(frozen=True)
class ShardsStats:
    """What a folder of shards holds."""

    uuid: uuids.UUID
    epoch: int  #: number of the manifest
    count: int  #: vectors that searches can find
    shard_count: int
    file_bytes: int  #: length of all shard files
    shards: tuple[Stats, ...]  #: what each shard says of itself


@dataclasses.dataclass(frozen=True)
class ShardsVerifyReport:
    """What a verification has found."""

    count: int  #: vectors that were checked
    unreachable_count: int  #: live vectors that no path leads to
    shards: tuple[VerifyReport, ...]


class ShardsReader:
    """What Shards has for readers."""

    def __init__(self, path: Path, options: dict[str, Any]) -> None:
        """Opens the folder; `options` are those of rhumb.open."""
        self._path = os.path.abspath(path)
        self._opening = options
        self._read_only = any(options.get(name) for name in ("read_only", "graph_only", "immutable"))
        self._lock = None
        self._owner = Owner()  # of all calls to the shards
        if not self._read_only:
            folders.read_manifest(self._path)  # before a file for the lock is made
            self._lock = FolderLock(self._path)
        try:
            self._opened = self._open()
            if not self._read_only:
                folders.sweep(self._path, self._opened.manifest)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise
        self._vectors = VectorType(self.element, self.dim, self.metric)
        self._begin_process()
        self._fatal: Exception | None = None
        self._closed = False

    def _begin_process(self) -> None:
        """What belongs to a process: threads and locks. A forked child has others."""
        self._process = os.getpid()
        self._fan = FanOut(processor_count(), self._owner)
        self._gate = Gate()  # passed by writers; alone: the end of a copy
        self._upkeep = threading.RLock()  # held while the manifest or the open shards are replaced
        self._assigning = Turn()  # of an add that numbers its keys
        self._recorder: Recorder | None = None  # what a copy wants to know of changes

    def _open(self) -> OpenShards:
        """Opens the shards of the newest manifest, again if that is replaced in the meantime."""
        for _ in range(_OPEN_TRIES):
            manifest = folders.read_manifest(self._path)
            try:
                return self._open_manifest(manifest, {})
            except Exception:
                if folders.read_manifest(self._path).epoch == manifest.epoch:
                    raise
        return self._open_manifest(folders.read_manifest(self._path), {})

    def _open_manifest(self, manifest: Manifest, known: dict[uuids.UUID, SharedIndex]) -> OpenShards:
        shared: list[SharedIndex] = []
        try:
            for number, entry in enumerate(manifest.shards):
                if entry.uuid in known:
                    shared.append(known[entry.uuid].use())
                else:
                    shared.append(SharedIndex(open_shard(self._path, manifest, number, **self._opening)))
            return OpenShards(manifest, shared, self._owner)
        except BaseException:
            for one in shared:
                one.leave()
            raise

    # ---- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Makes a checkpoint if anything changed, and closes all shards; the second time there is nothing to do.

        Waits for calls of other threads. Iterators end.
        """
        forked = self._process != os.getpid()
        if forked:
            self._begin_process()
            self._opened.begin_process()
        with self._upkeep_for("close()"):
            if self._closed:
                return
            self._closed = True
            try:
                with self._gate.alone():
                    if not forked:
                        self._finish()
            finally:
                try:
                    self._opened.close()
                finally:
                    self._fan.close()
                    if self._lock is not None:
                        self._lock.release()

    @contextmanager
    def _upkeep_for(self, what: str) -> Iterator[None]:
        """Holds the lock for upkeep, whose holder may wait for other calls, so not from inside of one."""
        self._owner.refuse(what)
        with self._upkeep:
            yield

    def _finish(self) -> None:
        """What a writer does before the shards are closed."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    @property
    def read_only(self) -> bool:
        """Whether it was opened read-only."""
        return self._read_only

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._process == os.getpid():
            if not self._read_only:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return (f"<rhumb.shards.Shards {self._path!r}, {self.shard_count} of {self.dim} x {self.element}, "
                f"{self.metric}, {state}>")  # fmt: skip

    @contextmanager
    def _using(self, *, iterator: bool = False) -> Iterator[OpenShards]:
        """The open shards, which stay open for the block."""
        if self._process != os.getpid():
            self._follow_fork()
        opened = self._opened
        while not opened.enter(iterator=iterator):
            if self._closed:
                raise Closed("the shards are closed", "CLOSED", self._path)
            opened = self._opened
        try:
            yield opened
        finally:
            opened.leave(iterator=iterator)

    def _follow_fork(self) -> None:
        """The first call in a forked child: shards that are open read-only are opened again, at the newest manifest."""
        if not self._read_only:
            raise Forked("the shards are open for writing in a process that this one was forked from", path=self._path)
        self._begin_process()
        self._opened.begin_process()
        if self._closed:
            return
        identity = self.uuid
        try:
            self._opened.close()
            self._opened = self._open()
            if self.uuid != identity:
                self._opened.close()
                raise Forked(f"other shards are at {self._path} now", path=self._path)
        except BaseException:
            self._closed = True
            raise

    # ---- what it is -------------------------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The absolute path of the folder."""
        return self._path

    @property
    def manifest(self) -> Manifest:
        """The manifest whose shards are open."""
        return self._opened.manifest

    @property
    def uuid(self) -> uuids.UUID:
        """The identity of the folder."""
        return self.manifest.uuid

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return len(self.manifest.shards)

    @property
    def dim(self) -> int:
        """Components per vector; of sequences the most that there can be."""
        return self.manifest.dim

    @property
    def metric(self) -> str:
        """The distance, as "l2"."""
        return self.manifest.metric

    @property
    def element(self) -> str:
        """The type of a component, as "f32"."""
        return self.manifest.element

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of arrays of its vectors."""
        return self._vectors.shown

    @property
    def options(self) -> Options:
        """What its first shard was created with."""
        with self._using() as opened:
            return opened.indexes[0].options

    @property
    def stats(self) -> ShardsStats:
        """What it holds."""
        with self._using() as opened:
            each = tuple(index.stats for index in opened.indexes)
            return ShardsStats(
                opened.manifest.uuid, opened.manifest.epoch, sum(one.count for one in each), len(each),
                sum(one.file_bytes for one in each), each,
            )  # fmt: skip

    # ---- searching --------------------------------------------------------------------------------------------------

    def search(
        self, queries: Any, k: int | None = None, *, ef_search: int | None = None, filter: FilterLike = None,
        filters: Sequence[FilterLike] | None = None, radius: float | None = None, exact: bool = False,
        threads: int = 0, out: Out | None = None, progress: Progress = None,
    ) -> Result:  # fmt: skip
        """Finds the `k` nearest vectors of one query or of many, approximately: as Index.search, in all shards.

        `ef_search` is the breadth in each shard. Equal distances are ordered by key. A filter that is a function of
        Python is called by several threads.
        """
        native, count, single = self._vectors.take(queries)
        if radius is not None and (exact or out is not None or filters is not None):
            raise Invalid("radius: there is no exact, no out and no filters with it")
        if filter is not None and filters is not None:
            raise Invalid("filter and filters cannot be combined")
        if out is not None:
            searching.check_output(out, (k or 10,) if single else (count, k or 10))
        options: dict[str, Any] = {"ef_search": ef_search, "filter": as_filter(filter)}
        options.update(radius=radius, exact=exact)
        if filters is not None:
            options["filters"] = as_filters(filters)
        with self._using() as opened:
            asked = queries if self._vectors.sequences else native
            result = searching.search(opened, self._fan, asked, k, threads, progress, **options)
        return result if out is None else searching.take_output(result, out)

    def search_like(self, key: int, k: int = 10, *, ef_search: int | None = None, filter: FilterLike = None) -> Result:
        """Finds the `k` vectors nearest to that of a key, without that key."""
        with self._using() as opened:
            return searching.search_like(opened, self._fan, key, k, ef_search, filter)

    def iterate(
        self, query: Any, *, ef_search: int | None = None, filter: FilterLike = None, chunk: int = 100
    ) -> Iterator[tuple[int, float]]:
        """Pairs (key, distance), nearest first, as many as are asked for; looks for `chunk` of them at a time.

        An iterator stays with the shards that it began with: a reshard or a refresh does not change what it finds.
        """
        self._vectors.take_one(query)
        return self._iterate(query, ef_search, as_filter(filter), chunk)

    def _iterate(self, query: Any, ef_search: int | None, filter: Any, chunk: int) -> Iterator[tuple[int, float]]:
        with self._using(iterator=True) as opened:
            yield from searching.iterate(opened, query, ef_search, filter, chunk)

    # ---- points -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._using() as opened:
            return sum(len(index) for index in opened.indexes)

    def contains(self, keys: KeyLike) -> Any:
        """Whether a key is there; of several, an array of bool."""
        taken, single = take_keys(keys)
        with self._using() as opened:
            answers = self._contains(opened, taken)
        return bool(answers[0]) if single else answers

    @staticmethod
    def _contains(opened: OpenShards, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        answers = np.zeros(len(keys), np.bool_)
        for index, rows in opened.group(keys):
            answers[rows] = index.contains(keys[rows])
        return answers

    def __contains__(self, key: int) -> bool:
        return bool(self.contains(key))

    def get(self, keys: KeyLike, default: Any = _MISSING) -> Any:
        """A copy of the vector of a key, or the matrix of those of several.

        A key that is not there is KeyNotFound, unless there is a `default`: then that is the answer, or fills the row.
        """
        taken, single = take_keys(keys)
        given = () if default is _MISSING else (default,)
        with self._using() as opened:
            if single:
                return opened.home_of(int(taken[0])).get(int(taken[0]), *given)
            parts = [(rows, index.get(taken[rows], *given)) for index, rows in opened.group(taken)]
        if self._vectors.sequences:
            found: list[Any] = [None] * len(taken)
            for rows, part in parts:
                for row, vector in zip(rows.tolist(), part):
                    found[row] = vector
            return found
        vectors = self._vectors.show(self._vectors.new(len(taken)))
        for rows, part in parts:
            vectors[rows] = part
        return vectors

    def __getitem__(self, keys: KeyLike) -> Any:
        return self.get(keys)

    def view(self, key: int) -> NDArray[Any]:
        """The vector of a key in the mapped file, read-only and without a copy. See Index.view."""
        with self._using() as opened:
            return opened.home_of(int(key)).view(key)

    def keys(self) -> NDArray[np.uint64]:
        """The keys of all points, one shard after the other."""
        with self._using() as opened:
            return np.concatenate([index.keys() for index in opened.indexes])

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys().tolist())

    def shards_of(self, keys: KeyLike) -> Any:
        """The number of the shard that has a key, or would have it; of several, an array."""
        taken, single = take_keys(keys)
        found = placement.shards_of(self._opened.slot_map, taken)
        return int(found[0]) if single else found

    # ---- upkeep -----------------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Moves to the newest checkpoint of each shard, and to other shards after a reshard; only of a read-only one.
        Returns whether there was anything newer."""
        if not self._read_only:
            raise Invalid("only shards that are open read-only are refreshed")
        if self._process != os.getpid():
            self._follow_fork()
        with self._upkeep_for("refresh()"):
            for attempt in range(_OPEN_TRIES):
                try:
                    return self._refresh()
                except Exception:
                    if folders.read_manifest(self._path).epoch == self._tried_epoch or attempt == _OPEN_TRIES - 1:
                        raise
            return False

    def _refresh(self) -> bool:
        with self._using() as opened:
            manifest = folders.read_manifest(self._path)
            self._tried_epoch = manifest.epoch
            if manifest.uuid != opened.manifest.uuid:
                raise NotFound(f"other shards are at {self._path} now", "RHUMB_E_NOTFOUND", self._path)
            known = {one.index.uuid: one for one in opened.shared}
            changed = False
            for entry in manifest.shards:
                if entry.uuid in known:
                    changed |= known[entry.uuid].index.refresh()
                    check_shard(known[entry.uuid].index, manifest, entry)
            if manifest.epoch == opened.manifest.epoch:
                return changed
            newer = self._open_manifest(manifest, known)
            self._opened = newer
        opened.retire()
        return True

    def wait_epoch(self, timeout: float | None = None, *, epoch: int | None = None) -> bool:
        """Waits until there is a newer manifest than the one that is shown, or one of number `epoch`, as checkpoint()
        and reshard() of a writer make them. Returns False if there is none after `timeout` seconds; None waits without
        end. Looks ten times a second; Ctrl-C and close() end the wait."""
        wanted = self.manifest.epoch + 1 if epoch is None else epoch
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._using() as opened:
                if opened.manifest.epoch >= wanted or folders.read_manifest(self._path).epoch >= wanted:
                    return True
            left = _WAIT_SECONDS if end is None else min(_WAIT_SECONDS, end - time.monotonic())
            if left <= 0:
                return False
            time.sleep(left)

    def hot_pages_save(self) -> None:
        """Lists the pages that are in memory, for openings of shards that memory cannot hold."""
        self._on_each(lambda index: index.hot_pages_save())

    def verify(self, *, progress: Progress = None) -> ShardsVerifyReport:
        """Checks the manifest on the disk, every checksum and every rule of each shard, and that each key lies in the
        shard of its slot, so none in two; what is wrong is Corrupt, and names the file."""
        if not self._read_only:
            self._owner.refuse("verify()")
        with self._using() as opened:
            on_disk = folders.read_manifest(self._path)
            if not self._read_only and on_disk != opened.manifest:
                raise Corrupt(
                    f"{folders.manifest_path(self._path)}: manifest {opened.manifest.epoch} expected, found "
                    f"{on_disk.epoch}: another program has replaced it", "RHUMB_E_CORRUPT", self._path,
                )  # fmt: skip
            calls = [_verify_call(index) for index in opened.indexes]
            each: list[VerifyReport] = self._fan.run(calls, progress, "verify", in_turn=True)
            for number, index in enumerate(opened.indexes):
                keys = index.keys()
                astray = keys[placement.shards_of(opened.slot_map, keys) != number]
                if len(astray):
                    raise Corrupt(
                        f"{index.path}: {len(astray)} keys of other shards in shard {number}, the first of them "
                        f"{astray[0]}, which belongs to shard {self.shards_of(int(astray[0]))}", "RHUMB_E_CORRUPT",
                        index.path,
                    )  # fmt: skip
            unreachable = sum(report.unreachable_count for report in each)
            return ShardsVerifyReport(sum(len(index) for index in opened.indexes), unreachable, tuple(each))

    def _on_each(self, call: Callable[[Index], Any]) -> None:
        with self._using() as opened:
            for index in opened.indexes:
                call(index)


def _verify_call(index: Index) -> Callable[[Report], VerifyReport]:
    return lambda report: index.verify(progress=report)
