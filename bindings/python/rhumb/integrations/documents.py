"""Documents: vectors with an identifier, a text and metadata.

The vectors are in an index, everything else in an SQLite file next to it ("-documents"). Two files cannot change at
once; that they are in step after any crash follows from the order of changes. A row of SQLite has a number, which is the key
of its vector and never used twice, and a state:

1. New rows are written as COMING, in a durable transaction; then their vectors are inserted and synced.
2. One transaction makes them LIVE, and those that they replace, or that are deleted, GOING. This is the change.
3. Vectors of GOING rows are deleted and that is synced; then the rows are.

An opening undoes 1 and completes 3. So a document is there with its text, its metadata and its vector, or not at all.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import index as indexes
from ..errors import Invalid, NotFound, OutOfStep, ReadOnly
from ..filters import Keys
from ..index import Index, Path
from ..options import OpenOptions
from .conditions import Condition

_FORMAT = 1
_PER_QUERY = 500  # identifiers or keys that one query looks up
_COMING, _LIVE, _GOING = 0, 1, 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (format INTEGER NOT NULL, uuid BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    key INTEGER PRIMARY KEY AUTOINCREMENT, state INTEGER NOT NULL, id TEXT NOT NULL, text TEXT, metadata TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS live_ids ON documents (id) WHERE state = 1;
CREATE INDEX IF NOT EXISTS changing ON documents (state) WHERE state <> 1;
"""


class Entry(NamedTuple):
    """A document; `key` is that of its vector in the index."""

    key: int
    id: str
    text: str | None
    metadata: dict[str, Any]


class Hit(NamedTuple):
    """A document that a search has found, and its distance."""

    entry: Entry
    distance: float


class Documents:
    """Documents in an index and an SQLite file, which are created with the first document.

    Any number of threads may use it. One process writes; others open it with ``read_only=True``, and see what the
    writer has made a checkpoint of once they refresh.
    """

    def __init__(self, path: Path | None = None, *, metric: str = "cosine", dtype: Any = "f32", **options: Any) -> None:
        """Opens what is at `path`, or begins there. Without a path everything is in a temporary folder.

        Options are those of rhumb.create and rhumb.open; an index that exists keeps its metric and element type.
        """
        self._folder = None
        if path is None:
            self._folder = tempfile.TemporaryDirectory(prefix="rhumb-")
            path = os.path.join(self._folder.name, "documents.rhumb")
        self.path = os.path.abspath(path)
        self.index: Index | None = None
        self._metric, self._dtype, self._options = metric, dtype, options
        self._lock = threading.RLock()  # guards the connection, and is held by writers
        self._read_only = bool(options.get("read_only"))
        if self._read_only and not os.path.exists(self.path + "-documents"):
            raise NotFound(f"there are no documents at {self.path}", "RHUMB_E_NOTFOUND", self.path)
        self._sql = sqlite3.connect(self.path + "-documents", timeout=60, isolation_level=None, check_same_thread=False)
        self._sql.create_function("lower_case", 1, str.lower, deterministic=True)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        if self._read_only:
            self._sql.execute("PRAGMA query_only = 1")
        else:
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.execute("PRAGMA synchronous = FULL")
            self._sql.executescript(_SCHEMA)
        if os.path.exists(self.path):
            names = OpenOptions.__annotations__
            opening = {name: value for name, value in self._options.items() if name in names}
            self.index = indexes.open(self.path, **opening)  # type: ignore[misc, unused-ignore]
        elif len(self):
            raise OutOfStep(f"there are {len(self)} documents for an index that is missing: {self.path}")
        if self.index is None:
            return
        self._check_identity(self.index)
        if not self._read_only:
            self._recover(self.index)

    def _check_identity(self, index: Index) -> None:
        known = self._sql.execute("SELECT format, uuid FROM meta").fetchone()
        if known is None:
            if len(index) or self._read_only:
                raise OutOfStep(f"{self.path} is an index without documents")
            self._sql.execute("INSERT INTO meta VALUES (?, ?)", (_FORMAT, index.uuid.bytes))
        elif known != (_FORMAT, index.uuid.bytes):
            raise OutOfStep(f"{self.path}-documents has format {known[0]} and belongs to the index "
                            f"{uuid.UUID(bytes=known[1])}, not to {index.uuid}")  # fmt: skip

    def _recover(self, index: Index) -> None:
        self._sql.execute("UPDATE documents SET state = ? WHERE state = ?", (_GOING, _COMING))
        self._sweep()
        if len(self) == len(index):
            return
        live = self.keys()
        stray = np.setdiff1d(index.keys(), live)  # deletions that a power cut has undone
        index.delete(stray)
        if len(live) != len(index):
            raise OutOfStep(f"{self.path} lacks vectors of documents: it is older than {self.path}-documents")

    # ---- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes both files, and removes them if they are temporary; the second time there is nothing to do."""
        with self._lock:
            if self.index is not None:
                self.index.close()
            self._sql.close()
            if self._folder is not None:
                self._folder.cleanup()

    def __enter__(self) -> Documents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_folder", None) is not None:
            self.close()

    def checkpoint(self) -> None:
        """Shows readers in other processes everything that has been written."""
        if self.index is not None:
            self.index.checkpoint()

    def refresh(self) -> None:
        """Moves documents that were opened read-only to the newest checkpoint."""
        if self.index is not None:
            self.index.refresh()

    @property
    def metric(self) -> str:
        """The distance."""
        return self._metric if self.index is None else self.index.metric

    # ---- writing ----------------------------------------------------------------------------------------------------

    def put(
        self, ids: Sequence[str], vectors: Any, texts: Sequence[str | None], metadatas: Sequence[Mapping[str, Any]]
    ) -> None:
        """Inserts documents, or replaces those whose identifiers are there, all or nothing. Of two with the same
        identifier the last counts."""
        last = list({name: i for i, name in enumerate(ids)}.values())
        rows = [(_COMING, ids[i], texts[i], json.dumps(metadatas[i], ensure_ascii=False)) for i in last]
        if not rows:
            return
        array = np.asarray(vectors)[last]
        if array.ndim != 2:
            raise Invalid(f"a matrix with a vector for each document expected, found an array of shape {array.shape}")
        with self._writing():
            index = self._index_for(array.shape[1])
            keys = self._write_coming(rows)
            try:
                index.add(array, keys)
                self._sync(index)
            except BaseException:
                self._sql.executemany("UPDATE documents SET state = ? WHERE key = ?", [(_GOING, key) for key in keys])
                self._sweep()
                raise
            with self._transaction():
                self._mark_going([row[1] for row in rows])
                self._sql.executemany("UPDATE documents SET state = ? WHERE key = ?", [(_LIVE, key) for key in keys])
            self._sweep()

    def delete(self, ids: Sequence[str]) -> int:
        """Deletes documents, and returns how many of them were there."""
        with self._writing():
            with self._transaction():
                count = self._mark_going(ids)
            self._sweep()
            return count

    def clear(self) -> None:
        """Deletes all documents."""
        with self._writing():
            self._sql.execute("UPDATE documents SET state = ?", (_GOING,))
            self._sweep()

    def _index_for(self, dim: int) -> Index:
        if self.index is None:
            self.index = indexes.create(self.path, dim, self._metric, self._dtype, **self._options)
            self._check_identity(self.index)
        return self.index

    def _write_coming(self, rows: list[tuple[int, str, str | None, str]]) -> list[int]:
        statement = "INSERT INTO documents (state, id, text, metadata) VALUES (?, ?, ?, ?)"
        with self._transaction():
            return [self._sql.execute(statement, row).lastrowid or 0 for row in rows]

    def _mark_going(self, ids: Sequence[str]) -> int:
        statement = "UPDATE documents SET state = ? WHERE id = ? AND state = ?"
        return sum(self._sql.execute(statement, (_GOING, name, _LIVE)).rowcount for name in ids)

    def _sweep(self) -> None:
        """Removes what is going, the vectors first."""
        keys = [key for (key,) in self._sql.execute("SELECT key FROM documents WHERE state = ?", (_GOING,))]
        if not keys:
            return
        if self.index is not None:
            self.index.delete(keys, missing="ignore")
            self._sync(self.index)
        with self._transaction():
            self._sql.executemany("DELETE FROM documents WHERE key = ?", [(key,) for key in keys])

    @staticmethod
    def _sync(index: Index) -> None:
        if index.durable_lsn < index.lsn:
            index.sync()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._read_only:
            raise ReadOnly(f"{self.path} was opened read-only", "RHUMB_E_READONLY", self.path)
        with self._lock:
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    # ---- reading ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._lock:
            return int(self._sql.execute("SELECT count(*) FROM documents WHERE state = 1").fetchone()[0])

    def get(self, ids: Sequence[str]) -> list[Entry]:
        """The documents of identifiers, in their order; those that are not there are left out."""
        found = {entry.id: entry for entry in self._entries("id", ids)}
        return [found[name] for name in ids if name in found]

    def where(self, condition: Condition | None) -> list[Entry]:
        """The documents for which a condition holds, or all, oldest first."""
        sql, values = condition or ("1", [])
        query = f"SELECT key, id, text, metadata FROM documents WHERE state = 1 AND ({sql}) ORDER BY key"
        with self._lock:
            return [_entry(row) for row in self._sql.execute(query, values)]

    def keys(self, condition: Condition | None = None) -> NDArray[np.uint64]:
        """The keys of the documents for which a condition holds, or of all, ascending."""
        sql, values = condition or ("1", [])
        query = f"SELECT key FROM documents WHERE state = 1 AND ({sql}) ORDER BY key"
        with self._lock:
            return np.fromiter((key for (key,) in self._sql.execute(query, values)), np.uint64)

    def vectors(self, entries: Iterable[Entry]) -> Any:
        """The vectors of documents, as a matrix."""
        keys = [entry.key for entry in entries]
        return self.index.get(keys) if self.index is not None else np.empty((0, 0), np.float32)

    def search(
        self, query: Any, k: int, *, condition: Condition | None = None, matches: Callable[[Entry], bool] | None = None,
        ids: Sequence[str] | None = None, ef_search: int | None = None,
    ) -> list[Hit]:  # fmt: skip
        """The `k` nearest documents: of those for which the condition holds and the function returns true, and whose
        identifiers are listed."""
        if self.index is None or k < 1:
            return []
        chosen = self._chosen(condition, matches, ids)
        if chosen is not None and len(chosen) == 0:
            return []
        filter = None if chosen is None else Keys(chosen, assume_sorted=True)
        wanted = k
        while True:
            keys, distances = self.index.search(query, wanted, ef_search=ef_search, filter=filter)
            entries = {entry.key: entry for entry in self._entries("key", keys.tolist())}
            found = zip(keys.tolist(), distances.tolist())
            hits = [Hit(entries[key], distance) for key, distance in found if key in entries]
            if len(hits) >= k or len(keys) < wanted:
                return hits[:k]
            wanted += k  # some of them have been deleted since the search looked at them

    def _chosen(
        self, condition: Condition | None, matches: Callable[[Entry], bool] | None, ids: Sequence[str] | None
    ) -> NDArray[np.uint64] | None:
        """The keys that a search may find, ascending; None: all."""
        chosen = None
        if matches is not None:
            chosen = np.array([entry.key for entry in self.where(condition) if matches(entry)], np.uint64)
        elif condition is not None:
            chosen = self.keys(condition)
        if ids is not None:
            named = np.array(sorted(entry.key for entry in self._entries("id", list(ids))), np.uint64)
            chosen = named if chosen is None else np.intersect1d(chosen, named)
        return chosen

    def _entries(self, column: str, values: Sequence[Any]) -> list[Entry]:
        rows = []
        with self._lock:
            for i in range(0, len(values), _PER_QUERY):
                some = values[i : i + _PER_QUERY]
                marks = ", ".join("?" * len(some))
                query = f"SELECT key, id, text, metadata FROM documents WHERE state = 1 AND {column} IN ({marks})"
                rows += self._sql.execute(query, some).fetchall()
        return [_entry(row) for row in rows]


def _entry(row: tuple[int, str, str | None, str]) -> Entry:
    return Entry(row[0], row[1], row[2], json.loads(row[3]))
