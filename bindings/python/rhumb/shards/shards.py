"""A folder of shards, open: searched as one index, and written by one process."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._native import CompactReport, WriteReport
from ..errors import Closed, Fatal, Invalid, KeyExists, KeyNotFound, NotFound, ReadOnly
from ..index import Index, KeyLike, Path, compact_options
from ..progress import Progress
from ..vectors import Native, take_keys, take_keys_for
from . import folder as folders
from . import manifest as manifests
from . import placement
from .copying import Copy, Recorder
from ..fanout import Report, processor_count, raise_first
from .manifest import Manifest
from .opened import OpenShards, entry_of
from .reader import ShardsReader


def _unpickled(path: str, identity: bytes, options: dict[str, Any]) -> Shards:
    shards = Shards(path, {**options, "read_only": True})
    if shards.uuid.bytes != identity:
        shards.close()
        raise NotFound(f"other shards are at {path} now", "RHUMB_E_NOTFOUND", path)
    return shards


class Shards(ShardsReader):
    """An open folder of shards: made by create and open, closed by close() or at the end of a `with` block.

    Its methods are those of rhumb.Index, and do the same, except where they say otherwise. Any number of threads may
    use it. A pickle of it is its path, which is opened read-only.
    """

    def __reduce__(self) -> Any:
        kept = {name: self._opening[name] for name in ("graph_only", "immutable") if name in self._opening}
        return _unpickled, (self._path, self.uuid.bytes, kept)

    @property
    def metadata(self) -> bytes:
        """Up to 3,072 bytes of the caller's. Setting them writes a manifest."""
        return self.manifest.metadata

    @metadata.setter
    def metadata(self, value: bytes) -> None:
        if len(value) > manifests.METADATA_BYTES_MAX:
            raise Invalid(f"at most {manifests.METADATA_BYTES_MAX} bytes of metadata expected, found {len(value)}")
        self._check_writable()
        with self._upkeep_for("setting metadata"), self._using() as opened:
            self._publish(opened, opened.manifest.next(metadata=bytes(value)))

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add(
        self, vectors: Any, keys: KeyLike | None = None, *, threads: int = 0, progress: Progress = None,
        partial: bool = False,
    ) -> Any:  # fmt: skip
        """Inserts one vector or many, and returns its key or theirs.

        Without `keys` they are consecutive numbers from one above the largest ever inserted. After an exception nothing
        of the batch is there, unless `partial`. After a crash in the middle some shards may have their part of it.
        """
        native, count, single = self._vectors.take(vectors)
        if keys is not None:
            taken = take_keys_for(count, keys)
            self._insert(taken, native, threads, partial, progress)
        else:
            with self._assigning.taken("add() without keys", progress) as report:
                first = self._key_next()
                taken = np.arange(first, first + count, dtype=np.uint64)
                self._insert(taken, native, threads, partial, report)
        return int(taken[0]) if single else taken

    def _key_next(self) -> int:
        with self._using() as opened:
            return _key_next_of(opened)

    def _insert(
        self, keys: NDArray[np.uint64], native: Native, threads: int, partial: bool, progress: Progress
    ) -> None:
        with self._writing(keys) as opened:
            there = self._contains(opened, keys)
            if there.any():
                raise KeyExists(f"key {keys[there][0]} is in the index", "RHUMB_E_EXISTS", self._path)
            parts = opened.group(keys)
            each = self._threads_each(threads, len(parts))

            def call_for(index: Index, rows: NDArray[np.intp]) -> Callable[[Report], Any]:
                part, part_keys = _rows_of(native, rows), keys[rows]
                return lambda report: index.add(part, part_keys, threads=each, progress=report, partial=partial)

            outcomes = self._fan.outcomes([call_for(*part) for part in parts], progress, "add", in_turn=threads == 1)
            if not partial and any(isinstance(outcome, BaseException) for outcome in outcomes):
                for (index, rows), outcome in zip(parts, outcomes):
                    if not isinstance(outcome, BaseException):
                        index.delete(keys[rows], missing="ignore")
            raise_first(outcomes)

    def upsert(
        self, vectors: Any, keys: KeyLike, *, threads: int = 0, progress: Progress = None, partial: bool = False
    ) -> WriteReport:
        """Inserts vectors, or replaces those of keys that are there.

        In each shard it is all or nothing, unless `partial`; after an exception or a crash some shards may have their
        part. The same call may be made again.
        """
        native, count, _ = self._vectors.take(vectors)
        taken = take_keys_for(count, keys)

        def call(index: Index, rows: NDArray[np.intp], report: Report, each: int) -> WriteReport:
            part = _rows_of(native, rows)
            return index.upsert(part, taken[rows], threads=each, progress=report, partial=partial)

        return _sum_of(self._change(taken, call, threads, progress, "upsert"))

    def delete(
        self, keys: KeyLike, *, missing: str = "raise", threads: int = 0, progress: Progress = None,
        partial: bool = False,
    ) -> int:  # fmt: skip
        """Deletes the vectors of keys, and returns how many were there.

        A key that is not there is KeyNotFound, and nothing is deleted, unless `missing` is "ignore". Batches are as
        those of upsert.
        """
        if missing not in ("raise", "ignore"):
            raise Invalid(f"missing: 'raise' or 'ignore' expected, found {missing!r}")
        taken, _ = take_keys(keys)
        if missing == "raise":
            absent = taken[~self.contains(taken)]
            if len(absent):
                raise KeyNotFound(f"key {absent[0]} is not in the index", "RHUMB_E_NOTFOUND", self._path)

        def call(index: Index, rows: NDArray[np.intp], report: Report, each: int) -> int:
            return index.delete(taken[rows], missing="ignore", threads=each, progress=report, partial=partial)

        return sum(self._change(taken, call, threads, progress, "delete"))

    def _change(
        self, keys: NDArray[np.uint64], call: Callable[[Index, NDArray[np.intp], Report, int], Any], threads: int,
        progress: Progress, what: str,
    ) -> list[Any]:  # fmt: skip
        """Calls a function for each shard that has any of the keys."""
        with self._writing(keys) as opened:
            parts = opened.group(keys)
            each = self._threads_each(threads, len(parts))

            def call_for(index: Index, rows: NDArray[np.intp]) -> Callable[[Report], Any]:
                return lambda report: call(index, rows, report, each)

            found: list[Any] = self._fan.run(
                [call_for(*part) for part in parts], progress, what, in_turn=threads == 1
            )  # fmt: skip
            return found

    @staticmethod
    def _threads_each(threads: int, part_count: int) -> int:
        return max(1, (threads or processor_count()) // max(1, min(part_count, processor_count())))

    def __delitem__(self, keys: KeyLike) -> None:
        self.delete(keys)

    def __setitem__(self, keys: KeyLike, vectors: Any) -> None:
        self.upsert(vectors, keys)

    @contextmanager
    def _writing(self, keys: NDArray[np.uint64]) -> Iterator[OpenShards]:
        """The open shards, for a change of keys."""
        self._check_writable()
        with self._gate.together(self._owner.within()), self._using() as opened:
            self._check_writable()
            try:
                yield opened
            finally:
                if self._recorder is not None:
                    self._recorder.record(keys)

    def _check_writable(self) -> None:
        if self._process != os.getpid():
            self._follow_fork()
        if self._closed:
            raise Closed("the shards are closed", "CLOSED", self._path)
        if self._read_only:
            raise ReadOnly(f"{self._path}: opened read-only", "RHUMB_E_READONLY", self._path)
        if self._fatal is not None:
            raise Fatal(f"an earlier failure ended writing: {self._fatal}", "RHUMB_E_FATAL", self._path)

    # ---- upkeep -----------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Makes every operation that returned before durable, whatever the mode."""
        self._on_each(lambda index: index.sync())

    def checkpoint(self) -> None:
        """Writes every operation to the shard files, publishes them for readers, and notes their state."""
        self._check_writable()
        with self._upkeep_for("checkpoint()"):
            self._check_writable()
            self._checkpoint()

    def _finish(self) -> None:
        if not self._read_only and self._fatal is None:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Checkpoints of all shards that have changed since the manifest, and a new manifest if there are any."""
        opened = self._opened  # not replaced, and not closed, as the lock for upkeep is held
        self._fan.run([_checkpoint_call(index) for index in opened.indexes])
        old = opened.manifest.shards
        shards = tuple(entry_of(index.path, shard.slots) for index, shard in zip(opened.indexes, old))
        key_next = _key_next_of(opened)
        if shards != old or key_next != opened.manifest.key_next:
            self._publish(opened, opened.manifest.next(shards=shards, key_next=key_next))

    def _publish(self, opened: OpenShards, manifest: Manifest) -> None:
        """Writes a manifest of the shards that are open. With the lock for upkeep."""
        try:
            folders.write_manifest(self._path, manifest)
        except Fatal as failure:
            self._fatal = failure
            raise
        opened.manifest = manifest

    def wait_idle(self) -> None:
        """Waits until nothing is to be done in the background."""
        self._owner.refuse("wait_idle()")
        self._on_each(lambda index: index.wait_idle())

    def compact(self, *, progress: Progress = None, **options: Any) -> list[CompactReport | None]:
        """Compacts one shard after the other, as Index.compact does, while everything else goes on."""
        self._check_writable()
        if not options.get("background"):
            self._owner.refuse("compact()")
        with self._using() as opened:
            found: list[CompactReport | None] = self._fan.run(
                [_compact_call(index, options) for index in opened.indexes], progress, "compact", in_turn=True
            )
            return found

    def compact_cancel(self) -> None:
        """Stops a compaction that is running."""
        self._on_each(lambda index: index.compact_cancel())

    # ---- copies -----------------------------------------------------------------------------------------------------

    def reshard(self, shard_count: int, *, progress: Progress = None, **options: Any) -> None:
        """Splits and joins shards until there are `shard_count`, each with an equal share of the slots.

        Searches and writes go on; writes wait for the end of it, for as long as the last of them take to be copied and
        a checkpoint takes. A crash leaves the old shards or the new ones, with everything that was acknowledged. Needs
        free disk space for all vectors once more, and for the parts of the shard that is being joined. Options are
        those of compact_into; for a shard that is joined of several, of these threads, codes and fused.
        """
        try:
            slot_map = placement.even_map(shard_count)
        except ValueError as error:
            raise Invalid(str(error)) from None
        self._check_writable()
        with self._upkeep_for("reshard()"):
            self._check_writable()
            opened = self._opened
            copy = Copy(opened, self._path, slot_map, reuse=True)
            try:
                with self._copied(copy, self._opening, options, progress):
                    copy.checkpoint()
                    key_next = _key_next_of(opened)
                    manifest = opened.manifest.next(shards=copy.entries(), key_next=key_next)
                    if manifest.shards == opened.manifest.shards:
                        return
                    try:
                        folders.write_manifest(self._path, manifest)
                    except Fatal as failure:
                        self._fatal = failure
                        copy.close()  # both states stay: either may be what a power cut leaves
                        raise
                    self._opened = OpenShards(manifest, copy.shared(), self._owner)
            except Fatal:
                raise
            except BaseException:
                if self._opened is opened:
                    copy.abandon()
                raise
            opened.retire()
            self._remove_all_but(manifest, opened.manifest)

    def _remove_all_but(self, manifest: Manifest, old: Manifest) -> None:
        """Removes the files of shards that a manifest does not list any more."""
        kept = {shard.file for shard in manifest.shards}
        for shard in old.shards:
            if shard.file not in kept:
                folders.remove(folders.shard_paths(self._path, shard.file))

    @contextmanager
    def _copied(
        self, copy: Copy, opening: dict[str, Any], options: dict[str, Any], progress: Progress
    ) -> Iterator[None]:
        """Fills a copy; in the block it is complete, and writers wait."""
        recorder = Recorder()
        custom: dict[str, Any] = {
            name: self._opening[name] for name in ("custom_name", "custom_distance") if name in self._opening
        }
        compacting: dict[str, Any] = {**compact_options(dict(options)), **custom}
        try:
            if not self._read_only:
                with self._gate.alone():
                    self._recorder = recorder
                self._fan.run([_checkpoint_call(index) for index in self._opened.indexes])
            self._fan.run([lambda report: copy.fill(opening, compacting, report)], progress, "copy")
            copy.follow(recorder)
            with self._gate.alone():
                copy.catch_up(recorder.take())
                self._recorder = None
                yield
        finally:
            self._recorder = None

    def snapshot(self, path: Path, *, progress: Progress = None, **options: Any) -> None:
        """Writes all shards, as they are at one moment, into a new folder, which may be opened as any other.

        Everything else goes on; writes wait for as long as the last of them take to be copied. Of shards that are open
        read-only, it is the newest checkpoint of each shard. Options are those of compact_into.
        """
        folder = os.path.abspath(path)
        with self._upkeep_for("snapshot()"), self._using() as opened, folders.new_folder(folder):
            copy = Copy(opened, folder, opened.slot_map, reuse=False)
            opening = {name: value for name, value in self._opening.items() if name.startswith("custom_")}
            try:
                with self._copied(copy, {**opening, "durability": "none"}, options, progress):
                    key_next = _key_next_of(opened)
                copy.checkpoint()
                shards = copy.entries()
                copy.close()
                changes: dict[str, Any] = {"epoch": 1, "uuid": uuid.uuid4(), "key_next": key_next, "shards": shards}
                manifest = dataclasses.replace(opened.manifest, **changes)
                folders.write_manifest(folder, manifest, first=True)
            except BaseException:
                copy.abandon()
                raise


def _key_next_of(opened: OpenShards) -> int:
    """One above the largest key that was ever inserted into any of the shards."""
    return max(opened.manifest.key_next, *(index.stats.key_next for index in opened.indexes))


def _rows_of(native: Native, rows: NDArray[np.intp]) -> Any:
    """Some of the vectors that VectorType.take has returned."""
    if isinstance(native, tuple):
        elements, lengths = native
        ends = np.cumsum(lengths, dtype=np.int64)
        return [elements[end - length : end] for end, length in zip(ends[rows].tolist(), lengths[rows].tolist())]
    return np.atleast_2d(native)[rows]


def _sum_of(reports: Sequence[WriteReport]) -> WriteReport:
    """The reports of several shards as that of one batch."""
    return WriteReport(tuple(sum(values) for values in zip(*reports)) if reports else (0,) * WriteReport.n_fields)


def _checkpoint_call(index: Index) -> Callable[[Report], None]:
    return lambda report: index.checkpoint()


def _compact_call(index: Index, options: dict[str, Any]) -> Callable[[Report], Any]:
    return lambda report: index.compact(progress=report, **options)
