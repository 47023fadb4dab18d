"""Goal: a program for USearch does the same with rhumb.compat.usearch, and where USearch is installed, with both.

Method: what programs do (add, search, get, remove, rename, save, load, restore, copy), each checked for every library
that is there.
"""

import os
import pickle
import sys

import numpy as np

import rhumb
import support
from rhumb.compat import usearch as stand_in
from support import DIM, vectors

try:
    import usearch.index as original
except ImportError:
    original = None

LIBRARIES = [library for library in (stand_in, original) if library is not None]


class Programs(support.TestCase):
    def each(self):
        for library in LIBRARIES:
            with self.subTest(library=library.__name__):
                yield library

    def filled(self, library, count=500, metric="l2sq", **options):
        options.setdefault("dtype", library.ScalarKind.F32)
        index = library.Index(ndim=DIM, metric=metric, **options)
        index.add(np.arange(count), vectors(count), threads=2)
        return index

    def test_searches_find_what_was_added_at_the_same_distances(self):
        data, queries = vectors(500), vectors(20, seed=2)
        squares = ((queries[:, None] - data) ** 2).sum(axis=2)
        dots = queries @ data.T
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(data, axis=1)
        for metric, truth in (("l2sq", squares), ("ip", 1 - dots), ("cos", 1 - dots / lengths)):
            for library in self.each():
                index = self.filled(library, metric=metric)
                many = index.search(queries, 5)
                self.assertIsInstance(many, library.BatchMatches)
                np.testing.assert_allclose(
                    many.distances, np.take_along_axis(truth, many.keys.astype(int), 1), atol=1e-4
                )
                self.assertGreater(many.mean_recall(truth.argmin(axis=1), count=1), 0.9)
                exact = index.search(queries, 5, exact=True)
                np.testing.assert_array_equal(exact.keys, np.argsort(truth)[:, :5])
                one = index.search(queries[0], 5)
                self.assertIsInstance(one, library.Matches)
                self.assertEqual((len(one), one.keys.ndim, len(many)), (5, 1, 20))
                self.assertEqual(one[0].key, one.keys[0])
                self.assertEqual([match.key for match in one], one.keys.tolist())
                self.assertEqual(len(one.to_list()), 5)

    def test_fewer_than_asked_for(self):
        for library in self.each():
            index = self.filled(library, 3)
            self.assertEqual(len(index.search(vectors(1)[0], 10)), 3)
            self.assertEqual(index.search(vectors(2), 10).counts.tolist(), [3, 3])

    def test_bits_are_counted(self):
        bits = np.packbits(np.random.default_rng(3).random((50, 64)) < 0.5, axis=1)
        for library in self.each():
            index = library.Index(ndim=64, metric="hamming", dtype=library.ScalarKind.B1)
            index.add(np.arange(50), bits)
            wanted = [np.unpackbits(bits[0] ^ other).sum() for other in bits]
            found = index.search(bits[0], 50, exact=True)
            np.testing.assert_array_equal(found.distances, np.sort(wanted))

    def test_vectors_are_got_counted_removed_and_renamed(self):
        data = vectors(20)
        for library in self.each():
            index = self.filled(library, 20)
            np.testing.assert_array_equal(index[3], data[3])
            np.testing.assert_array_equal(np.vstack(index.get(np.arange(5))), data[:5])
            self.assertIsNone(index.get(99))
            self.assertTrue(np.all(index.contains(np.arange(20))))
            self.assertTrue(3 in index)
            self.assertEqual(index.count(3), 1)
            index.remove(np.arange(5))
            self.assertEqual((len(index), index.size), (15, 15))
            self.assertFalse(index.contains(3))
            index.rename(7, 3)
            np.testing.assert_array_equal(index[3], data[7])
            self.assertEqual(int(np.sum(index.count(np.arange(20)))), 15)
            with self.assertRaises(Exception):
                index.add(3, data[0])
            self.assertEqual(sorted(np.asarray(index.keys).tolist()), [3, 5, 6, *range(8, 20)])

    def test_files_and_copies(self):
        data = vectors(100)
        for library in self.each():
            path = self.path("saved.usearch")
            index = self.filled(library, 100)
            index.save(path)
            index.clear()
            self.assertEqual(len(index), 0)
            index.load(path)
            for again in (index, library.Index.restore(path, view=True), library.Index.restore(path), index.copy()):
                self.assertEqual((len(again), again.ndim, again.metric), (100, DIM, library.MetricKind.L2sq))
                np.testing.assert_array_equal(again.search(data, 1).keys[:, 0], range(100))
            index.add(1000, data[0])
            self.assertEqual(len(index), 101)
            self.assertEqual(len(library.Index.restore(path)), 100)
            self.assertIsNone(library.Index.restore(self.path("none")))
            self.assertEqual(library.Index.metadata(path)["dimensions"], DIM)
            os.remove(path)

    def test_floats_are_scaled_to_integers(self):
        data = vectors(30) - 0.5
        for library in self.each():
            for metric in ("l2sq", "ip", "cos"):
                index = library.Index(ndim=DIM, metric=metric, dtype="i8")
                index.add(np.arange(30), data)
                wanted = (127 * data / np.linalg.norm(data, axis=1, keepdims=True).astype(np.float64)).astype(np.int8)
                np.testing.assert_allclose(np.vstack(index.get(np.arange(30), "i8")), wanted, atol=1)
                np.testing.assert_allclose(index.get(3, np.float32), wanted[3] / 127, atol=0.01)
                whole = wanted.astype(int)
                truth = {"l2sq": ((whole - whole[3]) ** 2).sum(axis=1), "ip": 1 - whole @ whole[3]}.get(metric)
                found = index.search(data[3], 30, exact=True)
                if truth is not None:  # one more or less in a component makes some difference
                    np.testing.assert_allclose(found.distances, truth[found.keys.astype(int)], atol=500)
            index = library.Index(ndim=DIM, metric="l2sq", dtype="u8")
            index.add(7, np.abs(data[0]))
            wanted = 255 * np.abs(data[0]) / np.linalg.norm(data[0])
            np.testing.assert_allclose(index.get(7, "u8"), wanted, atol=1.1)

    def test_several_keys_get_a_tuple(self):
        for library in self.each():
            index = self.filled(library, 3)
            found = index.get([2, 9, 0])
            self.assertIsInstance(found, tuple)
            self.assertIsNone(found[1])
            np.testing.assert_array_equal(found[2], vectors(3)[0])
            self.assertIsInstance(index.search(vectors(1), 2), library.Matches)  # a matrix of one row is one query
            self.assertEqual(len(index.search(vectors(2), 2).to_list()), 4)

    def test_indexes_are_saved_in_memory(self):
        for library in self.each():
            index = self.filled(library, 40)
            saved = index.save()
            self.assertIsInstance(saved, bytearray)
            self.assertEqual(library.Index.metadata(saved)["dimensions"], DIM)
            for content in (saved, bytes(saved), memoryview(saved)):
                again = library.Index.restore(content)
                np.testing.assert_array_equal(again.search(vectors(40), 1).keys[:, 0], range(40))
                again.clear()
                again.load(content)
                self.assertEqual(len(again), 40)
            self.assertRaises(TypeError, index.load, 7)
            self.assertEqual(len(index), 40)
        self.assertIsNone(stand_in.Index.metadata(b"not an index"))
        self.assertIsNone(stand_in.Index.restore(b""))
        cut = stand_in.Index(ndim=DIM).save()[:-1]
        self.assertRaises(rhumb.Error, stand_in.Index(ndim=DIM).load, cut)

    def test_progress_ends_a_call(self):
        for library in self.each():
            index = library.Index(ndim=DIM, metric="l2sq", dtype="f32")

            def stop(done: int, total: int) -> bool:
                return False

            with self.assertRaisesRegex(RuntimeError, "terminated"):
                index.add(np.arange(20000), vectors(20000), progress=stop)

    def test_what_an_index_says_of_itself(self):
        for library in self.each():
            index = self.filled(library, 300)
            self.assertEqual((index.multi, index.jit, index.metric_kind), (False, False, library.MetricKind.L2sq))
            self.assertEqual(index.levels_stats[0].nodes, 300)
            self.assertEqual(len(index.levels_stats), index.nlevels)
            self.assertEqual(index.stats.nodes, 300)
            self.assertGreater(index.level_stats(index.max_level).nodes, 0)
            self.assertGreaterEqual(index.capacity, 300)
            self.assertEqual((index.specs["ndim"], index.specs["size"], index.specs["connectivity"]), (DIM, 300, 16))
            data = vectors(300)
            wanted = ((data[[1, 2]] - data[[3, 2]]) ** 2).sum(axis=1)
            np.testing.assert_allclose(index.pairwise_distance([1, 2], [3, 2]), wanted, atol=1e-6)
            np.testing.assert_allclose(index.pairwise_distance(1, 3), wanted[0], atol=1e-6)

    def test_rows_of_a_matrix_are_searched_without_an_index(self):
        data = vectors(50)
        bits = np.packbits(data > 0.5, axis=1)
        for library in self.each():
            for exact in (True, False) if library is stand_in else (True,):  # USearch 2.26.6 fails without it
                found = library.search(data, data[:5], 3, library.MetricKind.L2sq, exact=exact)
                np.testing.assert_array_equal(found.keys[:, 0], range(5))
            found = library.search(bits, bits[:2], 50, library.MetricKind.Hamming, exact=True)
            wanted = [np.unpackbits(bits[row] ^ bits, axis=1).sum(axis=1) for row in (0, 1)]
            np.testing.assert_array_equal(found.distances, np.sort(wanted, axis=1))

    def test_brain_floats_are_floats(self):
        data = vectors(20)
        for library in self.each():
            index = self.filled(library, 20, dtype=library.ScalarKind.BF16)
            self.assertEqual(index.get(3).dtype, np.float32)
            np.testing.assert_allclose(index.get(3), data[3], rtol=0.01)
            bits = (data[:1].view(np.uint32) >> 16).astype(np.uint16)
            index.add(50, bits[0], dtype="bf16")
            np.testing.assert_allclose(index.get(50), data[0], rtol=0.02)

    def test_what_only_the_stand_in_does(self):
        index = self.filled(stand_in, 50)
        found = index.search(vectors(50)[0], 50, radius=0.5)
        self.assertTrue((found.distances <= 0.5).all())
        again = pickle.loads(pickle.dumps(index))
        self.assertEqual(len(again), 50)
        for wanted in ({"multi": True}, {"metric": stand_in.MetricKind.Sorensen}, {"dtype": "e5m2"}):
            self.assertRaises(NotImplementedError, stand_in.Index, ndim=3, **wanted)
        self.assertRaises(ValueError, stand_in.Index, ndim=3, metric="haversine")
        index.save(self.path("saved"))
        with rhumb.open(self.path("saved")) as opened:
            self.assertEqual((len(opened), opened.metric), (50, "l2sq"))


if __name__ == "__main__":
    print("libraries:", *[library.__name__ for library in LIBRARIES], file=sys.stderr)
    support.main()
