"""One library in one process: builds or loads its index, then answers requests until its input ends.

compare.py starts it as `worker.py SETUP`. SETUP is JSON: the `adapter` (see adapters.py), `data`, `query_count`,
`degree`, `ef_construction`, `build_thread_count`, `path` of the index, `scratch` (a folder that is removed later),
`simd`, and for rhumb `library`, `tool` and `build_arguments`.

The process first says what its library is (version, parallel, avx2, note). A request is a line of JSON on standard
input, and so is its answer on the standard output that the process began with; what the library itself prints goes to
standard error. Each request has a field `do`:

    build    builds the index, which can be searched then     -> seconds, cpu_seconds, peak_bytes: the most memory that
             the process or its child had at once, and saved: null or why it could not be saved
    load     loads the index from its file                    -> seconds, own_bytes: anonymous memory that it took
    search   runs all queries: k, ef, thread_count; before that `warm_count` of them untimed; `ids` names a .npy file
             for the answers, or is null                      -> seconds
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
HNSWLIB_FOLDER = "avx2"  # in the virtual environment: the copy for AVX2


def limit_instructions(simd):
    """Before any library is loaded: has those that can be limited use nothing newer than AVX2."""
    if simd == "avx2":
        os.environ["RHUMB_SIMD"] = "avx2"
        os.environ["FAISS_SIMD_LEVEL"] = "AVX2"
        sys.path.insert(0, os.path.join(sys.prefix, HNSWLIB_FOLDER))


def own_bytes():
    """The process's anonymous memory."""
    with open("/proc/self/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) * 1024


def used():
    """CPU seconds and peak memory of this process and of the children that have ended."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(part.ru_utime + part.ru_stime for part in parts)
    return seconds, max(part.ru_maxrss for part in parts) * 1024


class Worker:
    def __init__(self, setup):
        import adapters
        import dataset

        self.setup = setup
        self.adapter = adapters.ADAPTERS[setup["adapter"]](setup, dataset.Dataset(setup["data"], setup["query_count"]))
        self.queries = self.adapter.queries()

    def describe(self):
        adapter = self.adapter
        return {
            "version": adapter.version(),
            "parallel": adapter.PARALLEL,
            "avx2": adapter.AVX2,
            "note": adapter.NOTE,
        }

    def build(self, request):
        rows = self.adapter.rows()
        used_before, _ = used()
        begun = time.perf_counter()
        self.adapter.build(rows, self.setup["build_thread_count"])
        saved = None
        try:
            self.adapter.save(self.setup["path"])
        except Exception as error:
            saved = repr(error)
        seconds = time.perf_counter() - begun
        used_after, peak_bytes = used()
        return {
            "seconds": seconds,
            "cpu_seconds": used_after - used_before,
            "peak_bytes": peak_bytes,
            "saved": saved,
        }

    def load(self, request):
        before = own_bytes()
        begun = time.perf_counter()
        self.adapter.load(self.setup["path"])
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "own_bytes": own_bytes() - before}

    def search(self, request):
        import numpy as np

        k, ef, thread_count = request["k"], request["ef"], request["thread_count"]
        if request["warm_count"]:
            self.adapter.search(self.queries[: request["warm_count"]], k, ef, thread_count)
        begun = time.perf_counter()
        ids = self.adapter.search(self.queries, k, ef, thread_count)
        seconds = time.perf_counter() - begun
        if request["ids"]:
            np.save(request["ids"], ids)
        return {"seconds": seconds}


def main():
    # A worker that waits is stopped, and would outlive a parent that is killed.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    setup = json.loads(sys.argv[1])
    limit_instructions(setup["simd"])
    worker = Worker(setup)

    def answer(fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    answer(worker.describe())
    for line in sys.stdin:
        request = json.loads(line)
        answer(getattr(worker, request["do"])(request))


if __name__ == "__main__":
    main()
