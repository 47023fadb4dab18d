"""What a folder of shards says of itself: pure data, and its bytes.

The bytes are JSON, for people and other programs to read, and end in a SHA-256 of all bytes before it. What is read is
encoded again and must be the same bytes, so a manifest with any byte changed or missing is Corrupt. docs/scale-out.md
describes the fields.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import re
from typing import Any
from uuid import UUID

from ..errors import Corrupt, Truncated, VersionMismatch
from . import placement

FORMAT = "rhumb-shards"
VERSION = 1
METADATA_BYTES_MAX = 3072

_ENDING = b'\n "checksum": "'
_ENDING_BYTES = len(_ENDING) + 64 + len(b'"\n}\n')
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_COUNT_MAX = 2**64 - 1


@dataclasses.dataclass(frozen=True)
class ShardEntry:
    """What a manifest says of one shard."""

    file: str  #: its name in the folder
    uuid: UUID  #: the identity of the index
    slots: placement.SlotRanges  #: the slots it has, ranges (first, limit) in ascending order
    count: int  #: vectors in it at operation `lsn`
    lsn: int  #: number of an operation that the file has; a file whose last is an earlier one is an old copy


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of shards says of itself."""

    uuid: UUID  #: the identity of the folder
    epoch: int  #: how many manifests the folder has had: each is one more than the one before
    dim: int  #: components per vector, of all shards
    metric: str  #: the distance, as "l2"
    element: str  #: the type of a component, as "f32"
    key_next: int  #: at most one above the largest key ever inserted: where numbering goes on
    metadata: bytes  #: up to 3,072 bytes of the caller's
    shards: tuple[ShardEntry, ...]

    @property
    def slot_map(self) -> placement.SlotMap:
        """The number of the shard of each slot."""
        return placement.map_of(shard.slots for shard in self.shards)

    def next(self, **changes: Any) -> Manifest:
        """The manifest that follows this one."""
        return dataclasses.replace(self, epoch=self.epoch + 1, **changes)


def encode(manifest: Manifest) -> bytes:
    """The bytes of a manifest."""
    values: dict[str, Any] = {"format": FORMAT, "version": VERSION, "uuid": str(manifest.uuid)}
    values.update(epoch=manifest.epoch, dim=manifest.dim, metric=manifest.metric, element=manifest.element)
    values.update(hash=placement.HASH, slot_count=placement.SLOT_COUNT, key_next=manifest.key_next)
    values.update(metadata=base64.b64encode(manifest.metadata).decode())
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in values.items()]
    shards = ",\n".join("  " + json.dumps(_entry_values(shard)) for shard in manifest.shards)
    body = ("{\n" + "\n".join(lines) + '\n "shards": [\n' + shards + "\n ],").encode()
    return body + _ENDING + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'


def _entry_values(shard: ShardEntry) -> dict[str, Any]:
    return {"file": shard.file, "uuid": str(shard.uuid), "slots": shard.slots, "count": shard.count, "lsn": shard.lsn}


def decode(data: bytes, path: str) -> Manifest:
    """The manifest of bytes that were read from `path`.

    Corrupt says what is wrong with them, Truncated that their end is missing, VersionMismatch that a newer version of
    the library wrote them.
    """
    values = _checked(data, path)
    if values.get("format") != FORMAT:
        raise Corrupt(f"{path}: format {FORMAT!r} expected, found {values.get('format')!r}", "RHUMB_E_CORRUPT", path)
    if values.get("version") != VERSION:
        raise VersionMismatch(
            f"{path}: a manifest of version {VERSION} expected, found version {values.get('version')!r}",
            "RHUMB_E_VERSION", path,
        )  # fmt: skip
    try:
        manifest = _manifest_of(values)
        manifest.slot_map
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        what = f"field {error} is missing" if isinstance(error, KeyError) else error
        raise Corrupt(f"{path}: {what}", "RHUMB_E_CORRUPT", path) from error
    if encode(manifest) != data:
        raise Corrupt(f"{path}: fields that version {VERSION} does not have, or in another order",
                      "RHUMB_E_CORRUPT", path)  # fmt: skip
    return manifest


def _checked(data: bytes, path: str) -> dict[str, Any]:
    """The values of JSON whose checksum is right."""
    body, ending = data[:-_ENDING_BYTES], data[-_ENDING_BYTES:]
    if not ending.startswith(_ENDING) or not ending.endswith(b'"\n}\n'):
        raise Truncated(
            f"{path}: a manifest ends in its checksum, found {len(data)} bytes that end in {data[-20:]!r}: "
            "the file is cut short, damaged, or not a manifest", "RHUMB_E_TRUNCATED", path, len(data),
        )  # fmt: skip
    expected = ending[len(_ENDING) : len(_ENDING) + 64].decode("latin-1")
    found = hashlib.sha256(body).hexdigest()
    if expected != found:
        raise Corrupt(f"{path}: checksum {expected} expected, found {found}: the file is damaged, or was edited",
                      "RHUMB_E_CORRUPT", path)  # fmt: skip
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{path}: not JSON: {error}", "RHUMB_E_CORRUPT", path) from error
    if not isinstance(values, dict):
        raise Corrupt(f"{path}: a JSON object expected", "RHUMB_E_CORRUPT", path)
    return values


def _manifest_of(values: dict[str, Any]) -> Manifest:
    for name, expected in (("hash", placement.HASH), ("slot_count", placement.SLOT_COUNT)):
        if values[name] != expected:
            raise ValueError(f"{name} {expected!r} expected, found {values[name]!r}")
    shards = tuple(_entry_of(entry) for entry in values["shards"])
    if len({shard.file for shard in shards}) != len(shards) or len({shard.uuid for shard in shards}) != len(shards):
        raise ValueError("a file or an identity is listed for two shards")
    for number, shard in enumerate(shards):
        if not shard.slots:
            raise ValueError(f"shard {number} has no slots")
    return Manifest(
        uuid=UUID(values["uuid"]), epoch=_count(values, "epoch"), dim=_count(values, "dim"),
        metric=str(values["metric"]), element=str(values["element"]), key_next=_count(values, "key_next"),
        metadata=base64.b64decode(values["metadata"], validate=True), shards=shards,
    )  # fmt: skip


def _entry_of(values: dict[str, Any]) -> ShardEntry:
    if not _FILE_NAME.fullmatch(values["file"]):
        raise ValueError(f"the name of a file in the folder expected, found {values['file']!r}")
    slots = tuple((int(first), int(limit)) for first, limit in values["slots"])
    return ShardEntry(values["file"], UUID(values["uuid"]), slots, _count(values, "count"), _count(values, "lsn"))


def _count(values: dict[str, Any], name: str) -> int:
    number = values[name]
    if type(number) is not int or not 0 <= number <= _COUNT_MAX:
        raise ValueError(f"{name}: a number from 0 to 2**64 - 1 expected, found {number!r}")
    return number
