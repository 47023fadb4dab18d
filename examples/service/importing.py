"""A folder that serve.py can serve, from the index that apt_search.py keeps.

Run again after apt_search.py has updated its index, it copies what has changed; services that serve the folder follow.
A package's hash is written after its vector is in a checkpoint, and taken away before the vector changes, so whatever a
crash comes between, the next run puts right. Documents come before their vectors and go after them (collection.py).
"""

import json
import os
import sqlite3

import rhumb
import rhumb.shards
from service.collection import DOCUMENTS, SCHEMA

_BATCH = 4096  # packages whose vectors are in memory at a time


def import_packages(source, folder, shard_count, model, say=print):
    """Makes `folder` one of the packages in `source`, the folder of apt_search.py; returns how many were copied, and
    deleted."""
    index = rhumb.open(os.path.join(source, "packages.rhumb"), read_only=True)
    with rhumb.KeyMap(index) as names:
        wanted = _packages(source, names)
        with rhumb.shards.create(folder, index.dim, index.metric, shards=shard_count, exist_ok=True) as shards:
            metadata = json.dumps({"model": model}).encode()
            documents = sqlite3.connect(os.path.join(folder, DOCUMENTS), isolation_level=None)
            try:
                documents.execute("PRAGMA journal_mode = WAL")
                documents.executescript(SCHEMA)
                known = dict(documents.execute("SELECT key, hash FROM document"))
                changed = [key for key, row in wanted.items() if known.get(key) != row[-1]]
                gone = [key for key in known if key not in wanted]
                for begin in range(0, len(changed), _BATCH):
                    _copy(changed[begin : begin + _BATCH], wanted, names, shards, documents)
                    say(f"{min(begin + _BATCH, len(changed)):,} of {len(changed):,} copied")
                if shards.metadata != metadata:
                    shards.metadata = metadata
                shards.delete(gone, missing="ignore")
                shards.checkpoint()
                _in_one(documents, "DELETE FROM document WHERE key = ?", [(key,) for key in gone])
                _in_one(documents, "UPDATE document SET hash = ? WHERE key = ?", [(wanted[k][-1], k) for k in changed])
            finally:
                documents.close()
    return len(changed), len(gone)


def _packages(source, names):
    """{key: (name, section, summary, hash)} of the packages that have a vector."""
    facts = sqlite3.connect(f"file:{os.path.join(source, 'packages.sqlite')}?mode=ro", uri=True)
    try:
        rows = facts.execute("SELECT name, section, summary, hash FROM package").fetchall()
    finally:
        facts.close()
    rows = [row for row in rows if row[0] in names]
    keys = names.keys_of([row[0] for row in rows]).tolist() if rows else []
    # "contrib/sound" is in the section "sound" too; here a package has one section.
    return {key: (name, section.rpartition("/")[2], *rest) for key, (name, section, *rest) in zip(keys, rows)}


def _copy(keys, wanted, names, shards, documents):
    rows = [(key, *wanted[key][:-1]) for key in keys]
    _in_one(documents, "DELETE FROM document WHERE name = ?", [(row[1],) for row in rows])  # also under another key
    _in_one(documents, "REPLACE INTO document VALUES (?, ?, ?, ?, NULL)", rows)
    shards.upsert(names.index.get(keys), keys)


def _in_one(documents, statement, rows):
    """A statement for each row, in one transaction."""
    documents.execute("BEGIN IMMEDIATE")
    documents.executemany(statement, rows)
    documents.execute("COMMIT")
