"""What a search costs through Python, compared with the same search through C (python_calls.c).

    pip install ./bindings/python
    bazel build //bench:python_calls
    python3 bench/python_calls.py .out/bazel-bin/bench/python_calls
    python3 bench/python_calls.py                                    # only the smallest search, next to others

C and Python take turns, a pass over all queries each. Shown are the best pass of each, and the median of what Python
takes more than the pass of C before it: what else the machine does meets both, and few pairs differ by it. The smallest
search takes turns with the same one in hnswlib, FAISS and USearch, as far as they are installed.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import rhumb

QUERY_COUNT = 500
ROUNDS_MIN = 20
SECONDS = 12  # for each row of the table


def pass_ns(count, search):
    """Nanoseconds per query of one pass over `count` queries."""
    start = time.perf_counter_ns()
    search()
    return (time.perf_counter_ns() - start) / count


class Passes:
    """Passes of the C program."""

    def __init__(self, *command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ns(self, way):
        self.process.stdin.write(way + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self):
        self.process.communicate()


def measure(program, folder, rows, dim, k, ef, threads):
    """Nanoseconds per query of many passes: C and Python for one query a call, and for all in one; a column each."""
    rng = np.random.default_rng(1)
    path, query_path = os.path.join(folder, f"{rows}.rhumb"), os.path.join(folder, "queries")
    with rhumb.create(path, dim, durability="none", exist_ok=True) as index:
        if len(index) == 0:
            index.add(rng.standard_normal((rows, dim), np.float32))
    queries = rng.standard_normal((QUERY_COUNT, dim), np.float32)
    queries.tofile(query_path)
    passes = Passes(program, path, query_path, *(str(number) for number in (dim, k, ef, threads)))
    with rhumb.open(path, read_only=True) as index:

        def each():
            for query in queries:
                index.search(query, k, ef_search=ef)

        def all_in_one():
            index.search(queries, k, ef_search=ef, threads=threads)

        rounds, end = [], time.perf_counter() + SECONDS
        while len(rounds) < ROUNDS_MIN or time.perf_counter() < end:
            rounds.append((passes.ns("one"), pass_ns(QUERY_COUNT, each),
                           passes.ns("all"), pass_ns(QUERY_COUNT, all_in_one)))  # fmt: skip
    passes.end()
    return np.array(rounds[1:])


def hnswlib_calls(rows):
    """Searches for one query in an index of rows, by what they are called as. One thread, ef 1."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=rows.shape[1])
    index.init_index(len(rows))
    index.add_items(rows)
    index.set_ef(1)
    return {
        "hnswlib   index.knn_query(query, k=1, num_threads=1)":
            lambda query: index.knn_query(query, k=1, num_threads=1),
        "hnswlib   index.knn_query(query, 1)": lambda query: index.knn_query(query, 1),
    }  # fmt: skip


def faiss_calls(rows):
    """The same of FAISS, which takes matrices."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(rows.shape[1], 16)
    index.add(rows)
    index.hnsw.efSearch = 1
    return {"faiss     index.search(query[None], 1)": lambda query: index.search(query[None], 1)}


def usearch_calls(rows):
    """The same of USearch."""
    from usearch.index import Index

    index = Index(ndim=rows.shape[1], metric="l2sq", dtype="f32", expansion_search=1)
    index.add(np.arange(len(rows)), rows)
    return {"usearch   index.search(query, 1, threads=1)": lambda query: index.search(query, 1, threads=1)}


def compare_smallest(folder):
    """One query of k 1 on ten vectors, one call for each: rhumb and its peers in turns."""
    rng = np.random.default_rng(1)
    rows, queries = rng.standard_normal((10, 16), np.float32), rng.standard_normal((500, 16), np.float32)
    peers = {}
    for name, make in (("hnswlib", hnswlib_calls), ("faiss", faiss_calls), ("usearch", usearch_calls)):
        try:
            peers |= make(rows)
        except ImportError:
            print(f"\n{name} is not installed")
    with rhumb.create(os.path.join(folder, "ten.rhumb"), 16, durability="none") as index:
        index.add(rows)
        calls = {
            "rhumb     index.search(query, 1, ef_search=1)": lambda query: index.search(query, 1, ef_search=1),
            "rhumb     index.search(query, 1)": lambda query: index.search(query, 1),
        } | peers
        found = {name: [] for name in calls}
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            for name, call in calls.items():
                found[name].append(pass_ns(len(queries), lambda call=call: [call(query) for query in queries]))
    print("\nnanoseconds of one query of k 1 on ten vectors of 16, ef 1 in the peers, by the default of rhumb 64")
    print("  %-55s %6s %6s" % ("", "best", "median"))
    for name, ns in found.items():
        print("  %-55s %6.0f %6.0f" % (name, min(ns), np.median(ns)))


def main():
    print("nanoseconds per query, passes over %d queries in turn; Python %s, numpy %s"
          % (QUERY_COUNT, sys.version.split()[0], np.__version__))  # fmt: skip
    if len(sys.argv) < 2:
        with tempfile.TemporaryDirectory() as folder:
            return compare_smallest(folder)
    print("\nvectors   dim   k   ef threads | one query a call: C   Python  more |"
          " one call for all: C   Python   ratio, quartiles")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for rows, dim, k, ef, threads in (
            (10, 16, 1, 1, 1), (20000, 96, 10, 64, 1), (20000, 96, 10, 64, 2), (20000, 96, 10, 400, 1),
        ):  # fmt: skip
            passes = measure(sys.argv[1], folder, rows, dim, k, ef, threads)
            one, python_one, many, python_many = passes.min(axis=0)
            low, ratio, high = np.percentile(passes[:, 3] / passes[:, 2], (25, 50, 75))
            print("%7d %5d %3d %4d %7d | %19.0f %8.0f %5.0f | %19.0f %8.0f   %5.3f, %5.3f to %5.3f"
                  % (rows, dim, k, ef, threads, one, python_one, np.median(passes[:, 1] - passes[:, 0]), many,
                     python_many, ratio, low, high), flush=True)  # fmt: skip
        compare_smallest(folder)


if __name__ == "__main__":
    main()
