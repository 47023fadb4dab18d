"""Compares second_reader.py, which reads index files from storage/FORMAT.md alone, with the library.

Method: index_dump writes indexes of every metric and element type, with copies, deletions, checkpoints, compactions and
crashes, and prints what the library finds in them. The reader has to find the same.

    second_reader_test.py INDEX_DUMP     (the program made from index_dump.c)
"""

import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from second_reader import ELEMENTS, METRICS, NONE, SECTIONS, Index, Log, Refused, crc32c

INDEX_DUMP = None


def f32(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


class SecondReader(unittest.TestCase):
    SHAPES = {  # metric, element, dim, M, M0, count, seed, keys, vectors
        "l2": ("l2", "f32", 16, 4, 8, 700, 397, "spread", "distinct"),
        "squares, rows of one component": ("l2sq", "f32", 1, 2, 3, 150, 1, "spread", "distinct"),
        "cosine, odd sizes": ("cosine", "f32", 7, 3, 5, 400, 2, "spread", "distinct"),
        "inner products, rows longer than a page": ("ip", "f32", 1100, 17, 40, 60, 3, "spread", "distinct"),
        "rows that cross blocks": ("l2", "f32", 49, 16, 32, 900, 4, "spread", "distinct"),
        "empty": ("l2", "f32", 5, 16, 32, 0, 5, "spread", "distinct"),
        "one": ("cosine", "f32", 5, 16, 32, 1, 6, "spread", "distinct"),
        "crowded keys": ("l2", "f32", 4, 4, 8, 300, 7, "crowded", "distinct"),
        "copies": ("l2", "f32", 16, 4, 8, 700, 8, "spread", "copies"),
        "short lists, copies": ("l1", "i8", 3, 2, 3, 400, 9, "spread", "copies"),
    }

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.path = os.path.join(self.folder.name, "index.rhumb")

    def tearDown(self):
        self.folder.cleanup()

    def run_dump(self, *arguments):
        command = [INDEX_DUMP] + [str(argument) for argument in arguments]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        return json.loads(said) if said else None

    def create(self, shape):
        if os.path.exists(self.path):
            os.unlink(self.path)
        return self.run_dump("create", self.path, *shape)

    def print_index(self):
        return self.run_dump("print", self.path, "copies")

    def test_finds_what_the_library_says(self):
        for name, shape in self.SHAPES.items():
            with self.subTest(name):
                said = self.create(shape)
                index = Index(self.path)
                self.compare(said, index)
                self.compare_levels(index)
                self.assertEqual(index.check_codes(), index.slot_count if index.code_bits else 0)
                copies = index.check_ties()
                self.assertEqual(len(copies) > 100, shape[-1] == "copies")
                if shape[-2] == "crowded":
                    self.assertGreater(index.overflow_count, 0)

    def test_measures_every_metric_and_element_type(self):
        said = {metric: set(elements) for metric, elements in self.run_dump("pairs").items()}
        self.assertEqual(said, dict(METRICS.values()))
        for metric, elements in METRICS.values():
            for i, element in enumerate(sorted(elements)):
                with self.subTest(metric, element=element):
                    dim = 8 if metric == "levenshtein" else 5 + i
                    said = self.create((metric, element, dim, 4, 8, 110, 10 + i, "spread", "copies"))
                    index = Index(self.path)
                    self.compare(said, index)
                    self.compare_levels(index)
                    self.assertGreater(len(index.check_ties()), 10)

    def test_decodes_codes(self):
        for metric in ("l2", "l2sq", "ip", "cosine"):
            for element in ("f32", "f64", "f16", "bf16"):
                for bits in (4, 8):
                    with self.subTest(metric, element=element, bits=bits):
                        dim = 133 + bits
                        self.create((metric, element, dim, 4, 8, 60, 10, "spread", "copies", bits))
                        index = Index(self.path)
                        self.assertEqual((index.code_bits, index.check_codes()), (bits, index.slot_count))

    def test_finds_the_recall_that_was_measured(self):
        self.create(self.SHAPES["l2"])
        self.assertIsNone(Index(self.path).read_recall_record())
        self.assertIsNone(self.run_dump("curve", self.path))
        self.run_dump("recall", self.path)
        record = Index(self.path).read_recall_record()
        said = self.run_dump("curve", self.path)
        said["points"] = [tuple(point) for point in said["points"]]
        self.assertEqual(record, said)
        self.assertGreater(len(record["points"]), 8)
        self.assertEqual(record["changes"], 1)  # a key is deleted after measuring
        self.run_dump("compact", self.path)
        self.assertEqual(Index(self.path).read_recall_record(), dict(record, changes=1))

    def test_finds_marks_of_changed_lists(self):
        self.create(("l2", "f32", 16, 4, 8, 200, 11, "spread", "distinct", 8, 2))
        self.run_dump("compact", self.path)
        self.assertEqual(Index(self.path).check_changed(), [])
        self.crash(100, 5, 30)  # the last of the checkpoints comes after the operations
        index = Index(self.path)
        marked = index.check_changed()
        self.assertGreater(len(marked), 0)
        self.assertLess(len(marked), index.section("fused").row_count)
        index.section("changed").patches[0] = [(0, bytes(index.section("changed").published_bytes()))]
        with self.assertRaises(Refused):
            index.check_changed()
        self.recover()  # waits until rows have been renewed, and made of what came since
        index = Index(self.path)
        self.assertLess(len(index.check_changed()), len(marked))
        self.assertEqual(index.section("fused").row_count, index.slot_count)

    def compare(self, said, index):
        for field, found in [("dim", index.dim), ("M", index.M), ("M0", index.M0), ("seed", index.seed),
                             ("metric", index.space.metric), ("element", index.space.element),
                             ("ef_construction", index.ef_construction), ("ef_search", index.ef_search),
                             ("count", index.slot_count - index.dead_count), ("epoch", index.epoch), ("uuid", index.uuid),
                             ("lsn", index.lsn), ("key_next", index.key_next)]:
            self.assertEqual(said[field], found, field)
        self.assertEqual(index.damaged_chunks(), ([], said["chunk_count"]))
        self.assertEqual(index.slot_count, len(said["slots"]))
        self.compare_slots(said, index)
        self.assertEqual(len(said["vectors"]), len(index.live_slots()))
        for key, digits in said["vectors"].items():
            slot = index.find(int(key))
            self.assertIsNotNone(slot)
            self.assertEqual(index.vector(slot).hex(), digits)
            self.check_row(index, slot)
        self.assertIsNone(index.find(0x123456789))
        entry, top = index.entry_point()
        self.assertEqual(top, said["level_top"])
        if index.slot_count > 0:
            self.assertEqual(entry, said["entry_slot"])
        self.compare_searches(said, index)

    def compare_slots(self, said, index):
        for slot, expected in enumerate(said["slots"]):
            self.assertEqual(index.key(slot), expected["key"])
            self.assertEqual(index.is_dead(slot), expected["dead"])
            if not expected["dead"]:
                self.assertEqual(index.find(expected["key"]), slot)
            lists = [index.neighbours(slot, level) for level in range(index.node(slot)[1] + 1)]
            self.assertEqual(lists, expected["lists"])
            anchor, head, _ = index.tie(slot)
            self.assertEqual(anchor, expected["anchor"])
            self.assertEqual(slot if head is None else head, expected["head"])
            self.assertEqual(index.group(slot)[1:] if head is None else [], expected["copies"])
        self.assertEqual(sum(slot["dead"] for slot in said["slots"]), index.dead_count)

    def compare_levels(self, index):
        """Where no key has been inserted twice, also that dead keys are not found."""
        upper_row = 0
        level_counts = [0] * 17
        for slot in range(index.slot_count):
            first, level, flags = index.node(slot)
            self.assertEqual((first, flags), (upper_row, 1))
            self.assertEqual(level, index.level_of(slot))
            upper_row += level
            level_counts[level] += 1
            if index.is_dead(slot):
                self.assertIsNone(index.find(index.key(slot)))
        self.assertEqual(level_counts, list(index.level_counts))

    def check_row(self, index, slot):
        row, space = index.section("vectors").row(slot), index.space
        if space.metric == "cosine":
            (inverse,) = struct.unpack_from(space.norm_type.replace("4", "").replace("f8", "d"), row, space.norm_offset)
            norm = math.sqrt(sum(float(value)**2 for value in space.numbers(index.vector(slot))))
            self.assertAlmostEqual(inverse * norm, 1 if norm else 0, places=6)
            self.assertFalse(any(row[space.vector_bytes:space.norm_offset]), "gap before the norm")
        if space.of_sequences:
            self.assertFalse(any(row[4 + len(index.vector(slot)):]), "after the sequence")
        if space.element == "b1" and space.dim % 8:
            self.assertEqual(index.vector(slot)[-1] >> space.dim % 8, 0, "after the last bit")
        self.assertFalse(any(row[space.used:]), "padding")

    def compare_searches(self, said, index):
        """The library's exact searches, and walks of the reader's."""
        hits = wanted = 0
        live = index.live_slots()
        for query in said["queries"]:
            distances, tolerances = index.distances(bytes.fromhex(query["query"]))
            nearest = sorted(distances[slot] for slot in live)[:10]
            self.assertEqual(len(query["keys"]), len(nearest))
            self.assertEqual(len(set(query["keys"])), len(nearest))
            for key, bits, expected in zip(query["keys"], query["distances"], nearest):
                slot = index.find(key)
                self.assertLessEqual(abs(f32(bits) - distances[slot]), tolerances[slot])
                self.assertLessEqual(abs(f32(bits) - expected), tolerances[slot])
            found = index.search(lambda slot: distances[slot], 40)
            self.assertEqual(len(set(key for _, key in found)), len(found))
            self.assertEqual([d for d, _ in found], sorted(d for d, _ in found))
            hits += sum(d <= nearest[-1] + max(tolerances) for d, _ in found[:10])
            wanted += len(nearest)
        self.assertGreaterEqual(hits, 0.8 * wanted, "found by walking the graph")

    def test_sees_damage_where_it_is(self):
        self.create(("l2", "f32", 16, 4, 8, 300, 397, "spread", "copies"))
        index = Index(self.path)
        lists0 = index.section("lists0")
        patched = [range(offset, offset + len(data)) for patches in lists0.patches.values() for offset, data in patches]
        offset = next(n for n in range(0, lists0.published_bytes(), 64) if not any(n in range_ for range_ in patched))
        begin = lists0.extents[0][0] + offset
        self.assertEqual(index.data[begin:begin + 4], lists0.read(offset, 4))
        with open(self.path, "r+b") as file:
            file.seek(begin + 8)
            file.write(b"\x01")
        self.assertEqual(Index(self.path).damaged_chunks()[0], [(SECTIONS.id("lists0"), 0)])
        with open(self.path, "r+b") as file:
            file.seek(index.directory_offset + 40)
            file.write(b"\x55")
        with self.assertRaises(Refused):
            Index(self.path)

    def test_reads_what_upkeep_leaves(self):
        new_path = self.path + ".new"
        for metric, element in [("l2", "f32"), ("ip", "f16"), ("jaccard", "b1"), ("levenshtein", "u8")]:
            for command in ["compact", "compact into", "repair"]:
                with self.subTest(command, metric=metric):
                    self.create((metric, element, 9, 4, 8, 200, 11, "spread", "copies"))
                    copies_before = len(Index(self.path).check_ties())
                    live = {int(key): digits for key, digits in self.print_index()["vectors"].items()}
                    self.run_dump(command.split()[0], self.path, *([] if command == "compact" else [new_path]))
                    if command != "compact":
                        os.replace(new_path, self.path)
                    index = Index(self.path)
                    said = self.print_index()
                    self.compare(said, index)
                    self.compare_levels(index)
                    self.assertEqual({int(key): digits for key, digits in said["vectors"].items()}, live)
                    self.assertEqual(index.dead_count, 0)
                    # Most of the deleted are copies, too.
                    self.assertGreater(len(index.check_ties()), copies_before / 2)
                    if element == "f32":
                        self.crash(150, 5, 6)
                        Index(self.path).check_ties()
                        self.compare_recovery(Log(self.path + "-wal", Index(self.path)))
                        Index(self.path).check_ties()

    def tampered(self, changes):
        """The index with other numbers in its ties: {(slot, field): number}, field 0 the anchor, 1 next_copy."""
        index = Index(self.path)
        patches = index.section("ties").patches.setdefault(0, [])
        for (slot, field), number in changes.items():
            patches.append((8 * slot + 4 * field, struct.pack("<I", number)))
        return index

    def test_sees_ties_that_are_wrong(self):
        self.create(("l2", "f32", 16, 4, 8, 150, 397, "spread", "copies"))
        index = Index(self.path)
        index.check_ties()
        groups = [index.group(slot) for slot in range(150) if index.tie(slot)[1] is None]
        head, first, second = max(groups, key=len)[:3]
        last = max(groups, key=len)[-1]
        root = next(slot for slot in range(150) if index.tie(slot)[0] == slot)
        single, other = [group[0] for group in groups if len(group) == 1 and group[0] != root][:2]
        linked = index.neighbours(single, 0)
        stranger = next(slot for slot in range(150) if slot not in linked + [single] and index.tie(slot)[1] is None)
        copy = 1 << 31
        cases = {
            "not tied": {(single, 0): 0},
            "a copy of none": {(first, 0): copy},
            "a head after the last slot": {(first, 0): copy + 151},
            "an anchor after the last slot": {(single, 0): 151},
            "a next copy after the last slot": {(last, 1): 151},
            "a head that is a copy": {(first, 0): copy + 1 + second},
            "a head with another vector": {(first, 0): copy + 1 + single},
            "a copy of another head in the chain": {(last, 1): 1 + other},
            "a chain in a circle": {(last, 1): 1 + first},
            "a chain that lacks a copy": {(head, 1): 1 + second},
            "two chains with one copy": {(single, 1): 1 + first},
            "a copy with neighbours": {(single, 0): copy + 1 + head},
            "two roots": {(single, 0): 1 + single},
            "no root": {(root, 0): 1 + index.neighbours(root, 0)[0]},
            "an anchor that is no neighbour": {(single, 0): 1 + stranger},
            "an anchor that is a copy": {(single, 0): 1 + first},
            "a tie after the last slot": {(151, 0): 1},
        }
        for name, changes in cases.items():
            with self.subTest(name), self.assertRaises(Refused):
                self.tampered(changes).check_ties()
        self.tampered({(single, 0): 1 + index.tie(single)[0]}).check_ties()

    def crash(self, count, seed, checkpoint_count, vectors="copies"):
        self.run_dump("crash", self.path, count, seed, checkpoint_count, vectors)

    def recover(self):
        return self.run_dump("recover", self.path)

    def compare_recovery(self, log):
        """The library's recovery has what the reader has found before it."""
        state = log.state()
        pending = sum(1 for _ in log.operations())
        last = max([log.index.lsn] + [lsn for _, lsn, _, _, _ in log.records])
        said = self.recover()
        self.assertEqual(said["status"], "RHUMB_OK")
        self.assertEqual(said["pending_count"], pending)
        self.assertEqual(said["lsn"], last)
        self.assertEqual({int(key): bytes.fromhex(digits) for key, digits in said["vectors"].items()}, state)
        return pending

    def test_finds_in_a_log_what_the_library_recovers(self):
        self.create(("cosine", "f32", 7, 4, 8, 60, 397, "spread", "copies"))
        begun_late = kinds = pending = copy_count = 0
        for round_ in range(8):
            self.crash(150, round_, [0, 1, 6][round_ % 3])
            index = Index(self.path)
            log = Log(self.path + "-wal", index)
            index.check_ties()
            self.assertTrue(log.exists)
            begun_late += log.first_offset > Log.RECORDS
            kinds |= sum(1 << type_ for type_ in set(record[2] for record in log.records))
            pending += self.compare_recovery(log)
            self.assertFalse(os.path.exists(self.path + "-wal"), "a clean close removes the log")
            recovered = Index(self.path)
            self.assertEqual(Log(self.path + "-wal", recovered).state(), log.state())
            copy_count = len(recovered.check_ties())
            self.compare(self.print_index(), recovered)
        self.assertEqual(kinds, 0b111110, "all kinds of records")
        self.assertGreater(pending, 0)
        self.assertGreater(copy_count, 100)
        self.assertGreater(begun_late, 0, "no log was cut while it was being written")

    def test_ends_where_the_library_ends(self):
        self.create(("l2", "f32", 5, 4, 8, 20, 1, "spread", "distinct"))
        self.crash(60, 1, 0)
        index = Index(self.path)
        log = Log(self.path + "-wal", index)
        whole = log.data[:log.end]
        saved = self.path + ".saved"
        shutil.copy(self.path, saved)

        def try_with(data):
            shutil.copy(saved, self.path)
            with open(self.path + "-wal", "wb") as file:
                file.write(data)
            return Log(self.path + "-wal", index)

        middle, last = log.records[len(log.records) // 2][0], log.records[-1][0]
        cuts = [98304, 98305, middle, middle + 8, middle + 39, last + 1, log.end - 1, log.end]
        for length in cuts:
            with self.subTest("cut", length=length):
                self.compare_recovery(try_with(whole[:length]))
        for length in [0, 4096, 16384, 90112, 98303]:
            with self.subTest("too short", length=length):
                with self.assertRaises(Refused):
                    try_with(whole[:length])
                self.assertEqual(self.recover()["status"], "RHUMB_E_CORRUPT")
        # A write that was never finished, also of several records; and one after which the file has room.
        for begin, tail in [(last, b""), (log.end, bytes(5000)), (log.end, b"\x55" * 999)]:
            with self.subTest("torn", begin=begin):
                data = bytearray(whole + tail)
                if begin < len(whole):
                    data[begin + 20] ^= 1
                self.compare_recovery(try_with(data))
        # Records that had been synced, as later ones say; headers.
        for damage in [log.records[0][0] + 1, middle + 3, middle + 24, middle + 47]:
            with self.subTest("damaged", offset=damage):
                data = bytearray(whole)
                data[damage] ^= 0x10
                with self.assertRaises(Refused):
                    try_with(data)
                self.assertEqual(self.recover()["status"], "RHUMB_E_CORRUPT")
        for copies in range(1, 16):
            with self.subTest("headers", copies=copies):
                data = bytearray(whole)
                for copy in range(4):
                    if copies >> copy & 1:
                        data[copy % 2 * 4096 + copy // 2 * 81920 + 50] ^= 1
                # Without a copy of the newest it may be that of a newer log; the older one names its generation.
                newest = 0b0101 << log.generation % 2
                if copies & newest == newest:
                    with self.assertRaises(Refused):
                        try_with(data)
                    self.assertEqual(self.recover()["status"], "RHUMB_E_CORRUPT")
                else:
                    self.compare_recovery(try_with(data))
        # The log of another index.
        data = bytearray(whole)
        for copy in range(4):
            begin = copy % 2 * 4096 + copy // 2 * 81920
            data[begin + 30] ^= 1
            header = data[begin:begin + 4096]
            data[begin + 12:begin + 16] = struct.pack("<I", crc32c(header[:12] + bytes(4) + header[16:]))
        with self.assertRaises(Refused):
            try_with(data)
        self.assertEqual(self.recover()["status"], "RHUMB_E_LOG")


if __name__ == "__main__":
    INDEX_DUMP = sys.argv.pop(1)
    unittest.main()
