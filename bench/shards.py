#!/usr/bin/python3
"""What splitting an index into shards costs and gains: recall against work, and building by many workers.

    bazel build //bindings/python:package
    PYTHONPATH=... bench/shards.py --data FILE.hdf5 --dir DIR [recall] [build] [--rows N] [--queries N] [--shards 1,2,4,8]

FILE is an HDF5 file of ann-benchmarks, made by datasets.py; rows of angular ones are divided by their length, which
gives the same order under l2. DIR receives indexes, which are removed.

`recall` counts distances: the metric is a C function of this program's own, compiled here, that counts its calls, so
the figures do not depend on the machine or on what else runs on it. An index with a metric of its own has no codes, and
every step of a walk is a distance between vectors. `build` takes the CPU seconds that each shard cost, with one worker
of one thread, with codes as is the default; the makespan of several workers is simulated from these: each next shard
goes to the worker that is free first, the largest first. What reads and hashes for all workers is not in it.
"""

import argparse
import ctypes
import heapq
import os
import platform
import shutil
import subprocess
import tempfile

import h5py
import numpy as np

import rhumb
import rhumb.shards

K = 10
EF_SEARCH = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768)
WORKER_COUNT_MAX = 16

COUNTING = r"""
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
static _Thread_local uint64_t *mine;
static struct { _Alignas(64) uint64_t count; } counts[4096];
static int used;
float counting_l2(const void *a, const void *b, uint32_t dim, void *context) {
    const float *x = a, *y = b;
    float sum = 0;
    (void)context;
    if (mine == 0) mine = &counts[__atomic_fetch_add(&used, 1, __ATOMIC_RELAXED) % 4096].count;
    ++*mine;
    for (uint32_t i = 0; i < dim; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrtf(sum);
}
uint64_t counting_take(void) {
    uint64_t total = 0;
    for (int i = 0; i < 4096; i++) {
        total += counts[i].count;
        counts[i].count = 0;
    }
    return total;
}
"""


def counting_metric(folder):
    """The metric, and a function that returns how many distances were measured since its last call."""
    source, library = os.path.join(folder, "counting.c"), os.path.join(folder, "counting.so")
    with open(source, "w") as file:
        file.write(COUNTING)
    subprocess.run(
        ["cc", "-O3", "-march=native", "-ffast-math", "-shared", "-fPIC", "-o", library, source, "-lm"], check=True
    )
    loaded = ctypes.CDLL(library)
    loaded.counting_take.restype = ctypes.c_uint64
    kind = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
    return kind(("counting_l2", loaded)), loaded.counting_take


def recall(arguments, train, queries, truth, folder):
    """Recall and distances a query of searches of 1, 2, 4... shards; and of inserting one vector."""
    metric, take = counting_metric(folder)
    curves = {}
    print(f"\nrecall@{K} against distances a query, all shards together; ef is that of each shard")
    print(f"{'shards':>6} {'ef':>5} {'recall':>8} {'distances':>10}")
    for count in arguments.shards:
        path = os.path.join(folder, f"recall-{count}")
        options = {"custom_name": "counting_l2", "custom_distance": metric, "durability": "none"}
        with rhumb.shards.create(path, train.shape[1], "custom", shards=count, **options) as shards:
            take()
            shards.add(train)
            built = take() / len(train)
            curves[count] = []
            for ef in EF_SEARCH:
                found = shards.search(queries, K, ef_search=ef)
                curves[count].append((take() / len(queries), found.recall(truth)))
                print(f"{count:6} {ef:5} {curves[count][-1][1]:8.4f} {curves[count][-1][0]:10.1f}", flush=True)
            print(f"{count:6} distances for each vector that was inserted: {built:.1f}")
        shutil.rmtree(path)
    print("\ndistances a query at equal recall, interpolated, and how many times those of one index")
    levels = (0.9, 0.95, 0.98, 0.99, 0.995)
    print(f"{'shards':>6} " + " ".join(f"{level:>16}" for level in levels))
    for count, curve in curves.items():
        cells = []
        for level in levels:
            mine, one = distances_at(curve, level), distances_at(curves[arguments.shards[0]], level)
            cells.append(f"{mine:9.1f} {mine / one:5.2f} x" if mine and one else f"{'-':>16}")
        print(f"{count:6} " + " ".join(f"{cell:>16}" for cell in cells))
    print("\nrecall at equal distances a query, interpolated")
    works = (300, 500, 1000, 2000, 4000)
    print(f"{'shards':>6} " + " ".join(f"{work:>8}" for work in works))
    for count, curve in curves.items():
        print(f"{count:6} " + " ".join(recall_at(curve, work) for work in works))


def distances_at(curve, level):
    """How many distances a recall takes, between two points of a curve; None if it does not reach it."""
    for (work, recall), (next_work, next_recall) in zip(curve, curve[1:]):
        if recall <= level <= next_recall:
            return work + (next_work - work) * (level - recall) / max(next_recall - recall, 1e-9)
    return None


def recall_at(curve, work):
    """The recall that a number of distances gives, between two points of a curve."""
    if not curve[0][0] <= work <= curve[-1][0]:
        return f"{'-':>8}"
    return f"{np.interp(work, [point[0] for point in curve], [point[1] for point in curve]):8.4f}"


def makespan(seconds, worker_count):
    """When the last of some workers is done, if the longest work that is left goes to the first that is free."""
    free = [0.0] * worker_count
    for work in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + work)
    return max(free)


def build(arguments, train, folder):
    """CPU seconds of each shard of builds, and simulated makespans."""
    print("\nbuilding with one worker of one thread: CPU seconds")
    print(f"{'shards':>6} {'all':>8} {'smallest':>9} {'largest':>9} {'reading and hashing':>20}")
    each = {}
    for count in sorted({*arguments.shards, 16}):
        path = os.path.join(folder, f"build-{count}")
        report = rhumb.shards.build(path, train, shards=count, workers=1, threads=1)
        each[count] = [shard.cpu_seconds for shard in report.shards]
        total, low, high = sum(each[count]), min(each[count]), max(each[count])
        print(f"{count:6} {total:8.2f} {low:9.2f} {high:9.2f} {report.cpu_seconds:20.2f}", flush=True)
        shutil.rmtree(path)
    print("\nSIMULATED makespan in seconds for 1 to 16 workers of one thread, from the CPU seconds above")
    workers = [count for count in (1, 2, 4, 8, 16) if count <= WORKER_COUNT_MAX]
    print(f"{'shards':>6} " + " ".join(f"{count:>8}" for count in workers))
    for count, seconds in each.items():
        print(f"{count:6} " + " ".join(f"{makespan(seconds, worker):8.2f}" for worker in workers))


def commit():
    command = ["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def machine():
    with open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{len(names)} x {names[0]}; Linux {platform.release()}; Python {platform.python_version()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help="recall, build; by default both")
    parser.add_argument("--data", required=True)
    parser.add_argument("--dir", default=None, help="a folder for indexes; by default a temporary one")
    parser.add_argument("--rows", type=int, default=0, help="only so many training vectors, with a truth of their own")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--shards", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4, 8])
    arguments = parser.parse_args()
    with h5py.File(arguments.data) as file:
        train, queries = file["train"][: arguments.rows or None], file["test"][: arguments.queries]
        truth = file["neighbors"][: arguments.queries, :K]
        if file.attrs["distance"] == "angular":  # the same order under l2
            train, queries = (
                rows / np.maximum(np.linalg.norm(rows, axis=1), 1e-30)[:, None] for rows in (train, queries)
            )
    if arguments.rows:
        squares = (train**2).sum(1)[None] - 2 * (queries @ train.T)
        truth = np.argsort(squares, axis=1, kind="stable")[:, :K]
    shown = " ".join(
        [f"--data {os.path.basename(arguments.data)}", f"--queries {arguments.queries}",
         "--shards " + ",".join(map(str, arguments.shards))]
        + ([f"--rows {arguments.rows}"] if arguments.rows else [])
    )  # fmt: skip
    parts = arguments.parts or ["recall", "build"]
    print("what: shards: recall against distances measured, and what building them by many workers takes")
    print(f"machine: {machine()}\ncommit: {commit()}\ncommand: bench/shards.py {' '.join(parts)} {shown}")
    print(f"\n{len(train)} x {train.shape[1]} f32 under l2, {len(queries)} queries, M 16, ef_construction 200")
    with tempfile.TemporaryDirectory(prefix="shards-", dir=arguments.dir) as folder:
        if "recall" in parts:
            recall(arguments, train, queries, truth, folder)
        if "build" in parts:
            build(arguments, train, folder)


if __name__ == "__main__":
    main()
