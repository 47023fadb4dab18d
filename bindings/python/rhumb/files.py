"""What is done to index files without opening them."""

from __future__ import annotations

from typing import Any

from . import _native
from ._native import CompactReport, Info, RepairReport, Section
from .filters import FilterLike, as_filter
from .index import Path, compact_options, encode_path, native_options
from .progress import Progress, watching


def info(path: Path) -> Info:
    """What an index file says of itself, while a writer works or when it is damaged; takes no lock."""
    return _native.info(encode_path(path))


def sections(path: Path) -> list[Section]:
    """The sections of an index file, and how much of each is in memory; reads no row and takes no lock."""
    return _native.sections(encode_path(path))


def compact_into(
    path: Path, new_path: Path, *, filter: FilterLike = None, progress: Progress = None, **options: Any
) -> CompactReport:
    """Writes the live vectors of an index into a new one: a compaction, a backup, or with a filter a split."""
    native, _ = native_options(compact_options(options))
    with watching(progress, "compact") as report:
        return _native.compact_into(encode_path(path), encode_path(new_path), native, as_filter(filter), report)


def repair(
    path: Path, new_path: Path, *, strict: bool = False, threads: int = 0, progress: Progress = None
) -> RepairReport:
    """Builds a new index from whatever can still be verified in a damaged one."""
    with watching(progress, "repair") as report:
        return _native.repair(encode_path(path), encode_path(new_path), strict, threads, report)
