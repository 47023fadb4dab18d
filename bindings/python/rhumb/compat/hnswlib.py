"""hnswlib's interface: ``from rhumb.compat import hnswlib`` in place of ``import hnswlib``.

As there, an index lives with its object: in a temporary file, until save_index. Unlike there, load_index maps the file
and is done at once; the first change copies it. What is saved is a rhumb index, which rhumb.open opens, and hnswlib's
own files cannot be loaded.

A label that is marked as deleted is the key label + 2**63, which searches leave out; so labels must be below 2**63. The
capacity is saved as the index's metadata: {"max_elements": count}.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from .. import _native, filters, index
from .store import Stored

_METRICS = {"l2": "l2sq", "ip": "ip", "cosine": "cosine"}
_DELETED = 2**63
_EF = 10  # of searches, unless set


def _capacity_of(metadata: bytes) -> int | None:
    """The capacity that save_index has written, or None if these are another program's metadata."""
    try:
        found = json.loads(metadata)["max_elements"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None


class _Base(Stored):
    """What Index and BFIndex share: a store, which is an open rhumb index, and labels."""

    def __init__(self, space: str, dim: int) -> None:
        if space not in _METRICS:
            raise RuntimeError("Space name must be one of l2, ip, or cosine.")
        self.space = space
        self.dim = dim
        self.num_threads = os.cpu_count() or 1
        self.max_elements = 0
        self._deleted: set[int] = set()
        self._live: _native.Filter | None = None  # all but the deleted; None: to be made

    # ---- the store --------------------------------------------------------------------------------------------------

    def _initiate(self, max_elements: int, **options: Any) -> None:
        if self._store is not None:
            raise RuntimeError("The index is already initiated.")
        self._begin(self.dim, _METRICS[self.space], "f32", **options)
        self.max_elements = max_elements

    def save_index(self, path_to_index: str) -> None:
        """Writes the index into a file, in place of one that is there."""
        saved = self._opened().metadata
        if _capacity_of(saved) != self.max_elements and (not saved or _capacity_of(saved) is not None):
            self._writable().metadata = json.dumps({"max_elements": self.max_elements}).encode()
        self._save(path_to_index)

    def load_index(self, path_to_index: str, max_elements: int = 0, allow_replace_deleted: bool = False) -> None:
        """Opens an index that was saved. Its capacity is `max_elements`, or the saved one where that is too small."""
        store = index.open(path_to_index, read_only=True)
        if store.dim != self.dim or store.element != "f32":
            raise RuntimeError(f"{path_to_index} has vectors of {store.dim} x {store.element}")
        if store.metric != _METRICS[self.space]:
            raise RuntimeError(f"{path_to_index} is an index of the metric {store.metric}")
        self._store = store
        keys = store.keys()
        self._deleted = set((keys[keys >= _DELETED] - np.uint64(_DELETED)).tolist())
        self._live = None
        if max_elements < len(store):
            max_elements = _capacity_of(store.metadata) or 0
        self.max_elements = max(max_elements, len(store))
        self._loaded(allow_replace_deleted)

    def _loaded(self, allow_replace_deleted: bool) -> None:
        pass

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_live": None}

    # ---- items ------------------------------------------------------------------------------------------------------

    def _vectors_of(self, data: Any) -> NDArray[np.float32]:
        vectors = np.atleast_2d(np.asarray(data, np.float32))
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise RuntimeError("Wrong dimensionality of the vectors")
        if self.space == "cosine":
            vectors = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + np.float32(1e-30))
        return vectors

    def _labels_of(self, ids: Any, count: int) -> NDArray[np.uint64]:
        if ids is None:
            first = self.get_current_count()
            return np.arange(first, first + count, dtype=np.uint64)
        labels = np.atleast_1d(np.asarray(ids))
        if labels.ndim != 1 or len(labels) != count:
            raise RuntimeError("wrong dimensionality of the labels")
        return labels.astype(np.uint64)

    def _put(self, data: Any, ids: Any, num_threads: int, replace_deleted: bool = False) -> None:
        vectors = self._vectors_of(data)
        labels = self._labels_of(ids, len(vectors))
        last = dict(zip(labels.tolist(), range(len(labels))))  # of a label that comes twice the last vector counts
        store = self._writable()
        new = [label for label in last if label not in store]
        back = [label for label in new if label in self._deleted]
        going = back + (list(self._deleted - set(back))[: len(new) - len(back)] if replace_deleted else [])
        if len(store) + len(new) - len(going) > self.max_elements:
            raise RuntimeError("The number of elements exceeds the specified limit")
        self._forget(going)
        store.upsert(vectors[list(last.values())], list(last), threads=max(num_threads, 0))

    def _forget(self, labels: list[int]) -> None:
        """Removes labels that are marked as deleted for good."""
        if labels:
            self._writable().delete([label + _DELETED for label in labels])
            self._deleted.difference_update(labels)
            self._live = None

    def _nearest(self, data: Any, k: int, num_threads: int, filter: Callable[[int], bool] | None, **how: Any) -> Any:
        queries = self._vectors_of(data)
        live: _native.Filter | None = None
        if filter is not None:
            live = filters.Where(lambda key: key < _DELETED and filter(key))
        elif self._deleted:
            if self._live is None:
                self._live = ~filters.Keys([label + _DELETED for label in self._deleted])
            live = self._live
        threads = num_threads if num_threads > 0 else self.num_threads
        found = self._opened().search(queries, k, filter=live, threads=threads, **how)
        if np.min(found.counts, initial=k) < k:
            raise RuntimeError(
                "Cannot return the results in a contiguous 2D array. Probably ef or M is too small, or k is above the "
                "number of elements"
            )
        return found.keys, found.distances

    def set_num_threads(self, num_threads: int) -> None:
        """Sets how many threads batches use."""
        self.num_threads = num_threads

    def get_max_elements(self) -> int:
        """How many elements there may be."""
        return self.max_elements

    def get_current_count(self) -> int:
        """How many elements there are, with those that are marked as deleted."""
        return 0 if self._store is None else len(self._store)


class Index(_Base):
    """hnswlib.Index."""

    def __init__(self, space: str, dim: int) -> None:
        super().__init__(space, dim)
        self.ef = _EF
        self._allow_replace_deleted = False

    def __repr__(self) -> str:
        return f"<rhumb.compat.hnswlib.Index(space={self.space!r}, dim={self.dim})>"

    def init_index(
        self, max_elements: int, M: int = 16, ef_construction: int = 200, random_seed: int = 100,
        allow_replace_deleted: bool = False,
    ) -> None:  # fmt: skip
        """Makes an empty index."""
        self._initiate(max_elements, M=M, ef_construction=ef_construction, seed=random_seed)
        self._allow_replace_deleted = allow_replace_deleted

    def _loaded(self, allow_replace_deleted: bool) -> None:
        self._allow_replace_deleted = allow_replace_deleted
        self.ef = _EF

    def add_items(self, data: Any, ids: Any = None, num_threads: int = -1, replace_deleted: bool = False) -> None:
        """Inserts vectors, or replaces those of labels that are there."""
        if replace_deleted and not self._allow_replace_deleted:
            raise RuntimeError("Replacement of deleted elements is disabled in constructor")
        self._put(data, ids, num_threads if num_threads > 0 else self.num_threads, replace_deleted)

    def knn_query(
        self, data: Any, k: int = 1, num_threads: int = -1, filter: Callable[[int], bool] | None = None
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Finds the k nearest of each query: labels and distances."""
        return self._nearest(data, k, num_threads, filter, ef_search=self.ef)  # type: ignore[no-any-return]

    def set_ef(self, ef: int) -> None:
        """Sets the breadth of searches."""
        self.ef = ef

    def get_items(self, ids: Any = None, return_type: str = "numpy") -> Any:
        """The vectors of labels; of "cosine", normalised."""
        if return_type not in ("numpy", "list"):
            raise ValueError('return_type should be "numpy" or "list"')
        labels = np.asarray([] if ids is None else ids)
        if ids is not None and labels.ndim == 0:
            raise ValueError("ids should be a list of labels")
        try:
            vectors = self._opened().get(labels.reshape(-1).astype(np.uint64))
        except KeyError as error:
            raise RuntimeError("Label not found") from error
        return vectors if return_type == "numpy" else vectors.tolist()

    def get_ids_list(self) -> list[int]:
        """The labels of all elements, with those that are marked as deleted."""
        keys = self._opened().keys()
        return np.where(keys >= _DELETED, keys - np.uint64(_DELETED), keys).tolist()  # type: ignore[no-any-return]

    def mark_deleted(self, label: int) -> None:
        """Leaves an element out of searches from now on."""
        self._move(int(label), _DELETED, "The requested to delete element is already deleted")
        self._deleted.add(int(label))

    def unmark_deleted(self, label: int) -> None:
        """Undoes mark_deleted."""
        if int(label) not in self._deleted:
            raise RuntimeError("The requested to undelete element is not deleted")
        self._move(int(label) + _DELETED, -_DELETED, "Label not found")
        self._deleted.discard(int(label))

    def _move(self, key: int, step: int, message: str) -> None:
        store = self._writable()
        if key not in store:
            raise RuntimeError(message if key in self._deleted else "Label not found")
        store.upsert(store.get(key), key + step)
        store.delete(key)
        self._live = None

    def resize_index(self, new_size: int) -> None:
        """Changes how many elements there may be."""
        if new_size < self.get_current_count():
            raise RuntimeError("Cannot resize, max element is less than the current number of elements")
        self.max_elements = new_size

    def index_file_size(self) -> int:
        """About the bytes that save_index writes."""
        return os.path.getsize(self._opened().path)

    @property
    def M(self) -> int:
        """Neighbours per node on levels above 0."""
        return self._opened().options.M

    @property
    def ef_construction(self) -> int:
        """Candidates considered per insertion."""
        return self._opened().options.ef_construction

    @property
    def element_count(self) -> int:
        """How many elements there are."""
        return self.get_current_count()


class BFIndex(_Base):
    """hnswlib.BFIndex: every search measures every vector."""

    def init_index(self, max_elements: int) -> None:
        """Makes an empty index."""
        self._initiate(max_elements, M=4, ef_construction=8)

    def add_items(self, data: Any, ids: Any = None) -> None:
        """Inserts vectors, or replaces those of labels that are there."""
        self._put(data, ids, self.num_threads)

    def knn_query(
        self, data: Any, k: int = 1, num_threads: int = -1, filter: Union[Callable[[int], bool], None] = None
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Finds the k nearest of each query: labels and distances."""
        return self._nearest(data, k, num_threads, filter, exact=True)  # type: ignore[no-any-return]

    def delete_vector(self, label: int) -> None:
        """Deletes an element."""
        self._writable().delete(int(label), missing="ignore")
