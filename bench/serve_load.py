#!/usr/bin/python3
"""What examples/serve.py answers in a second, how long requests take, and what its workers cost in memory.

    bench/serve_load.py [--model DIR] [--workers 1,2] [--clients 8] [--seconds 5] FOLDER

FOLDER is one that serve.py serves. For each number of workers the service is started, and clients, threads of this
process, ask over connections that they keep: /health, which is HTTP alone; searches by vector with k 10, of vectors in
the folder; with a model, searches by text, of the summaries of documents. The clients need processors as well, so CPU
time per request is printed too: that of all workers, which other programs disturb less than rates.

PSS is that of /proc/PID/smaps_rollup: a page that n processes have mapped counts as an nth in each.
"""

import argparse
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from peers import machine  # noqa: E402

K = 10
QUERY_COUNT = 1000
WARM_REQUEST_COUNT = 50  # of each client, before anything is counted
TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """A running service."""

    def __init__(self, folder, model, workers):
        command = [sys.executable, os.path.join(HERE, "..", "examples", "serve.py"), "run", "--port", "0",
                   "--access-log", "", "--workers", str(workers)]  # fmt: skip
        command += ["--model", model] if model else []
        self._process = subprocess.Popen([*command, folder], stdout=subprocess.PIPE, text=True)
        for line in self._process.stdout:
            if found := re.search(r"at http://127\.0\.0\.1:(\d+) ", line):
                self.port = int(found.group(1))
                break
        else:
            raise SystemExit("the service did not start")
        with open(f"/proc/{self._process.pid}/task/{self._process.pid}/children") as file:
            self.workers = [int(pid) for pid in file.read().split()]

    def stop(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def cpu_seconds(self):
        """CPU time of all workers so far."""
        total = 0
        for pid in self.workers:
            with open(f"/proc/{pid}/stat") as file:
                words = file.read().rpartition(")")[2].split()
            total += int(words[11]) + int(words[12])
        return total / TICKS

    def memory_mb(self):
        """(PSS, what no other process has mapped) of supervisor and workers together."""
        pss = own = 0
        for pid in (self._process.pid, *self.workers):
            with open(f"/proc/{pid}/smaps_rollup") as file:
                sizes = dict(re.findall(r"^(\w+): +(\d+) kB", file.read(), re.MULTILINE))
            pss += int(sizes["Pss"])
            own += int(sizes["Private_Clean"]) + int(sizes["Private_Dirty"])
        return pss * 1024 / 1e6, own * 1024 / 1e6


def ask(connection, path, body=None):
    connection.request("GET" if body is None else "POST", path, body)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"status {answer.status}: {data[:200]}")
    return data


def bodies_of(service, with_text):
    """{case: bodies} of requests, the same each time."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    rng = random.Random(1)
    facts = json.loads(ask(connection, "/api/index"))
    vectors, texts = [], []
    while len(vectors) < QUERY_COUNT:
        key = rng.randrange(1, 2 * facts["count"])
        try:
            found = json.loads(ask(connection, f"/api/documents/{key}?vector=1"))
        except RuntimeError:
            continue  # there is no such key
        vectors.append(json.dumps({"vector": found["vector"], "k": K}))
        texts.append(json.dumps({"text": found.get("summary") or "nothing", "k": K}))
    connection.close()
    cases = {"health": [None], "search by vector": vectors}
    return facts, cases | ({"search by text": texts} if with_text else {})


def run_clients(service, bodies, client_count, seconds):
    """(milliseconds of each request, seconds in all, failures) of clients that ask at the same time."""
    path = "/health" if bodies == [None] else "/api/search"
    times, failures = [[] for _ in range(client_count)], []
    begin = threading.Barrier(client_count + 1)
    stop = threading.Event()

    def run(number):
        connection = http.client.HTTPConnection("127.0.0.1", service.port)
        try:
            for turn in range(WARM_REQUEST_COUNT):
                ask(connection, path, bodies[(number + turn) % len(bodies)])
            begin.wait()
            turn = number
            while not stop.is_set():
                begun = time.perf_counter()
                ask(connection, path, bodies[turn % len(bodies)])
                times[number].append(1000 * (time.perf_counter() - begun))
                turn += client_count
        except Exception as failure:
            failures.append(failure)
            begin.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(client_count)]
    for thread in threads:
        thread.start()
    begin.wait()
    begun, cpu_begun = time.perf_counter(), service.cpu_seconds()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    took, cpu = time.perf_counter() - begun, service.cpu_seconds() - cpu_begun
    if failures:
        raise SystemExit(f"a request failed: {failures[0]!r}")
    return sorted(time for each in times for time in each), took, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--model", metavar="DIR")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    shown = f"bench/serve_load.py {'--model DIR ' if chosen.model else ''}--workers {chosen.workers} "
    shown += f"--clients {chosen.clients} --seconds {chosen.seconds:g} FOLDER"
    what = "requests per second, latencies and memory of the service of examples/serve.py"
    print(machine.text_of(machine.record(what, shown, HERE)))
    for turn, workers in enumerate(int(text) for text in chosen.workers.split(",")):
        service = Service(chosen.folder, chosen.model, workers)
        try:
            facts, cases = bodies_of(service, chosen.model is not None)
            if turn == 0:
                size = f"{facts['shards']} shards of {facts['file_bytes'] / 1e6:.1f} MB"
                kind = f"{facts['dim']} {facts['element']}, {facts['metric']}"
                print(f"{facts['count']:,} vectors of {kind}, in {size}; k {K}, ef {facts['ef']}\n")
                print(f"{'':26} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/request':>15} {'requests':>9} "
                      f"{'load':>6}")  # fmt: skip
            for name, bodies in cases.items():
                load = os.getloadavg()[0]
                times, took, cpu = run_clients(service, bodies, chosen.clients, chosen.seconds)
                p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
                print(f"{name + f', {workers} workers':26} {len(times) / took:10.0f} {p50:8.2f} {p99:8.2f} "
                      f"{1000 * cpu / len(times):15.3f} {len(times):9,} {load:6.1f}", flush=True)  # fmt: skip
            pss, own = service.memory_mb()
            print(f"{'memory':26} PSS {pss:.1f} MB in all, of it {own:.1f} MB that no other process has mapped\n")
        finally:
            service.stop()


if __name__ == "__main__":
    main()
