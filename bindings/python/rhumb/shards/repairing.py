"""Saving what can be verified of a damaged folder of shards into a new one.

Each shard is repaired by itself. Without a manifest the shards are all files that are named as such, and a slot goes to
the shard that has most of its keys. The old folder is only read.
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import index as indexes
from ..errors import Cancelled, Corrupt, Error, NotAnIndex, NotFound, VersionMismatch
from ..files import compact_into, info
from ..files import repair as repair_index
from ..filters import Keys
from ..index import Index, Path
from ..progress import Progress, watching
from . import folder as folders
from . import placement
from .copying import copy_keys
from .manifest import Manifest
from .opened import entry_of


@dataclasses.dataclass(frozen=True)
class ShardRepair:
    """What became of one shard of the damaged folder."""

    file: str  #: its name there
    report: Any  #: the RepairReport of rhumb.repair, or None if nothing could be saved
    failure: str  #: why nothing could be saved, or ""


@dataclasses.dataclass(frozen=True)
class ShardsRepairReport:
    """What a repair found and did. `complete` says whether nothing is lost as far as can be known."""

    count: int  #: vectors in the new folder
    manifest_failure: str  #: why the manifest could not be read, or ""
    moved_count: int  #: keys that were in a shard that their slot does not belong to
    dropped_count: int  #: of these, keys that the right shard has too
    shards: tuple[ShardRepair, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is lost, as far as can be known."""
        return not self.manifest_failure and not self.dropped_count and all(
            one.report is not None and not (
                one.report.lost_count or one.report.duplicate_count or one.report.doubtful_count
                or one.report.unproved_count or one.report.older_version or one.report.log_note
            )
            for one in self.shards
        )  # fmt: skip


def repair(
    path: Path, new_path: Path, *, strict: bool = False, threads: int = 0, progress: Progress = None
) -> ShardsRepairReport:
    """Builds a new folder from whatever can still be verified in a damaged one, as rhumb.repair does for an index.

    A shard that is missing, or of which nothing can be saved, is empty in the new folder; the report says which, and
    `strict` makes it an error. The new folder has an identity of its own. No program may have the old one open for
    writing. On failure nothing is left.
    """
    source, folder = os.path.abspath(path), os.path.abspath(new_path)
    manifest, failure = _manifest_of(source, strict)
    files = [shard.file for shard in manifest.shards] if manifest else folders.shard_files(source)
    if not files:
        raise NotFound(f"{source}: there is neither a manifest nor a shard", "RHUMB_E_NOTFOUND", source)
    with folders.new_folder(folder), watching(progress, "repair") as report:
        saved: dict[int, str] = {}  # by number in `files`: the new file
        found = []
        for number, file in enumerate(files):
            new_file = os.path.join(folder, folders.new_shard_name(number))
            found.append(_repair_shard(os.path.join(source, file), new_file, strict, threads, report))
            if found[-1].report is not None:
                saved[number] = new_file
        if not saved:
            raise Corrupt(f"{source}: nothing can be saved: {found[0].failure}", "RHUMB_E_CORRUPT", source)
        if manifest:
            slot_map = manifest.slot_map
            for number in set(range(len(files))) - set(saved):
                saved[number] = os.path.join(folder, folders.new_shard_name(number))
                some = Keys(np.empty(0, np.uint64), assume_sorted=True)
                compact_into(next(iter(saved.values())), saved[number], filter=some)
        else:
            slot_map = _slot_map_of(saved)
        moved, dropped = _move_astray(saved, slot_map)
        count = _write_manifest(folder, saved, slot_map, manifest)
        return ShardsRepairReport(count, failure, moved, dropped, tuple(found))


def _manifest_of(source: str, strict: bool) -> tuple[Manifest | None, str]:
    """The manifest, or why there is none."""
    try:
        return folders.read_manifest(source), ""
    except VersionMismatch:
        raise
    except Error as error:
        if strict:
            raise
        return None, error.message


def _repair_shard(path: str, new_path: str, strict: bool, threads: int, report: Any) -> ShardRepair:
    try:
        return ShardRepair(
            os.path.basename(path), repair_index(path, new_path, strict=strict, threads=threads, progress=report), ""
        )
    except (Corrupt, NotAnIndex, NotFound) as error:
        if strict or isinstance(error, Cancelled):
            raise
        return ShardRepair(os.path.basename(path), None, error.message)


def _slot_map_of(saved: dict[int, str]) -> placement.SlotMap:
    """A map made of the keys that shards have; numbers are those of `saved`, without those that get no slot."""
    counts = []
    for number, path in list(saved.items()):
        with indexes.open(path, read_only=True) as index:
            counts.append(np.bincount(placement.slots_of(index.keys()), minlength=placement.SLOT_COUNT))
    table = np.array(counts)
    larger = np.argsort(-table.sum(axis=1), kind="stable")  # of equally many keys, those of the larger shard count
    owner = larger[table[larger].argmax(axis=0)]
    owned = table.max(axis=0) > 0
    if not owned.any():
        owned[0] = True
    # a slot without keys goes to the owner of the last slot before it that has some, or of the first
    last = np.maximum.accumulate(np.where(owned, np.arange(placement.SLOT_COUNT), -1))
    owner = owner[np.where(last < 0, np.flatnonzero(owned)[0], last)]
    numbers = np.array(list(saved))
    kept = np.unique(owner)
    renumbered = np.zeros(len(numbers), np.uint16)
    renumbered[kept] = np.arange(len(kept))
    old = dict(saved)
    saved.clear()
    for position, number in enumerate(numbers.tolist()):  # those without a slot come last, and are emptied
        place = int(renumbered[position]) if position in kept else len(kept) + position
        saved[place] = old[number]
    slot_map: placement.SlotMap = renumbered[owner]
    return slot_map


def _move_astray(saved: dict[int, str], slot_map: placement.SlotMap) -> tuple[int, int]:
    """Moves keys to the shards of their slots; how many were elsewhere, and how many of them the shard has too."""
    opened: dict[int, Index] = {}
    moved = dropped = 0
    try:
        for number, path in saved.items():
            opened[number] = indexes.open(path, durability="none")
        for number, index in opened.items():
            keys: NDArray[np.uint64] = index.keys()
            shards = placement.shards_of(slot_map, keys)
            for other in np.unique(shards[shards != number]).tolist():
                astray = keys[shards == other]
                absent = astray[~opened[other].contains(astray)]
                copy_keys(opened[other], index, absent)
                index.delete(astray)
                moved += len(astray)
                dropped += len(astray) - len(absent)
    finally:
        for index in opened.values():
            index.close()
    for number in [number for number in saved if number > int(slot_map.max())]:
        path = saved.pop(number)
        folders.remove(folders.shard_paths(os.path.dirname(path), os.path.basename(path)))
    return moved, dropped


def _write_manifest(folder: str, saved: dict[int, str], slot_map: placement.SlotMap, old: Manifest | None) -> int:
    """Writes the manifest of a repaired folder, and returns how many vectors it has."""
    for path in saved.values():
        folders.sync(path)
    entries = tuple(entry_of(saved[number], placement.ranges_of(slot_map, number)) for number in sorted(saved))
    about = info(saved[0])
    key_next = max(old.key_next if old else 0, *(info(path).key_next for path in saved.values()))
    metadata = old.metadata if old else b""
    manifest = Manifest(uuid.uuid4(), 1, about.dim, str(about.metric), str(about.element), key_next, metadata, entries)
    folders.write_manifest(folder, manifest, first=True)
    return sum(entry.count for entry in entries)
