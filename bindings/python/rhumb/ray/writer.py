"""The processes that write: one for each shard, or one for the whole folder while it is resharded.

A batch is acknowledged when it is durable. A batch that is sent again, because its first answer was lost, is taken for
done as far as it is there.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from .. import shards as shards_module
from ..errors import Error, KeyExists, Locked
from ..index import Index
from ..shards import folder as folders
from ..shards.opened import open_shard
from ..shards.shards import Shards
from .errors import Fenced, Moved
from .fence import Term

_LOOK_SECONDS = 0.5  # how often an idle writer looks whether it was replaced
_LOCK_SECONDS = 10.0  # for how long a writer waits for the one that it replaces


def apply(target: Index | Shards, what: str, keys: NDArray[np.uint64], vectors: Any, again: bool) -> int:
    """Does one batch, and returns how many vectors it has changed. `again`: it may have been done before, in part."""
    if what == "delete":
        return target.delete(keys, missing="ignore")
    if what == "upsert":
        target.upsert(vectors, keys)
        return len(keys)
    if again:
        there = target.contains(keys)
        if there.any():
            different = [i for i in np.flatnonzero(there).tolist() if not _same(target, int(keys[i]), vectors[i])]
            if different:
                raise KeyExists(f"key {keys[different[0]]} is in the index", "RHUMB_E_EXISTS", target.path)
            rows = np.flatnonzero(~there)
            if len(rows):
                target.add([vectors[i] for i in rows] if isinstance(vectors, list) else vectors[rows], keys[rows])
            return len(keys)
    target.add(vectors, keys)
    return len(keys)


def _same(target: Index | Shards, key: int, vector: Any) -> bool:
    """Whether the index has this vector under a key."""
    found = target.get(key)
    if not target.options.normalise:
        return np.array_equal(np.asarray(found), np.asarray(vector, np.asarray(found).dtype))
    wanted = np.asarray(vector, np.float64)
    return bool(np.allclose(np.asarray(found, np.float64), wanted / (wanted.sum() or 1.0), rtol=1e-2, atol=1e-4))


class ShardWriter:
    """Writes one shard. Any number of threads may call it."""

    def __init__(self, folder: str, shard: str) -> None:
        """Nothing is opened until the first call, so that a failure is the answer of a call."""
        self._folder = folder
        self._uuid = UUID(shard)
        self._lock = threading.Lock()  # guards what follows
        self._index: Index | None = None
        self._term: Term | None = None
        self._users = 0  # calls that use the index
        self._ended: Error | None = None  # why there will be no more writing
        threading.Thread(target=self._watch, daemon=True).start()

    def write(self, what: str, keys: NDArray[np.uint64], vectors: Any, again: bool) -> int:
        """Does a batch ("add", "upsert" or "delete"), durably."""
        return int(self._with(lambda index: apply(index, what, keys, vectors, again)))

    def checkpoint(self) -> int:
        """Writes and publishes everything; returns the number of the last operation."""

        def call(index: Index) -> int:
            index.checkpoint()
            return index.lsn

        return int(self._with(call))

    def state(self) -> dict[str, Any]:
        """What it has: process, operations, and the key after the largest."""

        def call(index: Index) -> dict[str, Any]:
            return {"pid": os.getpid(), "lsn": index.lsn, "count": len(index), "key_next": index.stats.key_next}

        found: dict[str, Any] = self._with(call)
        return found

    def release(self) -> None:
        """Ends writing here: waits for calls, makes a checkpoint and closes the index."""
        self._end(Moved(f"shard {self._uuid} is written by another process now", "MOVED", self._folder))

    def _with(self, call: Callable[[Index], Any]) -> Any:
        with self._lock:
            if self._ended is not None:
                raise self._ended
            if self._index is None:
                self._index, self._term = self._open()
            index, term = self._index, self._term
            self._users += 1
        try:
            assert term is not None
            term.check()
            found = call(index)
            term.check()
            return found
        except Fenced as failure:
            with self._lock:
                self._ended = self._ended or failure
            raise
        finally:
            with self._lock:
                self._users -= 1

    def _open(self) -> tuple[Index, Term]:
        manifest = folders.read_manifest(self._folder)
        number = next((i for i, entry in enumerate(manifest.shards) if entry.uuid == self._uuid), None)
        if number is None:
            raise Moved(f"shard {self._uuid} is not in manifest {manifest.epoch}", "MOVED", self._folder)
        term = Term(os.path.join(self._folder, manifest.shards[number].file))
        limit = time.monotonic() + _LOCK_SECONDS
        try:
            while True:
                try:
                    return open_shard(self._folder, manifest, number), term
                except Locked:
                    term.check()
                    if time.monotonic() > limit:
                        raise
                    time.sleep(0.05)
        except BaseException:
            term.close()
            raise

    def _watch(self) -> None:
        while self._ended is None:
            time.sleep(_LOOK_SECONDS)
            try:
                with self._lock:
                    if self._term is not None:
                        self._term.check()
            except Error as failure:
                self._end(failure)
        self._end(self._ended)

    def _end(self, reason: Error) -> None:
        with self._lock:
            self._ended = self._ended or reason
        while True:
            with self._lock:
                if self._users == 0:
                    index, self._index = self._index, None
                    term, self._term = self._term, None
                    break
            time.sleep(0.005)
        if index is not None:
            index.close()
        if term is not None:
            term.close()


class FolderWriter:
    """Writes all shards, and splits and joins them at the same time."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._shards: Shards | None = None
        self._lock = threading.Lock()  # guards the opening and closing

    def open(self) -> None:
        """Opens the folder for writing, once those that wrote its shards have left them."""
        limit = time.monotonic() + _LOCK_SECONDS
        while self._shards is None:
            try:
                self._shards = shards_module.open(self._folder)
            except Locked:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)

    def _opened(self) -> Shards:
        found = self._shards
        if found is None or found.closed:
            raise Moved(f"{self._folder} is written by other processes now", "MOVED", self._folder)
        return found

    def write(self, what: str, keys: NDArray[np.uint64], vectors: Any, again: bool) -> int:
        """Does a batch, as ShardWriter does."""
        return apply(self._opened(), what, keys, vectors, again)

    def checkpoint(self) -> int:
        """Writes and publishes everything."""
        self._opened().checkpoint()
        return 0

    def state(self) -> dict[str, Any]:
        """What it has."""
        stats = self._opened().stats
        return {"pid": os.getpid(), "lsn": 0, "count": stats.count, "key_next": max(s.key_next for s in stats.shards)}

    def reshard(self, shard_count: int) -> None:
        """Splits and joins the shards."""
        self._opened().reshard(shard_count)

    def release(self) -> None:
        """Closes the folder."""
        with self._lock:
            if self._shards is not None:
                self._shards.close()
