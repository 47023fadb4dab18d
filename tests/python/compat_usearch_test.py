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

    def test_what_only_the_stand_in_does(self):
        index = self.filled(stand_in, 50)
        found = index.search(vectors(50)[0], 50, radius=0.5)
        self.assertTrue((found.distances <= 0.5).all())
        again = pickle.loads(pickle.dumps(index))
        self.assertEqual(len(again), 50)
        self.assertRaises(NotImplementedError, stand_in.Index, ndim=3, multi=True)
        self.assertRaises(ValueError, stand_in.Index, ndim=3, metric="haversine")
        index.save(self.path("saved"))
        with rhumb.open(self.path("saved")) as opened:
            self.assertEqual((len(opened), opened.metric), (50, "l2sq"))


if __name__ == "__main__":
    print("libraries:", *[library.__name__ for library in LIBRARIES], file=sys.stderr)
    support.main()
