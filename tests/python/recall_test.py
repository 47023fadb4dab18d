"""Goal: measure_recall, recall_curve, ef_for and search(recall=) do what their docstrings say.

Method: one small index, whose searches are compared with exact ones, and each way of asking for the wrong thing.
"""

import numpy as np

import rhumb
import support
from support import DIM, vectors


class Recall(support.TestCase):
    def test_a_search_gets_the_recall_that_it_asks_for(self):
        with self.create(2000) as index:
            self.assertIsNone(index.recall_curve())
            curve = index.measure_recall(count=150)
            self.assertEqual((curve.count, curve.change_count, curve.outdated), (2000, 0, False))
            self.assertFalse(curve.queries_given)
            self.assertEqual({k for k, _, _ in curve.points}, {1, 10, 100})
            self.assertTrue(all(0 <= recall <= 1 and ef >= k for k, ef, recall in curve.points))
            queries = np.random.default_rng(5).standard_normal((100, DIM)).astype(np.float32)
            truth = index.search(queries, 10, exact=True)
            ef = index.ef_for(0.95)
            found = index.search(queries, 10, recall=0.95)
            np.testing.assert_array_equal(found.keys, index.search(queries, 10, ef_search=ef).keys)
            self.assertGreater(found.recall(truth), 0.85)
            one = index.search(queries[0], recall=0.95)
            np.testing.assert_array_equal(one.keys, found.keys[0])
            self.assertEqual(len(index.search_like(3, recall=0.9).keys), 10)

    def test_a_curve_is_kept_unless_it_is_a_dry_run(self):
        with self.create(500) as index:
            dry = index.measure_recall(vectors(20), dry_run=True)
            self.assertTrue(dry.queries_given)
            self.assertEqual(dry.query_count, 20)
            self.assertIsNone(index.recall_curve())
            index.measure_recall(threads=1)
            index.delete(1)
        with rhumb.open(self.path(), read_only=True) as index:
            self.assertIn(index.recall_curve().change_count, range(1, 4), "one change, and a batch around it")
            self.assertRaises(rhumb.ReadOnly, index.measure_recall)
            index.measure_recall(dry_run=True)

    def test_what_cannot_be_is_refused(self):
        with self.create(500) as index:
            self.assertRaises(rhumb.Unsupported, index.search, vectors(1)[0], recall=0.9)
            self.assertRaises(rhumb.Unsupported, index.ef_for, 0.9)
            index.measure_recall()
            for wrong in (0, -1, 1.01, float("nan")):
                self.assertRaises(rhumb.Invalid, index.search, vectors(1)[0], recall=wrong)
            for option in ({"ef_search": 10}, {"radius": 1.0}, {"exact": True}):
                self.assertRaises(rhumb.Invalid, index.search, vectors(1)[0], recall=0.9, **option)
            self.assertRaises(rhumb.Invalid, index.search_like, 1, recall=0.9, ef_search=10)
            self.assertRaises(ValueError, index.measure_recall, vectors(2)[:, :3])
            self.assertRaises(rhumb.Invalid, index.measure_recall, count=70000)

    def test_measuring_reports_progress(self):
        calls = []
        with self.create(800) as index:
            index.measure_recall(progress=lambda done, total: calls.append((done, total)))
        self.assertEqual(calls[-1], (1000, 1000))


if __name__ == "__main__":
    support.main()
