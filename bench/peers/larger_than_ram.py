#!/usr/bin/env python3
"""DiskANN in a limited memory, for comparison with bench/larger_than_ram.

    larger_than_ram.py build  DATA.hdf5 DIR [--degree 64] [--complexity 100] [--chunks 48]
    larger_than_ram.py search DATA.hdf5 DIR [--complexities 20,40,...] [--beam 8] [--cache 0] [--threads 1]

`search` is to run under bench/under_limit.sh with the page cache dropped, as larger_than_ram is, and does the same:
the first queries are not timed, recall is that of the 10 nearest, and pages are what the process has had read. It needs
diskannpy-rust and h5py in its environment (bench/peers/setup.sh). Vectors of an angular data set are scaled to length
1, which makes the euclidean distance equivalent.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

K = 10


def unit_rows(rows, is_angular):
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True) if is_angular else rows


def bytes_read():
    with open("/proc/self/io", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("read_bytes:")).split()[1])


def build(arguments):
    import diskannpy

    with h5py.File(arguments.data) as data:
        rows = unit_rows(data["train"][:], data.attrs["distance"] == "angular")
    os.makedirs(arguments.folder, exist_ok=True)
    begun = time.monotonic()
    diskannpy.build_disk_index(
        data=rows,
        distance_metric="l2",
        index_directory=arguments.folder,
        complexity=arguments.complexity,
        graph_degree=arguments.degree,
        build_memory_maximum=8.0,
        num_threads=0,
        num_of_pq_chunks=arguments.chunks,
    )
    files = [os.path.join(arguments.folder, name) for name in os.listdir(arguments.folder)]
    print(f"built in {time.monotonic() - begun:.0f} s, {sum(map(os.path.getsize, files)) / 1e6:.1f} MB")


class Searches:
    """The queries after the first ones, on some threads."""

    def __init__(self, index, queries, truth):
        self.index, self.queries, self.truth = index, queries, truth

    def one(self, i, complexity):
        begun = time.perf_counter()
        found = self.index.search(self.queries[i], k_neighbors=K, complexity=complexity).identifiers
        return time.perf_counter() - begun, len(set(map(int, found)) & self.truth[i])

    def run(self, numbers, complexity, threads):
        before, begun = bytes_read(), time.perf_counter()
        if threads == 1:
            results = [self.one(i, complexity) for i in numbers]
        else:
            with ThreadPoolExecutor(threads) as pool:
                results = list(pool.map(lambda i: self.one(i, complexity), numbers))
        seconds = time.perf_counter() - begun
        times = sorted(1e3 * result[0] for result in results)
        recall = sum(result[1] for result in results) / (K * len(results))
        pages = (bytes_read() - before) / 4096 / len(results)
        return recall, len(results) / seconds, times[len(times) // 2], times[int(0.99 * len(times))], pages


def search(arguments):
    import diskannpy

    with h5py.File(arguments.data) as data:
        queries = unit_rows(data["test"][:], data.attrs["distance"] == "angular")
        truth = [set(map(int, row[:K])) for row in data["neighbors"][:]]
    index = diskannpy.StaticDiskIndex(
        index_directory=arguments.folder,
        num_threads=arguments.threads,
        beam_width=arguments.beam,
        num_nodes_to_cache=arguments.cache,
        distance_metric="l2",
        vector_dtype=np.float32,
        dimensions=queries.shape[1],
    )
    searches = Searches(index, queries, truth)
    complexities = [int(text) for text in arguments.complexities.split(",")]
    searches.run(range(arguments.queries), complexities[len(complexities) // 2], 1)
    numbers = range(arguments.queries, 2 * arguments.queries)
    print(f"DiskANN, beam {arguments.beam}, {arguments.cache} nodes cached, {arguments.threads} threads")
    print(f"{'L':>6} {'recall':>9} {'queries/s':>11} {'p50, ms':>9} {'p99, ms':>9} {'pages read':>11}")
    for complexity in complexities:
        recall, speed, median, p99, pages = searches.run(numbers, complexity, arguments.threads)
        print(f"{complexity:>6} {recall:>9.4f} {speed:>11.1f} {median:>9.3f} {p99:>9.3f} {pages:>11.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["build", "search"])
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("--degree", type=int, default=64)
    parser.add_argument("--complexity", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=48)
    parser.add_argument("--complexities", default="20,40,60,80,120,160")
    parser.add_argument("--beam", type=int, default=8)
    parser.add_argument("--cache", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--queries", type=int, default=2000)
    arguments = parser.parse_args()
    build(arguments) if arguments.what == "build" else search(arguments)


if __name__ == "__main__":
    main()
