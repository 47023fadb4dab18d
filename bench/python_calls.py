"""What a search costs through Python, compared with the same search through C (python_calls.c).

    pip install ./bindings/python
    bazel build //bench:python_calls
    python3 bench/python_calls.py .out/bazel-bin/bench/python_calls
    python3 bench/python_calls.py                                    # only the smallest search, next to others

C and Python take turns; of each the best pass counts, so that what else the machine does is left out. The smallest
search takes turns with the same one in hnswlib, FAISS and USearch, as far as they are installed.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

import rhumb

ROUNDS = 5
SECONDS = 0.5  # per way and round


def best_ns(count, search):
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        search()
        best = min(best, time.perf_counter() - start)
    return 1e9 * best / count


def measure(program, folder, rows, dim, k, ef, threads):
    """Nanoseconds per query, the best of all rounds: C and Python for one query a call, and for all in one."""
    rng = np.random.default_rng(1)
    path, query_path = os.path.join(folder, f"{rows}.rhumb"), os.path.join(folder, "queries")
    with rhumb.create(path, dim, durability="none", exist_ok=True) as index:
        if len(index) == 0:
            index.add(rng.standard_normal((rows, dim), np.float32))
    queries = rng.standard_normal((500, dim), np.float32)
    queries.tofile(query_path)
    command = [program, path, query_path] + [str(number) for number in (dim, k, ef, threads, SECONDS)]
    rounds = []
    with rhumb.open(path, read_only=True) as index:

        def each():
            for query in queries:
                index.search(query, k, ef_search=ef)

        def all_in_one():
            index.search(queries, k, ef_search=ef, threads=threads)

        for _ in range(ROUNDS):
            one, many = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
            rounds.append((one, best_ns(len(queries), each), many, best_ns(len(queries), all_in_one)))
    return np.min(rounds, axis=0)


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
        best = dict.fromkeys(calls, float("inf"))
        for _ in range(2 * ROUNDS):
            for name, call in calls.items():
                ns = best_ns(len(queries), lambda call=call: [call(query) for query in queries])
                best[name] = min(best[name], ns)
    print("\nnanoseconds of one query of k 1 on ten vectors of 16, ef 1 in the peers, by the default of rhumb 64")
    for name, ns in best.items():
        print("  %-55s %6.0f" % (name, ns))


def main():
    print("nanoseconds per query, best of %d rounds; 500 queries; Python %s, numpy %s"
          % (ROUNDS, sys.version.split()[0], np.__version__))  # fmt: skip
    if len(sys.argv) < 2:
        with tempfile.TemporaryDirectory() as folder:
            return compare_smallest(folder)
    print("\nvectors   dim   k   ef threads | one query a call: C   Python  difference |"
          " one call for all: C   Python   ratio")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for rows, dim, k, ef, threads in (
            (10, 16, 1, 1, 1), (20000, 96, 10, 64, 1), (20000, 96, 10, 64, 2), (20000, 96, 10, 400, 1),
        ):  # fmt: skip
            one, python_one, many, python_many = measure(sys.argv[1], folder, rows, dim, k, ef, threads)
            print("%7d %5d %3d %4d %7d | %19.0f %8.0f %11.0f | %19.0f %8.0f %7.3f"
                  % (rows, dim, k, ef, threads, one, python_one, python_one - one, many, python_many,
                     python_many / many), flush=True)  # fmt: skip
        compare_smallest(folder)


if __name__ == "__main__":
    main()
