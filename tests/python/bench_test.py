"""Goal: `python -m rhumb.bench` prints a table of any data set that it says it reads.

Method: a small clustered data set in each form, measured with rhumb alone.
"""

import contextlib
import io
import re
import sys
import types

import numpy as np

import rhumb.bench
import support
from support import clustered


class Bench(support.TestCase):
    def run_bench(self, *words):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            rhumb.bench.main([*words, "--libs", "rhumb", "--ef", "10,100", "--passes", "1", "--m", "12"])
        return output.getvalue()

    def save(self, rows):
        np.save(self.path("rows.npy"), rows)
        words = np.empty((len(rows), rows.shape[1] + 1), np.int32)
        words[:, 0] = rows.shape[1]
        words[:, 1:] = rows.view(np.int32)
        words.tofile(self.path("rows.fvecs"))
        return self.path("rows.npy"), self.path("rows.fvecs")

    def test_it_prints_a_table_of_each_form(self):
        rows = clustered(900)
        npy, fvecs = self.save(rows)
        forms = [([npy], "l2"), ([fvecs, "--metric", "angular"], "cosine"), ([npy, "--queries", fvecs], "l2")]
        try:
            import h5py
        except ImportError:
            print("without h5py: no HDF5", file=sys.stderr)
        else:
            with h5py.File(self.path("rows.hdf5"), "w") as file:
                file["train"], file["test"] = rows[:800], rows[800:]
                file.attrs["distance"] = "angular"
            forms.append(([self.path("rows.hdf5")], "cosine"))
        for words, metric in forms:
            text = self.run_bench(*words, "--query-count", "50")
            self.assertRegex(text, rf"rows: \d+ rows of 24, {metric}; 50 queries, k 10, M 12")
            recalls = [float(recall) for recall in re.findall(r"^ +\d+ +\d+ +(\d\.\d{4})$", text, re.MULTILINE)]
            self.assertEqual(len(recalls), 2, text)
            self.assertGreater(recalls[1], 0.98)
            self.assertRegex(text, r"rhumb \d+\.\d+\.\d+ +\d")

    def test_a_recall_between_two_breadths_has_a_speed_between_theirs(self):
        measured = rhumb.bench.Measured.__new__(rhumb.bench.Measured)
        measured.library = types.SimpleNamespace(data=types.SimpleNamespace(queries=range(100)))
        measured.recalls, measured.seconds = {10: 0.8, 20: 0.92, 40: 0.96}, {10: [1, 9, 1], 20: [4], 40: [5]}
        self.assertAlmostEqual(measured.speed(10), 100)
        self.assertEqual([measured.speed_at(recall) for recall in (0.7, 0.86, 0.92, 0.99)], [">=100", "50", "25", "-"])

    def test_data_that_it_cannot_read_is_an_error(self):
        np.arange(7, dtype=np.int32).tofile(self.path("broken.fvecs"))
        for words in ([self.path("broken.fvecs")], [self.path("rows.csv")]):
            self.assertRaises(SystemExit, self.run_bench, *words)
        npy, _ = self.save(clustered(100))
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertRaises(SystemExit, rhumb.bench.main, [npy, "--libs", "nmslib"])
            self.assertRaises(SystemExit, self.run_bench, npy, "--metric", "jaccard")


if __name__ == "__main__":
    support.main()
