"""What stands behind an index of another library's interface: a rhumb index in a temporary file, or one that was saved.

The temporary file goes with the object. A saved index is mapped read-only, and copied by the first change.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from typing import Any

from .. import files, index


class Stored:
    """A base for such objects; `_store` is the open index, or None."""

    _store: index.Index | None = None

    def _begin(self, dim: int, metric: str, dtype: str, **options: Any) -> None:
        """Makes an empty index the store."""
        self._hold(index.create(_temporary_path(), dim, metric, dtype, durability="none", **options))

    def _hold(self, store: index.Index) -> index.Index:
        """Makes an index in a temporary folder the store, which is discarded with this object."""
        self._store = store
        weakref.finalize(self, _discard, store)
        return store

    def _opened(self) -> index.Index:
        if self._store is None:
            raise RuntimeError("The index is empty: initiate it or load one")
        return self._store

    def _writable(self) -> index.Index:
        """The store; one that was loaded is copied first."""
        store = self._opened()
        if store.read_only:
            path = _temporary_path()
            files.compact_into(store.path, path, order="keep")
            store.close()
            store = self._hold(index.open(path, durability="none"))
        return store

    def _save(self, path: str) -> None:
        """Writes the store into a file, in place of one that is there."""
        store = self._opened()
        if not store.read_only:
            store.checkpoint()
        files.compact_into(store.path, path + "-saving", order="keep")
        os.replace(path + "-saving", path)

    def _content(self) -> bytes:
        """The bytes of a file that the store is saved in."""
        with tempfile.TemporaryDirectory(prefix="rhumb-") as folder:
            path = os.path.join(folder, "index")
            self._save(path)
            with open(path, "rb") as file:
                return file.read()

    def _hold_content(self, content: bytes | memoryview) -> index.Index:
        """Makes the index that such bytes are the store."""
        path = _temporary_path()
        try:
            with open(path, "wb") as file:
                file.write(content)
            return self._hold(index.open(path, durability="none"))
        except BaseException:
            shutil.rmtree(os.path.dirname(path), ignore_errors=True)
            raise

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name != "_store"}
        if self._store is not None:
            state["_content"] = self._content()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        content = state.pop("_content", None)
        self.__dict__.update(state)
        if content is not None:
            self._hold_content(content)


def _temporary_path() -> str:
    return os.path.join(tempfile.mkdtemp(prefix="rhumb-"), "index")


def _discard(store: index.Index) -> None:
    store.close()
    shutil.rmtree(os.path.dirname(store.path), ignore_errors=True)
