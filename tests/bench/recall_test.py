"""Goal: recall counts the true neighbours that were found, ties included, and the rows are those of the file.

Method: data sets of a few rows whose neighbours are counted by hand, in files laid out as bench/datasets.py does.
"""

import os
import tempfile
import unittest

import h5py
import numpy as np

import dataset


class Recall(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "set.hdf5")

    def made(self, train, test, distance="euclidean", kept=3, query_count=0):
        """A set with its exact truth of `kept` neighbours."""
        train, test = np.array(train, dtype=np.float32), np.array(test, dtype=np.float32)
        if distance == "euclidean":
            distances = np.linalg.norm(test[:, None] - train[None], axis=2)
        else:
            wide = [rows.astype(np.float64) for rows in (test, train)]
            directions = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in wide]
            distances = 1 - directions[0] @ directions[1].T
        order = np.argsort(distances, axis=1, kind="stable")[:, :kept]
        with h5py.File(self.path, "w") as file:
            file["train"], file["test"] = train, test
            file["neighbors"] = order.astype(np.int32)
            file["distances"] = np.take_along_axis(distances, order, axis=1).astype(np.float32)
            file.attrs["distance"] = distance
        return dataset.Dataset(self.path, query_count)

    def test_it_is_the_share_that_was_found(self):
        data = self.made([[0], [1], [2], [3], [4]], [[0], [4]])
        self.assertEqual(data.recall([[0, 1], [4, 3]], 2), 1.0)
        self.assertEqual(data.recall([[0, 4], [4, 3]], 2), 0.75)
        self.assertEqual(data.recall([[4, 3], [0, 1]], 2), 0.0)

    def test_a_row_twice_counts_once(self):
        self.assertEqual(self.made([[0], [1], [2], [3]], [[0]]).recall([[0, 0]], 2), 0.5)

    def test_numbers_that_are_no_rows_count_nothing(self):
        data = self.made([[0], [1], [2], [3]], [[0]])
        self.assertEqual(data.recall(np.array([[0, -1]]), 2), 0.5)
        self.assertEqual(data.recall(np.array([[0, 2**64 - 1]], dtype=np.uint64), 2), 0.5)

    def test_any_row_as_near_as_the_last_one_counts(self):
        within_the_list = self.made([[1], [-1], [5], [6]], [[0]])
        self.assertEqual(within_the_list.recall([[1]], 1), 1.0)
        self.assertEqual(within_the_list.recall([[2]], 1), 0.0)
        beyond_it = self.made([[1], [-1], [1], [-1], [6]], [[0]], kept=2)
        self.assertEqual(beyond_it.recall([[3, 2]], 2), 1.0)
        self.assertEqual(beyond_it.recall([[3, 4]], 2), 0.5)

    def test_under_angular_ties_are_measured_by_angle(self):
        data = self.made([[1, 1], [2, 2], [1, 0], [7, 7]], [[3, 3]], "angular", kept=2)
        self.assertEqual(data.recall([[3, 1]], 2), 1.0)
        self.assertEqual(data.recall([[3, 2]], 2), 0.5)

    def test_ties_do_not_make_it_exceed_one(self):
        self.assertEqual(self.made([[1], [-1], [1]], [[0]]).recall([[0, 1, 2]], 1), 1.0)

    def test_queries_are_spread_over_the_set(self):
        data = self.made([[0], [1], [2]], [[i] for i in range(10)], query_count=3)
        self.assertEqual(data.queries.ravel().tolist(), [0, 3, 6])
        self.assertEqual(data.distances[:, 0].tolist(), [0, 1, 4])
        self.assertEqual(len(self.made([[0], [1], [2]], [[i] for i in range(10)], query_count=50).queries), 10)

    def test_rows_are_mapped_as_they_are(self):
        data = self.made([[3, 4], [0, 2]], [[1, 1]], "angular", kept=2)
        self.assertEqual(data.rows.tolist(), [[3, 4], [0, 2]])
        prepared = data.prepared(data.rows)
        self.assertTrue(np.allclose(prepared, [[0.6, 0.8], [0, 1]]))
        self.assertEqual(data.rows.tolist(), [[3, 4], [0, 2]])

    def test_rows_of_length_one_are_not_copied(self):
        data = self.made([[0.6, 0.8], [0, 1]], [[1, 1]], "angular", kept=2)
        self.assertIs(data.prepared(data.rows), data.rows)
        euclidean = self.made([[3, 4], [0, 2]], [[1, 1]], kept=2)
        self.assertIs(euclidean.prepared(euclidean.rows), euclidean.rows)

    def test_zeros_stay_zeros(self):
        rows = np.array([[0, 0], [3, 4]], dtype=np.float32)
        self.assertTrue(np.allclose(dataset.of_length_one(rows), [[0, 0], [0.6, 0.8]]))


if __name__ == "__main__":
    unittest.main()
