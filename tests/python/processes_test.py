"""Goal: several processes use one index as docs/python.md says: pickles open it read-only, a fork reads on and does not
write, and all of them share its memory.

Method: pools of workers of each kind, forks by hand, and what the kernel says of mappings.
"""

import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import threading

import numpy as np

import rhumb
import support
from support import vectors


def search_in_worker(index, query):
    return index.search(query, 3).keys.tolist()


def proportional_bytes(path):
    """What this process pays for the pages of a file: a page that two processes map counts half."""
    total = 0
    with open("/proc/self/smaps") as file:
        for part in re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", file.read()):
            if path in part.split("\n")[0]:
                total += int(re.search(r"^Pss:\s+(\d+)", part, re.MULTILINE).group(1)) * 1024
    return total


def read_all(index, barrier, answers):
    index.verify()
    for key in range(0, len(index)):
        float(index.view(key).sum())
    barrier.wait()
    answers.put(proportional_bytes(index.path))
    barrier.wait()


class Neighbours:
    """A data set as a loader of training data has them: item i is what is near query i."""

    def __init__(self, index, queries):
        self._index, self._queries = index, queries

    def __len__(self):
        return len(self._queries)

    def __getitem__(self, i):
        return search_in_worker(self._index, self._queries[i])


def load_batches(data, batches, answers):
    """A worker of such a loader: items of the data set, a batch at a time, until there is None."""
    for batch in iter(batches.get, None):
        answers.put([(i, data[i]) for i in batch])


class Pickles(support.TestCase):
    def test_a_pickle_opens_the_index_read_only(self):
        index = self.create(100)
        index.close()
        with rhumb.open(self.path()) as index:
            with pickle.loads(pickle.dumps(index)) as copy:
                self.assertEqual(search_in_worker(copy, vectors(1)[0]), search_in_worker(index, vectors(1)[0]))
                self.assertRaises(rhumb.ReadOnly, copy.add, vectors(1))
            pickled = pickle.dumps(index)
            self.assertLess(len(pickled), 500)
        os.rename(self.path(), self.path("moved"))
        self.assertRaises(FileNotFoundError, pickle.loads, pickled)
        self.create(3).close()
        self.assertRaisesRegex(FileNotFoundError, "another index", pickle.loads, pickled)

    def test_workers_search_one_index(self):
        index = self.create(100)
        index.checkpoint()
        query = vectors(1)[0]
        expected = search_in_worker(index, query)
        for method in ("spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                self.assertEqual(pool.starmap(search_in_worker, [(index, query)] * 4), [expected] * 4)

    def test_eight_workers_share_one_copy(self):
        self.create(20000, dim=64, codes="none").close()
        for method in ("spawn", "fork"):
            with self.subTest(method=method), rhumb.open(self.path(), read_only=True) as index:
                context = multiprocessing.get_context(method)
                barrier, answers = context.Barrier(8), context.Queue()
                workers = [context.Process(target=read_all, args=(index, barrier, answers)) for _ in range(8)]
                for worker in workers:
                    worker.start()
                total = sum(answers.get(timeout=240) for _ in workers)
                for worker in workers:
                    worker.join()
                self.assertLess(total, 1.2 * os.path.getsize(self.path()))
                self.assertGreater(total, 0.5 * os.path.getsize(self.path()))


class Forks(support.TestCase):
    def in_child(self, function):
        """What a function returns, or the name of what it raises, in a forked child."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                try:
                    answer = repr(function())
                except Exception as error:
                    answer = type(error).__name__
                os.write(writer, answer.encode())
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as file:
            answer = file.read()
        os.waitpid(pid, 0)
        return answer

    def test_a_reader_goes_on_in_a_child(self):
        self.create(100).close()
        with rhumb.open(self.path(), read_only=True) as index:
            query = vectors(1)[0]
            iterator = index.iterate(query)
            next(iterator)
            expected = repr(search_in_worker(index, query))
            self.assertEqual(self.in_child(lambda: search_in_worker(index, query)), expected)
            self.assertEqual(self.in_child(lambda: (index.close(), index.closed)[1]), "True")
            self.assertEqual(self.in_child(lambda: len(list(index.iterate(query)))), "100")
            self.assertEqual(repr(search_in_worker(index, query)), expected)
            self.assertEqual(len(list(iterator)), 99)

    def test_a_loader_of_data_forks_workers_for_each_epoch(self):
        self.create(2000).close()
        with rhumb.open(self.path(), read_only=True) as index:
            data = Neighbours(index, vectors(240, seed=2))
            expected = [data[i] for i in range(len(data))]
            stop = threading.Event()
            thread = threading.Thread(target=lambda: [data[0] for _ in iter(stop.is_set, True)])
            thread.start()  # forks happen while the parent searches
            try:
                for _ in range(5):
                    self.assertEqual(self.loaded(data), expected)
            finally:
                stop.set()
                thread.join()

    def loaded(self, data):
        """All items of a data set, from four forked workers that load batches of it."""
        context = multiprocessing.get_context("fork")
        batches, answers = context.Queue(), context.Queue()
        workers = [context.Process(target=load_batches, args=(data, batches, answers)) for _ in range(4)]
        for worker in workers:
            worker.start()
        begins = range(0, len(data), 16)
        for begin in begins:
            batches.put(range(begin, begin + 16))
        for _ in workers:
            batches.put(None)
        found = dict(pair for _ in begins for pair in answers.get(timeout=120))
        for worker in workers:
            worker.join(60)
        self.assertEqual([worker.exitcode for worker in workers], [0] * 4)
        return [found[i] for i in range(len(data))]

    def test_a_writer_is_refused_in_a_child(self):
        index = self.create(100)
        index.checkpoint()
        for call in (lambda: index.add(vectors(1)), lambda: index.search(vectors(1)[0]), lambda: index.view(1)):
            self.assertEqual(self.in_child(call), "Forked")
        self.assertEqual(self.in_child(lambda: len(rhumb.open(self.path(), read_only=True))), "100")
        self.assertEqual(self.in_child(index.close), "None")
        index.add(vectors(1))
        self.assertEqual(len(index), 101)

    def test_another_index_at_the_path_is_noticed(self):
        self.create(100).close()
        with rhumb.open(self.path(), read_only=True) as index:
            os.rename(self.path(), self.path("moved"))
            self.create(100).close()
            self.assertEqual(self.in_child(lambda: len(index)), "Forked")
            self.assertEqual(len(index), 100)


class Graphs(support.TestCase):
    def test_a_topology_is_arrays(self):
        index = self.create(300)
        index.delete(range(0, 300, 10))
        stats = index.export_topology(self.path("graph"))
        topology = rhumb.Topology(self.path("graph"))
        topology.verify()
        self.assertEqual(len(topology), stats.point_count)
        np.testing.assert_array_equal(topology.keys, np.sort(index.keys()))
        for position in (0, 7, 200):
            begin, end = topology.starts[position : position + 2].astype(int)
            keys, distances = index.neighbours(int(topology.keys[position]))
            np.testing.assert_array_equal(np.sort(topology.keys[topology.neighbours[begin:end]]), np.sort(keys))
            np.testing.assert_array_equal(topology.distances[begin:end], distances)
        keys = topology.keys
        del topology
        self.assertEqual(keys[0], 1)  # the file stays mapped
        self.assertRaises(FileExistsError, index.export_topology, self.path("graph"))
        self.assertRaises(rhumb.NotAnIndex, rhumb.Topology, self.path())

    def test_a_graph_is_a_matrix(self):
        try:
            import scipy.sparse
        except ImportError:
            self.skipTest("needs scipy")
        index = self.create(300)
        graph = index.graph()
        self.assertIsInstance(graph, scipy.sparse.csr_array)
        self.assertEqual(graph.shape, (300, 300))
        topology = None
        index.export_topology(self.path("graph"))
        topology = rhumb.Topology(self.path("graph"))
        matrix = topology.csr()
        self.assertTrue(np.shares_memory(matrix.indices, topology.neighbours))
        self.assertTrue(np.shares_memory(matrix.data, topology.distances))
        keys, distances = index.neighbours(5)
        np.testing.assert_array_equal(np.sort(matrix[[5]].indices), np.sort(keys))
        self.assertEqual(index.graph(self.path("other"), all_levels=True).shape, (300, 300))


class Waiting(support.TestCase):
    def reader(self):
        reader = rhumb.open(self.path(), read_only=True)
        self.addCleanup(reader.close)
        return reader

    def test_a_reader_waits_for_another_process(self):
        self.create(10).close()
        reader = self.reader()
        code = """if True:
            import sys, time, rhumb
            with rhumb.open(sys.argv[1]) as index:
                print("open", flush=True)
                sys.stdin.readline()
                index.delete(3)
                index.checkpoint()
                sys.stdin.readline()
        """
        with support.start_python(code, self.path(), stdin=subprocess.PIPE) as writer:
            writer.stdout.readline()
            while reader.refresh():  # what opening has written
                pass
            self.assertFalse(reader.wait_epoch(0.05))
            self.assertFalse(reader.wait_epoch(0))
            shown = reader.stats.epoch
            writer.stdin.write("go on\n")
            writer.stdin.flush()
            self.assertTrue(reader.wait_epoch(60))
            self.assertIn(3, reader)  # it stays on its checkpoint
            self.assertTrue(reader.refresh())
            self.assertNotIn(3, reader)
            self.assertGreater(reader.stats.epoch, shown)
            self.assertTrue(reader.wait_epoch(0, epoch=shown + 1))
            writer.stdin.write("end\n")
            writer.stdin.flush()

    def test_ctrl_c_and_close_end_a_wait(self):
        self.create(10).close()
        reader = self.reader()
        timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
        timer.start()
        self.assertRaises(KeyboardInterrupt, reader.wait_epoch)
        timer.join()
        timer = threading.Timer(0.2, reader.close)
        timer.start()
        self.assertRaises(rhumb.Closed, reader.wait_epoch, 60)
        timer.join()
        self.assertRaises(rhumb.Closed, reader.wait_epoch, 0)

    def test_another_index_at_the_path_is_an_error(self):
        self.create(10).close()
        reader = self.reader()
        os.rename(self.path(), self.path("moved"))
        self.create(10).close()
        self.assertRaises(FileNotFoundError, reader.wait_epoch, 60)


if __name__ == "__main__":
    support.main()
