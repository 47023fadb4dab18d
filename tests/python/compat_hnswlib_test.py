"""Goal: a program for hnswlib does the same with rhumb.compat.hnswlib, and where hnswlib is installed, with both.

Method: what programs do (build, query, save, load, delete, replace, filter, resize, pickle), each checked for every
library that is there.
"""

import os
import pickle
import sys

import numpy as np

import rhumb
import support
from rhumb.compat import hnswlib as stand_in
from support import DIM, vectors

try:
    import hnswlib as original
except ImportError:
    original = None

LIBRARIES = [library for library in (stand_in, original) if library is not None]


class Programs(support.TestCase):
    def each(self):
        for library in LIBRARIES:
            with self.subTest(library=library.__name__):
                yield library

    def filled(self, library, count=1000, space="l2", capacity=None, **options):
        index = library.Index(space=space, dim=DIM)
        index.init_index(max_elements=capacity or count, ef_construction=100, M=16, **options)
        index.set_ef(100)
        index.set_num_threads(2)
        index.add_items(vectors(count))
        return index

    def test_queries_find_what_was_added_at_the_same_distances(self):
        data, queries = vectors(1000), vectors(20, seed=2)
        squares = ((queries[:, None] - data) ** 2).sum(axis=2)
        dots = queries @ data.T
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(data, axis=1)
        for space, truth in (("l2", squares), ("ip", 1 - dots), ("cosine", 1 - dots / lengths)):
            for library in self.each():
                index = self.filled(library, space=space)
                labels, distances = index.knn_query(queries, k=5)
                self.assertEqual((labels.dtype, distances.dtype), (np.uint64, np.float32))
                np.testing.assert_allclose(distances, np.take_along_axis(truth, labels.astype(int), 1), atol=1e-5)
                right = [np.isin(found, wanted).sum() for found, wanted in zip(labels, np.argsort(truth)[:, :5])]
                self.assertGreater(sum(right), 97)
                one_labels, one_distances = index.knn_query(queries[0], k=3)
                self.assertEqual(one_labels.shape, (1, 3))
                self.assertEqual((index.space, index.dim, index.M, index.ef_construction), (space, DIM, 16, 100))

    def test_too_many_and_too_few(self):
        for library in self.each():
            index = self.filled(library, 10)
            self.assertRaises(RuntimeError, index.add_items, vectors(1))
            self.assertRaises(RuntimeError, index.knn_query, vectors(1), 11)
            self.assertRaises(RuntimeError, index.add_items, vectors(1, DIM + 1))
            self.assertRaises(RuntimeError, library.Index, "l3", DIM)
            self.assertRaises(RuntimeError, index.init_index, 10)
            self.assertRaises(RuntimeError, index.resize_index, 5)
            index.resize_index(12)
            index.add_items(vectors(2, seed=3))
            self.assertEqual((index.get_max_elements(), index.get_current_count(), index.element_count), (12, 12, 12))
            self.assertEqual(sorted(index.get_ids_list()), list(range(12)))

    def test_items_and_labels(self):
        data = vectors(10)
        for library in self.each():
            index = library.Index("l2", DIM)
            index.init_index(20)
            index.add_items(data, np.arange(10) * 7)
            np.testing.assert_array_equal(index.get_items([7, 63]), data[[1, 9]])
            self.assertEqual(np.shape(index.get_items([7], return_type="list")), (1, DIM))
            self.assertRaises(RuntimeError, index.get_items, [8])
            index.add_items(data[:1] + 5, [7])  # replaces
            np.testing.assert_array_equal(index.get_items([7]), data[:1] + 5)
            self.assertEqual(index.get_current_count(), 10)
            normalised = library.Index("cosine", DIM)
            normalised.init_index(20)
            normalised.add_items(data)
            np.testing.assert_allclose(np.linalg.norm(normalised.get_items(range(10)), axis=1), 1, rtol=1e-5)

    def test_deleted_elements_are_not_found_and_come_back(self):
        data = vectors(100)
        for library in self.each():
            index = self.filled(library, 100)
            for label in range(50):
                index.mark_deleted(label)
            self.assertRaises(RuntimeError, index.mark_deleted, 3)
            self.assertRaises(RuntimeError, index.mark_deleted, 1000)
            self.assertRaises(RuntimeError, index.unmark_deleted, 70)
            self.assertTrue((index.knn_query(data, k=10)[0] >= 50).all())
            self.assertEqual(index.get_current_count(), 100)
            index.save_index(self.path("saved"))
            again = library.Index("l2", DIM)
            again.load_index(self.path("saved"))
            again.set_ef(100)
            self.assertTrue((again.knn_query(data, k=10)[0] >= 50).all())
            for label in range(50):
                again.unmark_deleted(label)
            np.testing.assert_array_equal(again.knn_query(data, k=1)[0][:, 0], range(100))
            os.remove(self.path("saved"))

    def test_deleted_elements_are_replaced(self):
        data = vectors(50, seed=4)
        for library in self.each():
            index = self.filled(library, 100, allow_replace_deleted=True)
            for label in range(50):
                index.mark_deleted(label)
            index.add_items(data, np.arange(200, 250), replace_deleted=True)
            self.assertEqual(index.get_current_count(), 100)
            np.testing.assert_array_equal(index.knn_query(data, k=1)[0][:, 0], range(200, 250))
            self.assertRaises(RuntimeError, index.add_items, data, np.arange(300, 350), replace_deleted=True)
            plain = self.filled(library, 10)
            self.assertRaises(RuntimeError, plain.add_items, data[:1], [3], replace_deleted=True)

    def test_saved_and_pickled_indexes_are_the_same(self):
        data = vectors(500)
        for library in self.each():
            index = self.filled(library, 500)
            index.save_index(self.path("saved"))
            index.save_index(self.path("saved"))
            loaded = library.Index("l2", DIM)
            loaded.load_index(self.path("saved"), max_elements=600)
            loaded.set_ef(100)
            np.testing.assert_array_equal(loaded.knn_query(data, k=3)[0], index.knn_query(data, k=3)[0])
            loaded.add_items(vectors(50, seed=5))
            self.assertEqual((loaded.get_current_count(), index.get_current_count()), (550, 500))
            again = pickle.loads(pickle.dumps(index))
            np.testing.assert_array_equal(again.knn_query(data, k=3)[0], index.knn_query(data, k=3)[0])
            self.assertEqual(again.ef, 100)
            empty = pickle.loads(pickle.dumps(library.Index("ip", DIM)))
            empty.init_index(10)
            os.remove(self.path("saved"))

    def test_the_capacity_is_saved(self):
        for library in self.each():
            for kind in (library.Index, library.BFIndex):
                index = kind("l2", DIM)
                index.init_index(max_elements=30)
                index.add_items(vectors(10))
                index.save_index(self.path("saved"))
                for asked, capacity in ((0, 30), (5, 30), (12, 12), (40, 40)):
                    if kind is library.BFIndex and asked:
                        continue  # hnswlib's ignores what is asked for
                    again = kind("l2", DIM)
                    again.load_index(self.path("saved"), max_elements=asked)
                    again.add_items(vectors(capacity - 10, seed=2), np.arange(10, capacity))
                    self.assertRaises(RuntimeError, again.add_items, vectors(1, seed=3), [capacity])
                os.remove(self.path("saved"))

    def test_metadata_of_other_programs_stay(self):
        with self.create(10, metric="l2sq") as index:
            index.metadata = b"[1]"
        loaded = stand_in.Index("l2", DIM)
        loaded.load_index(self.path(), max_elements=20)
        loaded.add_items(vectors(2), [100, 101])
        loaded.save_index(self.path("saved"))
        with rhumb.open(self.path("saved")) as saved:
            self.assertEqual((len(saved), saved.metadata), (12, b"[1]"))

    def test_filters(self):
        for library in self.each():
            index = self.filled(library, 500)
            labels, _ = index.knn_query(vectors(20), k=5, num_threads=1, filter=lambda label: label % 2 == 0)
            self.assertTrue((labels % 2 == 0).all())
            index.mark_deleted(0)
            labels, _ = index.knn_query(vectors(20), k=5, num_threads=1, filter=lambda label: label % 2 == 0)
            self.assertNotIn(0, labels)

    def test_brute_force(self):
        data = vectors(200)
        for library in self.each():
            index = library.BFIndex(space="l2", dim=DIM)
            index.init_index(max_elements=300)
            index.add_items(data)
            labels, distances = index.knn_query(vectors(10, seed=6), k=7)
            truth = ((vectors(10, seed=6)[:, None] - data) ** 2).sum(axis=2)
            np.testing.assert_array_equal(labels, np.argsort(truth)[:, :7])
            index.delete_vector(int(labels[0, 0]))
            self.assertNotIn(labels[0, 0], index.knn_query(vectors(10, seed=6), k=7)[0])


if __name__ == "__main__":
    print("libraries:", *[library.__name__ for library in LIBRARIES], file=sys.stderr)
    support.main()
