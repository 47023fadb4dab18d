"""Copying shards while they are written: what reshard() and snapshot() share.

Each new shard is a compaction of one old shard into a new file, with a filter where only some slots are wanted, and
takes over what else it needs from further old shards. In the meantime writers go on with the old shards, and the keys
that they change are recorded. Then these keys are copied again, until few are left; the last ones while writers wait.
So the copy ends in one state of all shards. Nothing old is changed: if the process dies, files are left that no
manifest lists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as indexes
from ..errors import Cancelled, KeyNotFound
from ..files import compact_into
from ..filters import Keys
from ..index import Index
from . import folder as folders
from . import placement
from ..fanout import Report
from .manifest import ShardEntry
from .opened import OpenShards, SharedIndex, entry_of

_PER_READ = 4096  # keys whose vectors are copied at a time
_FEW_KEYS = 1024  # so many changed keys are copied while writers wait
_ROUNDS_MAX = 16  # rounds of copying what has changed until writers are made to wait all the same


class Recorder:
    """The keys that have changed since the last look. Writers record them after each change, before they return."""

    def __init__(self) -> None:
        self._keys: list[NDArray[np.uint64]] = []

    def record(self, keys: NDArray[np.uint64]) -> None:
        """Notes keys that were changed, or may have been."""
        self._keys.append(keys)

    def take(self) -> NDArray[np.uint64]:
        """The keys that were recorded since the last call, each once."""
        taken = []
        while self._keys:
            taken.append(self._keys.pop())
        return np.unique(np.concatenate(taken)) if taken else np.empty(0, np.uint64)


class Copy:
    """New shards that are being made of open ones."""

    def __init__(self, source: OpenShards, folder: str, slot_map: placement.SlotMap, reuse: bool) -> None:
        """`reuse`: a shard that keeps its slots is not copied, but used by both."""
        self._source = source
        self._folder = folder
        self._slot_map = slot_map
        self._ranges = [placement.ranges_of(slot_map, i) for i in range(int(slot_map.max()) + 1)]
        self._made: dict[int, Index] = {}  # by number in the new map
        self._files: list[str] = []
        self._reused: dict[int, int] = {}  # number in the new map: number in the old one
        if reuse:
            old = {shard.slots: i for i, shard in enumerate(source.manifest.shards)}
            self._reused = {i: old[slots] for i, slots in enumerate(self._ranges) if slots in old}

    # ---- making -----------------------------------------------------------------------------------------------------

    def fill(self, opening: dict[str, Any], compacting: dict[str, Any], report: Report) -> None:
        """Makes the new shards, each with the keys of its slots as they are at about this time."""
        total = sum(len(index) for index in self._source.indexes)
        done = 0
        for number in range(len(self._ranges)):
            if number not in self._reused:
                self._make(number, opening, compacting, _part_of(report, done, total))
            done += len(self._made[number]) if number in self._made else 0
            report(min(done, total), total)

    def _make(self, number: int, opening: dict[str, Any], compacting: dict[str, Any], report: Report) -> None:
        old = [self._source.indexes[i] for i in placement.sources_of(self._source.slot_map, self._slot_map, number)]
        wanted = [self._wanted(number, index.keys()) for index in old]
        first = int(np.argmax([len(keys) for keys in wanted]))
        path = os.path.join(self._folder, folders.new_shard_name(number))
        self._files.append(path)
        everything = set(placement.sources_of(self._slot_map, self._source.slot_map, self._number_of(old[first])))
        filter = None if everything == {number} else Keys(np.sort(wanted[first]), assume_sorted=True)
        compact_into(old[first].path, path, filter=filter, progress=report, **compacting)
        index = self._made[number] = indexes.open(path, **opening)
        for i, other in enumerate(old):
            if i != first:
                join(index, other, wanted[i], report)

    def _wanted(self, number: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
        wanted: NDArray[np.uint64] = keys[placement.shards_of(self._slot_map, keys) == number]
        return wanted

    def _number_of(self, index: Index) -> int:
        return self._source.indexes.index(index)

    # ---- following writers ------------------------------------------------------------------------------------------

    def follow(self, recorder: Recorder) -> None:
        """Copies what has changed, again and again, until little is left."""
        for _ in range(_ROUNDS_MAX):
            keys = recorder.take()
            self.catch_up(keys)
            if len(keys) <= _FEW_KEYS:
                break

    def catch_up(self, keys: NDArray[np.uint64]) -> None:
        """Makes keys in the new shards what they are in the old ones."""
        for number, positions in placement.group(self._slot_map, keys):
            if number not in self._reused:
                for old, part in self._source.group(keys[positions]):
                    copy_keys(self._made[number], old, keys[positions][part])

    # ---- the end ----------------------------------------------------------------------------------------------------

    def checkpoint(self) -> None:
        """Makes the new shards durable in their files."""
        for index in self._made.values():
            index.checkpoint()

    def entries(self) -> tuple[ShardEntry, ...]:
        """What a manifest says of the new shards."""
        found = []
        for number, slots in enumerate(self._ranges):
            if number in self._reused:
                found.append(self._source.manifest.shards[self._reused[number]])
            else:
                found.append(entry_of(self._made[number].path, slots))
        return tuple(found)

    def shared(self) -> Sequence[SharedIndex]:
        """The new shards for OpenShards, which closes them from here on."""
        return [
            self._source.shared[self._reused[number]].use() if number in self._reused
            else SharedIndex(self._made.pop(number))
            for number in range(len(self._ranges))
        ]  # fmt: skip

    def close(self) -> None:
        """Closes the new shards."""
        while self._made:
            self._made.popitem()[1].close()

    def abandon(self) -> None:
        """Closes and removes the new shards."""
        try:
            self.close()
        finally:
            for path in self._files:
                folders.remove(folders.shard_paths(self._folder, os.path.basename(path)))


def join(index: Index, other: Index, keys: NDArray[np.uint64], report: Report) -> None:
    """Takes keys of another index into an index that has none of them.

    They are inserted one after the other; a merge of the two graphs belongs here once the library has it.
    """
    for start in range(0, len(keys), _PER_READ):
        copy_keys(index, other, keys[start : start + _PER_READ])
        if not report(start, len(keys)):
            raise Cancelled("the progress function asked to stop", "RHUMB_E_CANCELLED", index.path)


def copy_keys(index: Index, other: Index, keys: NDArray[np.uint64]) -> None:
    """Makes keys in an index what they are in another, which may be written at the same time."""
    for start in range(0, len(keys), _PER_READ):
        some = keys[start : start + _PER_READ]
        while True:
            there = other.contains(some)
            try:
                vectors = other.get(some[there])
                break
            except KeyNotFound:
                continue  # deleted in between
        if there.any():
            index.upsert(vectors, some[there])
        if not there.all():
            index.delete(some[~there], missing="ignore")


def _part_of(report: Report, done: int, total: int) -> Callable[[int, int], bool]:
    """The progress of one shard as a part of all."""

    def part(part_done: int, part_total: int) -> bool:
        return report(min(total, done + (part_done * max(total - done, 0)) // max(part_total, 1) // 2), total)

    return part
