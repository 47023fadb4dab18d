"""Building the shards of a new folder in several processes.

This process reads the vectors once, hashes their keys and sends each to the process that builds its shard. Pipes hold
up this process when the others are slower. Until all have succeeded, the folder has files and no manifest.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native, errors
from ..errors import Cancelled, Error, Invalid, Unsupported
from ..index import KeyLike, Path
from ..options import CreateOptions
from ..progress import Progress, watching
from ..vectors import Native, VectorType, element_of, take_keys
from . import folder as folders
from . import placement
from ..fanout import processor_count
from .manifest import Manifest
from .opened import entry_of
from .worker import ENDING, FRAME

_BATCH_BYTES = 1 << 22  # of vectors that are hashed and sent at a time

try:
    from typing import Unpack
except ImportError:  # pragma: no cover
    from typing_extensions import Unpack


@dataclasses.dataclass(frozen=True)
class ShardBuild:
    """What building one shard took."""

    file: str
    count: int
    cpu_seconds: float  #: of all threads of its process


@dataclasses.dataclass(frozen=True)
class BuildReport:
    """What a build did."""

    count: int  #: vectors
    seconds: float  #: from the beginning to the durable manifest
    cpu_seconds: float  #: of the process that called: reading, hashing and sending
    shards: tuple[ShardBuild, ...]


def build(
    path: Path, vectors: Any, keys: KeyLike | None = None, *, shards: int, metric: str = "l2", dtype: Any = "f32",
    dim: int | None = None, workers: int = 0, threads: int = 0, progress: Progress = None,
    **options: Unpack[CreateOptions],
) -> BuildReport:  # fmt: skip
    """Builds a new folder of `shards` shards in `workers` processes (0: one for each processor) of `threads` threads.

    `vectors` are an array, the path of an .npy file, which is read in pieces, or an iterator of pairs (vectors, keys);
    without `keys` they are 0, 1, 2... Options are those of rhumb.create. On failure nothing is left. With `threads` 1
    the same input gives the same graphs.
    """
    if options.get("custom_distance") is not None:
        raise Unsupported("custom_distance: a function cannot be passed to other processes; use create and add")
    batches, found_dim = _batches(vectors, keys, dim)
    dim = dim if dim is not None else found_dim
    if dim is None:
        raise Invalid("dim: needed where vectors come from an iterator")
    element = element_of(dtype)
    metric = _native.metric_name(metric) or metric
    kind = VectorType(element, dim, metric)
    try:
        slot_map = placement.even_map(shards)
    except ValueError as error:
        raise Invalid(str(error)) from None
    folder = os.path.abspath(path)
    with folders.new_folder(folder), watching(progress, "build") as report:
        job = {"dim": dim, "metric": metric, "element": element, "options": {**options, "durability": "none"}}
        build = _Build(folder, slot_map, job, workers or processor_count(), threads)
        return build.run(batches, kind, report)


def _batches(vectors: Any, keys: KeyLike | None, dim: int | None) -> tuple[Iterator[tuple[Any, Any]], int | None]:
    """Pairs (vectors, keys), and the components of a vector if they can be seen."""
    if isinstance(vectors, (str, os.PathLike)):
        vectors = np.load(vectors, mmap_mode="r")
    if isinstance(vectors, Iterator):
        if keys is not None:
            raise Invalid("keys: those of an iterator come with its vectors")
        return vectors, None
    taken = None if keys is None else take_keys(keys)[0]
    if taken is not None and len(taken) != len(vectors):
        raise Invalid(f"{len(vectors)} keys expected, one for each vector, found {len(taken)}")
    if isinstance(vectors, np.ndarray) and vectors.ndim == 2:
        row_bytes = max(1, vectors.shape[1] * vectors.itemsize)
        found: int | None = vectors.shape[1]
    else:
        row_bytes, found = 1024, None
    return _pieces(vectors, taken, max(1, _BATCH_BYTES // row_bytes)), found


def _pieces(vectors: Any, keys: NDArray[np.uint64] | None, count: int) -> Iterator[tuple[Any, Any]]:
    for start in range(0, len(vectors), count):
        part = vectors[start : start + count]
        yield (
            part,
            keys[start : start + count] if keys is not None else np.arange(start, start + len(part), dtype=np.uint64),
        )


class _Worker:
    """A process that builds some shards. Its answers are read by a thread, so it never waits for this process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.added_count = 0
        self.answer: dict[str, Any] | None = None
        here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.pathsep.join([here, *(entry for entry in sys.path if entry and entry != here)])
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from rhumb.shards.worker import main; main()"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=dict(os.environ, PYTHONPATH=path),
        )  # fmt: skip
        self._thread = threading.Thread(target=self._read_answers, daemon=True)
        self._thread.start()
        self.send(json.dumps(job).encode() + b"\n")

    def _read_answers(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            if "added" in answer:
                self.added_count += answer["added"]
            else:
                self.answer = answer

    def send(self, *parts: Any) -> None:
        """Writes to the process; if it is gone, raises what it failed with."""
        assert self._process.stdin is not None
        try:
            for part in parts:
                self._process.stdin.write(part)
        except OSError:
            self.finish()
            raise

    def end(self) -> None:
        """Sends the ending."""
        self.send(FRAME.pack(ENDING, 0, 0))
        assert self._process.stdin is not None
        self._process.stdin.close()

    def finish(self) -> list[dict[str, Any]]:
        """Waits for the process; what it built, or the exception that it failed with."""
        while self._process.poll() is None:
            self._thread.join(0.05)
        self._thread.join()
        answer = self.answer or {}
        if "built" in answer:
            found: list[dict[str, Any]] = answer["built"]
            return found
        if "failed" in answer:
            failed = answer["failed"]
            raise _exception_of(failed)
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        numbers = ", ".join(self.job["paths"])
        raise Error(f"the process that built shards {numbers} ended by {how}")

    def stop(self) -> None:
        """Ends the process, whatever it does, and waits for it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # what is left in a buffer has no reader


def _exception_of(failed: dict[str, Any]) -> Exception:
    """The exception that a process failed with."""
    name, message = failed["name"], failed["message"]
    kind: type[Error] | None = getattr(errors, name, None)
    if kind is not None:
        return kind(message, failed["status"], failed["path"], None, failed["errno"])
    builtin = {"TypeError": TypeError, "ValueError": ValueError, "MemoryError": MemoryError}.get(name)
    return builtin(message) if builtin else Error(f"{name}: {message}")


class _Build:
    """One build: its processes, and which shards each of them has."""

    def __init__(
        self, folder: str, slot_map: placement.SlotMap, job: dict[str, Any], workers: int, threads: int
    ) -> None:
        self._folder = folder
        self._slot_map = slot_map
        self._job = job
        self._files = [folders.new_shard_name(number) for number in range(int(slot_map.max()) + 1)]
        self._worker_count = max(1, min(workers, len(self._files)))
        self._threads = threads or max(1, processor_count() // self._worker_count)

    def run(self, batches: Iterable[tuple[Any, Any]], kind: VectorType, report: Any) -> BuildReport:
        begun, cpu_begun = time.monotonic(), time.process_time()
        key_next = sent = 0
        with self._workers() as workers:
            for vectors, keys in batches:
                native, count, _ = kind.take(vectors)
                taken, _ = take_keys(keys)
                if len(taken) != count:
                    raise Invalid(f"{count} keys expected, one for each vector, found {len(taken)}")
                self._send(workers, native, taken, kind)
                key_next = max(key_next, int(taken.max(initial=0)) + 1) if count else key_next
                sent += count
                if report is not None and report(sum(worker.added_count for worker in workers), sent) is False:
                    raise Cancelled("the progress function asked to stop", "RHUMB_E_CANCELLED")
            for worker in workers:
                worker.end()
            built = {one["number"]: one for worker in workers for one in worker.finish()}
        entries = tuple(
            entry_of(os.path.join(self._folder, file), placement.ranges_of(self._slot_map, number))
            for number, file in enumerate(self._files)
        )
        job = self._job
        manifest = Manifest(uuid.uuid4(), 1, job["dim"], job["metric"], job["element"], key_next, b"", entries)
        folders.write_manifest(self._folder, manifest, first=True)
        shards = tuple(
            ShardBuild(entry.file, entry.count, built[number]["cpu_seconds"]) for number, entry in enumerate(entries)
        )
        seconds, cpu_seconds = time.monotonic() - begun, time.process_time() - cpu_begun
        return BuildReport(sum(entry.count for entry in entries), seconds, cpu_seconds, shards)

    @contextmanager
    def _workers(self) -> Iterator[list[_Worker]]:
        workers: list[_Worker] = []
        try:
            for first in range(self._worker_count):
                numbers = range(first, len(self._files), self._worker_count)
                paths = {str(number): os.path.join(self._folder, self._files[number]) for number in numbers}
                workers.append(_Worker({**self._job, "paths": paths, "threads": self._threads}))
            yield workers
        finally:
            for worker in workers:
                worker.stop()

    def _send(self, workers: list[_Worker], native: Native, keys: NDArray[np.uint64], kind: VectorType) -> None:
        for shard, rows in placement.group(self._slot_map, keys):
            parts: list[Any] = [np.ascontiguousarray(keys[rows])]
            if isinstance(native, tuple):
                elements, lengths = native
                ends = np.cumsum(lengths, dtype=np.int64)
                chosen = [elements[ends[row] - lengths[row] : ends[row]] for row in rows.tolist()]
                parts += [lengths[rows], np.concatenate(chosen)]
            else:
                parts.append(np.atleast_2d(native)[rows])
            worker = workers[shard % self._worker_count]
            worker.send(FRAME.pack(shard, len(rows), parts[-1].nbytes), *(memoryview(part).cast("B") for part in parts))
