"""The process of one node that searches all shards of the node: an actor, of which each node has one.

Shards are opened when they are first asked for, and addressed by their identity. So a process that takes the place of
one that died needs to know nothing: the first call opens what it asks for. A shard that a reshard has replaced stays
open for a while, for clients that have not heard of it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from ..errors import Cancelled, Error, NotFound
from ..inside import Owner
from ..result import Result
from ..shards import folder as folders
from ..fanout import FanOut, processor_count
from ..shards.folder import FolderLock
from ..shards.manifest import Manifest
from ..shards.opened import SharedIndex, open_shard
from . import copying
from .errors import Moved, NotReady
from .metrics import Metrics

_KEPT_SECONDS = 30.0  # for how long shards of an older manifest stay open

#: What a search of one shard found: keys, distances, counts and the last operation; or how it failed.
Found = tuple[Any, Any, Any, int] | Exception

_owners: dict[UUID, Owner] = {}  # by folder


def owner_of(folder: UUID) -> Owner:
    """The owner of the searches that servers of this process do in a folder."""
    return _owners.setdefault(folder, Owner())


class Server:
    """Searches shards, read-only. Any number of threads may call it."""

    def __init__(self, folder: str, local: str | None, source: Any, refresh_seconds: float) -> None:
        """Shards are read from `folder`, or from copies in `local` that `source` gives: a function that calls it."""
        self._folder = folder
        self._local = local
        self._source = source
        self._lock = threading.RLock()  # guards what follows
        self._shards: dict[UUID, SharedIndex] = {}
        self._unlisted: dict[UUID, float] = {}  # since when a shard is in no manifest
        self._wanted: set[UUID] = set()  # of which this node keeps copies
        self._copying: set[UUID] = set()
        self._errors: dict[UUID, str] = {}  # why a shard of this node cannot be searched, or not be refreshed
        self._manifest: Manifest | None = None
        self._local_lock: FolderLock | None = None  # two nodes on one disk must not share a folder
        self._searching = 0
        self.metrics = Metrics()
        self._fan = FanOut(processor_count(), Owner())
        self._refreshing = threading.Lock()  # one refresh at a time
        threading.Thread(target=self._follow, args=(refresh_seconds,), daemon=True).start()

    # ---- searching --------------------------------------------------------------------------------------------------

    def search(
        self, shards: list[tuple[bytes, int]], queries: Any, k: int | None, options: dict[str, Any], seconds: float
    ) -> list[Found]:
        """What each of the shards found, at the operation that comes with it or a later one.

        A search that takes longer than `seconds` stops.
        """
        limit = time.monotonic() + seconds
        with self._lock:
            self._searching += 1
        try:
            each = max(1, processor_count() // max(1, len(shards)))
            options = {**options, "threads": each}
            calls = [self._call_for(UUID(bytes=one), lsn, queries, k, options, limit) for one, lsn in shards]
            found: list[Any] = self._fan.outcomes(calls)
            self.metrics.add("calls_total")
            self.metrics.add("failures_total", sum(isinstance(one, Exception) for one in found))
            return found
        finally:
            with self._lock:
                self._searching -= 1

    def _call_for(
        self, shard: UUID, lsn: int, queries: Any, k: int | None, options: dict[str, Any], limit: float
    ) -> Callable[[Any], Found]:
        def call(_: Any) -> Found:
            try:
                shared = self._open(shard, lsn)
            except Exception as failure:  # of this shard: the others are searched all the same
                return failure
            try:
                index = shared.index
                result: Result = index.search(queries, k, progress=lambda *_: time.monotonic() < limit, **options)
                return result.keys, result.distances, result.counts, index.lsn
            except Cancelled:
                return NotReady(f"{shared.index.path}: the search took longer than was left", "NOT_READY")
            except Exception as failure:
                return failure
            finally:
                shared.leave()

        return call

    def _open(self, shard: UUID, lsn: int = 0) -> SharedIndex:
        """An open shard that has an operation, which the caller leaves."""
        shared = self._open_any(shard)
        if shared.index.lsn < lsn:
            shared.index.refresh()
        if shared.index.lsn < lsn:
            found = shared.index.lsn
            shared.leave()
            if self._local is not None:
                self._begin_copy(shard)
            raise NotReady(f"shard {shard} is at operation {found} on this node, {lsn} expected", "NOT_READY")
        return shared

    def _open_any(self, shard: UUID) -> SharedIndex:
        with self._lock:
            found = self._shards.get(shard)
            if found is None:
                number = self._number_of(shard)
                assert self._manifest is not None
                try:
                    index = open_shard(self._local or self._folder, self._manifest, number, read_only=True)
                except Error as failure:
                    if self._local is not None:
                        self._begin_copy(shard)
                        if isinstance(failure, NotFound):
                            raise NotReady(f"shard {shard} is being copied to this node", "NOT_READY") from None
                    self._errors[shard] = str(failure)
                    raise
                index.belong_to(owner_of(self._manifest.uuid))
                found = self._shards[shard] = SharedIndex(index)
                self._errors.pop(shard, None)
            return found.use()

    def _number_of(self, shard: UUID) -> int:
        """The number of a shard in the newest manifest."""
        for fresh in (False, True):
            if self._manifest is None or fresh:
                self._manifest = self._read_manifest()
            for number, entry in enumerate(self._manifest.shards):
                if entry.uuid == shard:
                    return number
        assert self._manifest is not None
        raise Moved(f"shard {shard} is not in manifest {self._manifest.epoch}", "MOVED", self._folder)

    def _read_manifest(self) -> Manifest:
        if self._local is None:
            return folders.read_manifest(self._folder)
        found: Manifest = self._source("manifest")
        with self._lock:
            if self._local_lock is None:  # the first manifest: what a predecessor left is removed
                try:
                    os.makedirs(self._local, exist_ok=True)
                except OSError as error:
                    raise folders.failure_of(error, self._local) from error
                self._local_lock = FolderLock(self._local)
                folders.sweep(self._local, found)
        return found

    # ---- following the writers --------------------------------------------------------------------------------------

    def _follow(self, seconds: float) -> None:
        while True:
            time.sleep(seconds)
            try:
                self.refresh()
            except Exception as failure:  # of the manifest: what is open is searched on
                self.metrics.add("failures_total")
                self._errors[UUID(int=0)] = str(failure)

    def refresh(self) -> dict[str, int]:
        """Moves to the newest checkpoint of each shard; returns the last operation of each."""
        with self._refreshing:
            manifest = self._read_manifest()
            self._errors.pop(UUID(int=0), None)
            with self._lock:
                self._manifest = manifest
                listed = {entry.uuid for entry in manifest.shards}
                wanted = [shard for shard in self._wanted | set(self._shards) if shard in listed]
            for shard in wanted:
                try:
                    self._refresh_shard(shard)
                    self._errors.pop(shard, None)
                except NotReady:
                    pass
                except Exception as failure:
                    self._errors[shard] = str(failure)
            self._close_unlisted(listed)
            with self._lock:
                return {str(shard): shared.index.lsn for shard, shared in self._shards.items()}

    def _refresh_shard(self, shard: UUID) -> None:
        if self._local is None:
            shared = self._open(shard)
            try:
                shared.index.refresh()
            finally:
                shared.leave()
            return
        with self._lock:
            open_one = self._shards.get(shard)
        if open_one is None and shard not in self._copying:
            self._open(shard).leave()
        elif open_one is not None and self._source("lsn", str(shard)) != open_one.index.lsn:
            self._copy(shard)

    def _close_unlisted(self, listed: set[UUID]) -> None:
        now = time.monotonic()
        with self._lock:
            for shard in list(self._shards):
                if shard in listed:
                    self._unlisted.pop(shard, None)
                elif now - self._unlisted.setdefault(shard, now) > _KEPT_SECONDS:
                    shared = self._shards.pop(shard)
                    self._unlisted.pop(shard, None)
                    if self._local is not None:
                        folders.remove([shared.index.path])
                    shared.leave()

    def assign(self, shards: Iterable[bytes]) -> None:
        """Says which shards this node has; copies, or opens, those that are not there yet."""
        wanted = {UUID(bytes=one) for one in shards}
        with self._lock:
            self._wanted = wanted
        for shard in wanted:
            try:
                self._open(shard).leave()
            except Exception as failure:  # which a search of the shard reports
                if not isinstance(failure, NotReady):
                    self._errors[shard] = str(failure)

    def _begin_copy(self, shard: UUID) -> None:
        with self._lock:
            if shard in self._copying:
                return
            self._copying.add(shard)
        threading.Thread(target=self._copy_noting, args=(shard,), daemon=True).start()

    def _copy_noting(self, shard: UUID) -> None:
        try:
            self._copy(shard)
            self._errors.pop(shard, None)
        except Exception as failure:
            self._errors[shard] = str(failure)
        finally:
            with self._lock:
                self._copying.discard(shard)

    def _copy(self, shard: UUID) -> None:
        """Fetches the newest checkpoint of a shard, and searches that from now on."""
        with self._lock:
            number = self._number_of(shard)
            manifest = self._manifest
        assert manifest is not None and self._local is not None
        self.metrics.add("copied_bytes_total", copying.fetch(self._source, manifest, number, self._local))
        index = open_shard(self._local, manifest, number, read_only=True)
        index.belong_to(owner_of(manifest.uuid))
        with self._lock:
            old = self._shards.pop(shard, None)
            self._shards[shard] = SharedIndex(index)
        if old is not None:
            old.leave()

    # ---- what it is -------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Process, shards with their last operation and number of vectors, failures, and counters."""
        with self._lock:
            shards = {str(shard): (shared.index.lsn, len(shared.index)) for shard, shared in self._shards.items()}
            errors = {str(shard): text for shard, text in self._errors.items()}
            copying_now = [str(shard) for shard in self._copying]
            return {"pid": os.getpid(), "shards": shards, "errors": errors, "copying": copying_now,
                    "searching": self._searching, "metrics": self.metrics.values()}  # fmt: skip
