"""The open shards of one manifest, and for how long they stay open.

A folder has one such object at a time; a reshard or a refresh replaces it. Calls that began with the old one end with
it, as it holds a reference to each shard, and each call one to it: the last one to leave closes what is not used any
more. What is checked when a shard is opened is here too, for programs that place shards elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as indexes
from ..errors import Corrupt, Error, NotFound, OutOfStep
from ..files import info
from ..index import Index
from ..inside import Owner
from . import placement
from .manifest import Manifest, ShardEntry


def open_shard(folder: str, manifest: Manifest, number: int, **options: Any) -> Index:
    """Opens one shard of a manifest, whose file is in `folder`, and checks that it is the one that is listed.

    Options are those of rhumb.open. NotFound: the file is missing. OutOfStep: it is of another folder, or an old copy.
    """
    entry = manifest.shards[number]
    path = os.path.join(folder, entry.file)
    try:
        index = indexes.open(path, **options)
    except NotFound as error:
        raise NotFound(f"{path}: missing, and expected as shard {number} of {len(manifest.shards)} by manifest "
                       f"{manifest.epoch}", error.status, path, None, error.os_errno) from error  # fmt: skip
    except Error as error:
        if path not in error.message:
            error.message = f"{path}: {error.message}"
        raise
    try:
        check_shard(index, manifest, entry)
    except BaseException:
        index.close()
        raise
    return index


def check_shard(index: Index, manifest: Manifest, entry: ShardEntry) -> None:
    """OutOfStep or Corrupt, if an open index is not the shard that a manifest lists, or is older than it says."""
    path = index.path
    if index.uuid != entry.uuid:
        raise OutOfStep(f"{path}: index {entry.uuid} expected by manifest {manifest.epoch} of folder {manifest.uuid}, "
                        f"found {index.uuid}: the file is of another folder, or was replaced", path=path)  # fmt: skip
    expected, found = (manifest.dim, manifest.element, manifest.metric), (index.dim, index.element, index.metric)
    if expected != found:
        raise Corrupt(f"{path}: vectors of {expected} expected, found {found}", "RHUMB_E_CORRUPT", path)
    if index.lsn < entry.lsn:
        raise OutOfStep(f"{path}: operation {entry.lsn} or a later one expected by manifest {manifest.epoch}, found "
                        f"{index.lsn}: the file is an old copy", path=path)  # fmt: skip
    if index.lsn == entry.lsn and len(index) != entry.count:
        raise Corrupt(f"{path}: {entry.count} vectors expected at operation {entry.lsn}, found {len(index)}",
                      "RHUMB_E_CORRUPT", path)  # fmt: skip


def entry_of(path: str, slots: placement.SlotRanges) -> ShardEntry:
    """What a manifest says of a shard file: the state of its newest checkpoint."""
    found = info(path)
    return ShardEntry(os.path.basename(path), found.uuid, slots, found.count, found.lsn)


class SharedIndex:
    """An index that several OpenShards have: closed by the last of them."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._lock = threading.Lock()  # guards the count
        self._user_count = 1

    def begin_process(self) -> None:
        """In a forked child: a lock that a thread of the parent held is made again."""
        self._lock = threading.Lock()

    def use(self) -> SharedIndex:
        """One more user."""
        with self._lock:
            self._user_count += 1
        return self

    def leave(self) -> None:
        """One user less."""
        with self._lock:
            self._user_count -= 1
            last = self._user_count == 0
        if last:
            self.index.close()


class OpenShards:
    """The open shards of one manifest. Any number of threads may use it."""

    def __init__(self, manifest: Manifest, shared: Sequence[SharedIndex], owner: Owner) -> None:
        """`owner`: of all calls to the shards."""
        self.manifest = manifest
        self.shared = tuple(shared)
        self.indexes = tuple(one.index for one in shared)
        for index in self.indexes:
            index.belong_to(owner)
        self.slot_map = manifest.slot_map
        self._retired = False
        self._left = False  # the references to the shards are gone
        self.begin_process()

    def begin_process(self) -> None:
        """What belongs to a process: a forked child has no calls, and locks of its own."""
        self._changed = threading.Condition()  # guards what follows, and what is retired and left
        self._call_count = 0  # calls that use the shards
        self._iterator_count = 0  # iterators, which a retirement waits for and a close does not
        for one in self.shared:
            one.begin_process()

    def group(self, keys: NDArray[np.uint64]) -> list[tuple[Index, NDArray[np.intp]]]:
        """The shards that have any of the keys, each with the positions of its keys in ascending order."""
        if len(self.indexes) == 1:
            return [(self.indexes[0], np.arange(len(keys)))] if len(keys) else []
        return [(self.indexes[shard], positions) for shard, positions in placement.group(self.slot_map, keys)]

    def home_of(self, key: int) -> Index:
        """The shard that has a key, if any has."""
        shard = placement.shards_of(self.slot_map, np.array([key], np.uint64))[0]
        return self.indexes[int(shard)]

    def enter(self, *, iterator: bool = False) -> bool:
        """Begins a call, or an iterator. False: these shards have been retired, and others are there."""
        with self._changed:
            if self._retired:
                return False
            if iterator:
                self._iterator_count += 1
            else:
                self._call_count += 1
            return True

    def leave(self, *, iterator: bool = False) -> None:
        """Ends what enter() began."""
        with self._changed:
            if iterator:
                self._iterator_count -= 1
            else:
                self._call_count -= 1
                self._changed.notify_all()
        self._leave_shards(forced=False)

    def retire(self) -> None:
        """No call may begin. The shards are left once calls and iterators have ended."""
        with self._changed:
            self._retired = True
        self._leave_shards(forced=False)

    def close(self) -> None:
        """Waits for calls, and leaves the shards; iterators end. The second time there is nothing to do."""
        with self._changed:
            self._retired = True
            while self._call_count:
                self._changed.wait()
        self._leave_shards(forced=True)

    def _leave_shards(self, *, forced: bool) -> None:
        with self._changed:
            busy = self._call_count > 0 or (self._iterator_count > 0 and not forced)
            if self._left or not self._retired or busy:
                return
            self._left = True
        failures = []
        for one in self.shared:
            try:
                one.leave()
            except Exception as failure:  # the others are left all the same
                failures.append(failure)
        if failures and forced:  # shards that were replaced are of no use any more, and a search is not to blame
            raise failures[0]


class Gate:
    """Lets writers through together, or one caller alone that waits for them to end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards what follows
        self._writer_count = 0
        self._waiting_count = 0  # callers of alone(): no writer may begin
        self._alone = False

    @contextmanager
    def together(self, inside: bool = False) -> Iterator[None]:
        """A writer's way through. `inside`: of another one, perhaps, for which those who wait have to wait first."""
        with self._changed:
            while self._alone or (self._waiting_count and not inside):
                self._changed.wait()
            self._writer_count += 1
        try:
            yield
        finally:
            with self._changed:
                self._writer_count -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The way through of one that needs writers to stand still."""
        with self._changed:
            self._waiting_count += 1
            try:
                while self._alone or self._writer_count:
                    self._changed.wait()
                self._alone = True
            finally:
                self._waiting_count -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
