"""Goal: the memory of its own that `rhumb build` takes does not grow with what it builds: rows are written ahead, and what
a plan needs is in files that the kernel can write out. Method: two files, the second three times as long, and the most
anonymous memory that the kernel has counted for the tool while it built them."""

import os
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

TOOL = os.path.abspath(sys.argv.pop(1))
COUNT, DIM = 20_000, 512


def most_anonymous_kib(folder, rows):
    arguments = [TOOL, "build", "-q", "-f", os.path.join(folder, "index.rhumb"), rows, "--M", "4"]
    process = subprocess.Popen(arguments + ["--ef-construction", "8"], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
                line = next((line for line in file if line.startswith("RssAnon:")), "RssAnon: 0 kB")
            most = max(most, int(line.split()[1]))
        except OSError:  # it has just ended
            pass
        time.sleep(0.01)
    if process.returncode != 0:
        raise AssertionError(f"rhumb build ended with {process.returncode}")
    return most


class Build(unittest.TestCase):
    def test_takes_as_much_memory_for_three_times_the_vectors(self):
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as folder:
            rows = np.random.default_rng(1).random((3 * COUNT, DIM), dtype=np.float32)
            most = []
            for count in (COUNT, 3 * COUNT):
                path = os.path.join(folder, f"{count}.npy")
                np.save(path, rows[:count])
                most.append(most_anonymous_kib(folder, path))
        print(f"{most[0] >> 10} MiB for {COUNT:,} vectors, {most[1] >> 10} for {3 * COUNT:,}")
        # As much, and what the disk is behind; the vectors alone are 78 MiB more.
        self.assertLess(most[1], most[0] + (40 << 10))


if __name__ == "__main__":
    unittest.main()
