"""Copies of shards on the disks of other nodes: what the primary gives, and what a follower makes of it.

A copy is one checkpoint, byte for byte. The primary opens the shard read-only, which keeps the blocks of the newest
checkpoint from being used again, and reads the head of the file, which says what the newest checkpoint is; if that is
the one it has opened, the rest may be read while a writer goes on. A follower that has an older copy fetches only the
pieces whose digests differ. A copy gets its name when it is complete and durable and has been opened and checked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ..errors import Error, IOFailure
from ..files import info
from ..index import Index
from ..shards import folder as folders
from ..shards.manifest import Manifest
from ..shards.opened import open_shard
from .errors import Moved

_HEAD_BYTES = 1 << 17  # all copies of the superblocks lie in it
_PIECE_BYTES = 1 << 22
_TRIES = 50
_TICKET_SECONDS = 120.0  # for how long a copy stays open that no follower asks for


class _Ticket:
    """A checkpoint that is being copied."""

    def __init__(self, index: Index, descriptor: int, head: bytes, size: int) -> None:
        self.index, self.descriptor, self.head, self.size = index, descriptor, head, size
        self.used = time.monotonic()

    def piece(self, number: int) -> bytes:
        start, limit = number * _PIECE_BYTES, min(self.size, (number + 1) * _PIECE_BYTES)
        data = os.pread(self.descriptor, limit - start, start)
        if len(data) != limit - start:
            text = f"{self.index.path}: {limit - start} bytes at {start} expected, found {len(data)}"
            raise IOFailure(text, "RHUMB_E_IO", self.index.path)
        return self.head + data[len(self.head) :] if number == 0 else data

    def close(self) -> None:
        os.close(self.descriptor)
        self.index.close()


class Source:
    """What gives copies of the primary shards: an actor on their node. Any number of threads may call it."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._tickets: dict[int, _Ticket] = {}
        self._next = 0

    def manifest(self) -> Manifest:
        """The manifest of the primary."""
        return folders.read_manifest(self._folder)

    def lsn(self, shard: str) -> int:
        """The last operation in the newest checkpoint of a shard."""
        number, manifest = self._find(shard)
        return info(os.path.join(self._folder, manifest.shards[number].file)).lsn

    def begin(self, shard: str) -> tuple[int, int, list[bytes]]:
        """Pins the newest checkpoint of a shard; returns a ticket, the number of bytes, and a digest of each piece."""
        number, manifest = self._find(shard)
        ticket = self._pin(manifest, number)
        try:
            count = -(-ticket.size // _PIECE_BYTES)
            digests = [digest_of(ticket.piece(i)) for i in range(count)]
        except BaseException:
            ticket.close()
            raise
        with self._lock:
            self._drop_old()
            self._next += 1
            self._tickets[self._next] = ticket
            return self._next, ticket.size, digests

    def _find(self, shard: str) -> tuple[int, Manifest]:
        manifest = folders.read_manifest(self._folder)
        number = next((i for i, entry in enumerate(manifest.shards) if entry.uuid == UUID(shard)), None)
        if number is None:
            raise Moved(f"shard {shard} is not in manifest {manifest.epoch}", "MOVED", self._folder)
        return number, manifest

    def _pin(self, manifest: Manifest, number: int) -> _Ticket:
        index = open_shard(self._folder, manifest, number, read_only=True)
        descriptor = -1
        try:
            descriptor = os.open(index.path, os.O_RDONLY | os.O_CLOEXEC)
            for _ in range(_TRIES):
                index.refresh()
                pinned = index.lsn
                before = info(index.path)
                head = os.pread(descriptor, _HEAD_BYTES, 0)
                size = os.fstat(descriptor).st_size
                after = info(index.path)
                if before.epoch == after.epoch and pinned == index.lsn == before.lsn == after.lsn:
                    return _Ticket(index, descriptor, head, size)
            raise IOFailure(f"{index.path}: checkpoints follow each other faster than the head of the file is read",
                            "RHUMB_E_IO", index.path)  # fmt: skip
        except BaseException:
            if descriptor >= 0:
                os.close(descriptor)
            index.close()
            raise

    def _drop_old(self) -> None:
        limit = time.monotonic() - _TICKET_SECONDS
        for number in [number for number, ticket in self._tickets.items() if ticket.used < limit]:
            self._tickets.pop(number).close()

    def piece(self, number: int, piece: int) -> tuple[NDArray[np.uint8], bytes]:
        """Some of the bytes of a ticket, and their digest: bytes that are not of the checkpoint change all the time."""
        with self._lock:
            ticket = self._tickets.get(number)
        if ticket is None:
            raise Moved(f"copy {number} has been closed: begin again", "MOVED", self._folder)
        ticket.used = time.monotonic()
        data = ticket.piece(piece)
        return np.frombuffer(data, np.uint8), digest_of(data)

    def end(self, number: int) -> None:
        """Lets the blocks of a checkpoint be used again."""
        with self._lock:
            ticket = self._tickets.pop(number, None)
        if ticket is not None:
            ticket.close()


def digest_of(data: bytes) -> bytes:
    """What two pieces are compared by."""
    return hashlib.blake2b(data, digest_size=16).digest()


def fetch(ask: Callable[..., Any], manifest: Manifest, number: int, local: str) -> int:
    """Makes the copy of a shard in folder `local` that of the newest checkpoint; returns how many bytes were fetched.

    `ask` calls a method of the primary's Source. What is open of an older copy stays as it is.
    """
    entry = manifest.shards[number]
    path = os.path.join(local, entry.file)
    scratch = path + "-copy"  # removed by a sweep, as everything that belongs to a shard
    ticket, size, digests = ask("begin", str(entry.uuid))
    fetched = 0
    try:
        os.makedirs(local, exist_ok=True)
        old = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if os.path.exists(path) else -1
        try:
            with open(scratch, "wb") as file:
                for piece, digest in enumerate(digests):
                    start = piece * _PIECE_BYTES
                    data = os.pread(old, min(_PIECE_BYTES, size - start), start) if old >= 0 else b""
                    if digest_of(data) != digest:
                        array, digest = ask("piece", ticket, piece)
                        data = array.tobytes()
                        fetched += len(data)
                        if digest_of(data) != digest:
                            raise IOFailure(f"{path}: piece {piece} changed on its way", "RHUMB_E_IO", path)
                    file.write(data)
                file.flush()
                os.fsync(file.fileno())
        finally:
            if old >= 0:
                os.close(old)
        _take(scratch, path, local, manifest, number)
    except OSError as error:
        if isinstance(error, Error):
            raise
        raise folders.failure_of(error, error.filename or path) from error
    finally:
        folders.remove([scratch])
        ask("end", ticket)
    return fetched


def _take(scratch: str, path: str, local: str, manifest: Manifest, number: int) -> None:
    """Checks a complete copy under its scratch name, and gives it its own."""
    entries = list(manifest.shards)
    entries[number] = dataclasses.replace(entries[number], file=os.path.basename(scratch))
    open_shard(local, dataclasses.replace(manifest, shards=tuple(entries)), number, read_only=True).close()
    os.rename(scratch, path)
    folders.sync(local)
