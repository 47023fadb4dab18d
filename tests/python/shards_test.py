"""Goal: an open folder of shards does what rhumb.Index does: answers are those of one index, writes reach the shard of their
key, and it is closed, refreshed, pickled and forked as an index is.

Method: small folders, each compared with one index of the same vectors.
"""

import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np

import rhumb
import rhumb.shards
import support
from support import DIM, vectors


class Searching(support.ShardsCase):
    def test_exact_searches_are_those_of_one_index(self):
        data, queries = vectors(2000), vectors(40, seed=5)
        for metric, counts in (("l2", (1, 2, 4, 8)), ("cosine", (3,)), ("ip", (3,))):
            index = self.create(0, metric=metric, name=f"one-{metric}")
            index.add(data)
            for shards in counts:
                with self.make(0, shards, f"{metric}-{shards}", metric=metric) as found:
                    found.add(data)
                    self.same_answers(found, index, queries)
                    self.same_answers(found, index, queries[0], 7)
                    self.same_answers(found, index, queries, 5, filter=np.arange(0, 2000, 7))
                    self.same_answers(found, index, queries[:2], 5, filters=[[1, 2, 3], None])

    def test_every_element_type_gives_the_answers_of_one_index(self):
        rng = np.random.default_rng(3)
        for dtype, metric in (
            ("f16", "l2"),
            ("f64", "l2"),
            ("bf16", "l2"),
            ("i8", "l1"),
            ("u64", "hamming"),
            ("b1", "jaccard"),
        ):
            if dtype == "b1":
                data = rng.integers(256, size=(500, DIM // 8), dtype=np.uint8)
            elif dtype[0] in "iu":
                data = rng.integers(100, size=(500, DIM)).astype(dtype[0] + str(int(dtype[1:]) // 8))
            else:
                data = rng.random((500, DIM), np.float32)
            index = self.create(0, metric=metric, dtype=dtype, name=f"one-{dtype}")
            index.add(data)
            with self.make(0, 3, f"shards-{dtype}", metric=metric, dtype=dtype) as found:
                found.add(data)
                mine, other = found.search(data[:20], 5, exact=True), index.search(data[:20], 5, exact=True)
                np.testing.assert_array_equal(mine.distances, other.distances)
                keys = np.array([5, 499, 0], np.uint64)
                np.testing.assert_array_equal(found.get(keys), index.get(keys))
                self.assertEqual(found.get(3).dtype, found.dtype)
                found.reshard(2)
                np.testing.assert_array_equal(found.search(data[:20], 5, exact=True).distances, other.distances)

    def test_sequences_are_found(self):
        words = [b"kitten", b"sitting", b"mitten", b"knitting", b"", b"bitten"] * 5
        index = self.create(0, 16, metric="levenshtein", dtype="u8", name="one")
        index.add(words)
        with self.make(0, 3, dim=16, metric="levenshtein", dtype="u8") as found:
            found.add(words)
            self.assertEqual(found.add(b"smitten"), 30)
            index.add(b"smitten")
            for query in (b"mitten", [b"kitten", b"x"]):
                mine, other = found.search(query, 31, exact=True), index.search(query, 31, exact=True)
                np.testing.assert_array_equal(mine.distances, other.distances)
            self.assertEqual([bytes(one) for one in found.get([2, 0, 30])], [b"mitten", b"kitten", b"smitten"])
            found.reshard(2)
            self.assertEqual(bytes(found[30]), b"smitten")

    def test_equal_vectors_are_ordered_by_key(self):
        data = np.random.default_rng(4).integers(2, size=(600, 4)).astype(np.float32)
        index = self.create(0, 4, name="one")
        index.add(data)
        everything = index.search(data[:10], 600, exact=True)
        for shards in (1, 2, 4, 8):
            with self.make(0, shards, f"shards-{shards}", dim=4) as found:
                found.add(data)
                mine = found.search(data[:10], 600, exact=True)
                np.testing.assert_array_equal(mine.distances, everything.distances)
                for row in range(10):
                    order = np.lexsort((everything.keys[row], everything.distances[row]))
                    np.testing.assert_array_equal(mine.keys[row], everything.keys[row][order])
                np.testing.assert_array_equal(
                    found.search(data[:10], 7, exact=True).distances, everything.distances[:, :7]
                )

    def test_approximate_searches_find_what_one_index_finds(self):
        data, queries = support.clustered(2000), support.clustered(100)
        index = self.create(0, 24, name="one")
        index.add(data)
        truth = index.search(queries, 10, exact=True)
        with self.make(0, 4, dim=24) as found:
            found.add(data)
            self.assertGreater(found.search(queries, 10).recall(truth), 0.98)
            self.assertGreaterEqual(
                found.search(queries, 10).recall(truth), index.search(queries, 10).recall(truth) - 0.01
            )

    def test_a_radius_finds_what_one_index_finds(self):
        found, index = self.make(2000), self.create(2000)
        queries = vectors(5, seed=8)
        for options in ({}, {"k": 20}, {"filter": np.arange(0, 2000, 3)}):
            for asked in (queries, queries[0]):
                mine = found.search(asked, radius=0.9, ef_search=500, **options)
                other = index.search(asked, radius=0.9, ef_search=500, **options)
                np.testing.assert_array_equal(mine.keys, other.keys)
                np.testing.assert_array_equal(mine.counts, other.counts)
        self.assertRaises(rhumb.Invalid, found.search, queries, radius=1, exact=True)
        self.assertEqual(found.search(queries, radius=0.0).keys.shape, (5, 0))

    def test_there_may_be_fewer_results_than_k(self):
        found = self.make(3, 4)
        self.assertEqual(len(found.search(vectors(1)[0], 10).keys), 3)
        batch = found.search(vectors(2), 10)
        self.assertEqual((batch.keys.shape, batch.counts.tolist()), ((2, 10), [3, 3]))
        self.assertEqual(set(batch.keys[:, 3:].ravel().tolist()), {rhumb.NO_KEY})
        self.assertEqual(found.search(vectors(2), 10, filter=[1]).counts.tolist(), [1, 1])

    def test_out_is_written(self):
        found = self.make(100)
        keys, distances = np.empty((3, 5), np.uint64), np.empty((3, 5), np.float32)
        expected = found.search(vectors(3), 5)
        result = found.search(vectors(3), 5, out=(keys, distances))
        self.assertIs(result.keys, keys)
        np.testing.assert_array_equal(keys, expected.keys)
        np.testing.assert_array_equal(distances, expected.distances)
        keys = np.empty(5, np.uint64)
        self.assertIsNone(found.search(vectors(1)[0], 5, out=(keys, None)).distances)
        np.testing.assert_array_equal(keys, expected.keys[0])
        self.assertRaises(rhumb.Invalid, found.search, vectors(3), 5, out=(keys, None))

    def test_search_like_and_iterate_see_all_shards(self):
        found, index = self.make(1000), self.create(1000)
        expected = index.search(vectors(1000)[7], 11, exact=True)
        self.assertEqual(found.search_like(7, 10, ef_search=500).to_list(), expected.to_list()[1:])
        pairs = list(found.iterate(vectors(1000)[7], ef_search=500))
        self.assertEqual(len(pairs), 1000)
        self.assertEqual(pairs[:11], expected.to_list())
        self.assertEqual(next(found.iterate(vectors(1)[0], filter=[5]))[0], 5)
        self.assertRaises(rhumb.Invalid, found.iterate, vectors(2))
        found.iterate(vectors(1)[0])  # never looked at

    def test_progress_stops_a_search_and_exceptions_arrive(self):
        found = self.make(2000)
        queries = vectors(20000, seed=9)
        self.assertRaises(rhumb.Cancelled, found.search, queries, 10, exact=True, progress=lambda done, total: False)

        def broken(done, total):
            raise RuntimeError("of the caller's")

        self.assertRaisesRegex(RuntimeError, "caller", found.search, queries, 10, exact=True, progress=broken)
        self.assertRaisesRegex(ZeroDivisionError, "zero", found.search, vectors(2), 5, filter=lambda key: 1 // 0)
        for threads in (1, 2, 3, 16):
            self.assertEqual(
                found.search(vectors(2), 5, threads=threads).keys.tolist(), found.search(vectors(2), 5).keys.tolist()
            )


class Writing(support.ShardsCase):
    def test_keys_are_numbered_through(self):
        found = self.make()
        self.assertEqual(found.add(vectors(5)).tolist(), [0, 1, 2, 3, 4])
        self.assertEqual(found.add(vectors(1)[0]), 5)
        found.add(vectors(1), keys=[1000])
        found.delete(1000)
        self.assertEqual(found.add(vectors(2)).tolist(), [1001, 1002])
        found.delete([1001, 1002])
        found.close()
        with rhumb.shards.open(self.path("shards")) as again:
            again.reshard(3)
            self.assertEqual(again.add(vectors(1)).tolist(), [1003])

    def test_points_are_there(self):
        found = self.make(50)
        self.assertEqual(len(found), 50)
        self.assertIn(3, found)
        self.assertEqual(found.contains([3, 99]).tolist(), [True, False])
        self.assertEqual(sorted(found), list(range(50)))
        np.testing.assert_array_equal(found.get([7, 3, 49]), vectors(50)[[7, 3, 49]])
        np.testing.assert_array_equal(found[7], vectors(50)[7])
        np.testing.assert_array_equal(found.view(7), vectors(50)[7])
        np.testing.assert_array_equal(found.get([7, 99], default=0)[1], np.zeros(DIM))
        self.assertIsNone(found.get(99, None))
        self.assertRaises(KeyError, found.get, 99)
        self.assertRaises(KeyError, found.get, [1, 99])
        self.assertEqual(found.get(np.empty(0, np.uint64)).shape, (0, DIM))
        found[7] = vectors(1, seed=3)[0]
        np.testing.assert_array_equal(found[7], vectors(1, seed=3)[0])
        del found[7]
        self.assertNotIn(7, found)

    def test_a_key_that_is_there_is_refused_and_nothing_changes(self):
        found = self.make(10)
        self.assertRaises(KeyError, found.add, vectors(20), keys=range(9, 29))
        self.assertEqual(sorted(found), list(range(10)))
        self.assertRaises(rhumb.KeyExists, found.add, vectors(3), keys=[100, 101, 100])
        self.assertEqual(sorted(found), list(range(10)))
        self.assertRaises(KeyError, found.delete, [1, 99])
        self.assertEqual(found.delete([1, 99], missing="ignore"), 1)
        self.assertRaises(rhumb.Invalid, found.delete, [1], missing="what")
        report = found.upsert(vectors(3), [0, 1, 2])
        self.assertEqual((report.inserted_count, report.replaced_count), (1, 2))
        self.assertEqual(found.add(np.empty((0, DIM), np.float32)).tolist(), [])
        self.assertEqual(found.upsert(np.empty((0, DIM), np.float32), []).inserted_count, 0)

    def test_a_batch_that_fails_in_one_shard_is_undone_in_all(self):
        found = self.make(10)
        for row in (0, 7, 39):
            data = vectors(40, seed=2)
            data[row, 3] = np.nan
            self.assertRaises(rhumb.NotFinite, found.add, data, keys=range(100, 140))
            self.assertEqual(sorted(found), list(range(10)))
        self.assertRaises(rhumb.Invalid, found.add, vectors(3), keys=[1])
        self.assertRaises(rhumb.Invalid, found.add, vectors(3, DIM + 1))
        found.verify()

    def test_cancelled_batches_are_undone(self):
        found = self.make(10)
        data = vectors(30000, seed=2)
        self.assertRaises(rhumb.Cancelled, found.add, data, range(100, 30100), progress=lambda done, total: False)
        self.assertEqual(sorted(found), list(range(10)))

    def test_an_interrupt_ends_a_batch_which_changes_nothing(self):
        found = self.make(10)
        data = vectors(100000)
        keys = np.arange(100, 100100, dtype=np.uint64)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have let it be ignored
        self.addCleanup(signal.signal, signal.SIGINT, before)
        for call in (lambda: found.add(data, keys), lambda: found.upsert(data, keys)):
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            self.assertRaises(KeyboardInterrupt, call)
            timer.join()
            self.assertEqual(sorted(found), list(range(10)))
        self.assertEqual(found.verify().count, 10)

    def test_threads_write_at_the_same_time(self):
        found = self.make()
        found.add(vectors(1), [10000])  # numbered keys are above those of the threads
        failures = []

        def write(number):
            try:
                for i in range(10):
                    keys = np.arange(20, dtype=np.uint64) + np.uint64(1000 * number + 20 * i)
                    found.add(vectors(20, seed=number), keys)
                    found.upsert(vectors(20, seed=number + 1), keys)
                    found.delete(keys[::2])
                    found.add(vectors(1))
            except Exception as failure:
                failures.append(failure)

        threads = [threading.Thread(target=write, args=[number]) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(found), 1 + 4 * 10 * 11)
        found.verify()


class Life(support.ShardsCase):
    def test_what_was_closed_is_opened_again(self):
        with self.make(100, metric="cosine", M=8) as found:
            self.assertEqual((found.dim, found.metric, found.element, found.options.M), (DIM, "cosine", "f32", 8))
            self.assertEqual((found.shard_count, found.stats.count, found.stats.shard_count), (4, 100, 4))
            self.assertIn("4 of 16 x f32, cosine, open", repr(found))
        self.assertTrue(found.closed)
        found.close()
        for call in (lambda: len(found), lambda: found.search(vectors(1)[0]), lambda: found.add(vectors(1)), found.checkpoint,
                     lambda: found.reshard(2), found.verify, lambda: next(found.iterate(vectors(1)[0]))):  # fmt: skip
            self.assertRaises(rhumb.Closed, call)
        with rhumb.shards.open(self.path("shards")) as again:
            self.assertEqual((len(again), again.metric), (100, "cosine"))
        epoch = again.manifest.epoch
        with rhumb.shards.open(self.path("shards")) as again:
            pass
        self.assertEqual(rhumb.shards.info(self.path("shards")).epoch, epoch)  # nothing had changed

    def test_exist_ok_opens_shards_of_the_same_kind_only(self):
        self.make(3).close()
        self.assertRaises(FileExistsError, rhumb.shards.create, self.path("shards"), DIM, shards=4)
        with rhumb.shards.create(self.path("shards"), DIM, shards=9, exist_ok=True) as found:
            self.assertEqual((len(found), found.shard_count), (3, 4))
        for changes in ({"dim": DIM + 1}, {"metric": "cosine"}, {"dtype": "f64"}):
            arguments = {"dim": DIM, "shards": 4, "exist_ok": True, **changes}
            self.assertRaises(rhumb.Invalid, rhumb.shards.create, self.path("shards"), **arguments)
        for arguments in ({"dim": 0, "shards": 2}, {"dim": 2, "shards": 0}, {"dim": 2, "metric": "what", "shards": 1}):
            self.assertRaises(ValueError, rhumb.shards.create, self.path("new"), **arguments)
            self.assertFalse(os.path.exists(self.path("new")))

    def test_one_writer_at_a_time(self):
        found = self.make(10)
        self.assertRaisesRegex(BlockingIOError, str(os.getpid()), rhumb.shards.open, self.path("shards"))
        code = "import rhumb.shards, sys\ntry:\n rhumb.shards.open(sys.argv[1])\nexcept rhumb.Locked: print('locked')"
        with support.start_python(code, self.path("shards")) as process:
            self.assertEqual(process.communicate()[0], "locked\n")
        found.close()
        rhumb.shards.open(self.path("shards")).close()

    def test_readers_see_checkpoints(self):
        found = self.make(10)
        found.checkpoint()
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            self.assertEqual(len(reader), 10)
            for call in (lambda: reader.add(vectors(1)), lambda: reader.delete(1), reader.checkpoint, lambda: reader.reshard(2),
                         lambda: setattr(reader, "metadata", b"")):  # fmt: skip
                self.assertRaises(rhumb.ReadOnly, call)
            self.assertFalse(reader.refresh())
            found.add(vectors(10))
            self.assertFalse(reader.refresh())
            found.checkpoint()
            self.assertTrue(reader.refresh())
            self.assertEqual(len(reader), 20)
            found.metadata = b"x"
            self.assertTrue(reader.refresh())
            self.assertEqual(reader.metadata, b"x")
            reader.verify()
        self.assertRaises(rhumb.Invalid, found.refresh)

    def test_a_reader_waits_for_what_is_newer(self):
        found = self.make(10)
        found.checkpoint()
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            self.assertFalse(reader.wait_epoch(0))
            self.assertFalse(reader.wait_epoch(0.15))
            found.add(vectors(1))
            timer = threading.Timer(0.2, found.checkpoint)
            timer.start()
            self.assertTrue(reader.wait_epoch())
            timer.join()
            self.assertTrue(reader.refresh())
            self.assertEqual(len(reader), 11)
            self.assertFalse(reader.wait_epoch(0))
            self.assertTrue(reader.wait_epoch(0, epoch=reader.manifest.epoch))
            timer = threading.Timer(0.2, reader.close)
            timer.start()
            self.assertRaises(rhumb.Closed, reader.wait_epoch)
            timer.join()
        reader = rhumb.shards.open(self.path("shards"), read_only=True)
        reader.hot_pages_save()
        reader.close()

    def test_metadata_stay(self):
        with self.make(3) as found:
            found.metadata = b"\0\xff" * 100
            self.assertRaises(rhumb.Invalid, setattr, found, "metadata", bytes(3073))
            found.reshard(2)
        with rhumb.shards.open(self.path("shards"), read_only=True) as found:
            self.assertEqual(found.metadata, b"\0\xff" * 100)

    def test_a_pickle_opens_the_folder_read_only(self):
        found = self.make(100)
        found.checkpoint()
        pickled = pickle.dumps(found)
        with pickle.loads(pickled) as copy:
            self.assertTrue(copy.read_only)
            self.assertEqual(len(copy), 100)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            self.assertEqual(pool.apply(len, [found]), 100)
        found.close()
        os.rename(self.path("shards"), self.path("moved"))
        self.make(3).close()
        self.assertRaisesRegex(FileNotFoundError, "other shards", pickle.loads, pickled)

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

    def test_a_forked_child_reads_on_and_does_not_write(self):
        found = self.make(100)
        found.checkpoint()
        for call in (
            lambda: len(found),
            lambda: found.add(vectors(1)),
            lambda: found.search(vectors(1)[0]),
            found.checkpoint,
        ):
            self.assertEqual(self.in_child(call), "Forked")
        self.assertEqual(self.in_child(found.close), "None")
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            expected = repr(reader.search(vectors(4), 3).keys.tolist())
            self.assertEqual(self.in_child(lambda: reader.search(vectors(4), 3).keys.tolist()), expected)
            self.assertEqual(self.in_child(reader.close), "None")
            found.reshard(2)  # whose files the parent's reader does not need
            self.assertEqual(self.in_child(lambda: (reader.search(vectors(4), 3).keys.tolist(), len(reader))),
                             f"({expected}, 100)")  # fmt: skip
            self.assertEqual(len(reader), 100)
        found.add(vectors(1))
        found.close()
        pid_holds = self.in_child(lambda: rhumb.shards.open(self.path("shards")).close())
        self.assertEqual(pid_holds, "None")

    def test_a_child_does_not_keep_the_lock(self):
        found = self.make(10)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
        try:
            found.close()
            rhumb.shards.open(self.path("shards")).close()
        finally:
            os.close(writer)
            os.close(reader)
            os.waitpid(pid, 0)

    def test_verify_finds_keys_in_the_wrong_shard(self):
        found = self.make(100)
        self.assertEqual(found.verify().count, 100)
        entry = found.manifest.shards[1]
        key = next(key for key in range(1000, 2000) if found.shards_of(key) == 0)
        found.close()
        with rhumb.open(self.path("shards/" + entry.file)) as index:
            index.add(vectors(1), keys=[key])
        with rhumb.shards.open(self.path("shards")) as found:
            with self.assertRaises(rhumb.Corrupt) as caught:
                found.verify()
            for word in (entry.file, str(key), "belongs to shard 0"):
                self.assertIn(word, str(caught.exception))

    def test_upkeep_is_that_of_all_shards(self):
        found = self.make(1000)
        found.delete(range(0, 1000, 2))
        found.sync()
        self.assertEqual(sum(report.dropped_count for report in found.compact()), 500)
        found.wait_idle()
        found.compact_cancel()
        self.assertEqual(found.verify().count, 500)


if __name__ == "__main__":
    support.main()
