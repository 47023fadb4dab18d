"""Building a folder of shards by tasks of Ray: one task for each piece of the source, then one for each shard.

The first tasks sort the vectors by shard into files of a scratch folder, the others build the shards of these. What a
task has done is a file that gets its name when it is complete. So a task that dies is run again by Ray, and a build
whose program died goes on where it was when it is called again with the same arguments. The manifest is written last.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayError

from .. import _native
from .. import index as indexes
from ..errors import Cancelled, Error, Exists, Invalid, Unsupported
from ..files import info
from ..index import Path
from ..options import CreateOptions
from ..progress import Progress, watching
from ..shards import folder as folders
from ..shards import placement
from ..shards.building import BuildReport, ShardBuild
from ..shards.folder import FolderLock
from ..shards.manifest import Manifest
from ..shards.opened import entry_of
from ..vectors import VectorType, element_of
from .sources import Columns, Piece, batches_of, pieces_of, read

try:
    from typing import Unpack
except ImportError:  # pragma: no cover
    from typing_extensions import Unpack

_SCRATCH = "build"
_BATCH_ROWS = 16384  # inserted by one call


@dataclasses.dataclass(frozen=True)
class _Job:
    """What all tasks of a build have in common."""

    folder: str
    dim: int
    metric: str
    element: str
    files: tuple[str, ...]  # the name of each shard
    columns: Columns
    options: dict[str, Any]
    threads: int

    @property
    def scratch(self) -> str:
        return os.path.join(self.folder, _SCRATCH)


def build(
    source: Any, path: Path, *, shards: int, dim: int | None = None, metric: str = "l2", dtype: Any = "f32",
    vectors: str = "vector", keys: str | None = None, threads: int = 1, tasks: int = 0, max_retries: int = 3,
    task_options: dict[str, Any] | None = None, progress: Progress = None, **options: Unpack[CreateOptions],
) -> BuildReport:  # fmt: skip
    """Builds a new folder of `shards` shards, which all nodes must see at `path`.

    `source` is a path, a pattern or a list of .npy or Parquet files, a folder of Parquet files, or a Ray Dataset. Of
    tables, `vectors` and `keys` are the columns; without `keys` rows are numbered from 0. Each task has `threads`
    threads and as many processors; at most `tasks` run at a time (0: as many as there is place for). A task whose
    process dies is run again, `max_retries` times. `task_options` are for ray.remote, others those of rhumb.create.

    If it raises, or if the program dies, what is done is kept in the subfolder "build", and the same call goes on from
    there, except with a Dataset, where it begins again. The scratch files take as much disk as the vectors. Exists: the
    folder has shards, or is the begun build of something else.
    """
    if options.get("custom_distance") is not None:
        raise Unsupported("custom_distance: a function cannot be passed to other processes")
    element, metric = element_of(dtype), _native.metric_name(metric) or metric
    if metric == "levenshtein":
        raise Unsupported("levenshtein: sequences are built by rhumb.shards.build")
    try:
        placement.even_map(shards)
    except ValueError as error:
        raise Invalid(str(error)) from None
    columns = Columns(vectors, keys)
    pieces, blocks, stamp = pieces_of(source, columns)
    if dim is None:
        dim = _dim_of(pieces, blocks, columns, element)
    VectorType(element, dim, metric)
    folder = os.path.abspath(path)
    os.makedirs(folder, exist_ok=True)
    lock = FolderLock(folder)
    try:
        if os.path.lexists(folders.manifest_path(folder)):
            raise Exists(f"{folders.manifest_path(folder)}: the folder has shards", "RHUMB_E_EXISTS", folder)
        what = {"shards": shards, "dim": dim, "metric": metric, "element": element, "options": options, "stamp": stamp}
        files = _begin(folder, what, shards, resumable=bool(stamp))
        job = _Job(folder, dim, metric, element, files, columns, {**options, "durability": "none"}, threads)
        remote = {"max_retries": max_retries, "num_cpus": threads, **(task_options or {})}
        with watching(progress, "build") as report:
            found = _run(job, pieces, blocks, remote, tasks, report)
        shutil.rmtree(job.scratch)
        return found
    finally:
        lock.release()


def _dim_of(pieces: list[Piece], blocks: list[Any], columns: Columns, element: str) -> int:
    """The components of a vector, as the first piece with rows has them."""
    for piece, block in zip(pieces, blocks):
        if piece.count:
            part = dataclasses.replace(piece, count=1) if piece.kind == "npy" else piece
            width = read(part, None if block is None else ray.get(block), columns)[0].shape[1]
            return int(width) * (8 if element == "b1" else 1)
    raise Invalid("dim: needed where there are no vectors")


def _begin(folder: str, what: dict[str, Any], shard_count: int, *, resumable: bool) -> tuple[str, ...]:
    """Names for the shards: those of the same build that was begun before, if there is one."""
    scratch = os.path.join(folder, _SCRATCH)
    path = os.path.join(scratch, "job.json")
    digest = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
    if os.path.exists(path):
        with open(path) as file:
            old = json.load(file)
        if resumable and old["digest"] == digest:
            return tuple(old["files"])
        if resumable:
            raise Exists(f"{scratch}: the begun build of something else: remove it, or call that build again",
                         "RHUMB_E_EXISTS", scratch)  # fmt: skip
    shutil.rmtree(scratch, ignore_errors=True)
    folders.sweep(folder, None)
    os.mkdir(scratch)
    files = tuple(folders.new_shard_name(number) for number in range(shard_count))
    _write_json(path, {"digest": digest, "files": files})
    return files


def _write_json(path: str, value: Any) -> None:
    with open(path + "-new", "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + "-new", path)


# ---- tasks ----------------------------------------------------------------------------------------------------------


def _part_path(job: _Job, piece: int, shard: int) -> str:
    return os.path.join(job.scratch, f"part-{piece:06}-{shard:04}.npz")


def _sort(job: _Job, number: int, piece: Piece, block: Any) -> int:
    """Writes the vectors of a piece into a file for each shard; the last is one that says that all are there."""
    vectors, keys = read(piece, block, job.columns)
    if len(keys):
        vectors, count, _ = VectorType(job.element, job.dim, job.metric).take(vectors)
    slot_map = placement.even_map(len(job.files))
    for shard, rows in placement.group(slot_map, keys):
        path = _part_path(job, number, shard)
        with open(f"{path}-{uuid.uuid4().hex}", "wb") as file:
            np.savez(file, keys=keys[rows], vectors=vectors[rows])
            os.rename(file.name, path)
    _write_json(os.path.join(job.scratch, f"piece-{number:06}.json"), {"count": len(keys)})
    return len(keys)


def _build_shard(job: _Job, shard: int, piece_count: int) -> dict[str, Any]:
    """Builds a shard of its parts, under a scratch name until it is complete."""
    done = os.path.join(job.scratch, f"shard-{shard:04}.json")
    final = os.path.join(job.folder, job.files[shard])
    scratch = os.path.join(job.scratch, job.files[shard])
    folders.remove(folders.shard_paths(job.scratch, job.files[shard]))
    begun = time.process_time()
    with indexes.create(scratch, job.dim, job.metric, job.element, **job.options) as index:
        for piece in range(piece_count):
            path = _part_path(job, piece, shard)
            if os.path.exists(path):
                with np.load(path) as part:
                    for keys, vectors in batches_of(part["keys"], part["vectors"], _BATCH_ROWS):
                        index.add(vectors, keys, threads=job.threads)
        count = len(index)
    folders.sync(scratch)
    os.rename(scratch, final)
    folders.sync(job.folder)
    found = {"count": count, "cpu_seconds": time.process_time() - begun}
    _write_json(done, found)
    return found


def _done(path: str) -> dict[str, Any] | None:
    try:
        with open(path) as file:
            found: dict[str, Any] = json.load(file)
            return found
    except FileNotFoundError:
        return None


def _run(
    job: _Job, pieces: list[Piece], blocks: list[Any], remote: dict[str, Any], tasks: int, report: Any
) -> BuildReport:
    """Runs what has not been done, and writes the manifest."""
    begun, cpu_begun = time.monotonic(), time.process_time()
    shared = ray.put(job)
    total = sum(piece.count for piece in pieces)
    sort, make = ray.remote(_sort).options(**remote), ray.remote(_build_shard).options(**remote)

    def piece_calls() -> Iterator[Any]:
        for number, piece in enumerate(pieces):
            if _done(os.path.join(job.scratch, f"piece-{number:06}.json")) is None:
                yield lambda number=number, piece=piece: sort.remote(shared, number, piece, blocks[number])

    def shard_calls() -> Iterator[Any]:
        for shard in range(len(job.files)):
            if _done(os.path.join(job.scratch, f"shard-{shard:04}.json")) is None:
                yield lambda shard=shard: make.remote(shared, shard, len(pieces))

    _all(piece_calls(), tasks, None)
    counts = [0]

    def built(answer: dict[str, Any]) -> None:
        counts[0] += answer["count"]
        if report is not None and report(min(counts[0], total), total) is False:
            raise Cancelled("the progress function asked to stop", "RHUMB_E_CANCELLED")

    _all(shard_calls(), tasks, built)
    slot_map = placement.even_map(len(job.files))
    entries = tuple(
        entry_of(os.path.join(job.folder, file), placement.ranges_of(slot_map, i)) for i, file in enumerate(job.files)
    )
    key_next = max(info(os.path.join(job.folder, file)).key_next for file in job.files)
    manifest = Manifest(uuid.uuid4(), 1, job.dim, job.metric, job.element, key_next, b"", entries)
    folders.write_manifest(job.folder, manifest, first=True)
    each = [_done(os.path.join(job.scratch, f"shard-{i:04}.json")) or {} for i in range(len(job.files))]
    shards = tuple(
        ShardBuild(entry.file, entry.count, one.get("cpu_seconds", 0.0)) for entry, one in zip(entries, each)
    )
    seconds, cpu_seconds = time.monotonic() - begun, time.process_time() - cpu_begun
    return BuildReport(sum(entry.count for entry in entries), seconds, cpu_seconds, shards)


def _all(calls: Iterator[Any], tasks: int, taken: Any) -> None:
    """Runs tasks, at most `tasks` at a time; the first failure cancels the others and is raised as it is."""
    pending: list[Any] = []
    try:
        for call in calls:
            if tasks and len(pending) >= tasks:
                pending = _one(pending, taken)
            pending.append(call())
        while pending:
            pending = _one(pending, taken)
    except BaseException:
        for reference in pending:
            ray.cancel(reference, force=True)
        ray.wait(pending, num_returns=len(pending), timeout=10) if pending else None
        raise


def _one(pending: list[Any], taken: Any) -> list[Any]:
    done, left = ray.wait(pending, num_returns=1)
    try:
        answer = ray.get(done[0])
    except RayError as failure:
        cause = getattr(failure, "cause", None)
        raise (cause if isinstance(cause, (Error, OSError, TypeError, ValueError)) else failure) from None
    if taken is not None:
        taken(answer)
    return list(left)
