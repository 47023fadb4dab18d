"""Goal: a generated data set has the same rows everywhere and an exact truth, also when it is made in several pieces.

Method: small sets made from beginning to end, with pieces of a few hundred rows, compared with sorting all distances.
"""

import os
import tempfile
import unittest

import blas
import datasets  # first, as it sets how many threads numpy uses
import h5py
import numpy as np
import structured


class Made(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        for name, value in (("TRAIN_BLOCK_ROWS", 500), ("STRUCTURED_TEST_COUNT", 40), ("SYNTHETIC_TEST_COUNT", 40)):
            self.addCleanup(setattr, datasets, name, getattr(datasets, name))
            setattr(datasets, name, value)
        self.addCleanup(setattr, datasets, "say", datasets.say)
        datasets.say = lambda text: None

    def made(self, name):
        with h5py.File(datasets.make(name, self.folder), "r") as file:
            return {key: file[key][:] for key in file}, dict(file.attrs)

    def assert_truth_is_exact(self, name, distances_of):
        arrays, attributes = self.made(name)
        train, test = (arrays[part].astype(np.float64) for part in ("train", "test"))
        distances = distances_of(train, test)
        order = np.argsort(distances, axis=1, kind="stable")[:, :100]
        self.assertTrue((arrays["neighbors"] == order).all())
        self.assertTrue(np.allclose(arrays["distances"], np.take_along_axis(distances, order, axis=1), atol=1e-6))
        self.assertEqual(attributes["dimension"], train.shape[1])

    def test_the_truth_of_structured_rows_is_exact(self):
        def angular(train, test):
            train, test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
            return 1.0 - test @ train.T

        self.assert_truth_is_exact("structured-1701-48", angular)

    def test_the_truth_of_synthetic_rows_is_exact(self):
        self.assert_truth_is_exact(
            "synthetic-1701-16", lambda train, test: np.linalg.norm(test[:, None] - train[None], axis=2)
        )

    def test_structured_sets_are_the_same_each_time(self):
        first, _ = self.made("structured-1701-48")
        os.remove(os.path.join(self.folder, "structured-1701-48.hdf5"))
        again, _ = self.made("structured-1701-48")
        for key, values in first.items():
            self.assertTrue((values == again[key]).all(), key)

    def test_a_set_that_is_there_is_left_alone(self):
        self.made("structured-300-8")
        path = os.path.join(self.folder, "structured-300-8.hdf5")
        before = os.stat(path).st_mtime_ns
        self.made("structured-300-8")
        self.assertEqual(os.stat(path).st_mtime_ns, before)
        self.assertEqual(os.listdir(self.folder), ["structured-300-8.hdf5"])

    def test_other_names_are_refused(self):
        for name in ("structured-0-8", "structured-8-0", "structured-8-65536", "structured-8", "structure-8-8"):
            with self.assertRaises(SystemExit, msg=name):
                datasets.make(name, self.folder)

    def test_wide_registers_are_used_where_the_processor_has_them(self):
        self.assertIsNone(blas.kernels_for(["flags", ":", "sse2", "avx2"]))
        self.assertEqual(blas.kernels_for(["sse2", "avx2", "fma", "avx512f"]), "Haswell")
        self.assertEqual(blas.kernels_for(["avx2", "fma", "avx512bw", "avx512dq", "avx512vl"]), "SkylakeX")

    def test_blocks_of_wide_rows_are_shorter(self):
        self.assertEqual(datasets.block_rows_of(100), datasets.TRAIN_BLOCK_ROWS)
        self.assertEqual(datasets.block_rows_of(1 << 20), 32)
        self.assertEqual(datasets.block_rows_of(1 << 30), 1)


class Structure(unittest.TestCase):
    """What structured.py says of its rows."""

    @classmethod
    def setUpClass(cls):
        cls.rows = structured.Source(20000, 96, 397).rows(20000).astype(np.float64)

    def test_rows_have_length_one_and_a_common_part(self):
        self.assertLess(np.abs(np.linalg.norm(self.rows, axis=1) - 1).max(), 1e-5)
        self.assertGreater(np.linalg.norm(self.rows.mean(axis=0)), 0.2)

    def test_the_spectrum_decays(self):
        variances = np.linalg.svd(self.rows - self.rows.mean(axis=0), compute_uv=False) ** 2
        shares = np.cumsum(variances / variances.sum())
        self.assertGreater(shares[len(shares) // 4], 0.68)  # 0.63 with a flat spectrum
        self.assertLess(shares[0], 0.3)

    def test_no_component_is_special(self):
        deviations = self.rows.std(axis=0)
        self.assertLess(deviations.max() / deviations.min(), 3)

    def test_the_intrinsic_dimension_near_a_row_is_that_of_its_cluster(self):
        # The estimate of Levina and Bickel from the 100 nearest of some rows.
        estimates = []
        for query in self.rows[:100]:
            nearest = np.sort(1.0 - self.rows @ query)[1:101]
            radii = np.sqrt(2 * nearest)
            estimates.append(-1 / np.mean(np.log(radii[:-1] / radii[-1])))
        self.assertGreater(np.median(estimates), 8)
        self.assertLess(np.median(estimates), 32)


if __name__ == "__main__":
    unittest.main()
