"""Goal: a key map finds names, and map and index are in step whatever happens to the process between two writes.

Method: the map against a dict; a process that is killed with -9 again and again in the middle of random operations,
whose acknowledged operations are all there afterwards; an index that is lost or goes back under its map.
"""

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
import uuid

import numpy as np

import rhumb
import support
from support import DIM, vectors

# Writes a line for each operation that has returned: the names that it made true, with a number that the vectors are
# made of, and the names that it deleted.
WRITER = """
import random, sys, uuid
import numpy as np
import rhumb

path, life, seed, durability = sys.argv[1:]
rng = random.Random(seed)
names = [f"name{i}" for i in range(60)] + [uuid.uuid5(uuid.NAMESPACE_URL, str(i)) for i in range(20)]
with rhumb.KeyMap(rhumb.open(path, durability=durability, checkpoint_log_bytes=65536)) as keymap:
    print("open", flush=True)
    for step in range(10**9):
        some = rng.sample(names, rng.randint(1, 12))
        if rng.random() < 0.4:
            keymap.delete(some, missing="ignore")
            print("deleted", *some, sep="|", flush=True)
        else:
            number = float(int(life) * 100_000 + step)
            keymap.upsert(np.full((len(some), 16), number, np.float32), some)
            print("upserted", number, *some, sep="|", flush=True)
"""


class Names(support.TestCase):
    def setUp(self):
        super().setUp()
        self.keymap = rhumb.KeyMap(self.create())
        self.addCleanup(self.keymap.close)
        self.data = vectors(50)

    def test_names_are_found(self):
        special = uuid.uuid4()
        names = [f"n{i}" for i in range(49)] + [special]
        self.keymap.add(self.data, names)
        self.assertEqual(list(self.keymap), names)
        self.assertEqual(self.keymap.search(self.data[3], 1).to_list(), [("n3", 0.0)])
        self.assertEqual(self.keymap.search(self.data[48:], 1).names, [["n48"], [special]])
        found, distances = self.keymap.search(self.data[49], 5, filter=["n1", special, "unknown"])
        self.assertEqual((found, distances[0]), ([special, "n1"], 0))
        self.assertEqual(self.keymap.search_like("n7", 49).names.count("n7"), 0)
        self.assertEqual(next(self.keymap.iterate(self.data[5])), ("n5", 0.0))
        np.testing.assert_array_equal(self.keymap["n8"], self.data[8])
        np.testing.assert_array_equal(self.keymap.get(["n8", special]), self.data[[8, 49]])

    def test_a_name_is_written_once_replaced_and_deleted(self):
        self.keymap.add(self.data[0], "a")
        self.assertRaises(rhumb.KeyExists, self.keymap.add, self.data[:2], ["b", "a"])
        self.assertNotIn("b", self.keymap)
        self.keymap.upsert(self.data[1:3], ["a", "b"])
        np.testing.assert_array_equal(self.keymap["a"], self.data[1])
        self.assertRaises(rhumb.KeyNotFound, self.keymap.delete, ["a", "c"])
        self.assertEqual(self.keymap.delete(["a", "c"], missing="ignore"), 1)
        self.assertEqual((list(self.keymap), len(self.keymap.index)), (["b"], 1))
        self.assertRaises(KeyError, self.keymap.get, "a")
        first = int(self.keymap.keys_of("b")[0])
        self.keymap.delete("b")
        self.keymap.add(self.data[0], "b")
        self.assertGreater(int(self.keymap.keys_of("b")[0]), first)  # no number is used twice

    def test_what_fails_leaves_no_name(self):
        wrong = self.data[:2] * np.nan
        for error, vectors_, names in (
            (rhumb.NotFinite, wrong, ["a", "b"]),
            (rhumb.Invalid, self.data[:2], ["a", "a"]),
            (rhumb.Invalid, self.data[:2], ["a"]),
            (rhumb.Invalid, self.data[:, :3], ["a"] * 50),
            (TypeError, self.data[:2], ["a", 5]),
        ):
            self.assertRaises(error, self.keymap.upsert, vectors_, names)
        self.assertEqual(len(self.keymap), 0)
        with self.assertRaises(ZeroDivisionError):
            self.keymap.add(vectors(5000), [str(i) for i in range(5000)], progress=lambda done, total: 1 / 0)
        self.assertEqual((len(self.keymap), len(self.keymap.index)), (0, 0))

    def test_threads_write_and_read(self):
        def write(begin):
            for i in range(begin, begin + 25):
                self.keymap.upsert(self.data[i], f"n{i}")
                self.assertEqual(self.keymap.search(self.data[i], 1).names, [f"n{i}"])

        threads = [threading.Thread(target=write, args=(begin,)) for begin in (0, 25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.keymap), 50)

    def test_a_reader_sees_the_last_checkpoint(self):
        self.keymap.add(self.data[:2], ["a", "b"])
        self.keymap.index.checkpoint()
        with rhumb.KeyMap(rhumb.open(self.path(), read_only=True)) as reader:
            self.assertEqual(reader.search(self.data[0], 1).names, ["a"])
            self.keymap.delete("a")
            self.keymap.add(self.data[2], "c")
            self.keymap.index.checkpoint()
            self.assertTrue(reader.refresh())
            self.assertEqual(sorted(reader.search(self.data[0], 5).names), ["b", "c"])
            self.assertRaises(rhumb.ReadOnly, reader.index.add, vectors(1))


class Steps(support.TestCase):
    def expect_in_step(self, keymap):
        keys = keymap.keys_of(list(keymap))
        self.assertEqual(sorted(keys.tolist()), sorted(keymap.index.keys().tolist()))

    def test_other_files_are_noticed(self):
        with rhumb.KeyMap(self.create()) as keymap:
            keymap.add(vectors(3), ["a", "b", "c"])
        shutil.copy(self.path(), self.path("older"))
        with rhumb.KeyMap(rhumb.open(self.path())) as keymap:
            keymap.add(vectors(1), ["d"])
        shutil.copy(self.path("older"), self.path())
        index = rhumb.open(self.path())
        self.assertRaisesRegex(rhumb.OutOfStep, "4 names for the 3 vectors", rhumb.KeyMap, index)
        with rhumb.KeyMap(index, adopt=True) as keymap:
            self.assertEqual(list(keymap), ["a", "b", "c"])
        rhumb.compact_into(self.path(), self.path("copy"))
        index = rhumb.open(self.path("copy"))
        shutil.copy(self.path() + "-keys", self.path("copy-keys"))
        self.assertRaisesRegex(rhumb.OutOfStep, "belongs to the index", rhumb.KeyMap, index)
        rhumb.KeyMap(index, adopt=True).close()
        index = rhumb.open(self.path("copy"))
        index.add(vectors(1), 99)
        self.assertRaisesRegex(rhumb.OutOfStep, "changed without its map", rhumb.KeyMap, index)
        index.close()

    def test_a_cut_between_any_two_writes_leaves_both_in_step(self):
        """Copies both files at each moment, as a crash would leave them, and opens the copies."""
        index = self.create(durability="full")
        keymap = rhumb.KeyMap(index)
        self.addCleanup(keymap.close)
        moments = []

        def copy_all(*_):
            folder = self.path(f"moment{len(moments)}")
            os.mkdir(folder)
            for name in os.listdir(self.folder):
                if name.startswith("index.rhumb") and not name.endswith("-shm"):
                    shutil.copy(self.path(name), folder)
            moments.append(folder)

        keymap._sql.set_trace_callback(lambda statement: copy_all() if statement in ("COMMIT",) else None)
        for name in ("upsert", "delete"):
            original = getattr(index, name)

            def traced(*arguments, original=original, **options):
                copy_all()
                answer = original(*arguments, **options)
                copy_all()
                return answer

            setattr(index, name, traced)
        keymap.add(vectors(3), ["a", "b", "c"])
        keymap.upsert(vectors(2, seed=2), ["b", "d"])
        keymap.delete(["a", "b"])
        keymap.add(vectors(1, seed=3), ["a"])
        copy_all()
        seen = []
        for folder in moments:
            with rhumb.KeyMap(rhumb.open(os.path.join(folder, "index.rhumb"))) as copy:
                self.expect_in_step(copy)
                seen.append("".join(sorted(copy)))
        self.assertEqual(list(dict.fromkeys(seen)), ["", "abc", "abcd", "cd", "acd"])

    def test_kill_leaves_both_in_step(self):
        rounds = int(os.environ.get("RHUMB_KILL_ROUNDS", "6"))
        seed = int(os.environ.get("RHUMB_SEED", time.time_ns() % 10**9))
        print(f"RHUMB_SEED={seed}")
        rng = random.Random(seed)
        for durability in ("full", "interval"):
            with self.subTest(durability=durability):
                name = durability + ".rhumb"
                rhumb.KeyMap(rhumb.create(self.path(name), DIM)).close()
                state = {}
                for life in range(rounds):
                    arguments = [self.path(name), str(life % 100), str(seed + life), durability]
                    state = self.one_life(arguments, rng.uniform(0.05, 0.6), state)

    def one_life(self, arguments, seconds, state):
        """Kills a writer, and returns what its map holds: in mode full all that was acknowledged, and of the operation
        after that all or nothing."""
        writer = support.start_python(WRITER, *arguments)
        self.addCleanup(writer.stdout.close)
        self.assertEqual(writer.stdout.readline(), "open\n")
        timer = threading.Timer(seconds, writer.send_signal, (signal.SIGKILL,))
        timer.start()
        lines = [line.rstrip("\n").split("|") for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        timer.join()
        for kind, *rest in lines:
            if kind == "deleted":
                for name in rest:
                    state.pop(name, None)
            else:
                state.update({name: float(rest[0]) for name in rest[1:]})
        with rhumb.KeyMap(rhumb.open(arguments[0])) as keymap:
            self.expect_in_step(keymap)
            found = {str(name): float(keymap[name][0]) for name in keymap}
        if arguments[-1] != "full":
            return found
        different = {name for name in state.keys() | found.keys() if state.get(name) != found.get(name)}
        self.assertLessEqual(len(different), 12, "more than one operation differs from what was acknowledged")
        values = {found.get(name) for name in different}
        self.assertLessEqual(len(values), 1, "an operation was cut in two")
        return found

    def test_no_map_and_another_file(self):
        self.create(1).close()
        with rhumb.open(self.path(), read_only=True) as reader:
            self.assertRaises(FileNotFoundError, rhumb.KeyMap, reader)
            self.assertFalse(os.path.exists(self.path() + "-keys"))
            with open(self.path("text"), "w") as file:
                file.write("not a database, and long enough to be one" * 100)
            self.assertRaisesRegex(rhumb.OutOfStep, "not a key map", rhumb.KeyMap, reader, self.path("text"))

    def test_the_file_says_what_it_is(self):
        with rhumb.KeyMap(self.create(), self.path("elsewhere")) as keymap:
            keymap.add(vectors(1), ["a"])
        sql = sqlite3.connect(self.path("elsewhere"))
        self.assertEqual(sql.execute("SELECT key, name FROM names").fetchall(), [(1, "a")])
        sql.execute("UPDATE meta SET format = 2")
        sql.commit()
        sql.close()
        index = rhumb.open(self.path())
        self.assertRaisesRegex(rhumb.OutOfStep, "format 2", rhumb.KeyMap, index, self.path("elsewhere"))
        index.close()


if __name__ == "__main__":
    support.main()
