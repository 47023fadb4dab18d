"""Where a build gets its vectors from: pieces, each of which one task reads.

A piece is pure data, so that a task that dies is run again by another process: rows of an .npy file, a row group of a
Parquet file, or a block of a Ray Dataset.
"""

from __future__ import annotations

import dataclasses
import glob
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Invalid, NotFound, Unsupported
from ..vectors import take_keys

_PIECE_BYTES = 1 << 26  # of an .npy file


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some rows of a source."""

    kind: str  #: "npy", "parquet" or "block"
    path: str  #: of the file; "" for a block
    first: int  #: the first row of an .npy file, or the row group
    count: int  #: rows
    key_first: int  #: the key of the first row, where there is no column of keys


@dataclasses.dataclass(frozen=True)
class Columns:
    """What a table calls its vectors, and its keys if it has any."""

    vectors: str
    keys: str | None


def pieces_of(source: Any, columns: Columns) -> tuple[list[Piece], list[Any], str]:
    """The pieces of a source, what the tasks get with each of them, and a text that is another one for other files."""
    if hasattr(source, "to_arrow_refs"):
        return _of_dataset(source)
    patterns = [source] if isinstance(source, (str, os.PathLike)) else source
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(one, (str, os.PathLike)) for one in patterns):
        raise Invalid("source: a path, a list of paths, or a Ray Dataset expected; rhumb.shards.build takes arrays")
    paths = [path for pattern in patterns for path in _paths_of(os.path.abspath(pattern))]  # tasks run elsewhere
    pieces: list[Piece] = []
    key = 0
    for path in paths:
        found = _of_npy(path, key) if path.endswith(".npy") else _of_parquet(path, key)
        pieces += found
        key += sum(piece.count for piece in found)
    stamps = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in paths]
    return pieces, [None] * len(pieces), repr((stamps, columns))


def _paths_of(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        pattern = os.path.join(pattern, "*.parquet")
    found = sorted(glob.glob(pattern))
    if not found:
        raise NotFound(f"{pattern}: no such file", "RHUMB_E_NOTFOUND", pattern)
    return found


def _of_npy(path: str, key: int) -> list[Piece]:
    array = np.load(path, mmap_mode="r")
    if array.ndim != 2:
        raise Invalid(f"{path}: an array of two dimensions expected, found one of shape {array.shape}")
    rows = max(1, _PIECE_BYTES // max(1, array.shape[1] * array.itemsize))
    return [
        Piece("npy", path, first, min(rows, len(array) - first), key + first) for first in range(0, len(array), rows)
    ]


def _parquet() -> Any:
    try:
        import pyarrow.parquet  # type: ignore[import-untyped, import-not-found, unused-ignore]
    except ImportError as error:
        raise Unsupported("Parquet files need pyarrow: pip install rhumb[ray]") from error
    return pyarrow.parquet


def _of_parquet(path: str, key: int) -> list[Piece]:
    metadata = _parquet().read_metadata(path)
    pieces = []
    for group in range(metadata.num_row_groups):
        count = metadata.row_group(group).num_rows
        pieces.append(Piece("parquet", path, group, count, key))
        key += count
    return pieces


def _of_dataset(source: Any) -> tuple[list[Piece], list[Any], str]:
    import ray

    blocks = source.to_arrow_refs()
    rows: Any = ray.remote(_row_count)
    counts = ray.get([rows.options(num_cpus=0).remote(block) for block in blocks])
    firsts = np.concatenate(([0], np.cumsum(counts)))
    return [Piece("block", "", i, counts[i], int(firsts[i])) for i in range(len(blocks))], blocks, ""


def _row_count(block: Any) -> int:
    return int(block.num_rows)


def read(piece: Piece, block: Any, columns: Columns) -> tuple[Any, NDArray[np.uint64]]:
    """The vectors and keys of a piece. `block` is the table of a block of a Dataset."""
    if piece.kind == "npy":
        rows = np.load(piece.path, mmap_mode="r")[piece.first : piece.first + piece.count]
        return np.ascontiguousarray(rows), _numbers(piece)
    wanted = [columns.vectors] + ([columns.keys] if columns.keys else [])
    if piece.kind == "parquet":
        block = _parquet().ParquetFile(piece.path).read_row_group(piece.first, columns=wanted)
    missing = [name for name in wanted if name not in block.column_names]
    if missing:
        raise Invalid(f"{piece.path or 'the Dataset'}: a column {missing[0]!r} expected, found {block.column_names}")
    keys = _numbers(piece) if columns.keys is None else take_keys(block[columns.keys].to_numpy())[0]
    return _matrix(block[columns.vectors], piece), keys


def _numbers(piece: Piece) -> NDArray[np.uint64]:
    return np.arange(piece.key_first, piece.key_first + piece.count, dtype=np.uint64)


def _matrix(column: Any, piece: Piece) -> NDArray[Any]:
    """A column of lists, or of tensors, as a matrix."""
    parts = []
    for chunk in column.chunks:
        if chunk.null_count:
            raise Invalid(
                f"{piece.path or 'the Dataset'}: {chunk.null_count} rows without a vector in piece {piece.first}"
            )
        if hasattr(chunk, "to_numpy_ndarray"):
            parts.append(np.asarray(chunk.to_numpy_ndarray()))
        elif len(chunk):
            lengths = np.asarray(chunk.value_lengths()) if hasattr(chunk, "value_lengths") else np.array([-1])
            if lengths.min() != lengths.max() or lengths[0] < 0:
                raise Invalid(f"{piece.path or 'the Dataset'}: vectors of one length expected in piece {piece.first}, "
                              f"found {chunk.type} of {lengths.min()} to {lengths.max()}")  # fmt: skip
            values = chunk.flatten().to_numpy(zero_copy_only=False)
            parts.append(values.reshape(len(chunk), int(lengths[0])))
    return np.concatenate(parts) if parts else np.empty((0, 0))


def batches_of(keys: NDArray[np.uint64], vectors: Any, count: int) -> Iterator[tuple[NDArray[np.uint64], Any]]:
    """Some rows at a time."""
    for start in range(0, len(keys), count):
        yield keys[start : start + count], vectors[start : start + count]
