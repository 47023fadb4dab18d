"""Recall against queries per second of rhumb and of the peers that are installed, in one run on one data set.

    python -m rhumb.bench DATA [options]

DATA is an HDF5 file of ann-benchmarks (needs h5py), or the rows of an .npy or .fvecs file; the queries of these are a
file of the same kind, or else rows that are taken out. Peers are hnswlib, faiss, usearch and voyager, as far as Python
can import them.

Each library builds an index of the same rows with the same M and ef_construction, saves it, and is measured on what it
has loaded from that file. Each pass goes through all values of ef, and at each through all libraries, in an order that
rotates from pass to pass, so that other load on the machine affects all alike. The median of the passes counts. All
queries go in one call. Recall is the share of the true k nearest rows that were found.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import index as indexes

_METRICS = {"angular": "cosine", "cosine": "cosine", "euclidean": "l2", "l2": "l2", "ip": "ip"}
_RECALLS = (0.90, 0.95, 0.99)


class Data(NamedTuple):
    """Rows, queries, and the row numbers of their true neighbours, nearest first."""

    name: str
    metric: str
    rows: NDArray[np.float32]
    queries: NDArray[np.float32]
    truth: NDArray[Any]


class Setup(NamedTuple):
    """What all libraries build with."""

    M: int
    ef_construction: int
    threads: int


# ---- data -----------------------------------------------------------------------------------------------------------


def read_rows(path: str) -> NDArray[np.float32]:
    """The rows of an .npy or .fvecs file."""
    if path.endswith(".npy"):
        return np.ascontiguousarray(np.load(path), np.float32)
    if not path.endswith(".fvecs"):
        raise SystemExit(f"{path}: a file named .hdf5, .npy or .fvecs expected")
    words = np.fromfile(path, np.int32)
    width = int(words[0]) + 1 if len(words) else 1
    if width < 2 or len(words) % width or (words[::width] != width - 1).any():
        raise SystemExit(f"{path}: rows of {width - 1} components expected throughout")
    return np.ascontiguousarray(words.reshape(-1, width)[:, 1:]).view(np.float32)


def read_data(arguments: argparse.Namespace) -> Data:
    """The data set that the command line names."""
    name = os.path.splitext(os.path.basename(arguments.data))[0]
    metric = arguments.metric
    if arguments.data.endswith((".hdf5", ".h5")):
        h5py: Any = importlib.import_module("h5py")
        with h5py.File(arguments.data) as file:
            rows, queries = (np.asarray(file[part], np.float32) for part in ("train", "test"))
            truth = np.asarray(file["neighbors"]) if "neighbors" in file else None
            metric = metric or str(file.attrs.get("distance", "euclidean"))
    else:
        rows, truth = read_rows(arguments.data), None
        if arguments.queries:
            queries = read_rows(arguments.queries)
        else:
            chosen = np.random.default_rng(1).permutation(len(rows))
            count = min(arguments.query_count or 1000, len(rows) // 10)
            rows, queries = rows[chosen[count:]], rows[chosen[:count]]
    if arguments.rows and arguments.rows < len(rows):
        rows, truth = rows[: arguments.rows], None
    queries = queries[: arguments.query_count or None]
    metric = metric or "l2"
    if metric not in _METRICS:
        raise SystemExit(f"metric: one of {', '.join(_METRICS)} expected, found {metric!r}")
    if truth is None or truth.shape[1] < arguments.k:
        truth = true_neighbours(rows, queries, _METRICS[metric], arguments.k)
    return Data(name, _METRICS[metric], rows, queries, truth[: len(queries), : arguments.k])


def true_neighbours(rows: Any, queries: Any, metric: str, k: int) -> NDArray[Any]:
    """By an exact search."""
    with tempfile.TemporaryDirectory(prefix="rhumb-bench-") as folder:
        with indexes.create(os.path.join(folder, "exact"), rows.shape[1], metric, M=2, ef_construction=1,
                            codes="none", durability="none") as index:  # fmt: skip
            index.add(rows)
            return np.asarray(index.search(queries, k, exact=True).keys)


# ---- libraries ------------------------------------------------------------------------------------------------------


class Library:
    """A library behind a few calls: build, save, load, search."""

    name = ""
    package = ""  # its name on PyPI

    def __init__(self, data: Data, setup: Setup) -> None:
        self.data, self.setup = data, setup
        self.module: Any = importlib.import_module(self.name)

    def version(self) -> str:
        """Its version, or "" where the package does not say."""
        try:
            return importlib.metadata.version(self.package or self.name)
        except importlib.metadata.PackageNotFoundError:
            return str(getattr(self.module, "__version__", ""))

    def build(self, path: str) -> tuple[float, float]:
        """Builds and saves an index; returns the seconds of each."""
        raise NotImplementedError

    def load(self, path: str) -> None:
        """Loads the index, for searches with the threads of the setup."""
        raise NotImplementedError

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        """A matrix of row numbers."""
        raise NotImplementedError


def _timed(function: Any) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Rhumb(Library):
    name = "rhumb"

    def build(self, path: str) -> tuple[float, float]:
        index = indexes.create(path, self.data.rows.shape[1], self.data.metric, M=self.setup.M,
                               ef_construction=self.setup.ef_construction, durability="none")  # fmt: skip
        return _timed(lambda: index.add(self.data.rows, threads=self.setup.threads)), _timed(index.close)

    def load(self, path: str) -> None:
        self.index = indexes.open(path, read_only=True)

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        return self.index.search(queries, k, ef_search=ef, threads=threads).keys


class Hnswlib(Library):
    name = "hnswlib"

    def _new(self) -> Any:
        return self.module.Index(space=self.data.metric, dim=self.data.rows.shape[1])

    def build(self, path: str) -> tuple[float, float]:
        index = self._new()
        index.init_index(len(self.data.rows), ef_construction=self.setup.ef_construction, M=self.setup.M)
        add = _timed(lambda: index.add_items(self.data.rows, num_threads=self.setup.threads))
        return add, _timed(lambda: index.save_index(path))

    def load(self, path: str) -> None:
        self.index = self._new()
        self.index.load_index(path)

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k, num_threads=threads)[0]


class Faiss(Library):
    name = "faiss"
    package = "faiss-cpu"

    def _prepared(self, rows: Any) -> Any:
        if self.data.metric != "cosine":
            return rows
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)

    def build(self, path: str) -> tuple[float, float]:
        by_l2 = self.data.metric == "l2"
        metric = self.module.METRIC_L2 if by_l2 else self.module.METRIC_INNER_PRODUCT
        index = self.module.IndexHNSWFlat(self.data.rows.shape[1], self.setup.M, metric)
        index.hnsw.efConstruction = self.setup.ef_construction
        self.module.omp_set_num_threads(self.setup.threads)
        add = _timed(lambda: index.add(self._prepared(self.data.rows)))
        return add, _timed(lambda: self.module.write_index(index, path))

    def load(self, path: str) -> None:
        self.index = self.module.read_index(path)

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        self.module.omp_set_num_threads(threads)
        parameters = self.module.SearchParametersHNSW(efSearch=ef)
        return self.index.search(self._prepared(queries), k, params=parameters)[1]


class Usearch(Library):
    name = "usearch"

    def build(self, path: str) -> tuple[float, float]:
        metric = {"l2": "l2sq", "cosine": "cos", "ip": "ip"}[self.data.metric]
        kind = importlib.import_module("usearch.index").Index
        index = kind(ndim=self.data.rows.shape[1], metric=metric, dtype="f32", connectivity=self.setup.M,
                     expansion_add=self.setup.ef_construction)  # fmt: skip
        keys = np.arange(len(self.data.rows))
        add = _timed(lambda: index.add(keys, self.data.rows, threads=self.setup.threads, copy=True))
        return add, _timed(lambda: index.save(path))

    def load(self, path: str) -> None:
        self.index = importlib.import_module("usearch.index").Index.restore(path)

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=threads).keys


class Voyager(Library):
    name = "voyager"

    def build(self, path: str) -> tuple[float, float]:
        space = {"l2": "Euclidean", "cosine": "Cosine", "ip": "InnerProduct"}[self.data.metric]
        index = self.module.Index(getattr(self.module.Space, space), self.data.rows.shape[1], M=self.setup.M,
                                  ef_construction=self.setup.ef_construction)  # fmt: skip
        add = _timed(lambda: index.add_items(self.data.rows, num_threads=self.setup.threads))
        return add, _timed(lambda: index.save(path))

    def load(self, path: str) -> None:
        self.index = self.module.Index.load(path)

    def search(self, queries: Any, k: int, ef: int, threads: int) -> Any:
        return self.index.query(queries, k, num_threads=threads, query_ef=max(ef, k))[0]


LIBRARIES: Sequence[type[Library]] = (Rhumb, Hnswlib, Faiss, Usearch, Voyager)


# ---- measuring and printing -----------------------------------------------------------------------------------------


class Measured:
    """What was measured of a library: of each ef the recall, and seconds of all queries in each pass."""

    def __init__(self, library: Library, folder: str) -> None:
        self.library = library
        path = os.path.join(folder, library.name)
        self.build_s, self.save_s = library.build(path)
        self.file_mb = os.path.getsize(path) / 1e6
        start = time.perf_counter()
        library.load(path)
        library.search(library.data.queries[:1], 1, 10, 1)
        self.open_ms = 1e3 * (time.perf_counter() - start)
        self.recalls: dict[int, float] = {}
        self.seconds: dict[int, list[float]] = {}

    def run(self, k: int, ef: int, threads: int) -> None:
        """One pass at one ef."""
        data = self.library.data
        start = time.perf_counter()
        found = self.library.search(data.queries, k, ef, threads)
        self.seconds.setdefault(ef, []).append(time.perf_counter() - start)
        hits = sum(len(np.intersect1d(row, true)) for row, true in zip(np.asarray(found), data.truth))
        self.recalls[ef] = hits / data.truth.size

    def speed(self, ef: int) -> float:
        """Queries per second."""
        return len(self.library.data.queries) / float(np.median(self.seconds[ef]))

    def speed_at(self, recall: float) -> str:
        """Queries per second at a recall, between two values of ef. ">=": it is higher even at the smallest; "-": it is
        lower even at the largest."""
        efs = sorted(self.recalls)
        if self.recalls[efs[0]] >= recall:
            return f">={self.speed(efs[0]):.0f}"
        for low, high in zip(efs, efs[1:]):
            if self.recalls[high] >= recall:
                share = (recall - self.recalls[low]) / (self.recalls[high] - self.recalls[low])
                return f"{np.exp((1 - share) * np.log(self.speed(low)) + share * np.log(self.speed(high))):.0f}"
        return "-"


def measure(data: Data, setup: Setup, names: Sequence[str], k: int, efs: Sequence[int], passes: int,
            threads: int) -> list[Measured]:  # fmt: skip
    """Builds and measures each library that can be imported; says which cannot."""
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="rhumb-bench-") as folder:
        for kind in LIBRARIES:
            if kind.name not in names:
                continue
            try:
                library = kind(data, setup)
            except ImportError as error:
                print(f"{kind.name} is left out: {error}", file=sys.stderr)
                continue
            measured.append(Measured(library, folder))
        for number in range(passes):
            for ef in efs:
                for i in range(len(measured)):
                    measured[(i + number) % len(measured)].run(k, ef, threads)
    return measured


def table(data: Data, setup: Setup, measured: list[Measured], k: int, efs: Sequence[int], passes: int,
          threads: int) -> str:  # fmt: skip
    """The measurements as text, in the form of bench/ann."""
    names = [each.library.name for each in measured]
    lines = [f"{data.name}: {data.rows.shape[0]} rows of {data.rows.shape[1]}, {data.metric}; "
             f"{len(data.queries)} queries, k {k}, M {setup.M}, ef_construction {setup.ef_construction}, {passes} passes (medians)", "",
             f"queries per second, {threads} thread{'s' if threads > 1 else ''}, all queries in one call", "",
             "      ef" + "".join(f"{name:>11}{'recall':>11}" for name in names)]  # fmt: skip
    for ef in efs:
        lines.append(f"{ef:8}" + "".join(f"{each.speed(ef):11.0f}{each.recalls[ef]:11.4f}" for each in measured))
    lines += ["", "  at recall " + "".join(f"{recall:11.2f}" for recall in _RECALLS)]
    for each in measured:
        lines.append(f"  {each.library.name:10}" + "".join(f"{each.speed_at(recall):>11}" for recall in _RECALLS))
    lines += ["", f"{'':24}{'build s':>10}{'save s':>9}{'file MB':>10}{'open ms':>10}"]
    for each in measured:
        title = f"{each.library.name} {each.library.version()}"
        lines.append(f"  {title:22}{each.build_s:10.1f}{each.save_s:9.2f}{each.file_mb:10.1f}{each.open_ms:10.2f}")
    lines.append(f"  (build on {setup.threads} threads; open: until the first answer, in the same process)")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m rhumb.bench", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("data", help="an .hdf5, .npy or .fvecs file")
    parser.add_argument("--queries", help="queries for an .npy or .fvecs file")
    parser.add_argument("--query-count", type=int, help="use only so many queries")
    parser.add_argument("--rows", type=int, help="use only so many rows")
    parser.add_argument("--metric", help="cosine, l2 or ip; default: what the file says, or l2")
    parser.add_argument("--libs", default=",".join(kind.name for kind in LIBRARIES), help="default: %(default)s")
    parser.add_argument("--m", type=int, default=16, help="neighbours per node (%(default)s)")
    parser.add_argument("--efc", type=int, default=200, help="ef_construction (%(default)s)")
    parser.add_argument("--k", type=int, default=10, help="neighbours asked for (%(default)s)")
    parser.add_argument("--ef", default="10,16,24,32,48,64,96,128,200,400,800", help="default: %(default)s")
    parser.add_argument("--passes", type=int, default=3, help="passes over the queries (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="searching threads (%(default)s)")
    parser.add_argument("--build-threads", type=int, default=os.cpu_count() or 1, help="default: one per processor")
    arguments = parser.parse_args(words)
    names, efs = arguments.libs.split(","), [int(ef) for ef in arguments.ef.split(",")]
    if unknown := set(names) - {kind.name for kind in LIBRARIES}:
        parser.error(f"--libs: there is no {', '.join(sorted(unknown))}")
    data = read_data(arguments)
    setup = Setup(arguments.m, arguments.efc, arguments.build_threads)
    measured = measure(data, setup, names, arguments.k, efs, arguments.passes, arguments.threads)
    print(table(data, setup, measured, arguments.k, efs, arguments.passes, arguments.threads))


if __name__ == "__main__":
    main()
