"""rhumb for ann-benchmarks: copy this folder to ann_benchmarks/algorithms/rhumb there.

`method_param` has M, efConstruction, and any further option of rhumb.create, such as codes and fused. The index is a
file, built with all processors, closed, and opened read-only for the queries.
"""

import os
import tempfile

import numpy as np
import rhumb

from ..base.module import BaseANN

METRICS = {"angular": ("cosine", "f32"), "euclidean": ("l2", "f32"), "hamming": ("hamming", "b1")}


class Rhumb(BaseANN):
    def __init__(self, metric, method_param):
        self.metric, self.dtype = METRICS[metric]
        self.options = dict(method_param)
        self.options["ef_construction"] = self.options.pop("efConstruction")
        self.ef_search = None
        self.name = f"rhumb ({method_param})"

    def fit(self, X):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "index.rhumb")
        X = np.ascontiguousarray(X, bool if self.dtype == "b1" else np.float32)
        with rhumb.create(path, X.shape[1], self.metric, self.dtype, durability="none", **self.options) as index:
            index.add(X)
        self.index = rhumb.open(path, read_only=True)

    def set_query_arguments(self, ef):
        self.ef_search = ef
        self.name = f"rhumb ({self.options}, ef {ef})"

    def query(self, v, n):
        return self.index.search(v, n, ef_search=self.ef_search).keys

    def batch_query(self, X, n):
        self.res = self.index.search(X, n, ef_search=self.ef_search)

    def get_batch_results(self):
        return [keys[:count] for keys, count in zip(self.res.keys, self.res.counts)]

    def get_additional(self):
        return {"file_bytes": self.index.stats.file_bytes}

    def done(self):
        self.index.close()
        self.folder.cleanup()
