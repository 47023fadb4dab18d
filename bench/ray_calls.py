#!/usr/bin/env python3
"""What the client of a cluster costs per query, next to the same search through C.

    pip install "./bindings/python[ray]"
    bazel build //bench:python_calls
    python3 bench/ray_calls.py .out/bazel-bin/bench/python_calls
    python3 bench/ray_calls.py                                    # without C: next to the same search in this process

One index of 20,000 random vectors of 96 f32, k 10, ef 64, as one shard on one node of Ray, so that both sides do the
same work. C, and batches of several sizes through Cluster.search, take turns; of each the best and the median call
count. On a machine that does other work these say little: then the processor time of the two processes does, of the
client and of the server, next to that of the same search in one process. What killed servers cost is printed by
bindings/python/check_ray.sh.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import ray
from ray.cluster_utils import Cluster as Machines

import rhumb
import rhumb.ray
import rhumb.shards

ROUNDS = 5
SECONDS = 1.0  # per way and round
ROWS, DIM, K, EF = 20000, 96, 10, 64
BATCHES = (1, 10, 100, 500)


def timed(search):
    """Seconds of each call during SECONDS."""
    found = []
    end = time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        search()
        found.append(time.perf_counter() - start)
    return found


def processor_seconds(pid):
    """The processor time that a process has used, in steps of 10 ms."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calls(program, folder):
    rng = np.random.default_rng(1)
    data, queries = rng.standard_normal((ROWS, DIM), np.float32), rng.standard_normal((500, DIM), np.float32)
    path = os.path.join(folder, "one")
    rhumb.shards.build(path, data, shards=1, metric="l2")
    file = os.path.join(path, rhumb.shards.info(path).shards[0].file)
    query_path = os.path.join(folder, "queries")
    queries.tofile(query_path)
    command = [str(program), file, query_path] + [str(number) for number in (DIM, K, EF, 1, SECONDS)]
    cluster = rhumb.ray.Cluster(path, publish_seconds=None, refresh_seconds=3600)
    cluster.search(queries, K, ef_search=EF, timeout=60)
    native, seconds = [], {count: [] for count in BATCHES}
    (server,) = (state["pid"] for state in cluster.health()["nodes"].values())
    used = {count: np.zeros(3) for count in BATCHES}  # processor seconds: of one process, of the client, of the server
    with rhumb.open(file, read_only=True) as index:
        local = {count: [] for count in BATCHES}
        for _ in range(ROUNDS):
            if program is not None:
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                native.append([float(number) / 1000 for number in output.split()])
            for count in BATCHES:
                batch = queries[:count]
                begun = time.process_time()
                local[count] += timed(lambda batch=batch: index.search(batch, K, ef_search=EF, threads=1))
                between, of_server = time.process_time(), processor_seconds(server)
                seconds[count] += timed(lambda batch=batch: cluster.search(batch, K, ef_search=EF))
                end = time.process_time()
                used[count] += between - begun, end - between, processor_seconds(server) - of_server
    if native:
        one, many = np.min(native, axis=0)
        print(f"C: {one:.1f} us for one query a call, {many:.1f} us for each of 500 (best of {ROUNDS} rounds)\n")
    print("microseconds per query")
    print("queries a call | Index.search: best  median | Cluster.search: best  median | more: best  median | a call")
    for count in BATCHES:
        mine, other = [1e6 * np.quantile(values[count], (0, 0.5)) / count for values in (seconds, local)]
        more = mine - other
        print(f"{count:14} | {other[0]:18.1f} {other[1]:7.1f} | {mine[0]:20.1f} {mine[1]:7.1f} | {more[0]:10.1f} "
              f"{more[1]:7.1f} | {more[1] * count:6.0f}")  # fmt: skip
    print("\nmicroseconds of processor time per query")
    print("queries a call | Index.search | client   server | more | a call")
    for count in BATCHES:
        queries_of = count * np.array([len(local[count]), len(seconds[count]), len(seconds[count])])
        one, client, of_server = 1e6 * used[count] / queries_of
        more = client + of_server - one
        print(f"{count:14} | {one:12.1f} | {client:6.1f} {of_server:8.1f} | {more:4.0f} | {more * count:6.0f}")
    cluster.shutdown()


def main():
    machines = Machines(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 200 << 20})
    ray.init(address=machines.address, log_to_driver=False)
    try:
        with tempfile.TemporaryDirectory(prefix="rhumb-ray-") as folder:
            print(f"ray {ray.__version__}, Python {sys.version.split()[0]}, numpy {np.__version__}; load average "
                  f"{os.getloadavg()[0]:.1f}\n")  # fmt: skip
            calls(sys.argv[1] if len(sys.argv) > 1 else None, folder)
            print(f"\nload average {os.getloadavg()[0]:.1f}")
    finally:
        ray.shutdown()
        machines.shutdown()


if __name__ == "__main__":
    main()
