"""Making, opening and restoring folders of shards; build() is in building.py."""

from __future__ import annotations

import os
import shutil
import uuid
from typing import Any

from .. import _native
from .. import index as indexes
from ..errors import Error, Exists, Invalid, OutOfStep
from ..index import Path
from ..options import CreateOptions, OpenOptions
from ..vectors import element_of
from . import folder as folders
from . import placement
from .manifest import Manifest
from .opened import entry_of, open_shard
from .shards import Shards

try:
    from typing import Unpack
except ImportError:  # pragma: no cover
    from typing_extensions import Unpack


def create(
    path: Path, dim: int, metric: str = "l2", dtype: Any = "f32", *, shards: int, exist_ok: bool = False,
    **options: Unpack[CreateOptions],
) -> Shards:  # fmt: skip
    """Creates a folder of `shards` empty shards and opens it for writing. Options are those of rhumb.create.

    With `exist_ok` shards that exist and have vectors of this kind are opened, however many they are.
    """
    opening = {name: value for name, value in options.items() if name in OpenOptions.__annotations__}
    folder = os.path.abspath(path)
    element, metric = element_of(dtype), _native.metric_name(metric) or metric
    try:
        slot_map = placement.even_map(shards)
    except ValueError as error:
        raise Invalid(str(error)) from None
    try:
        with folders.new_folder(folder):
            entries = []
            for number in range(shards):
                file = os.path.join(folder, folders.new_shard_name(number))
                indexes.create(file, dim, metric, element, **options).close()
                entries.append(entry_of(file, placement.ranges_of(slot_map, number)))
            manifest = Manifest(uuid.uuid4(), 1, dim, metric, element, 0, b"", tuple(entries))
            folders.write_manifest(folder, manifest, first=True)
    except Exists:
        if not exist_ok or not os.path.exists(folders.manifest_path(folder)):
            raise
    found = Shards(folder, dict(opening))
    if (found.dim, found.element, found.metric) != (dim, element, metric):
        found.close()
        raise Invalid(f"{folder} has vectors of {found.dim} x {found.element} under {found.metric}")
    return found


def open(path: Path, **options: Unpack[OpenOptions]) -> Shards:
    """Opens a folder of shards, for writing unless ``read_only=True``."""
    return Shards(path, dict(options))


def info(path: Path) -> Manifest:
    """What the manifest of a folder says; takes no lock and opens no shard."""
    return folders.read_manifest(path)


def restore(snapshot: Path, path: Path) -> None:
    """Copies the shards of a folder that no program has open, such as a snapshot, into a new folder.

    The identities stay. A shard with a log is OutOfStep: open and close that folder first. On failure nothing is left.
    """
    source, folder = os.path.abspath(snapshot), os.path.abspath(path)
    manifest = folders.read_manifest(source)
    with folders.new_folder(folder):
        for shard in manifest.shards:
            old, new = os.path.join(source, shard.file), os.path.join(folder, shard.file)
            if os.path.exists(old + "-wal"):
                raise OutOfStep(f"{old}: there is a log next to it: open and close {source} first", path=old)
            try:
                shutil.copyfile(old, new)
                folders.sync(new)
            except OSError as error:
                if isinstance(error, Error):
                    raise
                raise folders.failure_of(error, error.filename or new) from error
        for number in range(len(manifest.shards)):
            open_shard(folder, manifest, number, read_only=True).close()
        folders.write_manifest(folder, manifest, first=True)
