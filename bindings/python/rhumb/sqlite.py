"""The SQLite extension rhumb0: tables of vectors in a database (docs/sqlite.md)."""

from __future__ import annotations

import os
import sqlite3

from .errors import NotFound, Unsupported


def sqlite_extension() -> str:
    """The path of the extension, for programs that load it by themselves; without ".so", as they expect it."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rhumb0")
    if not os.path.exists(path + ".so"):
        raise NotFound(f"this package was built without {path}.so", "RHUMB_E_NOTFOUND", path + ".so")
    return path


def load_sqlite(connection: sqlite3.Connection) -> None:
    """Loads the extension into a connection: tables by `CREATE VIRTUAL TABLE ... USING rhumb0(...)`.

    Unsupported for a Python whose sqlite3 cannot load extensions, as pyenv's by default. Loading of other extensions is
    switched off afterwards, as it is in a new connection.
    """
    if not hasattr(connection, "enable_load_extension"):
        raise Unsupported("the sqlite3 module of this Python was compiled without loading of extensions")
    connection.enable_load_extension(True)
    try:
        connection.load_extension(sqlite_extension())
    finally:
        connection.enable_load_extension(False)
