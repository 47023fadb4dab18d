#!/usr/bin/env python3
"""Other libraries in a limited memory, for comparison with bench/larger_than_ram.

    larger_than_ram.py build  LIBRARY DATA.hdf5 DIR
    larger_than_ram.py search LIBRARY DATA.hdf5 DIR [--efforts 20,40,...] [--threads 1] [--json FILE]

LIBRARY is one of mapped.py: diskann, faiss-hnsw, faiss-ivf, usearch or hnswlib. `search` is to run under
bench/under_limit.sh with the page cache dropped, as larger_than_ram is, and does the same: the first queries are not
timed, recall is that of the 10 nearest, and pages are what the process has had read. It needs the libraries and h5py in
its environment (bench/peers/setup.sh). Vectors of an angular data set are scaled to length 1, which makes the euclidean
distance equivalent.
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

import mapped

K = 10


def unit_rows(rows, is_angular):
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if is_angular else rows


def bytes_read():
    with open("/proc/self/io", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("read_bytes:")).split()[1])


def build(library, arguments):
    with h5py.File(arguments.data) as data:
        rows = unit_rows(data["train"][:], data.attrs["distance"] == "angular")
    os.makedirs(arguments.folder, exist_ok=True)
    begun = time.monotonic()
    library.build(rows, arguments.folder)
    files = [os.path.join(arguments.folder, name) for name in os.listdir(arguments.folder)]
    print(f"built in {time.monotonic() - begun:.0f} s, {sum(map(os.path.getsize, files)) / 1e6:.1f} MB")


class Searches:
    """The queries after the first ones, on some threads."""

    def __init__(self, index, queries, truth):
        self.index, self.queries, self.truth = index, queries, truth

    def one(self, i):
        begun = time.perf_counter()
        found = self.index.search(self.queries[i], K)
        return time.perf_counter() - begun, len(set(map(int, found)) & self.truth[i])

    def run(self, numbers, effort, threads):
        self.index.set_effort(effort)
        before, begun = bytes_read(), time.perf_counter()
        if threads == 1:
            results = [self.one(i) for i in numbers]
        else:
            with ThreadPoolExecutor(threads) as pool:
                results = list(pool.map(self.one, numbers))
        seconds = time.perf_counter() - begun
        times = sorted(1e3 * result[0] for result in results)
        return {
            "threads": threads,
            "ef": effort,
            "recall": sum(result[1] for result in results) / (K * len(results)),
            "queries_per_second": len(results) / seconds,
            "median_ms": times[len(times) // 2],
            "p99_ms": times[int(0.99 * len(times))],
            "pages_read": (bytes_read() - before) / 4096 / len(results),
        }


def search(library, arguments):
    with h5py.File(arguments.data) as data:
        queries = unit_rows(data["test"][: 2 * arguments.queries], data.attrs["distance"] == "angular")
        truth = [set(map(int, row)) for row in data["neighbors"][: 2 * arguments.queries, :K]]
    begun = time.perf_counter()
    searches = Searches(library.open(arguments.folder, queries.shape[1], arguments.threads), queries, truth)
    opened = time.perf_counter() - begun
    efforts = [int(text) for text in arguments.efforts.split(",")] if arguments.efforts else library.EFFORTS
    half = len(queries) // 2
    searches.run(range(half), efforts[len(efforts) // 2], 1)
    print(f"{arguments.library}, {library.ABOUT}, {arguments.threads} threads; opened in {opened:.2f} s")
    print(f"{'effort':>6} {'recall':>9} {'queries/s':>11} {'p50, ms':>9} {'p99, ms':>9} {'pages read':>11}")
    points = []
    for effort in efforts:
        point = searches.run(range(half, 2 * half), effort, arguments.threads)
        points.append(point)
        print(
            f"{effort:>6} {point['recall']:>9.4f} {point['queries_per_second']:>11.1f} {point['median_ms']:>9.3f} "
            f"{point['p99_ms']:>9.3f} {point['pages_read']:>11.1f}",
            flush=True,
        )
        if arguments.json:  # after each point: what a limit kills later has been measured
            with open(arguments.json, "w", encoding="utf-8") as file:
                json.dump({"points": points}, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["build", "search"])
    parser.add_argument("library", choices=list(mapped.LIBRARIES))
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("--efforts", help="what the library calls ef, complexity, or probes; default: its own list")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--queries", type=int, default=2000, help="timed ones, after as many others")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    library = mapped.LIBRARIES[arguments.library]
    build(library, arguments) if arguments.what == "build" else search(library, arguments)


if __name__ == "__main__":
    main()
