"""What the tests of the Python package share: folders that vanish, data, and other processes."""

import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import rhumb

DIM = 16


def vectors(count, dim=DIM, seed=1, dtype=np.float32):
    """Random vectors, the same each time."""
    return np.random.default_rng(seed).random((count, dim)).astype(dtype)


def clustered(count, dim=24):
    """Random vectors of ten clusters, the same each time."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((10, dim))
    return (centres[rng.integers(10, size=count)] + 0.5 * rng.standard_normal((count, dim))).astype(np.float32)


class TestCase(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="rhumb-test-", dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name="index.rhumb"):
        return os.path.join(self.folder, name)

    def create(self, count=0, dim=DIM, name="index.rhumb", **options):
        """An index of `count` random vectors under the keys 0, 1, 2..."""
        options.setdefault("durability", "none")  # faster, and no test cuts the power
        index = rhumb.create(self.path(name), dim, **options)
        self.addCleanup(index.close)
        if count:
            index.add(vectors(count, dim))
        return index


def start_python(code, *arguments, **options):
    """Another Python process that runs `code` with this test's modules."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)


def main():
    unittest.main(module="__main__")
