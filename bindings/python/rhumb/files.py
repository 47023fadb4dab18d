"""What is done to index files without opening them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from . import _native
from ._native import CompactReport, ImportReport, Info, MergeReport, RepairReport, Section
from .errors import Invalid
from .filters import FilterLike, as_filter
from .index import Path, compact_options, encode_path, native_options
from .progress import Progress, watching
from .vectors import element_of


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


def merge(
    sources: Iterable[Path], into: Path, *, duplicates: str | None = None, progress: Progress = None, **options: Any
) -> MergeReport:
    """Makes a new index of the vectors of several, under the keys that they have there; returns what was done.

    It joins their graphs, which takes a fraction of the time of adding all vectors to a new index. The sources are only
    read, at their newest checkpoints. `duplicates` says whose vector counts where several have one key: "first",
    "last", or "error", which is the default and raises Exists. Further options are those of rhumb_merge_options:
    threads, M, M0, ef_construction, codes and fused; otherwise they are those of the first source, as is the metadata.
    """
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise Invalid("sources: a list of paths expected, found one path")
    native, _ = native_options(compact_options(dict(options, duplicates=duplicates)))
    paths = tuple(encode_path(path) for path in sources)
    with watching(progress, "merge") as report:
        return _native.merge(paths, encode_path(into), native, report)


def repair(
    path: Path, new_path: Path, *, strict: bool = False, threads: int = 0, progress: Progress = None
) -> RepairReport:
    """Builds a new index from whatever can still be verified in a damaged one."""
    with watching(progress, "repair") as report:
        return _native.repair(encode_path(path), encode_path(new_path), strict, threads, report)


def import_index(
    path: Path, new_path: Path, *, format: str | None = None, metric: str | None = None, dtype: Any = None,
    dim: int | None = None, first_key: int | None = None, ignore_links: bool = False, threads: int = 0,
    progress: Progress = None, **options: Any,
) -> ImportReport:  # fmt: skip
    """Makes an index of a file of hnswlib, Chroma, Voyager, FAISS, USearch, hnsw_rs or Annoy; returns what was found.

    `format` is "hnswlib", "chroma", "voyager", "faiss", "usearch", "hnsw_rs" or "annoy", and otherwise what the file
    begins with. `metric`, `dtype` and `dim` are for files that do not say them. With `first_key` the vectors are
    numbered again. `ignore_links` makes the graph from the vectors alone. Further options are M, ef_construction and
    codes of rhumb_import_options (rhumb_exchange.h).
    """
    values: dict[str, Any] = dict(options, format=format, metric=metric, dim=dim, first_key=first_key)
    values.update(renumber=first_key is not None, ignore_links=ignore_links, thread_count=threads)
    values["element"] = None if dtype is None else element_of(dtype)
    native, _ = native_options(values)
    with watching(progress, "import") as report:
        return _native.import_index(encode_path(path), encode_path(new_path), native, report)
