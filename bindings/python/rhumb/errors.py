"""Exceptions: one class for each status of the library, which is also the built-in one that programs catch.

``except FileNotFoundError``, ``except KeyError`` and ``except ValueError`` work as everywhere; ``except rhumb.Error``
catches them all. An exception has the library's message, its status, and the file, offset and errno it is about.
"""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """What a call to the library failed with."""

    status: str  #: the status of rhumb_types.h, as "RHUMB_E_CORRUPT"
    message: str  #: what failed, where, what was expected and what was found
    path: str  #: the file that the message is about, or ""
    offset: int | None  #: the byte of the file that the message is about
    os_errno: int  #: the errno of the system call that failed, or 0

    def __init__(
        self, message: str, status: str = "", path: str = "", offset: int | None = None, os_errno: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.path = path
        self.offset = offset
        self.os_errno = os_errno
        if isinstance(self, OSError):
            system_error: OSError = self
            system_error.errno = os_errno or None
            system_error.filename = path or None

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.status, self.path, self.offset, self.os_errno)


class Invalid(Error, ValueError):
    """An argument is outside the documented range."""


class NoMemory(Error, MemoryError):
    """Memory or address space could not be allocated."""


class IOFailure(Error, OSError):
    """The operating system reported an error."""


class NoSpace(Error, OSError):
    """The disk or a quota is full; the last checkpoint is intact."""


class Full(Error):
    """A limit of the index itself is reached."""


class Cancelled(Error):
    """The progress function asked to stop."""


class Unsupported(Error, TypeError):
    """This build or this index cannot do it."""


class Corrupt(Error):
    """The file contradicts itself or its checksums. After verify(), `report` says what was found."""

    report: Any = None


class Truncated(Corrupt):
    """The file is shorter than its content requires."""


class NotAnIndex(Error, ValueError):
    """The file does not begin like a rhumb file."""


class VersionMismatch(Error):
    """The file is of another format version, or needs a newer library."""


class LogMismatch(Error):
    """The log does not belong to the index, or operations between the two are missing."""


class Locked(Error, BlockingIOError):
    """Another handle, here or in another process, is writing this index."""


class ReadOnly(Error, PermissionError):
    """The index was opened read-only."""


class Stale(Error, RuntimeError):
    """The index was refreshed or compacted during the call."""


class Forked(Error, RuntimeError):
    """The index belongs to a process that this one was forked from."""


class Fatal(Error, OSError):
    """A failure to write made this handle read-only for good: close it and open the index again."""


class KeyNotFound(Error, KeyError):
    """The key is not in the index."""


class NotFound(Error, FileNotFoundError):
    """There is no such file."""


class KeyExists(Error, KeyError):
    """The key is in the index."""


class Exists(Error, FileExistsError):
    """The file exists."""


class NotFinite(Error, ValueError):
    """A component of a vector is NaN or infinite."""


class Domain(Error, ValueError):
    """The metric is not defined for the vector."""


class MetricMissing(Error, LookupError):
    """The custom metric of the index was not supplied, or only one of another name."""


class Closed(Error, ValueError):
    """The index is closed."""


class OutOfStep(Error):
    """Two files do not belong together: a key map and its index, or a shard and the manifest of its folder."""


_by_status: dict[str, type[Error]] = {
    "RHUMB_E_INVALID": Invalid,
    "RHUMB_E_NOMEM": NoMemory,
    "RHUMB_E_IO": IOFailure,
    "RHUMB_E_NOSPACE": NoSpace,
    "RHUMB_E_FULL": Full,
    "RHUMB_E_CANCELLED": Cancelled,
    "RHUMB_E_UNSUPPORTED": Unsupported,
    "RHUMB_E_CORRUPT": Corrupt,
    "RHUMB_E_VERSION": VersionMismatch,
    "RHUMB_E_TRUNCATED": Truncated,
    "RHUMB_E_NOT_AN_INDEX": NotAnIndex,
    "RHUMB_E_LOG": LogMismatch,
    "RHUMB_E_LOCKED": Locked,
    "RHUMB_E_READONLY": ReadOnly,
    "RHUMB_E_STALE": Stale,
    "RHUMB_E_FORKED": Forked,
    "RHUMB_E_FATAL": Fatal,
    "RHUMB_E_NOTFOUND": KeyNotFound,
    "RHUMB_E_EXISTS": KeyExists,
    "RHUMB_E_NOT_FINITE": NotFinite,
    "RHUMB_E_DOMAIN": Domain,
    "RHUMB_E_METRIC": MetricMissing,
    "CLOSED": Closed,
}
_about_files: dict[str, type[Error]] = {"RHUMB_E_NOTFOUND": NotFound, "RHUMB_E_EXISTS": Exists}


def make(status: str, message: str, path: str, offset: int | None, os_errno: int, about_file: bool) -> Error:
    """The exception of a failure; called by the extension module."""
    kind = _about_files.get(status) if about_file else None
    return (kind or _by_status.get(status, Error))(message, status, path, offset, os_errno)
