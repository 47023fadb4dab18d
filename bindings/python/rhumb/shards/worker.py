"""A process that builds some of the shards of a folder: what rhumb.shards.build starts.

It reads from its standard input: a line of JSON that says which shards, then frames of keys and vectors, each for one
shard, then an ending. It writes lines of JSON: how many vectors it has inserted, and last what it built or how it
failed. If the input stops before its ending, the process that builds is gone, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from typing import IO, Any

import numpy as np

from .. import index as indexes
from ..errors import Error, Truncated
from ..index import Index
from ..vectors import VectorType
from . import folder as folders

#: Before each frame: the shard, how many vectors, and how many bytes they have. The ending has the shard ENDING.
FRAME = struct.Struct("<IQQ")
ENDING = 2**32 - 1


def main() -> None:
    """Builds what standard input says."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    job = json.loads(source.readline())
    paths = {int(number): path for number, path in job["paths"].items()}
    built: dict[int, Index] = {}
    try:
        answer: dict[str, Any] = {"built": _build(source, answers, job, paths, built)}
    except BaseException as error:
        for number, index in built.items():
            index.close()
        for path in paths.values():
            folders.remove(folders.shard_paths(os.path.dirname(path), os.path.basename(path)))
        answer = {"failed": _described(error)}
    try:
        print(json.dumps(answer), file=answers, flush=True)
    except OSError:
        pass  # nothing reads it any more


def _described(error: BaseException) -> dict[str, Any]:
    if isinstance(error, Error):
        return {"status": error.status, "message": error.message, "path": error.path, "errno": error.os_errno,
                "name": type(error).__name__}  # fmt: skip
    return {"status": "", "message": str(error), "path": "", "errno": 0, "name": type(error).__name__}


def _build(
    source: IO[bytes], answers: IO[str], job: dict[str, Any], paths: dict[int, str], built: dict[int, Index]
) -> list[dict[str, Any]]:
    kind = VectorType(job["element"], job["dim"], job["metric"])
    seconds = dict.fromkeys(paths, 0.0)
    for number, path in paths.items():
        begun = time.process_time()
        built[number] = indexes.create(path, job["dim"], job["metric"], job["element"], **job["options"])
        seconds[number] += time.process_time() - begun
    while (frame := _frame(source, kind)) is not None:
        number, keys, vectors = frame
        begun = time.process_time()
        built[number].add(vectors, keys, threads=job["threads"])
        seconds[number] += time.process_time() - begun
        print(json.dumps({"added": len(keys)}), file=answers, flush=True)
    answer = []
    for number, path in paths.items():
        begun = time.process_time()
        built[number].close()
        folders.sync(path)
        seconds[number] += time.process_time() - begun
        answer.append({"number": number, "cpu_seconds": seconds[number]})
    return answer


def _frame(source: IO[bytes], kind: VectorType) -> tuple[int, Any, Any] | None:
    """The next shard, keys and vectors; None at the ending."""
    number, count, byte_count = FRAME.unpack(_read(source, FRAME.size))
    if number == ENDING:
        return None
    keys = np.frombuffer(_read(source, 8 * count), np.uint64)
    if not kind.sequences:
        return number, keys, np.frombuffer(_read(source, byte_count), kind.dtype).reshape(count, kind.width)
    lengths = np.frombuffer(_read(source, 4 * count), np.uint32)
    elements = np.frombuffer(_read(source, byte_count), kind.dtype)
    return number, keys, np.split(elements, np.cumsum(lengths[:-1], dtype=np.int64))


def _read(source: IO[bytes], byte_count: int) -> bytes:
    data = source.read(byte_count)
    if len(data) < byte_count:
        raise Truncated(f"{byte_count} bytes expected from the process that builds, found {len(data)}")
    return data
