"""Goal: the parts of rhumb.shards that are data and files: which shard a key belongs to, how results are merged, and that
whatever is wrong with a manifest or with a file of the folder is named.

Method: every byte of a manifest changed, every truncation of it, and files that are missing, old or of other folders.
"""

import errno
import hashlib
import json
import os
import shutil
import unittest.mock
import uuid

import numpy as np

import rhumb
import rhumb.shards
import support
from rhumb.shards import folder, manifest, merge, placement
from support import vectors


def changed(data, position):
    """The same bytes with one of them changed."""
    return data[:position] + bytes([data[position] ^ (1 << position % 8)]) + data[position + 1 :]


class Placement(support.TestCase):
    def test_slots_do_not_depend_on_the_version(self):
        keys = np.array([0, 1, 2, 1000, 2**63, 2**64 - 2], np.uint64)
        self.assertEqual(placement.slots_of(keys).tolist(), [3618, 2320, 2421, 961, 1153, 3890])

    def test_keys_of_any_pattern_are_spread_evenly(self):
        count = 1 << 16
        patterns = {
            "consecutive": np.arange(count, dtype=np.uint64),
            "multiples": np.arange(count, dtype=np.uint64) << np.uint64(32),
            "top": ~np.arange(count, dtype=np.uint64),
            "random": np.random.default_rng(1).integers(2**64, size=count, dtype=np.uint64),
        }
        for name, keys in patterns.items():
            counts = np.bincount(placement.slots_of(keys), minlength=4096)
            self.assertLess(np.square(counts - 16).sum() / 16, 4096 + 8 * np.sqrt(2 * 4096), name)  # chi square

    def test_maps_and_ranges_are_the_same(self):
        for count in (1, 2, 3, 7, 8, 4096):
            slot_map = placement.even_map(count)
            ranges = [placement.ranges_of(slot_map, shard) for shard in range(count)]
            np.testing.assert_array_equal(placement.map_of(ranges), slot_map)
            sizes = np.bincount(slot_map)
            self.assertLessEqual(sizes.max() - sizes.min(), 1)
        odd = np.arange(4096).astype(np.uint16) % 2
        np.testing.assert_array_equal(placement.map_of(placement.ranges_of(odd, i) for i in (0, 1)), odd)
        for count in (0, 4097, -1):
            self.assertRaises(ValueError, placement.even_map, count)

    def test_a_map_names_slots_without_a_shard_or_with_two(self):
        for ranges, message in (
            ([((0, 4095),)], "slot 4095 belongs to no shard"),
            ([((0, 3000),), ((2999, 4096),)], "slot 2999 belongs to shard 0 and 1"),
            ([((0, 4097),)], "found 0 to 4097"),
            ([((5, 5),)], "found 5 to 5"),
        ):
            self.assertRaisesRegex(ValueError, message, placement.map_of, ranges)

    def test_groups_have_every_key_once(self):
        keys = np.random.default_rng(2).integers(2**63, size=1000, dtype=np.uint64)
        slot_map = placement.even_map(5)
        groups = placement.group(slot_map, keys)
        self.assertEqual(sorted(row for _, rows in groups for row in rows), list(range(1000)))
        for shard, rows in groups:
            self.assertEqual(set(placement.shards_of(slot_map, keys[rows]).tolist()), {shard})
            self.assertEqual(rows.tolist(), sorted(rows.tolist()))
        self.assertEqual(placement.group(slot_map, np.empty(0, np.uint64)), [])


class Merging(support.TestCase):
    def test_equal_distances_are_ordered_by_key(self):
        one = rhumb.Result(np.array([9, 3], np.uint64), np.array([1, 2], np.float32), 2)
        two = rhumb.Result(np.array([5, 1], np.uint64), np.array([1, 2], np.float32), 2)
        found = merge.merge([one, two], 3)
        self.assertEqual(found.to_list(), [(5, 1), (9, 1), (1, 2)])
        self.assertEqual(merge.merge([one], 2).to_list(), [(9, 1), (3, 2)])

    def test_rows_that_are_not_full_are_merged(self):
        none = rhumb.NO_KEY
        keys = np.array([[1, none], [none, none]], np.uint64)
        distances = np.array([[1, np.inf], [np.inf, np.inf]], np.float32)
        one = rhumb.Result(keys, distances, np.array([1, 0], np.uint64))
        two = rhumb.Result(keys + np.uint64(1) * (keys != none), distances, np.array([1, 0], np.uint64))
        found = merge.merge([one, two], 3)
        self.assertEqual(found.keys.tolist(), [[1, 2, none], [none, none, none]])
        self.assertEqual(found.counts.tolist(), [2, 0])
        self.assertEqual(merge.merge([one, two], None, pad=False).keys.shape, (2, 2))

    def test_a_result_at_infinity_comes_before_none(self):
        one = rhumb.Result(np.array([[rhumb.NO_KEY]], np.uint64), np.array([[np.inf]], np.float32), np.array([0]))
        two = rhumb.Result(np.array([[7]], np.uint64), np.array([[np.inf]], np.float32), np.array([1]))
        self.assertEqual(merge.merge([one, two], 1).keys.tolist(), [[7]])


class Manifests(support.ShardsCase):
    def setUp(self):
        super().setUp()
        with self.make(100, metadata=None) as found:
            found.metadata = b"of the caller's"
        self.file = folder.manifest_path(self.path("shards"))
        with open(self.file, "rb") as file:
            self.data = file.read()

    def put(self, data):
        with open(self.file, "wb") as file:
            file.write(data)

    def test_bytes_and_values_are_the_same(self):
        read = manifest.decode(self.data, self.file)
        self.assertEqual(manifest.encode(read), self.data)
        values = json.loads(self.data)
        self.assertEqual((values["format"], values["version"], values["slot_count"]), ("rhumb-shards", 1, 4096))
        self.assertEqual(rhumb.shards.info(self.path("shards")), read)
        self.assertEqual(
            (read.metadata, read.key_next, sum(one.count for one in read.shards)), (b"of the caller's", 100, 100)
        )

    def test_every_changed_byte_is_noticed(self):
        for position in range(len(self.data)):
            with self.assertRaises(rhumb.Corrupt) as caught:
                manifest.decode(changed(self.data, position), self.file)
            self.assertIn(self.file, str(caught.exception))
            self.assertEqual(caught.exception.path, self.file)

    def test_every_truncation_is_noticed(self):
        for length in range(len(self.data)):
            self.assertRaises(rhumb.Corrupt, manifest.decode, self.data[:length], self.file)
        self.put(self.data[:100])
        for read_only in (True, False):
            self.assertRaisesRegex(
                rhumb.Truncated, "manifest", rhumb.shards.open, self.path("shards"), read_only=read_only
            )
        self.put(self.data + b"\n")
        self.assertRaises(rhumb.Corrupt, rhumb.shards.open, self.path("shards"))
        self.put(self.data)
        rhumb.shards.open(self.path("shards")).close()

    def signed(self, **changes):
        """The bytes of a manifest with other values and a right checksum."""
        values = {**json.loads(self.data), **changes}
        values.pop("checksum")
        body = json.dumps(values, indent=1)[:-2].encode() + b","
        return body + b'\n "checksum": "' + hashlib.sha256(body).hexdigest().encode() + b'"\n}\n'

    def test_values_that_make_no_sense_are_named(self):
        shards = json.loads(self.data)["shards"]
        for changes, message in (
            ({"format": "other"}, "format"),
            ({"hash": "md5"}, "hash"),
            ({"slot_count": 1}, "slot_count"),
            ({"epoch": -1}, "epoch"),
            ({"epoch": True}, "epoch"),
            ({"uuid": "x"}, "UUID"),
            ({"shards": shards[:3]}, "belongs to no shard"),
            ({"shards": shards + shards[:1]}, "two shards"),
            ({"shards": [{**shards[0], "file": "../x"}, *shards[1:]]}, "name of a file"),
            ({"shards": [{**shards[0], "slots": [[0]]}, *shards[1:]]}, "unpack"),
            ({"shards": [{**shards[0], "count": 1.5}, *shards[1:]]}, "count"),
            ({"shards": 5}, "iterable"),
            ({"shards": [*shards, {**shards[0], "file": "x", "uuid": str(uuid.UUID(int=1)), "slots": []}]}, "no slots"),
            ({"metadata": "@@"}, "manifest"),
            ({"surplus": 1}, "fields"),
        ):
            with self.assertRaisesRegex(rhumb.Corrupt, message, msg=str(changes)):
                manifest.decode(self.signed(**changes), self.file)
        self.assertRaisesRegex(rhumb.VersionMismatch, "version 2", manifest.decode, self.signed(version=2), self.file)

    def test_a_folder_without_a_manifest_is_named(self):
        os.remove(self.file)
        for call in (rhumb.shards.open, rhumb.shards.info):
            self.assertRaisesRegex(FileNotFoundError, "no manifest", call, self.path("shards"))
        self.assertRaises(rhumb.NotFound, rhumb.shards.open, self.path("nowhere"))
        self.assertFalse(os.path.exists(self.path("nowhere")))
        os.mkdir(self.path("empty"))
        self.assertRaises(rhumb.NotFound, rhumb.shards.open, self.path("empty"))
        self.assertEqual(os.listdir(self.path("empty")), [])

    def shard_file(self, number, name="shards"):
        return self.path(os.path.join(name, rhumb.shards.info(self.path(name)).shards[number].file))

    def refused(self, kind, *words):
        """Opening fails, for reading and for writing, with words that say where and why; and the lock is free again."""
        for read_only in (True, False):
            with self.assertRaises(kind) as caught:
                rhumb.shards.open(self.path("shards"), read_only=read_only)
            for word in words:
                self.assertIn(word, str(caught.exception))

    def test_a_missing_shard_is_named(self):
        path = self.shard_file(2)
        os.rename(path, path + "-moved")
        self.refused(FileNotFoundError, path, "shard 2 of 4")
        os.rename(path + "-moved", path)
        rhumb.shards.open(self.path("shards")).close()

    def test_a_shard_of_another_folder_is_named(self):
        self.make(100, name="other").close()
        path, expected = self.shard_file(1), rhumb.info(self.shard_file(1)).uuid
        shutil.copyfile(self.shard_file(1, "other"), path)
        self.refused(rhumb.OutOfStep, path, str(expected), str(rhumb.info(path).uuid), "another folder")

    def test_an_old_copy_of_a_shard_is_named(self):
        path = self.shard_file(3)
        shutil.copyfile(path, self.path("old"))
        old_lsn = rhumb.info(path).lsn
        with rhumb.shards.open(self.path("shards")) as found:
            found.add(vectors(100, seed=2))
        new_lsn = rhumb.info(path).lsn
        shutil.copyfile(self.path("old"), path)
        self.refused(rhumb.OutOfStep, path, f"operation {new_lsn}", f"found {old_lsn}", "old copy")

    def test_a_shard_that_is_damaged_is_named(self):
        path = self.shard_file(0)
        with open(path, "r+b") as file:
            file.truncate(5000)
        self.refused(rhumb.Corrupt, path)

    def test_files_that_a_manifest_does_not_list_are_removed_by_a_writer_only(self):
        left = [self.path("shards/" + name) for name in ("shard-0009-0123abcd.rhumb", "manifest.json-new",
                "shard-0009-0123abcd.rhumb-wal", "shard-0009-0123abcd.rhumb-compacting")]  # fmt: skip
        other = self.path("shards/notes.txt")
        for path in [*left, other]:
            with open(path, "w") as file:
                file.write("x")
        rhumb.shards.open(self.path("shards"), read_only=True).close()
        self.assertTrue(all(map(os.path.exists, left)))
        rhumb.shards.open(self.path("shards")).close()
        self.assertFalse(any(map(os.path.exists, left)))
        self.assertTrue(os.path.exists(other))


class Failures(support.ShardsCase):
    """The system refuses what a new manifest needs."""

    def failing(self, name, call_number, error_number):
        """Lets one call of a function of `os` fail."""
        calls = iter(range(10**6))
        real = getattr(os, name)

        def maybe(*arguments, **options):
            if next(calls) == call_number:
                raise OSError(error_number, os.strerror(error_number))
            return real(*arguments, **options)

        return unittest.mock.patch.object(os, name, maybe)

    def test_a_manifest_that_cannot_be_written_leaves_the_old_one(self):
        found = self.make(100)
        found.checkpoint()
        before = rhumb.shards.info(self.path("shards"))
        for name, number, error_number, kind in (
            ("fsync", 0, errno.ENOSPC, rhumb.NoSpace),
            ("fsync", 1, errno.EIO, rhumb.IOFailure),
            ("rename", 0, errno.EDQUOT, rhumb.NoSpace),
        ):
            found.add(vectors(1))
            with self.failing(name, number, error_number), self.assertRaisesRegex(kind, "manifest.json"):
                found.checkpoint()
            self.assertEqual(rhumb.shards.info(self.path("shards")), before)
            with self.failing(name, number, error_number), self.assertRaises(kind):
                found.reshard(2)
            self.assertEqual(rhumb.shards.info(self.path("shards")), before)
            self.assertEqual((found.shard_count, found.verify().count), (4, len(found)))
        found.reshard(2)
        self.assertEqual(found.verify().count, 103)

    def test_a_folder_that_cannot_be_synced_ends_writing(self):
        for reshard in (False, True):
            found = self.make(100, name=f"shards-{reshard}")
            with self.failing("fsync", 2, errno.EIO), self.assertRaises(rhumb.Fatal):
                found.reshard(2) if reshard else found.checkpoint()
            for call in (
                lambda: found.add(vectors(1)),
                lambda: found.delete(1),
                found.checkpoint,
                lambda: found.reshard(3),
            ):
                self.assertRaises(rhumb.Fatal, call)
            self.assertEqual((len(found), len(found.search(vectors(1)[0]).keys)), (100, 10))
            found.close()
            with rhumb.shards.open(found.path) as again:
                self.assertEqual((again.verify().count, again.shard_count), (100, 2 if reshard else 4))


if __name__ == "__main__":
    support.main()
