"""What a search costs through Python, compared with the same search through C (python_calls.c).

    pip install ./bindings/python
    bazel build //bench:python_calls
    python3 bench/python_calls.py .out/bazel-bin/bench/python_calls

C and Python take turns; of each the best pass counts, so that what else the machine does is left out.
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


def main():
    print("nanoseconds per query, best of %d rounds; 500 queries; Python %s, numpy %s\n"
          % (ROUNDS, sys.version.split()[0], np.__version__))  # fmt: skip
    print("vectors   dim   k   ef threads | one query a call: C   Python  difference |"
          " one call for all: C   Python   ratio")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for rows, dim, k, ef, threads in (
            (10, 16, 1, 1, 1), (20000, 96, 10, 64, 1), (20000, 96, 10, 64, 2), (20000, 96, 10, 400, 1),
        ):  # fmt: skip
            one, python_one, many, python_many = measure(sys.argv[1], folder, rows, dim, k, ef, threads)
            print("%7d %5d %3d %4d %7d | %19.0f %8.0f %11.0f | %19.0f %8.0f %7.3f"
                  % (rows, dim, k, ef, threads, one, python_one, python_one - one, many, python_many,
                     python_many / many), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
