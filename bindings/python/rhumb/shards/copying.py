"""Copying shards while they are written: what reshard() and snapshot() share.

Each new shard is a compaction of one old shard into a new file, with a filter where only some slots are wanted, or a
merge of several of these. In the meantime writers go on with the old shards, and the keys that they change are
recorded. Then these keys are copied again, until few are left; the last ones while writers wait.
So the copy ends in one state of all shards. Nothing old is changed: if the process dies, files are left that no
manifest lists.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as indexes
from .._native import Filter
from ..errors import KeyNotFound
from ..files import compact_into, merge
from ..filters import Keys
from ..index import Index
from . import folder as folders
from . import placement
from ..fanout import Report
from .manifest import ShardEntry
from .opened import OpenShards, SharedIndex, entry_of

_SOURCES_MAX = 256  # indexes that are merged at a time
_MERGE_OPTIONS = ("thread_count", "codes", "fused", "custom_name", "custom_distance")  # of those of a compaction
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


@dataclasses.dataclass(frozen=True)
class _Part:
    """What an old shard has of a new one."""

    path: str
    count: int
    filter: Filter | None  # None: all of it


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
            if number in self._reused:
                done += len(self._source.indexes[self._reused[number]])
                continue
            parts = self._parts(number)
            count = sum(part.count for part in parts)
            path = self._new_file(number)
            progress = _share_of(report, done, count, total)
            if len(parts) == 1:
                compact_into(parts[0].path, path, filter=parts[0].filter, progress=progress, **compacting)
            else:
                self._join(number, parts, path, compacting, progress)
            self._made[number] = indexes.open(path, **opening)
            done += count
        report(total, total)

    def _parts(self, number: int) -> list[_Part]:
        """What old shards have of a new one, the largest part first, as the new shard has the options of that."""
        parts = []
        for i in placement.sources_of(self._source.slot_map, self._slot_map, number):
            keys = self._source.indexes[i].keys()
            wanted = keys[placement.shards_of(self._slot_map, keys) == number]
            whole = placement.sources_of(self._slot_map, self._source.slot_map, i) == [number]
            parts.append(_Part(self._source.indexes[i].path, len(wanted), None if whole else Keys(wanted)))
        parts.sort(key=lambda part: -part.count)
        return [part for part in parts if part.count] or parts[:1]

    def _new_file(self, number: int) -> str:
        path = os.path.join(self._folder, folders.new_shard_name(number))
        self._files.append(path)
        return path

    def _join(
        self, number: int, parts: Sequence[_Part], path: str, compacting: dict[str, Any], report: Report
    ) -> None:
        """Makes a new shard of several parts. Those that are not whole shards are files of their own until then."""
        total = 2 * sum(part.count for part in parts)  # each is copied and merged
        scratch: list[str] = []
        paths = []
        done = 0
        try:
            for part in parts:
                if part.filter is None:
                    paths.append(part.path)
                else:
                    scratch.append(self._new_file(number))
                    paths.append(scratch[-1])
                    progress = _share_of(report, done, part.count, total)
                    compact_into(part.path, scratch[-1], filter=part.filter, progress=progress, **compacting)
                done += part.count
            options = {name: compacting[name] for name in _MERGE_OPTIONS if name in compacting}
            while len(paths) > _SOURCES_MAX:
                scratch.append(self._new_file(number))
                merge(paths[:_SOURCES_MAX], scratch[-1], progress=_share_of(report, done, 0, total), **options)
                paths = [*paths[_SOURCES_MAX:], scratch[-1]]
            merge(paths, path, progress=_share_of(report, done, total - done, total), **options)
        finally:
            for file in scratch:
                folders.remove(folders.shard_paths(self._folder, os.path.basename(file)))

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


def _share_of(report: Report, done: int, share: int, total: int) -> Callable[[int, int], bool]:
    """The progress of a step that is `share` of a `total`, of which `done` is behind it."""
    return lambda step_done, step_total: report(min(total, done + step_done * share // max(step_total, 1)), total)
