"""Keys that are strings or UUIDs.

A KeyMap gives each name a number and keeps the pairs in SQLite, in a file next to the index. Two files cannot change at
once; that they are in step after any crash follows from three rules:

1. Before the index is changed, the names that are about to come or to go are written down as pending, in a
   transaction that is durable. New names get their numbers in the same transaction. No number is used twice.
2. The index is changed. Each batch is all or nothing, also after a crash.
3. A pending name is struck off once its change is durable in the index (durable_lsn), with the next transaction.

After a crash the index itself says what has become of a pending name: a name whose number is in the index stays,
another goes. Which of the two it was about to do does not matter.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from ._native import Filter
from .errors import Invalid, KeyExists, KeyNotFound, NotFound, OutOfStep
from .filters import Keys
from .index import Index, Path
from .progress import Progress
from .result import Result

Name = Union[str, uuid.UUID]
Names = Union[Name, Iterable[Name]]

_FORMAT = 1
_PER_QUERY = 500  # names or numbers that one query looks up
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (format INTEGER NOT NULL, uuid BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS names (key INTEGER PRIMARY KEY AUTOINCREMENT, name NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS pending (key INTEGER PRIMARY KEY);
"""


class NamedResult(Result):
    """What a search in a key map has found: ``names, distances = documents.search(...)``.

    `names` is a list, nearest first, or of a batch a list for each query. `keys` has the numbers.
    """

    __slots__ = ("names",)

    def __init__(self, result: Result, names: list[Any]) -> None:
        super().__init__(result.keys, result.distances, result.counts)
        self.names = names

    def __iter__(self) -> Iterator[Any]:
        yield self.names
        yield self.distances

    def __repr__(self) -> str:
        return f"NamedResult(names={self.names!r}, distances={self.distances!r})"

    def to_list(self) -> Any:
        """The results as pairs (name, distance): a list of them, or of a batch a list for each query."""
        if self.keys.ndim == 1:
            return list(zip(self.names, self.distances.tolist()))
        return [list(zip(names, row.tolist())) for names, row in zip(self.names, self.distances)]


class KeyMap:
    """An index whose keys are strings and UUIDs. It owns the index: closing it closes both.

    The index must not be changed without the map. Any number of threads may use a map; those that write wait for each
    other. Readers in other processes open the index read-only; a name that the writer has deleted since their
    checkpoint is None in their results, until they refresh.
    """

    def __init__(self, index: Index, path: Path | None = None, *, adopt: bool = False) -> None:
        """Opens the map of an index, at `path` or at the path of the index with "-keys" after it, or begins one.

        `adopt` takes a map that is not in step, such as a copy that belongs to an older state or to another copy of the
        index: names without a vector are dropped. Vectors without a name are OutOfStep all the same.
        """
        self.index = index
        self.path = os.path.abspath(path if path is not None else index.path + "-keys")
        self._lock = threading.RLock()  # guards the connection and what follows
        self._settled: list[tuple[int, int]] = []  # (lsn, key) of changes that are done; pending until durable
        self._read_only = index.read_only
        if self._read_only and not os.path.exists(self.path):
            raise NotFound(f"{index.path} has no key map at {self.path}", "RHUMB_E_NOTFOUND", self.path)
        self._sql = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        try:
            self._open(adopt)
        except sqlite3.DatabaseError as error:
            self._sql.close()
            raise OutOfStep(f"{self.path} is not a key map: {error}", path=self.path) from error
        except BaseException:
            self._sql.close()
            raise

    def _open(self, adopt: bool) -> None:
        if self._read_only:
            self._sql.execute("PRAGMA query_only = 1")
            self._check_identity(adopt)
            return
        self._sql.execute("PRAGMA journal_mode = WAL")
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.executescript(_SCHEMA)
        if self._sql.execute("SELECT count(*) FROM meta").fetchone()[0] == 0:
            self._sql.execute("INSERT INTO meta VALUES (?, ?)", (_FORMAT, self.index.uuid.bytes))
        self._check_identity(adopt)
        with self._transaction():
            self._reconcile([key for (key,) in self._sql.execute("SELECT key FROM pending")])
            if adopt:
                self._reconcile([key for (key,) in self._sql.execute("SELECT key FROM names")])
                self._sql.execute("UPDATE meta SET uuid = ?", (self.index.uuid.bytes,))
        if len(self) != len(self.index):
            raise OutOfStep(
                f"{self.path} has {len(self)} names for the {len(self.index)} vectors of {self.index.path}: "
                "one of the two is older, or the index was changed without its map"
            )

    def _check_identity(self, adopt: bool) -> None:
        number, identity = self._sql.execute("SELECT format, uuid FROM meta").fetchone()
        if number != _FORMAT:
            raise OutOfStep(f"{self.path} has format {number}, expected {_FORMAT}")
        if identity != self.index.uuid.bytes and not adopt:
            raise OutOfStep(f"{self.path} belongs to the index {uuid.UUID(bytes=identity)}, not to {self.index.uuid}")

    # ---- life -------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Closes the index and the map; the second time there is nothing to do."""
        with self._lock:
            if self.index.closed:
                return
            if not self._read_only:
                self.index.sync()
                with self._transaction():
                    self._strike_off()
            self.index.close()
            self._sql.close()

    def __enter__(self) -> KeyMap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def refresh(self) -> bool:
        """Moves a read-only index to the newest checkpoint; returns whether there was one."""
        return self.index.refresh()

    def __repr__(self) -> str:
        return f"<rhumb.KeyMap {self.path!r} of {self.index!r}>"

    # ---- names and numbers ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._lock:
            return int(self._sql.execute("SELECT count(*) FROM names").fetchone()[0])

    def __iter__(self) -> Iterator[Name]:
        with self._lock:
            names = [_decoded(name) for (name,) in self._sql.execute("SELECT name FROM names ORDER BY key")]
        return iter(names)

    def __contains__(self, name: Name) -> bool:
        return bool(self._numbers([_encoded(name)]))

    def keys_of(self, names: Names) -> NDArray[np.uint64]:
        """The numbers of names; one that is not in the map is KeyNotFound."""
        encoded = _list_of(names)[0]
        numbers = self._numbers(encoded)
        for name in encoded:
            if name not in numbers:
                raise KeyNotFound(f"there is no {_decoded(name)!r} in the map", "RHUMB_E_NOTFOUND", self.path)
        return np.array([numbers[name] for name in encoded], np.uint64)

    def names_of(self, keys: Iterable[int]) -> list[Name | None]:
        """The names of numbers; None for one without a name."""
        numbers = [int(key) for key in keys]
        names = {}
        with self._lock:
            for some in _portions(list(set(numbers))):
                query = f"SELECT key, name FROM names WHERE key IN ({_marks(some)})"
                names.update({key: _decoded(name) for key, name in self._sql.execute(query, some)})
        return [names.get(number) for number in numbers]

    def _numbers(self, encoded: Sequence[Any]) -> dict[Any, int]:
        numbers: dict[Any, int] = {}
        with self._lock:
            for some in _portions(encoded):
                query = f"SELECT name, key FROM names WHERE name IN ({_marks(some)})"
                numbers.update(self._sql.execute(query, some).fetchall())
        return numbers

    # ---- writing ----------------------------------------------------------------------------------------------------

    def add(self, vectors: Any, names: Names, *, threads: int = 0, progress: Progress = None) -> None:
        """Inserts one vector or many, all or nothing; a name that is in the map is KeyExists."""
        with self._lock:
            encoded = _distinct(names)
            if known := self._numbers(encoded):
                raise KeyExists(f"{_decoded(next(iter(known)))!r} is in the map already", "RHUMB_E_EXISTS", self.path)
            self._write(vectors, encoded, names, threads, progress)

    def upsert(self, vectors: Any, names: Names, *, threads: int = 0, progress: Progress = None) -> None:
        """Inserts vectors, or replaces those of names that are in the map, all or nothing."""
        with self._lock:
            self._write(vectors, _distinct(names), names, threads, progress)

    def _write(self, vectors: Any, encoded: list[Any], names: Names, threads: int, progress: Progress) -> None:
        known = self._numbers(encoded)
        with self._change() as changing:
            with self._transaction():
                self._strike_off()
                for name in encoded:
                    if name not in known:
                        known[name] = self._sql.execute("INSERT INTO names (name) VALUES (?)", (name,)).lastrowid or 0
                        changing.append(known[name])
                self._sql.executemany("INSERT INTO pending VALUES (?)", [(key,) for key in changing])
            keys = np.array([known[name] for name in encoded], np.uint64)
            self.index.upsert(vectors, keys, threads=threads, progress=progress)

    def delete(self, names: Names, *, missing: str = "raise") -> int:
        """Deletes names and their vectors, all or nothing, and returns how many were there.

        A name that is not in the map is KeyNotFound, and nothing is deleted, unless `missing` is "ignore".
        """
        with self._lock:
            encoded = _distinct(names)
            numbers = self._numbers(encoded)
            if missing == "raise":
                self.keys_of(names)
            going = list(numbers.values())
            with self._change() as changing:
                with self._transaction():
                    self._strike_off()
                    self._sql.executemany("INSERT OR IGNORE INTO pending VALUES (?)", [(key,) for key in going])
                    changing += going
                self.index.delete(going, missing="ignore")
                if self.index.durable_lsn < self.index.lsn:
                    self.index.sync()  # a vector that came back after a crash would find no name
            with self._transaction():
                self._sql.executemany("DELETE FROM names WHERE key = ?", [(key,) for key in going])
            return len(going)

    @contextmanager
    def _change(self) -> Iterator[list[int]]:
        """A change of the index, of pending numbers that the block lists. If it fails, the index says what they are."""
        changing: list[int] = []
        try:
            yield changing
        except BaseException:
            with self._transaction():
                self._reconcile(changing)
            raise
        self._settle(changing)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """A transaction of SQLite, which is durable once it has ended."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def _settle(self, keys: list[int]) -> None:
        lsn = self.index.lsn
        self._settled += [(lsn, key) for key in keys]

    def _strike_off(self) -> None:
        """Strikes off what is durable in the index. Inside a transaction."""
        durable_lsn = self.index.durable_lsn
        done = [(key,) for lsn, key in self._settled if lsn <= durable_lsn]
        self._sql.executemany("DELETE FROM pending WHERE key = ?", done)
        self._settled = [(lsn, key) for lsn, key in self._settled if lsn > durable_lsn]

    def _reconcile(self, keys: list[int]) -> None:
        """Drops the names of numbers that are not in the index, and settles the others. Inside a transaction."""
        present = self.index.contains(keys)
        gone = [(key,) for key, there in zip(keys, present) if not there]
        self._sql.executemany("DELETE FROM names WHERE key = ?", gone)
        self._sql.executemany("DELETE FROM pending WHERE key = ?", gone)
        self._settle([key for key, there in zip(keys, present) if there])

    # ---- reading ----------------------------------------------------------------------------------------------------

    def get(self, names: Names) -> Any:
        """A copy of the vector of a name, or the matrix of those of several."""
        keys = self.keys_of(names)
        return self.index.get(int(keys[0]) if _list_of(names)[1] else keys)

    def __getitem__(self, names: Names) -> Any:
        return self.get(names)

    def search(
        self, queries: Any, k: int | None = None, *, filter: Filter | Iterable[Name] | None = None, **options: Any
    ) -> NamedResult:
        """Finds the nearest vectors, as Index.search does; `filter` may list the names that may be found."""
        if filter is not None and not isinstance(filter, Filter):
            filter = Keys(list(self._numbers(_list_of(filter)[0]).values()))
        return self._named(self.index.search(queries, k, filter=filter, **options))

    def search_like(self, name: Name, k: int = 10, *, ef_search: int | None = None) -> NamedResult:
        """Finds the `k` vectors nearest to that of a name, without that name."""
        return self._named(self.index.search_like(int(self.keys_of(name)[0]), k, ef_search=ef_search))

    def iterate(self, query: Any, *, ef_search: int | None = None) -> Iterator[tuple[Name | None, float]]:
        """Pairs (name, distance), nearest first, as many as are asked for."""
        for key, distance in self.index.iterate(query, ef_search=ef_search):
            yield self.names_of([key])[0], distance

    def _named(self, result: Result) -> NamedResult:
        if result.keys.ndim == 1:
            return NamedResult(result, self.names_of(result.keys.tolist()))
        rows = [row[:count].tolist() for row, count in zip(result.keys, np.asarray(result.counts).tolist())]
        names = iter(self.names_of([key for row in rows for key in row]))
        return NamedResult(result, [[next(names) for _ in row] for row in rows])


def _encoded(name: Any) -> str | bytes:
    """How SQLite keeps a name: strings as texts, UUIDs as 16 bytes."""
    if isinstance(name, str):
        return name
    if isinstance(name, uuid.UUID):
        return name.bytes
    raise TypeError(f"names are str or uuid.UUID, found {name!r}")


def _decoded(name: Any) -> Name:
    return uuid.UUID(bytes=name) if isinstance(name, bytes) else str(name)


def _list_of(names: Any) -> tuple[list[Any], bool]:
    """Encoded names, and whether there was a single one."""
    if isinstance(names, (str, uuid.UUID)):
        return [_encoded(names)], True
    return [_encoded(name) for name in names], False


def _distinct(names: Names) -> list[Any]:
    encoded = _list_of(names)[0]
    if len(set(encoded)) != len(encoded):
        raise Invalid("the same name twice in one batch")
    return encoded


def _portions(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[i : i + _PER_QUERY] for i in range(0, len(items), _PER_QUERY))


def _marks(items: Sequence[Any]) -> str:
    return ", ".join("?" * len(items))
