"""Goal: calls run at the same time, end when they are asked to, and keep nothing.

Method: threads that search, add and close at once; Ctrl-C in the middle of long calls; the memory of a process that
opens, searches and closes again and again.
"""

import gc
import os
import signal
import sys
import threading
import time
import tracemalloc
import unittest
import weakref

import numpy as np

import rhumb
import support
from support import vectors

LATENCY_S = 0.2  # from Ctrl-C to KeyboardInterrupt, on a machine that does nothing else


def run_threads(*functions):
    """Runs functions at the same time; the first exception of one of them is raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Threads(support.TestCase):
    def test_python_runs_while_a_call_does(self):
        index = self.create(20000)
        done = threading.Event()
        counted = [0]
        between = [0]  # counted between two reports of the call, where Python gets a turn in any case
        before = [0]

        def count():
            while not done.is_set():
                counted[0] += 1
                time.sleep(0.001)

        def report(_done, _total):
            between[0] = max(between[0], counted[0] - before[0])
            before[0] = counted[0]
            return between[0] < 3

        def search():
            try:
                with self.assertRaises(rhumb.Cancelled):
                    index.search(np.tile(vectors(1000), (100, 1)), 10, exact=True, threads=1, progress=report)
            finally:
                done.set()

        run_threads(search, count)

    @unittest.skipIf((os.cpu_count() or 1) < 2 or "RHUMB_TIMING" not in os.environ, "measures: RHUMB_TIMING=1")
    def test_two_threads_search_almost_twice_as_fast(self):
        index = self.create(20000)
        queries = vectors(2000, seed=3)

        def search(begin, end):
            for query in queries[begin:end]:
                index.search(query, 10, ef_search=200)

        best = 0.0
        for _ in range(5):
            start = time.perf_counter()
            search(0, 2000)
            one = time.perf_counter() - start
            start = time.perf_counter()
            run_threads(lambda: search(0, 1000), lambda: search(1000, 2000))
            best = max(best, one / (time.perf_counter() - start))
        print(f"two threads: {best:.2f} x one", file=sys.stderr)
        self.assertGreater(best, 1.8)

    def test_adding_searching_and_deleting_at_once(self):
        index = self.create(500)
        data = vectors(2000, seed=4)

        def add(begin):
            for i in range(begin, begin + 500, 10):
                index.upsert(data[i : i + 10], range(1000 + i, 1010 + i))

        def search():
            for query in data[:200]:
                keys = index.search(query, 5).keys
                self.assertEqual(len(set(keys.tolist())), 5)

        run_threads(lambda: add(0), lambda: add(500), search, lambda: [index.delete(key) for key in range(100)])
        self.assertEqual(len(index), 1400)

    def test_keys_are_assigned_once(self):
        index = self.create()
        keys = []
        run_threads(*[lambda: keys.extend(index.add(vectors(50)).tolist()) for _ in range(4)])
        self.assertEqual(sorted(keys), list(range(200)))

    def test_closing_waits_for_calls(self):
        for _ in range(20):
            index = self.create(300, name=f"index{_}")
            started = threading.Barrier(4)

            def search(index=index, started=started):
                started.wait()
                try:
                    while True:
                        index.search(vectors(20), 5)
                        next(index.iterate(vectors(1)[0]))
                except rhumb.Closed:
                    pass

            def close(index=index, started=started):
                started.wait()
                time.sleep(0.005)
                index.close()

            run_threads(search, search, close, close)


class Interrupts(support.TestCase):
    """Ctrl-C, sent by another thread while the main thread is in a call.

    The calls would take a minute and more. That they have been stopped shows in what they have not done; how soon they
    have been depends on the machine, and is looked at where that is idle.
    """

    def interrupt(self, name, call):
        main = threading.get_ident()
        ready, ended = threading.Event(), threading.Event()
        sent_s = []

        def is_in_call():
            frame = sys._current_frames().get(main)
            return frame is not None and frame.f_code.co_filename.startswith(os.path.dirname(rhumb.__file__))

        def send():
            ready.wait()
            while not is_in_call() and not ended.is_set():
                time.sleep(0.001)
            time.sleep(0.3)  # into the middle of it
            sent_s.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=send)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            try:
                ready.set()
                call()
            finally:
                ended.set()
                stopped_s = time.perf_counter()
                thread.join()
        seconds = stopped_s - sent_s[0]
        if "RHUMB_TIMING" in os.environ:
            print(f"Ctrl-C in {name}: {1000 * seconds:.0f} ms", file=sys.stderr)
            self.assertLess(seconds, LATENCY_S)

    def test_a_long_add_stops_and_leaves_nothing(self):
        index = self.create(10, dim=64)
        data = vectors(200_000, 64)
        self.interrupt("add", lambda: index.add(data))
        self.assertEqual(len(index), 10)
        self.interrupt("upsert", lambda: index.upsert(data, range(len(data))))
        self.assertEqual(len(index), 10)

    def test_a_long_search_stops(self):
        index = self.create(5000, dim=64)
        queries = np.tile(vectors(1000, 64), (200, 1))
        for name, how in (
            ("search", {"ef_search": 500}),
            ("exact search", {"exact": True}),
            ("search with a function", {"filter": lambda key: True}),
        ):
            out = np.full((len(queries), 10), rhumb.NO_KEY, np.uint64), None
            self.interrupt(name, lambda out=out, how=how: index.search(queries, 10, out=out, **how))
            self.assertTrue((out[0][:, 0] == rhumb.NO_KEY).any(), f"{name} went on to its end")
        found = []
        self.interrupt("search within a radius", lambda: found.append(index.search(queries, radius=1e9)))
        self.assertEqual(found, [])
        self.assertEqual(index.search(queries[0], 1).keys[0], 0)


class Leaks(support.TestCase):
    def resident_bytes(self):
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def one_life(self):
        data = vectors(50)
        with rhumb.open(self.path()) as index:
            index.upsert(data, range(50))
            index.search(data, 5, filter=[1, 2, 3])
            index.search(data[0], 5, filter=lambda key: key > 3)
            next(index.iterate(data[0], filter=rhumb.Keys([1])))
            views = [index.view(key) for key in range(5)]
            index.get(range(50))
            index.stats, index.options, rhumb.info(self.path())
            for wrong in (lambda: index.get(999), lambda: index.add(data[0] * np.nan), lambda: index.add(data[0], 1)):
                self.assertRaises(rhumb.Error, wrong)
        del views

    def test_lives_keep_nothing(self):
        self.create(50).close()
        for _ in range(10):
            self.one_life()
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.one_life()
        traced, resident = tracemalloc.get_traced_memory()[0], self.resident_bytes()
        for _ in range(40):
            self.one_life()
        gc.collect()
        self.assertLess(tracemalloc.get_traced_memory()[0] - traced, 20_000)
        self.assertLess(self.resident_bytes() - resident, 4 << 20)

    def test_cycles_through_filters_are_collected(self):
        index = self.create(10)

        class Holder:
            def __init__(self):
                self.filter = rhumb.Where(self.matches)
                self.iterator = index.iterate(vectors(1)[0], filter=self.matches)
                next(self.iterator)

            def matches(self, key):
                return True

        references = [weakref.ref(Holder()) for _ in range(3)]
        gc.collect()
        self.assertEqual([reference() for reference in references], [None] * 3)

    def test_searches_keep_nothing(self):
        index = self.create(100)
        query = vectors(1)[0]
        functions = (
            lambda: index.search(query, 5),
            lambda: index.search(query, 5, filter=[1, 2]),
            lambda: index.search(vectors(3), 5, filters=[[1], None, [2]]),
            lambda: index.search(query, radius=1.0),
            lambda: index.view(3),
            lambda: index.keys(),
            lambda: 3 in index,
        )
        for function in functions:
            for _ in range(100):
                function()
            gc.collect()
            before = sys.getallocatedblocks()
            for _ in range(1000):
                function()
            gc.collect()
            self.assertLess(sys.getallocatedblocks() - before, 100)


if __name__ == "__main__":
    support.main()
