"""Goal: folders of shards are built by several processes, split, joined, copied and restored, with every vector, and while
searches and writes go on.

Method: small folders, compared with one index of the same vectors; a reshard under load compared with what was written.
"""

import os
import shutil
import threading
from unittest import mock

import numpy as np

import rhumb
import rhumb.shards
import support
from support import DIM, vectors


class Building(support.ShardsCase):
    def test_a_build_has_every_vector(self):
        data = vectors(3000)
        index = self.create(3000)
        for workers, shards in ((1, 1), (2, 4), (3, 2)):
            name = f"built-{workers}-{shards}"
            report = rhumb.shards.build(self.path(name), data, shards=shards, workers=workers, M=8)
            self.assertEqual((report.count, len(report.shards)), (3000, shards))
            self.assertEqual(sum(shard.count for shard in report.shards), 3000)
            self.assertTrue(all(shard.cpu_seconds > 0 for shard in report.shards))
            with rhumb.shards.open(self.path(name)) as found:
                self.assertEqual((found.verify().count, found.options.M), (3000, 8))
                self.same_answers(found, index, vectors(20, seed=3))
                self.assertEqual(found.add(vectors(1)).tolist(), [3000])

    def test_files_and_iterators_are_sources(self):
        np.save(self.path("data.npy"), vectors(500))
        rhumb.shards.build(self.path("file"), self.path("data.npy"), shards=2)
        pairs = ((vectors(500)[i : i + 100], range(i, i + 100)) for i in range(0, 500, 100))
        rhumb.shards.build(self.path("pairs"), pairs, shards=2, dim=DIM)
        rhumb.shards.build(self.path("keys"), vectors(3), [7, 8, 2**64 - 2], shards=2)
        for name, count in (("file", 500), ("pairs", 500), ("keys", 3)):
            with rhumb.shards.open(self.path(name), read_only=True) as found:
                self.assertEqual(found.verify().count, count)
                np.testing.assert_array_equal(
                    found.get(found.keys()[0]), vectors(500)[int(found.keys()[0])]
                ) if count > 3 else None
        words = [b"one", b"three", b"five"]
        rhumb.shards.build(self.path("words"), words, shards=2, dim=8, metric="levenshtein", dtype="u8")
        with rhumb.shards.open(self.path("words"), read_only=True) as found:
            self.assertEqual([bytes(word) for word in found.get([0, 1, 2])], words)

    def test_a_build_that_fails_leaves_nothing(self):
        bad = vectors(500)
        bad[400, 0] = np.inf
        for kind, vectors_, arguments in (
            (rhumb.NotFinite, bad, {}),
            (rhumb.KeyExists, vectors(3), {"keys": [1, 2, 1]}),
            (rhumb.Invalid, vectors(3), {"keys": [1]}),
            (rhumb.Invalid, vectors(3), {"M": 10**6}),
            (rhumb.Invalid, iter([]), {}),
            (rhumb.Invalid, iter([(vectors(3), [1])]), {"dim": DIM}),
            (rhumb.Unsupported, vectors(3), {"custom_name": "x", "custom_distance": len}),
            (TypeError, vectors(3), {"what": 1}),
            (rhumb.Cancelled, vectors(3), {"progress": lambda done, total: False}),
        ):
            with self.assertRaises(kind, msg=str(arguments)):
                rhumb.shards.build(self.path("new"), vectors_, **{"shards": 2, **arguments})
            self.assertFalse(os.path.exists(self.path("new")), str(arguments))
        self.assertRaises(FileNotFoundError, rhumb.shards.build, self.path("no/where"), vectors(3), shards=1)
        self.make(3).close()
        self.assertRaises(FileExistsError, rhumb.shards.build, self.path("shards"), vectors(3), shards=1)
        with rhumb.shards.open(self.path("shards")) as found:
            self.assertEqual(found.verify().count, 3)

    def test_an_empty_build_can_be_filled(self):
        rhumb.shards.build(self.path("new"), np.empty((0, DIM), np.float32), shards=3)
        with rhumb.shards.open(self.path("new")) as found:
            self.assertEqual(len(found.search(vectors(1)[0]).keys), 0)
            found.reshard(2)
            self.assertEqual(found.add(vectors(2)).tolist(), [0, 1])


class Resharding(support.ShardsCase):
    def test_any_number_becomes_any_other(self):
        data = vectors(2000)
        index = self.create(2000)
        found = self.make(2000, 4)
        for count in (8, 4, 1, 3, 5, 5):
            before = {shard.uuid for shard in found.manifest.shards} if found.shard_count == count else None
            found.reshard(count)
            self.assertEqual((found.shard_count, found.verify().count), (count, 2000))
            self.same_answers(found, index, vectors(10, seed=6))
            if before:
                self.assertEqual({shard.uuid for shard in found.manifest.shards}, before)
            files = {name for name in os.listdir(self.path("shards")) if name.endswith(".rhumb")}
            self.assertEqual(files, {shard.file for shard in found.manifest.shards})
        np.testing.assert_array_equal(found.get(np.arange(2000)), data)
        self.assertRaises(rhumb.Invalid, found.reshard, 0)
        self.assertRaises(rhumb.Invalid, found.reshard, 4097)

    def test_joined_shards_are_as_good_as_one_index(self):
        data, queries = support.clustered(6000), support.clustered(6200)[6000:]
        found = self.make(0, 7, dim=data.shape[1], M=8)
        found.add(data)
        for count in (4, 3, 1):  # whole shards, parts of shards, and both
            seen = []
            found.reshard(count, progress=lambda done, total: seen.append(done / total))
            self.assertEqual(seen, sorted(seen))
            self.assertEqual(seen[-1], 1)
            self.assertEqual((found.verify().unreachable_count, found.options.M), (0, 8))
            files = {name for name in os.listdir(self.path("shards")) if name.endswith(".rhumb")}
            self.assertEqual(files, {shard.file for shard in found.manifest.shards})
        index = self.create(0, dim=data.shape[1], M=8)
        index.add(data)
        truth = index.search(queries, 10, exact=True)
        self.assertGreater(found.search(queries, 10).recall(truth), index.search(queries, 10).recall(truth) - 0.01)

    def test_more_shards_are_joined_than_are_merged_at_a_time(self):
        found, index = self.make(900, 9), self.create(900)
        with mock.patch("rhumb.shards.copying._SOURCES_MAX", 2):
            for count in (4, 1):
                found.reshard(count)
                self.assertEqual(found.verify().count, 900)
                self.same_answers(found, index, vectors(10, seed=6))
        self.assertEqual(len([name for name in os.listdir(self.path("shards")) if name.startswith("shard-")]), 1)

    def test_shards_of_sequences_are_joined(self):
        words = [b"one", b"three", b"five", b"seven", b"nine", b"eleven"]
        rhumb.shards.build(self.path("words"), words, shards=5, dim=8, metric="levenshtein", dtype="u8", workers=1)
        with rhumb.shards.open(self.path("words")) as found:
            for count in (3, 1):
                found.reshard(count)
                self.assertEqual([bytes(word) for word in found.get(np.arange(6))], words)
                self.assertEqual(found.verify().count, 6)

    def test_readers_follow(self):
        found = self.make(500, 2)
        found.checkpoint()
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            iterator = reader.iterate(vectors(1)[0])
            next(iterator)
            found.reshard(3)
            found.add(vectors(1))
            found.checkpoint()
            self.assertEqual((len(reader), reader.shard_count), (500, 2))  # until it is refreshed
            self.assertTrue(reader.refresh())
            self.assertEqual((len(reader), reader.shard_count), (501, 3))
            self.assertEqual(len(list(iterator)), 499)  # of the shards that it began with
            found.reshard(6)
            self.assertTrue(reader.refresh())
            self.assertEqual((len(reader), reader.shard_count), (501, 6))

    def test_searches_and_writes_go_on(self):
        found = self.make(2000, 4, durability="full")
        stop, failures, written = threading.Event(), [], {}
        data = vectors(2000)

        def search():
            while not stop.is_set():
                keys = found.search(data[:3], 1, ef_search=200).keys[:, 0].tolist()
                if keys != [0, 1, 2] or len(list(zip(range(50), found.iterate(data[0])))) != 50:
                    failures.append(keys)

        def write():
            rng = np.random.default_rng(1)
            while not stop.is_set():
                keys = rng.choice(np.arange(3, 3000, dtype=np.uint64), 30, replace=False)
                if rng.random() < 0.3:
                    found.delete(keys, missing="ignore")
                    written.update(dict.fromkeys(keys.tolist(), None))
                else:
                    new = rng.random((30, DIM)).astype(np.float32)
                    found.upsert(new, keys)
                    written.update(zip(keys.tolist(), new))

        def guarded(function):
            def run():
                try:
                    function()
                except Exception as failure:
                    failures.append(failure)

            return run

        threads = [threading.Thread(target=guarded(function)) for function in (search, search, write)]
        for thread in threads:
            thread.start()
        for count in (8, 4):
            found.reshard(count)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(written), 100)
        found.close()
        with rhumb.shards.open(self.path("shards")) as found:
            found.verify()
            for key, vector in written.items():
                self.assertEqual(vector is not None, key in found, key)
                if vector is not None:
                    np.testing.assert_array_equal(found[key], vector)
            for key in set(range(2000)) - set(written):
                self.assertIn(key, found)

    def test_a_reshard_that_is_cancelled_changes_nothing(self):
        found = self.make(3000, 2)
        files = sorted(os.listdir(self.path("shards")))
        for after in (0, 1, 3):
            calls = iter(range(after))
            with self.assertRaises(rhumb.Cancelled):
                found.reshard(4, progress=lambda done, total: next(calls, None) is not None)
            self.assertEqual(sorted(os.listdir(self.path("shards"))), files)
        with self.assertRaises(rhumb.Cancelled):
            found.reshard(1, progress=lambda done, total: done < 2000)  # in the middle of a merge
        self.assertEqual(sorted(os.listdir(self.path("shards"))), files)
        self.assertEqual((found.shard_count, found.verify().count), (2, 3000))
        found.add(vectors(1))
        found.reshard(4)
        self.assertEqual(found.verify().count, 3001)


class Snapshots(support.ShardsCase):
    def test_a_snapshot_is_a_folder_of_its_own(self):
        found = self.make(1000, 3)
        found.metadata = b"x"
        found.add(vectors(1), keys=[5000])  # in the log alone
        found.snapshot(self.path("snapshot"))
        found.delete(range(500))
        with rhumb.shards.open(self.path("snapshot"), read_only=True) as copy:
            self.assertEqual((copy.verify().count, copy.shard_count, copy.metadata), (1001, 3, b"x"))
            self.assertNotEqual(copy.uuid, found.uuid)
        self.assertRaises(FileExistsError, found.snapshot, self.path("snapshot"))
        rhumb.shards.restore(self.path("snapshot"), self.path("restored"))
        with rhumb.shards.open(self.path("restored")) as copy:
            self.assertEqual(copy.verify().count, 1001)
            self.assertEqual(copy.add(vectors(1)).tolist(), [5001])
        self.assertRaises(FileExistsError, rhumb.shards.restore, self.path("snapshot"), self.path("restored"))

    def test_a_reader_makes_a_snapshot_of_its_checkpoint(self):
        found = self.make(100)
        found.checkpoint()
        with rhumb.shards.open(self.path("shards"), read_only=True) as reader:
            reader.snapshot(self.path("snapshot"))
        with rhumb.shards.open(self.path("snapshot")) as copy:
            self.assertEqual(copy.verify().count, 100)

    def test_what_cannot_be_restored_leaves_nothing(self):
        found = self.make(1000, 3, durability="full")
        self.assertRaisesRegex(rhumb.OutOfStep, "log", rhumb.shards.restore, self.path("shards"), self.path("new"))
        self.assertFalse(os.path.exists(self.path("new")))
        found.close()
        path = self.path("shards/" + found.manifest.shards[2].file)
        with open(path, "r+b") as file:
            file.truncate(4096)
        self.assertRaises(rhumb.Corrupt, rhumb.shards.restore, self.path("shards"), self.path("new"))
        os.remove(path)
        self.assertRaises(FileNotFoundError, rhumb.shards.restore, self.path("shards"), self.path("new"))
        self.assertFalse(os.path.exists(self.path("new")))


class Repairs(support.ShardsCase):
    def damaged(self, count=2000, shards=4):
        """A closed folder, and the paths of its shards."""
        with self.make(0, shards) as found:
            found.add(vectors(count))
            found.metadata = b"x"
        return [self.path("shards/" + shard.file) for shard in found.manifest.shards]

    def repaired(self, **options):
        shutil.rmtree(self.path("new"), ignore_errors=True)
        return rhumb.shards.repair(self.path("shards"), self.path("new"), **options)

    def same_vectors(self, keys):
        with rhumb.shards.open(self.path("new")) as found:
            found.verify()
            self.assertEqual(sorted(found), sorted(keys))
            np.testing.assert_array_equal(found.get(sorted(keys)), vectors(2000)[sorted(keys)])
            self.assertEqual(found.add(vectors(1)).tolist(), [2000])
            return found.shard_count, found.metadata

    def test_an_undamaged_folder_is_copied(self):
        self.damaged()
        report = self.repaired()
        self.assertTrue(report.complete)
        self.assertEqual((report.count, report.moved_count), (2000, 0))
        self.assertEqual(self.same_vectors(range(2000)), (4, b"x"))

    def test_a_missing_shard_and_one_that_is_no_index_are_empty_afterwards(self):
        paths = self.damaged()
        with rhumb.shards.open(self.path("shards"), read_only=True) as found:
            left = [key for key in range(2000) if found.shards_of(key) in (1, 2)]
        os.remove(paths[0])
        with open(paths[3], "wb") as file:
            file.write(b"something else" * 1000)
        report = self.repaired()
        self.assertFalse(report.complete)
        self.assertEqual([bool(one.failure) for one in report.shards], [True, False, False, True])
        self.assertEqual(self.same_vectors(left)[0], 4)
        self.assertRaises(rhumb.Error, self.repaired, strict=True)
        self.assertFalse(os.path.exists(self.path("new")))

    def test_damaged_pages_cost_their_vectors_only(self):
        paths = self.damaged()
        with open(paths[1], "r+b") as file:
            file.seek(os.path.getsize(paths[1]) // 2)
            file.write(b"\xff" * 4096)
        report = self.repaired()
        self.assertGreater(report.count, 1500)
        with rhumb.shards.open(self.path("new")) as found:
            self.assertEqual(found.verify().count, report.count)

    def test_shards_are_found_without_their_manifest(self):
        paths = self.damaged()
        manifest = self.path("shards/manifest.json")
        with open(manifest, "r+b") as file:
            file.seek(200)
            file.write(b"@")
        report = self.repaired()
        self.assertIn("manifest.json", report.manifest_failure)
        self.assertEqual((report.count, report.moved_count, report.complete), (2000, 0, False))
        self.assertEqual(self.same_vectors(range(2000)), (4, b""))
        # a shard that an interrupted reshard has left has keys that others have too
        rhumb.compact_into(paths[2], self.path("shards/shard-0000-00000000.rhumb"), filter=range(500))
        os.remove(manifest)
        report = self.repaired()
        self.assertEqual((report.count, report.dropped_count > 0), (2000, True))
        self.assertEqual(self.same_vectors(range(2000))[0], 4)
        self.assertRaises(rhumb.NotFound, self.repaired, strict=True)

    def test_keys_in_the_wrong_shard_are_moved(self):
        paths = self.damaged()
        with rhumb.shards.open(self.path("shards"), read_only=True) as found:
            key = next(key for key in range(2000) if found.shards_of(key) == 0)
        with rhumb.open(paths[0]) as index:
            index.delete(key)
        with rhumb.open(paths[1]) as index:
            index.add(vectors(2000)[key], [key])
        report = self.repaired()
        self.assertEqual((report.count, report.moved_count, report.dropped_count), (2000, 1, 0))
        self.same_vectors(range(2000))

    def test_there_must_be_something_to_save(self):
        self.assertRaises(FileNotFoundError, self.repaired)
        for path in self.damaged(10):
            os.remove(path)
        self.assertRaisesRegex(rhumb.Corrupt, "nothing can be saved", self.repaired)
        self.assertFalse(os.path.exists(self.path("new")))
        self.assertRaises(FileExistsError, rhumb.shards.repair, self.path("shards"), self.path("shards"))


if __name__ == "__main__":
    support.main()
