"""The right to write a shard, which a newer writer takes from an older one.

Two things keep a writer that was replaced, and comes back, from writing. The lock that the library holds on an index
file lets one process write it; it is enforced by the kernel, or by the server of a shared file system. And next to the
shard lies a file with a number, the term: each writer adds one before it opens the index, and looks before and after
each batch whether the number is still its own. So a writer that was replaced refuses what it is sent, closes the index,
and by that gives way to its successor, which waits for the lock.
"""

from __future__ import annotations

import fcntl
import os
import re

from ..errors import Corrupt
from ..shards import folder as folders
from .errors import Fenced

_TEXT = re.compile(rb"(\d{1,19})\n")


class Term:
    """The right to write one shard, as the term that was claimed."""

    def __init__(self, path: str) -> None:
        """Claims the shard of index file `path`: from now on every older claim is refused."""
        self.path = path + "-term"  # removed with the shard, as its log is
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise folders.failure_of(error, self.path) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            try:
                self.number = self._read() + 1
                os.pwrite(self._descriptor, b"%019d\n" % self.number, 0)
                os.fsync(self._descriptor)
            finally:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        except OSError as error:
            os.close(self._descriptor)
            raise folders.failure_of(error, self.path) from error
        except BaseException:
            os.close(self._descriptor)
            raise

    def _read(self) -> int:
        data = os.pread(self._descriptor, 32, 0)
        if not data:
            return 0
        found = _TEXT.fullmatch(data)
        if not found:
            raise Corrupt(f"{self.path}: the number of a term expected, found {data!r}", "RHUMB_E_CORRUPT", self.path)
        return int(found.group(1))

    def check(self) -> None:
        """Fenced, if a newer writer has claimed the shard."""
        newest = self._read()
        if newest != self.number:
            raise Fenced(f"{self.path}: term {self.number} expected, found {newest}: a newer writer has taken over",
                         "FENCED", self.path)  # fmt: skip

    def close(self) -> None:
        """Forgets the claim, which stays the newest until another is made."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
