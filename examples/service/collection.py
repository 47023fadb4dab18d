"""What is served: a folder of shards, and the documents that its keys stand for, if there are any.

A folder that is written to, split or joined is followed by Shards.refresh(). Another folder in its place is opened next
to the old one, and the old one is closed once the last request that began with it has ended; in between nothing waits.
Where the path is a symbolic link, renaming a new link over it replaces the folder without a moment in which there is
none. Whatever cannot be opened is reported, and tried again, while the worker goes on with what it has.

Documents are in SQLite, in the folder. A writer adds documents before their vectors, and deletes them after their
vectors, so what a search finds has a document, but for the moment between a deletion and the next refresh.
"""

import json
import os
import queue
import sqlite3
import threading
import time
import urllib.parse
from contextlib import contextmanager

import rhumb
import rhumb.shards

DOCUMENTS = "documents.sqlite"
SCHEMA = """
CREATE TABLE IF NOT EXISTS document (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, section TEXT NOT NULL,
                                     summary TEXT NOT NULL, hash BLOB);
CREATE INDEX IF NOT EXISTS document_section ON document (section);
"""
_SQL_KEY_LIMIT = 1 << 63  # SQLite's integers end there, keys do not
_SQL_WAIT_SECONDS = 5.0


class Documents:
    """The documents of a folder, read-only. Any number of threads may use it."""

    def __init__(self, path, connection_count):
        """Opens so many connections, for as many threads that ask at the same time, as the folder may be gone later."""
        self._kept = _Kept()
        self._connections = []
        self._free = queue.LifoQueue()
        try:
            for _ in range(connection_count):
                address = f"file:{urllib.parse.quote(path)}?mode=ro"
                connection = sqlite3.connect(address, uri=True, timeout=_SQL_WAIT_SECONDS, check_same_thread=False)
                self._connections.append(connection)
                connection.execute("SELECT key, name, section, summary FROM document LIMIT 1").fetchall()
                self._free.put(connection)
        except BaseException:
            self.close()
            raise

    def _query(self, query, *values):
        connection = self._free.get()
        try:
            return connection.execute(query, values).fetchall()
        finally:
            self._free.put(connection)

    def close(self):
        """Closes it; no thread may use it any more."""
        for connection in self._connections:
            connection.close()

    def forget(self):
        """Drops what was kept of the documents, as they have changed."""
        self._kept = _Kept()

    def of(self, keys):
        """{key: document} of the keys that have one."""
        asked = [key for key in keys if key < _SQL_KEY_LIMIT]
        marks = ", ".join("?" * len(asked))
        rows = self._query(f"SELECT key, name, section, summary FROM document WHERE key IN ({marks})", *asked)
        return {key: {"name": name, "section": section, "summary": summary} for key, name, section, summary in rows}

    def key_of(self, name):
        """The key of a name, or None."""
        rows = self._query("SELECT key FROM document WHERE name = ?", name)
        return rows[0][0] if rows else None

    def sections(self):
        """[(section, how many documents)], the largest first."""
        kept = self._kept
        if kept.sections is None:
            kept.sections = self._query(
                "SELECT section, count(*) FROM document GROUP BY section ORDER BY 2 DESC, 1"
            )
        return kept.sections

    def filter_of(self, section):
        """A filter that lets through the documents of a section."""
        kept = self._kept  # what is asked of documents that change in between is forgotten with it
        found = kept.filters.get(section)
        if found is None:
            found = rhumb.Keys([key for (key,) in self._query("SELECT key FROM document WHERE section = ?", section)])
            if any(section == known for known, _ in self.sections()):  # so there are no more filters than sections
                kept.filters[section] = found
        return found


class _Kept:
    """What was read of documents, and holds until the next refresh."""

    def __init__(self):
        self.filters = {}  # section: prepared filter
        self.sections = None  # [(section, how many documents)]


class Collection:
    """An open folder. It is closed when the one who opened it and all requests have left it."""

    def __init__(self, path, thread_count):
        """`thread_count`: how many threads use it at the same time."""
        self._thread_count = thread_count
        self.identity = identity_of(path)
        self.folder = self.identity[0]
        self.documents = None
        self.shards = rhumb.shards.open(self.folder, read_only=True)
        try:
            self._note()
        except BaseException:
            self.shards.close()
            raise
        self._lock = threading.Lock()  # guards the count
        self._user_count = 1

    def _note(self):
        """What is asked for often, and changes with a refresh only."""
        path = os.path.join(self.folder, DOCUMENTS)
        if self.documents is not None:
            self.documents.forget()
        elif os.path.exists(path):
            self.documents = Documents(path, self._thread_count)
        try:
            self.model = json.loads(self.shards.metadata or b"{}").get("model")
        except (ValueError, AttributeError):
            self.model = None  # bytes of another program
        self.epoch = self.shards.manifest.epoch

    def refresh(self):
        """Moves to the newest checkpoint; returns whether there was one."""
        if not self.shards.refresh():
            return False
        self._note()
        return True

    def enter(self):
        """False: it is closed, and another is there."""
        with self._lock:
            if self._user_count == 0:
                return False
            self._user_count += 1
            return True

    def leave(self):
        with self._lock:
            self._user_count -= 1
            last = self._user_count == 0
        if last:
            self.shards.close()
            if self.documents is not None:
                self.documents.close()


def identity_of(path):
    """What tells a folder from another one in its place."""
    folder = os.path.realpath(path)
    found = os.stat(folder)
    return folder, found.st_dev, found.st_ino, rhumb.shards.info(folder).uuid


class Current:
    """The collection that a worker serves. One thread calls follow(), any number use()."""

    def __init__(self, path, thread_count, row, say):
        """`row` counts (metrics.py), `say` gets messages for the log of the service."""
        self._path, self._thread_count, self._row, self._say = path, thread_count, row, say
        self._collection = Collection(path, thread_count)
        self.failure = None  # why the newest state could not be taken up, or None
        self._row.set("epoch", self._collection.epoch)

    @contextmanager
    def use(self):
        """The collection, which stays open for the block."""
        while not (collection := self._collection).enter():
            pass
        try:
            yield collection
        finally:
            collection.leave()

    def follow(self):
        """Moves to what is newest; on failure all stays as it is, until the next time."""
        try:
            if self._follow():
                self._row.add("refreshes_total")
            failure = None
        except Exception as error:
            failure = f"{type(error).__name__}: {error}"
            self._row.add("refresh_failures_total")
        if failure != self.failure:
            self._say(failure or "the newest state is served again")
        self.failure = failure
        self._row.set("epoch", self._collection.epoch)
        self._row.set("lag_seconds", self._lag_seconds() if failure else 0.0)
        self._row.set("checked_timestamp_seconds", time.time())

    def _follow(self):
        if identity_of(self._path) == self._collection.identity:
            return self._collection.refresh()
        newer = Collection(self._path, self._thread_count)
        older, self._collection = self._collection, newer
        older.leave()
        return True

    def _lag_seconds(self):
        try:
            written = os.stat(os.path.join(self._path, "manifest.json")).st_mtime
        except OSError:
            return 0.0  # there is nothing newer
        return max(0.0, time.time() - written)

    def close(self):
        self._collection.leave()
