"""A transformer for scikit-learn, in place of KNeighborsTransformer. Needs scikit-learn.

    make_pipeline(RhumbTransformer(n_neighbors=15), SpectralClustering(affinity="precomputed_nearest_neighbors"))
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from scipy import sparse  # type: ignore[import-untyped, import-not-found, unused-ignore]
from sklearn import base  # type: ignore[import-untyped, import-not-found, unused-ignore]
from sklearn.utils import validation  # type: ignore[import-untyped, import-not-found, unused-ignore]

from .. import index as indexes
from ..index import Index

_MODES = ("distance", "connectivity")


class RhumbTransformer(
    base.ClassNamePrefixFeaturesOutMixin, base.TransformerMixin, base.BaseEstimator  # type: ignore[misc, unused-ignore]
):
    """Transforms vectors into the graph of their nearest neighbours among those that it was fitted with.

    The result is what estimators with ``metric="precomputed"`` expect, and what KNeighborsTransformer gives: a CSR
    matrix with a row per query, whose entries are in the order of distance. In mode "distance" there is one neighbour
    more than `n_neighbors`, since a vector that it was fitted with finds itself; in mode "connectivity" the entries
    are 1.

    `metric` is one of rhumb_types.h, such as "euclidean", "cosine" or "l1"; vectors are kept as f32, or as f64 with
    ``dtype="f64"``. `ef_search` is the breadth of searches, `n_jobs` the number of threads; None and -1 are all
    processors. With `path` the index is a file that stays; otherwise it is temporary, and pickles of the transformer
    contain it.
    """

    def __init__(
        self, n_neighbors: int = 5, *, mode: str = "distance", metric: str = "euclidean", dtype: str = "f32",
        M: int = 16, ef_construction: int = 200, ef_search: int | None = None, n_jobs: int | None = None,
        path: str | None = None,
    ) -> None:  # fmt: skip
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.dtype = dtype
        self.M = M
        self.ef_construction = ef_construction
        self.ef_search = ef_search
        self.n_jobs = n_jobs
        self.path = path

    def fit(self, X: Any, y: Any = None) -> RhumbTransformer:
        """Builds the index of the rows of X; what was fitted before is dropped."""
        if self.mode not in _MODES:
            raise ValueError(f"mode: one of {_MODES} expected, found {self.mode!r}")
        if self.n_neighbors < 1:
            raise ValueError(f"n_neighbors: at least 1 expected, found {self.n_neighbors!r}")
        X = self._rows(X, reset=True)
        self._release()
        if self.path is None:
            self._make_folder()
        elif os.path.exists(self.path):
            os.remove(self.path)
        self.n_samples_fit_ = X.shape[0]
        options: dict[str, Any] = {"M": self.M, "ef_construction": self.ef_construction, "durability": "none"}
        with indexes.create(self._file, X.shape[1], self.metric, self.dtype, **options) as index:
            index.add(X, threads=self._threads())
        self._index = indexes.open(self._file, read_only=True)
        return self

    def transform(self, X: Any) -> Any:
        """The graph of the rows of X, as a matrix of shape (rows, rows that it was fitted with)."""
        validation.check_is_fitted(self, "n_samples_fit_")
        X = self._rows(X, reset=False)
        k = self.n_neighbors + (self.mode == "distance")
        if k > self.n_samples_fit_:
            raise ValueError(f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = "
                             f"{self.n_samples_fit_}, n_samples = {X.shape[0]}")  # fmt: skip
        found = self._index.search(X, k, ef_search=self.ef_search, threads=self._threads())
        keys, distances = found
        short = np.flatnonzero(np.asarray(found.counts) < k)
        if len(short):  # a graph that does not lead to so many
            keys[short], distances[short] = self._index.search(X[short], k, exact=True, threads=self._threads())
        values = distances.astype(X.dtype) if self.mode == "distance" else np.ones(keys.shape, X.dtype)
        starts = np.arange(0, keys.size + 1, k)
        shape = (X.shape[0], self.n_samples_fit_)
        return sparse.csr_matrix((values.ravel(), keys.astype(np.int64).ravel(), starts), shape=shape)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fits, and returns the graph of the rows that it was fitted with."""
        return self.fit(X).transform(X)

    def _rows(self, X: Any, reset: bool) -> Any:
        return validation.validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=reset)

    def _threads(self) -> int:
        return 0 if self.n_jobs is None or self.n_jobs < 0 else self.n_jobs

    @property
    def _n_features_out(self) -> int:
        return int(self.n_samples_fit_)

    # ---- the file ---------------------------------------------------------------------------------------------------

    @property
    def _file(self) -> str:
        return self.path if self.path is not None else os.path.join(self._folder.name, "index.rhumb")

    def _make_folder(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rhumb-")

    def _release(self) -> None:
        index: Index | None = self.__dict__.pop("_index", None)
        if index is not None:
            index.close()
        folder = self.__dict__.pop("_folder", None)
        if folder is not None:
            folder.cleanup()

    def __getstate__(self) -> Any:
        state = dict(super().__getstate__())
        state.pop("_index", None)
        if state.pop("_folder", None) is not None:
            with open(self._file, "rb") as file:
                state["_content"] = file.read()
        return state

    def __setstate__(self, state: Any) -> None:
        content = state.pop("_content", None)
        super().__setstate__(state)
        if content is not None:
            self._make_folder()
            with open(self._file, "wb") as file:
                file.write(content)
        if hasattr(self, "n_samples_fit_"):
            self._index = indexes.open(self._file, read_only=True)

    def __del__(self) -> None:
        self._release()
