"""Goal: whenever a process that writes a folder of shards dies, every write that had returned is there, no key is in two
shards, a batch that had not returned is in each shard whole or not at all, and a reshard has happened or has not.

Method: forked children write, reshard and build, and are killed: at random moments, or before each step of a reshard
that touches a file. RHUMB_SHARDS_ROUNDS is how many times (20 unless given; "all" steps from 1,000 on), RHUMB_SEED
repeats a run.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest.mock

import numpy as np

import rhumb
import rhumb.shards
import support
from rhumb.shards import copying, folder
from support import DIM, vectors

ROUNDS = int(os.environ.get("RHUMB_SHARDS_ROUNDS", "20"))
SEED = int(os.environ.get("RHUMB_SEED", random.randrange(2**31)))
KEY_LIMIT = 3000


def vector_of(key, version):
    """The vector that a key has after the change of number `version`."""
    found = np.zeros(DIM, np.float32)
    found[:3] = key, version, 1
    return found


def start(function):
    """Runs a function in a forked child; its id and the file that it writes lines to."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as file:
                function(file)
            status = 0
        except BaseException as failure:
            print(repr(failure), file=sys.stderr)
        finally:
            os._exit(status)
    os.close(writer)
    return child, os.fdopen(reader)


def write(path, seed, reshard, file):
    """Changes keys for ever, and says what before and after each batch; on one thread shards are split and joined."""
    rng = np.random.default_rng(seed)
    shards = rhumb.shards.open(path)
    print("open", file=file, flush=True)

    def reshard_on():
        for count in (8, 4, 3) * 1000:
            shards.reshard(count)

    if reshard:
        threading.Thread(target=reshard_on, daemon=True).start()
    for version in range(1, 10**9):
        keys = rng.choice(KEY_LIMIT, int(rng.integers(1, 80)), replace=False)
        kind = "delete" if rng.random() < 0.3 else "upsert"
        print(kind, version, *keys.tolist(), file=file, flush=True)
        if kind == "delete":
            shards.delete(keys, missing="ignore")
        else:
            shards.upsert(np.stack([vector_of(key, version) for key in keys.tolist()]), keys)
        print("done", file=file, flush=True)
        if rng.random() < 0.02:
            shards.checkpoint()


def count_steps(path, target, kill_at, file):
    """A reshard that is killed before step `kill_at` of those that touch files; writes the names of all steps."""
    count = 0
    lock = threading.Lock()  # shards make checkpoints at the same time

    def stepping(name, function):
        def step(*arguments, **options):
            nonlocal count
            with lock:
                print(name, file=file, flush=True)
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            return function(*arguments, **options)

        return step

    shards = rhumb.shards.open(path)
    patches = [
        unittest.mock.patch.object(os, name, stepping(name, getattr(os, name)))
        for name in ("fsync", "rename", "remove")
    ]
    for name in ("compact_into", "merge"):
        patches.append(unittest.mock.patch.object(copying, name, stepping(name, getattr(copying, name))))
    for name in ("checkpoint", "upsert", "close"):
        patches.append(unittest.mock.patch.object(rhumb.Index, name, stepping(name, getattr(rhumb.Index, name))))
    for patch in patches:
        patch.start()
    shards.reshard(target)
    shards.close()


class Model:
    """What must be in the folder, from what a child has said."""

    def __init__(self, count):
        self.versions = dict.fromkeys(range(count), 0)  # key: version of its vector
        self.pending = {}  # key: the version, or None for a deletion, that it may have too

    def read(self, file):
        for line in file:
            kind, *numbers = line.split()
            if not line.endswith("\n"):
                break  # the child was killed in the middle of a line: the batch had not begun
            if kind == "done":
                self.apply(self.pending)
                self.pending = {}
            elif kind in ("delete", "upsert"):
                version, *keys = map(int, numbers)
                self.pending = dict.fromkeys(keys, version if kind == "upsert" else None)

    def apply(self, changes):
        for key, version in changes.items():
            if version is None:
                self.versions.pop(key, None)
            else:
                self.versions[key] = version

    def check(self, test, shards):
        """Compares with the open folder, and takes over what has become of the batch that was pending."""
        report = shards.verify()
        keys = shards.keys()
        test.assertEqual(len(np.unique(keys)), len(keys))
        test.assertEqual((len(shards), report.count), (len(keys), len(keys)))
        found = dict(zip(keys.tolist(), shards.get(keys)[:, 1].astype(int).tolist()))
        whole = {}  # shard: whether it has its part of the pending batch
        for key in set(found) | set(self.versions) | set(self.pending):
            before, now = self.versions.get(key), found.get(key)
            if key not in self.pending:
                test.assertEqual(now, before, f"key {key}")
            elif before != self.pending[key]:
                test.assertIn(now, (before, self.pending[key]), f"key {key}")
                whole.setdefault(shards.shards_of(key), set()).add(now == self.pending[key])
        self.pending = {}
        self.versions = found
        return whole


class Killed(support.ShardsCase):
    def setUp(self):
        super().setUp()
        print(f"RHUMB_SEED={SEED}", file=sys.stderr)
        self.rng = random.Random(SEED)

    def fill(self, count, shards):
        """A closed folder."""
        with self.make(0, shards, durability="full") as found:
            found.add(np.stack([vector_of(key, 0) for key in range(count)]), range(count))
        return self.path("shards")

    def killed_rounds(self, rounds, reshard):
        path, model = self.fill(1500, 4), Model(1500)
        batches = counts = 0
        for number in range(rounds):
            if number and number % 100 == 0:
                print(f"{number} rounds", file=sys.stderr)
            child, file = start(lambda file, number=number: write(path, SEED + number, reshard, file))
            with file:
                self.assertEqual(file.readline(), "open\n")
                timer = threading.Timer(self.rng.random() * (1.5 if reshard else 0.3), os.kill, (child, signal.SIGKILL))
                timer.start()
                before = dict(model.versions)
                model.read(file)
                timer.join()
                os.waitpid(child, 0)
            batches += before != model.versions
            with rhumb.shards.open(path) as found:
                whole = model.check(self, found)
                if not reshard:  # a reshard may part keys that were written together
                    self.assertTrue(all(len(seen) == 1 for seen in whole.values()), whole)
                counts += found.shard_count != 4
            self.assertEqual({name for name in os.listdir(path) if name.endswith(".rhumb")},
                             {shard.file for shard in found.manifest.shards})  # fmt: skip
        self.assertGreater(batches, 0)
        return counts

    def test_a_writer_that_is_killed_loses_nothing(self):
        self.killed_rounds(ROUNDS, reshard=False)

    def test_a_writer_that_is_killed_while_it_reshards_loses_nothing(self):
        self.killed_rounds(max(5, ROUNDS // 2), reshard=True)

    def killed_steps(self, shards, target):
        """A reshard killed before each step, or some of them."""
        original = self.fill(800, shards)
        before = rhumb.shards.info(original)
        child, file = start(lambda file: count_steps(self.copy(original), target, -1, file))
        with file:
            steps = file.read().split()
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertIn("rename", steps)
        last = len(steps) - 1 - steps[::-1].index("rename")  # of the manifest
        first = steps.index("rename")
        self.assertGreaterEqual(steps.count("compact_into") + steps.count("merge"), min(target, shards))
        chosen = {first - 2, first - 1, first, first + 1, first + 2, last, len(steps) - 1}
        others = sorted(set(range(len(steps))) - chosen)
        chosen |= set(others if ROUNDS >= 1000 else self.rng.sample(others, min(len(others), ROUNDS // 2)))
        states = {False: 0, True: 0}
        for kill_at in sorted(number for number in chosen if 0 <= number < len(steps)):
            path = self.copy(original)
            child, file = start(lambda file, kill_at=kill_at: count_steps(path, target, kill_at, file))
            with file:
                self.assertEqual(len(file.read().split()), kill_at + 1)
            self.assertEqual(os.WTERMSIG(os.waitpid(child, 0)[1]), signal.SIGKILL)
            with rhumb.shards.open(path, read_only=True) as reader:
                Model(800).check(self, reader)
            with rhumb.shards.open(path) as found:
                self.assertIn(found.shard_count, (shards, target))
                if found.shard_count == shards:
                    self.assertEqual([one.uuid for one in found.manifest.shards], [one.uuid for one in before.shards])
                states[found.shard_count == target] += 1
                Model(800).check(self, found)
            files = [name for name in os.listdir(path) if name.startswith("shard-")]
            self.assertEqual(sorted(files), sorted(shard.file for shard in found.manifest.shards), f"step {kill_at}")
        self.assertGreater(min(states.values()), 0, states)

    def copy(self, original):
        path = self.path("copy")
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(original, path)
        return path

    def test_a_split_that_is_killed_at_any_step_has_happened_or_not(self):
        self.killed_steps(4, 8)

    def test_a_join_that_is_killed_at_any_step_has_happened_or_not(self):
        self.killed_steps(8, 4)

    def test_a_join_of_parts_that_is_killed_at_any_step_has_happened_or_not(self):
        self.killed_steps(3, 2)


BUILD = """
import numpy as np, rhumb.shards, sys, time
def batches():
    rng = np.random.default_rng(1)
    for i in range(10**6):
        yield rng.random((100, 16), np.float32), np.arange(100 * i, 100 * i + 100, dtype=np.uint64)
        if i == 20:
            print("building", flush=True)
        time.sleep(0.001)
rhumb.shards.build(sys.argv[1], batches(), shards=4, dim=16, workers=2)
"""


def children_of(process):
    """The ids of a process's children."""
    with open(f"/proc/{process}/task/{process}/children") as file:
        return [int(child) for child in file.read().split()]


class KilledBuilds(support.ShardsCase):
    def setUp(self):
        super().setUp()
        self.process = support.start_python(BUILD, self.path("shards"), stderr=subprocess.PIPE)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(self.process.stderr.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        self.assertEqual(self.process.stdout.readline(), "building\n")
        self.workers = children_of(self.process.pid)
        self.assertEqual(len(self.workers), 2)

    def test_a_process_that_is_killed_fails_the_build_which_leaves_nothing(self):
        os.kill(self.workers[0], signal.SIGKILL)
        self.assertIn("ended by signal 9", self.process.stderr.read())
        self.assertEqual(self.process.wait(), 1)
        self.assertFalse(os.path.exists(self.path("shards")))

    def test_the_processes_of_a_build_that_is_killed_end_and_the_next_build_succeeds(self):
        self.process.kill()
        self.process.wait()
        end = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{worker}") for worker in self.workers) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse([worker for worker in self.workers if os.path.exists(f"/proc/{worker}")])
        self.assertFalse([name for name in os.listdir(self.path("shards")) if name.startswith("shard-")])
        self.assertRaises(FileNotFoundError, rhumb.shards.open, self.path("shards"))
        with open(self.path("shards/" + folder.new_shard_name(1)), "w") as file:
            file.write("left by a machine that died")
        self.assertEqual(rhumb.shards.build(self.path("shards"), vectors(100), shards=2).count, 100)
        with rhumb.shards.open(self.path("shards"), read_only=True) as found:
            self.assertEqual(found.verify().count, 100)


if __name__ == "__main__":
    support.main()
