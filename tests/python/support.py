"""What the tests of the Python package share: folders that vanish, data, and other processes."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
import zlib

import numpy as np

import rhumb
import rhumb.shards

DIM = 16


def vectors(count, dim=DIM, seed=1, dtype=np.float32):
    """Random vectors, the same each time."""
    return np.random.default_rng(seed).random((count, dim)).astype(dtype)


def clustered(count, dim=24):
    """Random vectors of ten clusters, the same each time."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((10, dim))
    return (centres[rng.integers(10, size=count)] + 0.5 * rng.standard_normal((count, dim))).astype(np.float32)


class WordEncoder:
    """A stand-in for a model: each word adds to one of 64 components. It remembers what it was given."""

    name, dim = "words", 64

    def __init__(self):
        self.embedded = []

    def embed(self, sentences, progress=lambda done: None):
        self.embedded += sentences
        vectors = np.zeros((len(sentences), self.dim), np.float32)
        for row, sentence in zip(vectors, sentences):
            for word in sentence.lower().replace(".", " ").replace(":", " ").split():
                row[zlib.crc32(word.encode()) % self.dim] += 1
        progress(len(sentences))
        return vectors


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


class ShardsCase(TestCase):
    """A test with folders of shards."""

    def make(self, count=0, shards=4, name="shards", dim=DIM, **options):
        """An open folder of `count` random vectors under the keys 0, 1, 2..."""
        options.setdefault("durability", "none")
        found = rhumb.shards.create(self.path(name), dim, shards=shards, **options)
        self.addCleanup(found.close)
        if count:
            found.add(vectors(count, dim))
        return found

    def same_answers(self, found, index, queries, k=10, **options):
        """Exact searches give the same keys and the same bits of distances."""
        mine, other = (one.search(queries, k, exact=True, **options) for one in (found, index))
        np.testing.assert_array_equal(mine.keys, other.keys)
        np.testing.assert_array_equal(mine.distances.view(np.uint32), other.distances.view(np.uint32))
        np.testing.assert_array_equal(mine.counts, other.counts)


def start_python(code, *arguments, **options):
    """Another Python process that runs `code` with this test's modules."""
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)


def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and tests send it
    program = unittest.main(module="__main__", exit=False)
    sys.exit(not program.result.wasSuccessful())  # unittest's own code calls it a failure if all are skipped
