"""The files of a folder of shards: which there are, and changes of them that a power cut cannot halve.

A folder has a manifest, shard files named shard-NNNN-XXXXXXXX.rhumb with their logs, and the file that a writer locks.
The manifest decides: files that it does not list are what an interrupted build or reshard left, and the next writer
removes them. A manifest is replaced by renaming a complete and durable one over it; so there is always one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from ..errors import Error, Exists, Fatal, IOFailure, Locked, NoSpace, NotFound
from ..index import Path
from . import manifest as manifests
from .manifest import Manifest

MANIFEST = "manifest.json"
_MANIFEST_NEW = MANIFEST + "-new"
_LOCK = "writer.lock"
_SHARD = re.compile(r"shard-\d{4}-[0-9a-f]{8}\.rhumb")
_AFTER_SHARD = re.compile(r"(shard-\d{4}-[0-9a-f]{8}\.rhumb)(-[a-z]+)?")  # its log, list of hot pages, half a copy
_FAILURES: dict[int, tuple[type[Error], str]] = {
    errno.ENOSPC: (NoSpace, "RHUMB_E_NOSPACE"),
    errno.EDQUOT: (NoSpace, "RHUMB_E_NOSPACE"),
    errno.ENOENT: (NotFound, "RHUMB_E_NOTFOUND"),
    errno.ENOTDIR: (NotFound, "RHUMB_E_NOTFOUND"),
}


def manifest_path(folder: str) -> str:
    """Where the manifest of a folder is."""
    return os.path.join(folder, MANIFEST)


def new_shard_name(number: int) -> str:
    """A name for the file of shard `number` that no other shard has had."""
    return f"shard-{number:04}-{secrets.token_hex(4)}.rhumb"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder: NotFound, Truncated, Corrupt or VersionMismatch if there is no such thing."""
    path = manifest_path(os.path.abspath(folder))
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"{path}: there is no manifest, so this is not a folder of shards", "RHUMB_E_NOTFOUND", path,
                       None, error.errno or 0) from error  # fmt: skip
    except OSError as error:
        raise failure_of(error, path) from error
    return manifests.decode(data, path)


def write_manifest(folder: str, manifest: Manifest, *, first: bool = False) -> None:
    """Makes a manifest that of a folder, durably; `first` says that there must not be one yet (Exists).

    On failure the old one is still there; except after Fatal, when it is not known which of the two a power cut leaves.
    """
    path, new_path = manifest_path(folder), os.path.join(folder, _MANIFEST_NEW)
    try:
        with open(new_path, "wb") as file:
            file.write(manifests.encode(manifest))
            file.flush()
            os.fsync(file.fileno())
        sync(folder)  # shards that the manifest lists are durable under their names
        if first and os.path.exists(path):  # the folder is locked, so none can appear in between
            raise FileExistsError(path)
        os.rename(new_path, path)
    except FileExistsError as error:
        remove([new_path])
        raise Exists(f"{path}: the folder has shards", "RHUMB_E_EXISTS", path) from error
    except OSError as error:
        raise failure_of(error, path) from error
    try:
        sync(folder)
    except OSError as error:
        raise Fatal(f"{path}: {error}", "RHUMB_E_FATAL", path, None, error.errno or 0) from error


def sync(path: str) -> None:
    """Makes a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def failure_of(error: OSError, path: str) -> Error:
    """The exception of rhumb for one of the operating system."""
    kind, status = _FAILURES.get(error.errno or 0, (IOFailure, "RHUMB_E_IO"))
    return kind(f"{path}: {os.strerror(error.errno or 0)}", status, path, None, error.errno or 0)


def remove(paths: Iterable[str]) -> None:
    """Removes files as far as they are there and can be removed."""
    for path in paths:
        try:
            os.remove(path)
        except OSError:
            pass  # the next writer tries again


def shard_paths(folder: str, file: str) -> list[str]:
    """The file of a shard and what may lie next to it."""
    return [os.path.join(folder, name) for name in os.listdir(folder) if _base_of(name) == file]


def shard_files(folder: str) -> list[str]:
    """The names of all shard files that are in a folder."""
    try:
        return sorted(name for name in os.listdir(folder) if _SHARD.fullmatch(name))
    except OSError as error:
        raise failure_of(error, folder) from error


def _base_of(name: str) -> str | None:
    """The shard file that a name belongs to; None for other files."""
    found = _AFTER_SHARD.fullmatch(name)
    return found.group(1) if found else None


def sweep(folder: str, manifest: Manifest | None) -> list[str]:
    """Removes what an interrupted build or reshard has left, and returns the names. Under the lock of the folder."""
    listed = {shard.file for shard in manifest.shards} if manifest else set()
    left = [name for name in os.listdir(folder) if (base := _base_of(name)) is not None and base not in listed]
    left += [name for name in (_MANIFEST_NEW,) if os.path.exists(os.path.join(folder, name))]
    remove(os.path.join(folder, name) for name in left)
    return left


class FolderLock:
    """The right to write a folder, as long as the process lives or until release(); Locked if another has it.

    A forked child does not have it, and does not keep it from others either.
    """

    def __init__(self, folder: str) -> None:
        path = os.path.join(folder, _LOCK)
        try:
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"{folder}: no such folder", "RHUMB_E_NOTFOUND", folder, None, error.errno or 0) from error
        except OSError as error:
            raise failure_of(error, path) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._descriptor, 32, 0).decode("latin-1").strip() or "unknown"
            os.close(self._descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise failure_of(error, path) from error
            raise Locked(f"{folder}: open for writing already, by process {owner}", "RHUMB_E_LOCKED", path) from error
        try:
            os.pwrite(self._descriptor, f"{os.getpid():<31}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the number is for messages only
        _held.add(self)

    def release(self) -> None:
        """Lets others write; the second time there is nothing to do."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def new_folder(folder: str) -> Iterator[None]:
    """Locks a folder that is to get shards, and makes it if it is not there. Exists: it has shards.

    What an interrupted build left there is removed. If the block fails, nothing that it made is left.
    """
    try:
        os.mkdir(folder)
        made = True
    except FileExistsError:
        made = False
    except OSError as error:
        raise failure_of(error, folder) from error
    lock = FolderLock(folder)
    try:
        if os.path.lexists(manifest_path(folder)):
            raise Exists(f"{manifest_path(folder)}: the folder has shards", "RHUMB_E_EXISTS", folder)
        sweep(folder, None)
        try:
            yield
        except BaseException:
            if not os.path.lexists(manifest_path(folder)):
                sweep(folder, None)
                if made:
                    remove([os.path.join(folder, _LOCK)])
                    with suppress(OSError):  # another program has put something there
                        os.rmdir(folder)
            raise
    finally:
        lock.release()


_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _release_in_child() -> None:
    for lock in list(_held):
        lock.release()


os.register_at_fork(after_in_child=_release_in_child)
