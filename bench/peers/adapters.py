"""The libraries that are compared, each behind the same few calls.

An adapter builds an index from rows, saves it, loads it in another process, and answers a batch of queries with a
matrix of row numbers. All indexes have up to `degree` neighbours per node on the lowest level, chosen among
`ef_construction` candidates. A library is imported when its adapter is made, so that one that is missing or refuses the
processor ends no process but its own.
"""

import functools
import importlib.metadata
import json
import os
import subprocess

import numpy as np

import rhumb_library


class Adapter:
    """What the adapters share. `setup` is the setup of the worker: see worker.py."""

    PACKAGE = None  # its name in PyPI
    AVX2 = None  # how --simd avx2 limits it; None if it chooses its instructions by the processor alone
    PARALLEL = True  # whether a call can search on several threads
    NOTE = None  # what a reader of the table should know

    def __init__(self, setup, dataset):
        self.setup = setup
        self.dataset = dataset
        self.dim = dataset.rows.shape[1]
        self.degree = setup["degree"]
        self.ef_construction = setup["ef_construction"]

    def version(self):
        return importlib.metadata.version(self.PACKAGE)

    def rows(self):
        return self.dataset.prepared(self.dataset.rows)

    def queries(self):
        return self.dataset.prepared(self.dataset.queries)


class Hnswlib(Adapter):
    PACKAGE = "hnswlib"
    AVX2 = "a copy compiled for x86-64-v3"

    def __init__(self, setup, dataset):
        super().__init__(setup, dataset)
        import hnswlib

        self.index = hnswlib.Index(space="l2", dim=self.dim)

    def build(self, rows, thread_count):
        self.index.init_index(len(rows), M=self.degree // 2, ef_construction=self.ef_construction, random_seed=100)
        self.index.add_items(rows, num_threads=thread_count)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path):
        self.index.load_index(path)

    def search(self, queries, k, ef, thread_count):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=thread_count)[0]


class Faiss(Adapter):
    PACKAGE = "faiss-cpu"
    AVX2 = "FAISS_SIMD_LEVEL=AVX2"

    def __init__(self, setup, dataset):
        super().__init__(setup, dataset)
        import faiss

        self.faiss = faiss
        self.index = faiss.IndexHNSWFlat(self.dim, self.degree // 2)

    def build(self, rows, thread_count):
        self.faiss.omp_set_num_threads(thread_count)
        self.index.hnsw.efConstruction = self.ef_construction
        self.index.add(rows)

    def save(self, path):
        self.faiss.write_index(self.index, path)

    def load(self, path):
        self.index = self.faiss.read_index(path)

    def search(self, queries, k, ef, thread_count):
        self.faiss.omp_set_num_threads(thread_count)
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, k)[1]


class Usearch(Adapter):
    PACKAGE = "usearch"

    def __init__(self, setup, dataset):
        super().__init__(setup, dataset)
        from usearch.index import Index

        self.index = Index(
            ndim=self.dim,
            metric="l2sq",
            dtype="f32",
            connectivity=self.degree // 2,
            expansion_add=self.ef_construction,
        )

    def build(self, rows, thread_count):
        self.index.add(np.arange(len(rows)), rows, threads=thread_count)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index.load(path)

    def search(self, queries, k, ef, thread_count):
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=thread_count).keys


class Vsag(Adapter):
    """hgraph on 8-bit codes, with the rows themselves for the final order."""

    PACKAGE = "pyvsag"
    PARALLEL = False
    NOTE = "called once per query, as it has no call for many; on one thread only, as a call holds Python's lock"

    def __init__(self, setup, dataset):
        super().__init__(setup, dataset)
        import pyvsag

        pyvsag.set_logger_off()
        options = {
            "base_quantization_type": "sq8",
            "use_reorder": True,
            "precise_quantization_type": "fp32",
            "max_degree": self.degree,
            "ef_construction": self.ef_construction,
            "build_thread_count": setup["build_thread_count"],
        }
        kind = {"dtype": "float32", "metric_type": "l2", "dim": self.dim, "index_param": options}
        self.index = pyvsag.Index("hgraph", json.dumps(kind))

    def build(self, rows, thread_count):
        self.index.build(vectors=rows, ids=np.arange(len(rows)), num_elements=len(rows), dim=self.dim)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index.load(path)

    def search(self, queries, k, ef, thread_count):
        parameters = json.dumps({"hgraph": {"ef_search": ef}})
        return np.stack([self.index.knn_search(vector=query, k=k, parameters=parameters)[0] for query in queries])


class Svs(Adapter):
    """Vamana; `codec` is "f32", "lvq8", "lvq4x8" or "leanvec"."""

    PACKAGE = "scalable-vs"

    def __init__(self, setup, dataset, codec):
        super().__init__(setup, dataset)
        import svs

        self.svs = svs
        self.codec = codec
        self.index = None

    def _compressed(self, rows):
        """The rows in the codec, by way of a file, which is the only way in."""
        path = os.path.join(self.setup["scratch"], "rows.fvecs")
        self.svs.write_vecs(rows, path)
        source = self.svs.VectorDataLoader(path, self.svs.DataType.float32, dims=self.dim)
        if self.codec == "lvq8":
            return self.svs.LVQLoader(source, primary=8)
        if self.codec == "lvq4x8":
            return self.svs.LVQLoader(source, primary=4, residual=8)
        quarter = max(64, round(self.dim / 4 / 32) * 32)  # of the dimensions, in whole blocks of 32
        kinds = {"primary_kind": self.svs.LeanVecKind.lvq4, "secondary_kind": self.svs.LeanVecKind.lvq8}
        return self.svs.LeanVecLoader(source, min(quarter, self.dim), **kinds)

    def _built(self, rows, thread_count):
        parameters = self.svs.VamanaBuildParameters(
            alpha=1.2, graph_max_degree=self.degree, window_size=self.ef_construction
        )
        data = rows if self.codec == "f32" else self._compressed(rows)
        return self.svs.Vamana.build(parameters, data, self.svs.DistanceType.L2, num_threads=thread_count)

    def build(self, rows, thread_count):
        rows = np.asarray(rows)
        if self.codec != "f32":
            self._built(rows[:1000], thread_count)  # where it refuses the processor it ends the process, best at once
        self.index = self._built(rows, thread_count)

    def save(self, path):
        os.makedirs(path)
        self.index.save(*(os.path.join(path, part) for part in ("config", "graph", "data")))

    def load(self, path):
        config, graph, data = (os.path.join(path, part) for part in ("config", "graph", "data"))
        if self.codec == "f32":
            loader = self.svs.VectorDataLoader(data, self.svs.DataType.float32)
        else:
            loader = (self.svs.LeanVecLoader if self.codec == "leanvec" else self.svs.LVQLoader)(data)
        self.index = self.svs.Vamana(config, self.svs.GraphLoader(graph), loader, self.svs.DistanceType.L2)

    def search(self, queries, k, ef, thread_count):
        self.index.num_threads = thread_count
        self.index.search_window_size = ef
        return self.index.search(queries, k)[0]


class Symqg(Adapter):
    """SymphonyQG of rabitqlib; rows as they are (`bits` 0) or in codes of as many bits."""

    PACKAGE = "rabitqlib"

    def __init__(self, setup, dataset, bits):
        super().__init__(setup, dataset)
        import rabitqlib

        self.rabitqlib = rabitqlib
        self.index = rabitqlib.SymqgIndex(self.dim, self.degree, "l2", bits)

    def build(self, rows, thread_count):
        self.index.build(rows, self.ef_construction, thread_count)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        self.index = self.rabitqlib.SymqgIndex.load(path)

    def search(self, queries, k, ef, thread_count):
        return self.index.search_batch(queries, k, ef, thread_count)[0]


class Rhumb(Adapter):
    """Built by the tool, with the arguments setup["build_arguments"] in addition; searched through the C interface. The
    argument --compacted is not the tool's: the index is compacted into its file afterwards."""

    AVX2 = "RHUMB_SIMD=avx2"

    def __init__(self, setup, dataset):
        super().__init__(setup, dataset)
        self.library = rhumb_library.Library(setup["library"])
        self.index = None

    def version(self):
        return self.library.version()

    def rows(self):
        return None  # the tool reads them from the file

    def queries(self):
        return self.dataset.queries  # as they are: under cosine, rhumb scales them within the time measured

    def run(self, command, *arguments):
        whole = [self.setup["tool"], command, *arguments, "--quiet"]
        run = subprocess.run(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
        if run.returncode != 0:
            raise SystemExit(run.stderr.strip() or f"rhumb {command}: exit code {run.returncode}")

    def build(self, rows, thread_count):
        path = self.setup["path"]
        arguments = [argument for argument in self.setup["build_arguments"] if argument != "--compacted"]
        is_compacted = "--compacted" in self.setup["build_arguments"]
        built = path + "-built" if is_compacted else path
        arguments += ["--M", str(self.degree // 2), "--ef-construction", str(self.ef_construction)]
        self.run("build", built, self.dataset.path, "--threads", str(thread_count), *arguments)
        if is_compacted:
            self.run("compact", built, "--into", path, "--threads", str(thread_count))
            os.remove(built)

    def save(self, path):
        pass  # the tool has written it

    def load(self, path):
        self.index = self.library.open(path)

    def search(self, queries, k, ef, thread_count):
        return self.library.search(self.index, queries, k, ef, thread_count)


class Exact(Adapter):
    """Measures every row with numpy: the speed that an index has to beat, and a check of the comparison itself."""

    PACKAGE = "numpy"
    PARALLEL = False
    NOTE = "measures every row; on one thread or more, as numpy decides"
    BLOCK_QUERIES = 64

    def build(self, rows, thread_count):
        self.vectors = rows

    def save(self, path):
        with open(path, "wb") as file:
            np.save(file, self.vectors)

    def load(self, path):
        self.vectors = np.load(path)

    def search(self, queries, k, ef, thread_count):
        norms = np.einsum("ij,ij->i", self.vectors, self.vectors)
        ids = np.empty((len(queries), k), dtype=np.int64)
        for first in range(0, len(queries), self.BLOCK_QUERIES):
            part = slice(first, first + self.BLOCK_QUERIES)
            distances = norms - 2 * (queries[part] @ self.vectors.T)
            ids[part] = np.argpartition(distances, k - 1, axis=1)[:, :k]
        return ids


ADAPTERS = {
    "exact": Exact,
    "rhumb": Rhumb,
    "hnswlib": Hnswlib,
    "faiss": Faiss,
    "usearch": Usearch,
    "vsag": Vsag,
    "svs-f32": functools.partial(Svs, codec="f32"),
    "svs-lvq8": functools.partial(Svs, codec="lvq8"),
    "svs-lvq4x8": functools.partial(Svs, codec="lvq4x8"),
    "svs-leanvec": functools.partial(Svs, codec="leanvec"),
    "symqg": functools.partial(Symqg, bits=0),
    "symqg-8bit": functools.partial(Symqg, bits=8),
}
