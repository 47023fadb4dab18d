"""Goal: every method of rhumb.Index does what its docstring says, and failures are the exceptions that programs catch.

Method: small indexes, compared with numpy where there is something to compute.
"""

import contextlib
import gc
import io
import os
import pickle
import warnings

import numpy as np

import rhumb
import support
from support import DIM, vectors


class Life(support.TestCase):
    def test_an_index_is_created_closed_and_opened_again(self):
        with rhumb.create(self.path(), DIM, "cosine", np.float32, M=8) as index:
            self.assertEqual((index.dim, index.metric, index.element, index.options.M), (DIM, "cosine", "f32", 8))
            index.add(vectors(3))
        self.assertTrue(index.closed)
        index.close()
        with rhumb.open(self.path()) as index:
            self.assertEqual(len(index), 3)
            self.assertEqual(index.path, os.path.abspath(self.path()))

    def test_a_closed_index_says_so(self):
        index = self.create(3)
        index.close()
        for call in (lambda: index.search(vectors(1)[0]), lambda: len(index), lambda: index.add(vectors(1))):
            self.assertRaises(rhumb.Closed, call)
            self.assertRaises(ValueError, call)
        self.assertIn("closed", repr(index))

    def test_exist_ok_opens_an_index_of_the_same_kind_only(self):
        self.create(3).close()
        self.assertRaises(FileExistsError, rhumb.create, self.path(), DIM)
        with rhumb.create(self.path(), DIM, "euclidean", exist_ok=True) as index:
            self.assertEqual(len(index), 3)
        self.assertRaises(rhumb.Invalid, rhumb.create, self.path(), DIM + 1, exist_ok=True)
        self.assertRaises(rhumb.Invalid, rhumb.create, self.path(), DIM, "cosine", exist_ok=True)

    def test_failures_to_open_are_those_of_files(self):
        self.assertRaises(FileNotFoundError, rhumb.open, self.path())
        self.assertRaises(rhumb.NotFound, rhumb.info, self.path())
        with open(self.path(), "wb") as file:
            file.write(b"not an index" * 1000)
        with self.assertRaises(rhumb.NotAnIndex) as caught:
            rhumb.open(self.path())
        self.assertEqual(caught.exception.status, "RHUMB_E_NOT_AN_INDEX")
        self.assertEqual(caught.exception.path, self.path())
        os.remove(self.path())
        self.create(1)
        self.assertRaises(BlockingIOError, rhumb.open, self.path())

    def test_wrong_options_are_named(self):
        for error, options in (
            (TypeError, {"m": 8}),
            (ValueError, {"M": -1}),
            (TypeError, {"M": "16"}),
            (ValueError, {"codes": "3bit"}),
            (ValueError, {"durability": "much"}),
            (ValueError, {"M": 100000}),
        ):
            with self.assertRaisesRegex(error, next(iter(options))):
                rhumb.create(self.path(), DIM, **options)
        self.assertRaises(ValueError, rhumb.create, self.path(), DIM, "l3")
        self.assertRaises(TypeError, rhumb.create, self.path(), DIM, "l2", "f31")
        self.assertRaises(TypeError, rhumb.create, self.path(), DIM, "l2", np.complex64)
        self.assertEqual(os.listdir(self.folder), [])

    def test_an_index_that_is_forgotten_warns_and_loses_nothing(self):
        index = rhumb.create(self.path(), DIM)
        index.add(vectors(5))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del index
            gc.collect()
        self.assertEqual([warning.category for warning in caught], [ResourceWarning])
        caught.clear()  # the warning itself keeps the index
        with rhumb.open(self.path()) as index:
            self.assertEqual(len(index), 5)

    def test_every_exception_survives_a_pickle_and_has_a_message(self):
        error = rhumb.NotFound("no such file", "RHUMB_E_NOTFOUND", "/x", 5, 2)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.filename, again.errno, again.offset), ("no such file", "/x", 2, 5))


class Writing(support.TestCase):
    def test_keys_are_numbered_or_given(self):
        index = self.create()
        np.testing.assert_array_equal(index.add(vectors(3)), [0, 1, 2])
        self.assertEqual(index.add(vectors(1)[0]), 3)
        self.assertEqual(index.add(vectors(1)[0], 2**63 + 5), 2**63 + 5)
        np.testing.assert_array_equal(index.add(vectors(2), (7, 6)), [7, 6])
        self.assertEqual(sorted(index), [0, 1, 2, 3, 6, 7, 2**63 + 5])
        self.assertEqual(index.add(vectors(1)[0]), 2**63 + 6)
        index.upsert(vectors(1), [2**63 + 20])
        self.assertEqual(index.add(vectors(1)[0]), 2**63 + 21)
        self.assertRaises(KeyError, index.add, vectors(2), [2**63 + 30, 0])
        self.assertGreater(index.add(vectors(1)[0]), 2**63 + 21)

    def test_a_batch_is_all_or_nothing(self):
        index = self.create(3)
        with self.assertRaisesRegex(KeyError, "key 1 "):
            index.add(vectors(3), [10, 1, 11])
        self.assertEqual(sorted(index), [0, 1, 2])
        wrong = vectors(3)
        wrong[1, 2] = np.inf
        with self.assertRaisesRegex(rhumb.NotFinite, "row 1"):
            index.upsert(wrong, [0, 1, 2])
        np.testing.assert_array_equal(index[0], vectors(3)[0])

    def test_upserts_replace_and_insert(self):
        index = self.create(3)
        report = index.upsert(vectors(2, seed=2), [2, 3])
        self.assertEqual((report.inserted_count, report.replaced_count), (1, 1))
        index[0] = vectors(1, seed=3)[0]
        np.testing.assert_array_equal(index[0], vectors(1, seed=3)[0])

    def test_deletes_name_what_is_missing(self):
        index = self.create(5)
        with self.assertRaisesRegex(rhumb.KeyNotFound, "key 9 "):
            index.delete([1, 9])
        self.assertEqual(len(index), 5)
        self.assertEqual(index.delete([1, 9], missing="ignore"), 1)
        del index[2]
        self.assertEqual(sorted(index), [0, 3, 4])
        self.assertRaises(ValueError, index.delete, [0], missing="perhaps")
        self.assertRaises(ValueError, index.delete, [0, 0])

    def test_numbers_of_operations_and_metadata(self):
        index = self.create(3)
        self.assertGreater(index.lsn, 0)
        index.checkpoint()
        self.assertEqual(index.lsn, index.durable_lsn)
        index.metadata = b"model 3"
        self.assertEqual(index.metadata, b"model 3")
        self.assertRaises(ValueError, setattr, index, "metadata", bytes(4000))

    def test_a_reader_is_refused_and_refreshes(self):
        index = self.create(3)
        index.checkpoint()
        with rhumb.open(self.path(), read_only=True) as reader:
            self.assertRaises(PermissionError, reader.add, vectors(1))
            index.add(vectors(2))
            self.assertFalse(reader.refresh())
            index.checkpoint()
            self.assertTrue(reader.refresh())
            self.assertEqual(len(reader), 5)

    def test_progress_is_reported_and_stops(self):
        index = self.create()
        seen = []
        index.add(vectors(500), progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1], (500, 500))
        self.assertRaises(rhumb.Cancelled, index.add, vectors(20000), progress=lambda done, total: False)
        self.assertEqual(len(index), 500)
        with self.assertRaises(ZeroDivisionError):
            index.add(vectors(20000), progress=lambda done, total: 1 / 0)
        self.assertEqual(len(index), 500)

    def test_a_bar_is_shown(self):
        try:
            import tqdm  # noqa: F401
        except ImportError:
            self.skipTest("needs tqdm")
        shown = io.StringIO()
        with contextlib.redirect_stderr(shown):
            self.create().add(vectors(500), progress=True)
        self.assertIn("500/500", shown.getvalue())


class Searching(support.TestCase):
    def setUp(self):
        super().setUp()
        self.data = vectors(1000)
        self.index = self.create(1000)

    def true_keys(self, query, k):
        return np.argsort(((self.data - query) ** 2).sum(axis=1), kind="stable")[:k]

    def test_one_query_and_many_agree_with_numpy(self):
        queries = vectors(20, seed=5)
        truth = np.array([self.true_keys(query, 10) for query in queries])
        exact = self.index.search(queries, 10, exact=True)
        np.testing.assert_array_equal(exact.keys, truth)
        many = self.index.search(queries, 10, ef_search=400)
        self.assertGreater(many.recall(exact), 0.99)
        self.assertGreater(many.recall(truth), 0.99)
        np.testing.assert_array_equal(many.counts, [10] * 20)
        for query, keys, distances in zip(queries, many.keys, many.distances):
            one = self.index.search(query, 10, ef_search=400)
            np.testing.assert_array_equal(one.keys, keys)
            np.testing.assert_array_equal(one.distances, distances)
            np.testing.assert_allclose(distances, np.sqrt(((self.data[keys] - query) ** 2).sum(axis=1)), rtol=1e-4)

    def test_a_result_unpacks_and_lists(self):
        result = self.index.search(self.data[4], 2)
        keys, distances = result
        self.assertEqual((keys.dtype, distances.dtype), (np.uint64, np.float32))
        self.assertEqual(result.to_list()[0], (4, 0.0))
        self.assertEqual(self.index.search(self.data[4:6], 1).to_list(), [[(4, 0.0)], [(5, 0.0)]])

    def test_fewer_than_k_are_no_error(self):
        one = self.index.search(self.data[0], 5, filter=[3, 4])
        self.assertEqual(sorted(one.keys.tolist()), [3, 4])
        many = self.index.search(self.data[:2], 5, filter=[3, 4])
        np.testing.assert_array_equal(many.counts, [2, 2])
        np.testing.assert_array_equal(many.keys[:, 2:], np.full((2, 3), rhumb.NO_KEY, np.uint64))
        self.assertTrue(np.isinf(many.distances[:, 2:]).all())

    def test_radius_finds_everything_within(self):
        query = self.data[0]
        distances = np.sqrt(((self.data - query) ** 2).sum(axis=1))
        radius = float(np.sort(distances)[100])
        found = self.index.search(query, radius=radius)
        self.assertEqual(set(found.keys.tolist()), set(np.flatnonzero(distances <= radius).tolist()))
        self.assertEqual(len(self.index.search(query, 7, radius=radius).keys), 7)
        self.assertEqual(len(self.index.search(query, radius=100).keys), 1000)
        many = self.index.search(self.data[:2], radius=radius)
        np.testing.assert_array_equal(many.keys[0, : many.counts[0]], found.keys)
        for threads in (1, 2, 7):
            many = self.index.search(self.data[:50], radius=radius, ef_search=100, threads=threads)
            for row, keys, distances, count in zip(self.data, many.keys, many.distances, many.counts.tolist()):
                one = self.index.search(row, radius=radius, ef_search=100)
                np.testing.assert_array_equal(keys[:count], one.keys)
                np.testing.assert_array_equal(distances[:count], one.distances)
                self.assertTrue((keys[count:] == rhumb.NO_KEY).all())
        self.assertEqual(self.index.search(self.data[:0], radius=radius).keys.shape, (0, 0))
        self.assertRaises(ValueError, self.index.search, query, radius=float("nan"))
        self.assertRaises(ValueError, self.index.search, self.data[:9], radius=float("nan"))
        self.assertRaises(ValueError, self.index.search, query, radius=1, exact=True)

    def test_a_radius_search_of_many_can_be_watched_and_stopped(self):
        reports = []
        self.index.search(self.data[:50], radius=1.0, threads=2, progress=lambda *report: reports.append(report))
        self.assertEqual(reports[-1], (50, 50))
        with self.assertRaises(rhumb.Cancelled):
            self.index.search(self.data[:50], radius=1.0, threads=2, progress=lambda done, total: False)

    def test_iteration_lists_everything_once_nearest_first(self):
        pairs = list(self.index.iterate(self.data[3], ef_search=100, chunk=7))
        self.assertEqual(sorted(key for key, _ in pairs), list(range(1000)))
        self.assertEqual(pairs[0], (3, 0.0))
        index = self.index
        iterator = index.iterate(self.data[3])
        next(iterator)
        index.close()
        self.assertRaises(rhumb.Closed, lambda: list(iterator))

    def test_like_leaves_the_key_out(self):
        self.assertNotIn(4, self.index.search_like(4, 20).keys)
        self.assertRaises(KeyError, self.index.search_like, 99999)

    def test_out_is_written_to(self):
        keys, distances = np.empty((3, 4), np.uint64), np.empty((3, 4), np.float32)
        result = self.index.search(self.data[:3], 4, out=(keys, distances))
        self.assertIs(result.keys, keys)
        np.testing.assert_array_equal(keys[:, 0], [0, 1, 2])
        self.index.search(self.data[:3], 4, out=(keys, None))
        self.index.search(self.data[0], 4, out=(keys[0], distances[0]))
        read_only = keys.copy()
        read_only.flags.writeable = False
        for wrong in (read_only, keys.astype(np.int64), keys[:2], np.empty((3, 8), np.uint64)[:, ::2], [1]):
            with self.assertRaisesRegex(ValueError, "out: keys"):
                self.index.search(self.data[:3], 4, out=(wrong, distances))

    def test_progress_of_a_batch(self):
        seen = []
        self.index.search(self.data, 1, progress=lambda done, total: seen.append((done, total)))
        self.assertEqual(seen[-1], (1000, 1000))

    def test_wrong_arguments_are_refused(self):
        for k in (0, -1):
            self.assertRaises(ValueError, self.index.search, self.data[0], k)
            self.assertRaises(ValueError, self.index.search, self.data[:2], k)
        self.assertRaises(ValueError, self.index.search, self.data[0], ef_search=10**9)
        self.assertRaises(ValueError, self.index.search, self.data[:2], filters=[None])
        self.assertRaises(ValueError, self.index.search, self.data[:2], filters=[None, None], filter=[1])


class Points(support.TestCase):
    def test_vectors_are_copied_and_viewed(self):
        index = self.create(10)
        data = vectors(10)
        np.testing.assert_array_equal(index[3], data[3])
        np.testing.assert_array_equal(index.get([3, 4]), data[3:5])
        self.assertRaises(KeyError, index.get, 99)
        self.assertRaises(KeyError, index.get, [1, 99])
        self.assertIsNone(index.get(99, None))
        np.testing.assert_array_equal(index.get([1, 99], default=-1), [data[1], np.full(DIM, -1)])
        view = index.view(5)
        self.assertFalse(view.flags.writeable)
        index.delete(5)
        index.compact()
        index.close()
        np.testing.assert_array_equal(view, data[5])

    def test_members(self):
        index = self.create(10)
        self.assertIn(3, index)
        self.assertNotIn(10, index)
        np.testing.assert_array_equal(index.contains(np.array([1, 99])), [True, False])
        self.assertEqual(sorted(index.keys().tolist()), list(range(10)))
        self.assertEqual(len(index), 10)

    def test_neighbours_and_levels(self):
        index = self.create(500)
        keys, distances = index.neighbours(3)
        np.testing.assert_allclose(distances, np.linalg.norm(vectors(500)[keys] - vectors(500)[3], axis=1), rtol=1e-4)
        self.assertTrue(set(keys.tolist()) <= set(index.neighbours(3, None).keys.tolist()))
        level = index.stats.level_top
        top = index.keys(level)
        self.assertTrue(all(index.level(int(key)) >= level for key in top))
        self.assertRaises(ValueError, index.neighbours, 3, 17)
        self.assertRaises(ValueError, index.neighbours, 3, -1)
        self.assertRaises(KeyError, index.level, 999)

    def test_the_graph_alone(self):
        index = self.create(50)
        index.close()
        with rhumb.open(self.path(), graph_only=True) as index:
            self.assertEqual(len(index.neighbours(3).keys), len(set(index.neighbours(3).keys)))
            self.assertRaises(rhumb.Unsupported, index.get, 3)


class Upkeep(support.TestCase):
    def test_reports(self):
        index = self.create(200)
        index.delete(range(100))
        self.assertEqual(index.compact(threads=1).dropped_count, 100)
        self.assertEqual(index.verify().node_count, 100)
        self.assertIsNone(index.compact(background=True))
        index.wait_idle()
        self.assertRaises(TypeError, index.compact, quickly=True)
        report = rhumb.compact_into(self.path(), self.path("copy"), filter=range(150))
        self.assertEqual((report.count, report.left_out_count), (50, 50))
        self.assertEqual(rhumb.info(self.path("copy")).count, 50)
        vectors = {section.name: section for section in rhumb.sections(self.path("copy"))}["vectors"]
        self.assertEqual(vectors.row_count, 50)
        self.assertLessEqual(vectors.resident_bytes, vectors.file_bytes)
        rhumb.compact_into(self.path(), self.path("rest"), filter=range(150, 1000))
        report = rhumb.merge([self.path("copy"), self.path("rest")], self.path("merged"), threads=1)
        self.assertEqual((report.count, report.duplicate_count, report.unreachable_count), (100, 0, 0))
        self.assertEqual(rhumb.info(self.path("merged")).count, 100)
        parts = (self.path("copy"), self.path("merged"))
        self.assertRaises(rhumb.Exists, rhumb.merge, parts, self.path("again"))
        self.assertEqual(rhumb.merge(parts, self.path("again"), duplicates="last", M=5).duplicate_count, 50)
        self.assertRaises(FileExistsError, rhumb.merge, parts, self.path("again"), duplicates="first")
        self.assertRaises(rhumb.Cancelled, rhumb.merge, parts[:1], self.path("never"), progress=lambda *_: False)
        self.assertRaises(rhumb.Invalid, rhumb.merge, self.path("copy"), self.path("never"))
        self.assertRaises(ValueError, rhumb.merge, parts, self.path("never"), duplicates="some")
        self.assertRaises(TypeError, rhumb.merge, parts, self.path("never"), quickly=True)
        index.close()
        self.assertEqual(rhumb.repair(self.path(), self.path("mended")).saved_count, 100)
        self.assertRaises(FileExistsError, rhumb.repair, self.path(), self.path("mended"))

    def test_damage_is_reported(self):
        self.create(2000).close()
        with open(self.path(), "r+b") as file:
            file.seek(file.read().index(vectors(2000)[1234].tobytes()))
            file.write(bytes(64))
        with rhumb.open(self.path(), read_only=True) as index:
            with self.assertRaises(rhumb.Corrupt) as caught:
                index.verify()
        self.assertGreater(caught.exception.report.checksum_error_count, 0)


if __name__ == "__main__":
    support.main()
