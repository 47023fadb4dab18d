"""Goal: files of other libraries become indexes through Python, with a report, progress and exceptions; and an index
goes to hnswlib and back.

Method: the genuine files of tests/exchange, whose vectors, keys and answers are known. That imports are right is for
the tests there; this one looks at what Python adds.
"""

import os
import shutil
import unittest

import numpy as np

import rhumb
import support
from support import vectors

SAMPLES = os.path.join(os.environ.get("RHUMB_SOURCES", "."), "tests/exchange/samples")


def sample(name):
    return os.path.join(SAMPLES, name)


def samples():
    """(path, options, metric, element, dim, vectors) of each genuine file."""
    with open(sample("manifest.txt")) as file:
        for line in file:
            name, kind, metric, element, dim, *rest = line.split()
            asked = {"metric": metric, "dtype": element, "dim": int(dim), "format": kind if kind == "annoy" else "-"}
            options = {option: value for option, value in asked.items() if value not in ("-", 0)}
            path = sample(name if kind == "hnsw_rs" else name + ".bin")
            yield path, options, rest[0], rest[1], int(rest[2]), int(rest[5])


@unittest.skipUnless(os.path.exists(SAMPLES), "needs the sources: RHUMB_SOURCES")
class Import(support.TestCase):
    def test_every_sample_is_imported(self):
        count = 0
        for path, options, metric, element, dim, vector_count in samples():
            with self.subTest(path):
                report = rhumb.import_index(path, self.path(f"{count}.rhumb"), threads=1, **options)
                found = (report.metric, report.element, report.dim, report.count, report.unreachable_count)
                self.assertEqual(found, (metric, element, dim, vector_count, 0))
                with rhumb.open(self.path(f"{count}.rhumb"), read_only=True) as index:
                    self.assertEqual((index.metric, index.element, len(index)), (metric, element, vector_count))
            count += 1
        self.assertGreater(count, 30)

    def test_the_report_says_what_was_found(self):
        report = rhumb.import_index(sample("hnswlib_l2.bin"), self.path(), metric="l2", format="hnswlib")
        self.assertIsInstance(report, rhumb.ImportReport)
        self.assertEqual(report.format, "hnswlib")
        self.assertIn("hnswlib", report.source)
        self.assertTrue(report.has_links and report.links_used and report.levels_kept)
        self.assertEqual(report.source_count - report.deleted_count, report.count)
        self.assertGreater(report.link_count, report.count)
        self.assertIn(f"count={report.count}", repr(report))

    def test_vectors_are_numbered_again(self):
        rhumb.import_index(sample("hnswlib_l2.bin"), self.path(), metric="l2", first_key=1000, M=8, codes="none")
        with rhumb.open(self.path(), read_only=True) as index:
            self.assertEqual(sorted(index), list(range(1000, 1000 + len(index))))
            self.assertEqual(index.options.codes, "none")

    def test_progress_is_reported_and_stops(self):
        seen = []
        rhumb.import_index(sample("faiss_hnsw.bin"), self.path(), progress=lambda *step: seen.append(step))
        self.assertEqual(seen[-1][0], seen[-1][1])
        new = self.path("new.rhumb")
        with self.assertRaises(rhumb.Cancelled):
            rhumb.import_index(sample("faiss_hnsw.bin"), new, progress=lambda done, total: False)
        with self.assertRaisesRegex(ArithmeticError, "mine"):
            rhumb.import_index(sample("faiss_hnsw.bin"), new, progress=self.fail_arithmetically)
        self.assertEqual(os.listdir(self.folder), ["index.rhumb"])

    @staticmethod
    def fail_arithmetically(done, total):
        raise ArithmeticError("mine")

    def test_failures_are_exceptions(self):
        new, path = self.path(), self.path("source")
        self.assertRaises(FileNotFoundError, rhumb.import_index, path, new)
        self.assertRaises(rhumb.Invalid, rhumb.import_index, sample("hnswlib_l2.bin"), new, format="hnswlib")
        self.assertRaisesRegex(ValueError, "no 'nmslib'", rhumb.import_index, path, new, format="nmslib")
        self.assertRaisesRegex(TypeError, "no option 'ef'", rhumb.import_index, path, new, ef=3)
        self.assertRaises(TypeError, rhumb.import_index, path, new, dtype="f33")
        shutil.copy(sample("faiss_hnsw.bin"), path)
        os.truncate(path, 5000)
        with self.assertRaises(rhumb.Truncated) as caught:
            rhumb.import_index(path, new)
        self.assertEqual(caught.exception.path, path)
        self.assertLessEqual(caught.exception.offset, 5000)
        self.assertFalse(os.path.exists(new))
        self.create(1).close()
        self.assertRaises(FileExistsError, rhumb.import_index, sample("faiss_hnsw.bin"), new)


class Export(support.TestCase):
    def test_an_index_goes_to_hnswlib_and_back(self):
        index = self.create(300, metric="l2sq", codes="none")
        path, new = self.path("index.bin"), self.path("new.rhumb")
        seen = []
        index.export(path, progress=lambda *step: seen.append(step))
        self.assertEqual(seen[-1], (300, 300))
        report = rhumb.import_index(path, new, metric="l2sq")
        self.assertEqual((report.format, report.count, report.source_unreachable_count), ("hnswlib", 300, 0))
        with rhumb.open(new, read_only=True) as copy:
            np.testing.assert_array_equal(copy.get(range(300)), vectors(300))
            for key in range(0, 300, 50):
                self.assertEqual(copy.level(key), index.level(key))

    def test_what_cannot_be_exported_is_an_exception(self):
        index = self.create(3, metric="l1")
        self.assertRaises(rhumb.Unsupported, index.export, self.path("a"))
        self.assertRaisesRegex(ValueError, "no 'faiss'", index.export, self.path("a"), "faiss")
        index.close()
        self.assertRaises(rhumb.Closed, index.export, self.path("a"))
        self.assertFalse(os.path.exists(self.path("a")))


if __name__ == "__main__":
    support.main()
