"""A reader of index files and their logs, from storage/FORMAT.md alone.

It shares nothing with the library but that page: that it reads what the library has written proves that the page is
complete and correct. It checks everything that section 11 asks for, every chunk checksum, and all that section 7 says
of lists and ties, and applies the log as section 14 describes. second_reader_test.py compares it with the library.
"""

import math
import os
import re
import struct

import numpy

import second_reader_metrics
from second_reader_metrics import Space, stride_of

NONE = 0xFFFFFFFF
MASK = (1 << 64) - 1
COPY = 1 << 31


def crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = crc_table()


def crc32c(data, seed=0):
    crc = 0xFFFFFFFF ^ seed
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


class SectionTable:
    """The table of sections in section 7 of the page: what each is, and formulas for its codec, stride and rows."""

    def __init__(self, page):
        table = page.split("\n## 7.")[1].split("\n|---:")[1].split("\n\n")[0].split("\n")[1:]
        self.by_name = {}
        for line in table:
            id_, name, kind, presence, codec, stride, rows = [cell.strip() for cell in line.strip("|").split("|")]
            kind_number = {"append-only": 1, "mutable": 2}[kind]
            self.by_name[name] = (int(id_), kind_number, presence == "required", codec, stride, rows)

    def id(self, name):
        return self.by_name[name][0]

    @staticmethod
    def value(formula, names):
        if formula == "see below":
            return None
        rounded = re.fullmatch(r"(.+) rounded up to (\d+)", formula)
        if rounded:
            return -(-SectionTable.value(rounded[1], names) // int(rounded[2])) * int(rounded[2])
        divided = re.fullmatch(r"(.+) / (\d+), rounded up", formula)
        if divided:
            return -(-SectionTable.value(divided[1], names) // int(divided[2]))
        return eval(formula, {}, names)


with open("storage/FORMAT.md") as page_file:
    PAGE = page_file.read()
SECTIONS = SectionTable(PAGE)
ELEMENTS, METRICS = second_reader_metrics.read_tables(PAGE)


class Refused(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Refused(what)


class Section:
    """One array of rows, put together from its extents."""

    def __init__(self, data, record, extents):
        (self.id, self.kind, self.flags, self.codec, self.version, self.chunk_bytes, self.stride, self.row_count,
         self.extent_first, self.extent_count, self.checksum_first, _) = record
        self.data = data
        self.extents = extents
        self.patches = {}  # by chunk: (offset in the section, bytes), later ones over earlier ones

    def published_bytes(self):
        return self.stride * self.row_count

    def chunk_count(self):
        return -(-self.published_bytes() // self.chunk_bytes)

    def read(self, begin, length):
        rows = bytearray(self.read_extents(begin, length))
        chunks = range(begin // self.chunk_bytes, (begin + length - 1) // self.chunk_bytes + 1) if self.patches else ()
        for offset, replaced in (patch for chunk in chunks for patch in self.patches.get(chunk, ())):
            first, last = max(offset, begin), min(offset + len(replaced), begin + length)
            if first < last:
                rows[first - begin:last - begin] = replaced[first - offset:last - offset]
        return bytes(rows)

    def add_patch(self, offset, replaced):
        unit = self.chunk_bytes // 512
        chunk = offset // self.chunk_bytes
        demand(self.kind == 2, "a patch of an append-only section")
        demand(len(replaced) > 0 and len(replaced) % unit == 0 and offset % unit == 0, "a patch is not in units")
        demand(offset + len(replaced) - unit < self.published_bytes(), "a patch without rows")
        demand((offset + len(replaced) - 1) // self.chunk_bytes == chunk, "a patch in two chunks")
        self.patches.setdefault(chunk, []).append((offset, replaced))

    def read_extents(self, begin, length):
        pieces = []
        for file_offset, size in self.extents:
            if length == 0:
                break
            if begin < size:
                take = min(length, size - begin)
                pieces.append(self.data[file_offset + begin:file_offset + begin + take])
                length -= take
                begin = 0
            else:
                begin -= size
        demand(length == 0, "section %d: rows outside its extents" % self.id)
        return b"".join(pieces)

    def row(self, number):
        demand(0 <= number < self.row_count, "section %d: row %d" % (self.id, number))
        return self.read(number * self.stride, self.stride)


class Index:
    BLOCK = 65536

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.read_superblock()
        self.read_directory()
        self.read_index_record()

    def superblock_copies(self, slot):
        """Both copies: (whether it is valid, epoch, stamp, bytes)."""
        for copy in range(2):
            begin = slot * 16384 + copy * 81920
            block = self.data[begin:begin + 4096].ljust(4096, b"\0")
            has_magic = block[:8] == b"\x89rhumb\r\n"
            (crc,) = struct.unpack_from("<I", block, 12)
            (epoch,) = struct.unpack_from("<Q", block, 16)
            (stamp,) = struct.unpack_from("<Q", block, 112)
            yield has_magic and crc == crc32c(block[:12] + bytes(4) + block[16:]), has_magic, epoch, stamp, block

    def read_superblock(self):
        copies = [list(self.superblock_copies(slot)) for slot in range(2)]
        valid = [max(((epoch, stamp, slot, block) for is_valid, _, epoch, stamp, block in copies[slot] if is_valid),
                     default=None, key=lambda found: found[:2]) for slot in range(2)]
        newest = max((found for found in valid if found is not None and found[:1] + found[2:3] != (0, 0)),
                     default=None, key=lambda found: found[:2])
        demand(newest is not None, "no superblock counts")
        self.epoch, _, slot, block = newest
        other = valid[1 - slot]
        if other is None:
            was_older = [True for _, has_magic, epoch, _, _ in copies[1 - slot] if has_magic and epoch + 1 == self.epoch]
            demand(len(was_older) > 0, "a newer version may be lost")
        else:
            demand(other[0] > 0 or slot == 0 or self.epoch == 1, "a newer version may be lost")
        (version,) = struct.unpack_from("<I", block, 8)
        demand(version == 2, "format version %d" % version)
        _, features_read, features_incompatible = struct.unpack_from("<QQQ", block, 24)
        demand(features_incompatible == 0, "incompatible features")
        demand(self.epoch % 2 == slot and 1 <= self.epoch <= 1 << 61, "epoch %d in slot %d" % (self.epoch, slot))
        self.uuid = block[48:64].hex()
        self.created_unix_ns, self.creator_version, block_bytes = struct.unpack_from("<QII", block, 64)
        demand(block_bytes == self.BLOCK, "blocks of %d bytes" % block_bytes)
        (self.file_bytes, self.directory_offset, self.root_bytes, self.root_crc,
         self.directory_bytes) = struct.unpack_from("<QQIIQ", block, 80)
        demand(self.file_bytes <= len(self.data), "the file is too short")
        demand(self.directory_offset % self.BLOCK == 0 and 2 * self.BLOCK <= self.directory_offset <= self.file_bytes,
               "directory offset")
        demand(64 <= self.root_bytes <= self.directory_bytes <= self.file_bytes - self.directory_offset,
               "directory length")
        self.history, self.log_lsn, self.log_expected = struct.unpack_from("<QQI", block, 120)
        demand(not any(block[140:512]) and not any(block[512 + 508:]), "reserved bytes are zero in this version")
        self.client = block[512:]

    def read_directory(self):
        root = self.data[self.directory_offset:self.directory_offset + self.root_bytes]
        demand(crc32c(root) == self.root_crc, "directory checksum")
        (magic, section_count, extent_count, checksum_crc, checksum_count, epoch, kept_count, reserved,
         *patches) = struct.unpack_from("<4sIIIQQIIQQII", root, 0)
        demand(magic == b"RDIR" and epoch == self.epoch, "directory header")
        demand(section_count <= 64 and extent_count <= 1 << 20, "directory counts")
        kept_at = 64 + 64 * section_count + 16 * extent_count
        demand(kept_count <= 1024 and self.root_bytes == kept_at + 32 * kept_count, "length of the root")
        demand(reserved == 0, "reserved bytes are zero in this version")
        kept = [struct.unpack_from("<QQQII", root, kept_at + 32 * i) for i in range(kept_count)]
        epochs = [0] + [record[0] for record in kept]
        demand(all(a < b for a, b in zip(epochs, epochs[1:])) and epochs[-1] <= max(epoch - 2, 0), "kept versions")
        demand(self.root_bytes + 4 * checksum_count == self.directory_bytes, "checksums outside the directory")
        table = self.data[self.directory_offset + self.root_bytes:][:4 * checksum_count]
        demand(crc32c(table) == checksum_crc, "checksum of the checksums")
        self.checksums = struct.unpack("<%dI" % checksum_count, table)

        used = [(self.directory_offset, -(-self.directory_bytes // self.BLOCK) * self.BLOCK)]
        self.sections = {}
        next_extent = next_checksum = 0
        for i in range(section_count):
            record = struct.unpack_from("<IIIIIIQQIIQQ", root, 64 + 64 * i)
            first, count = record[8], record[9]
            demand(first == next_extent and count <= extent_count - first, "extents of section %d" % record[0])
            extents = [struct.unpack_from("<QQ", root, 64 + 64 * section_count + 16 * (first + k)) for k in range(count)]
            section = Section(self.data, record, extents)
            self.check_section(section, next_checksum)
            demand(section.id not in self.sections, "section %d is there twice" % section.id)
            self.sections[section.id] = section
            next_extent += count
            next_checksum += section.chunk_count()
            used += extents
        demand(next_extent == extent_count and next_checksum == checksum_count, "unused entries of the directory")
        used += self.read_patches(*patches)
        used.sort()
        for (begin, size), (after, _) in zip(used, used[1:]):
            demand(begin + size <= after, "overlapping extents")

    def read_patches(self, offset, size, crc, count):
        """Gives the sections their patches; returns the blocks that these occupy."""
        if size == 0 and count == 0:
            return []
        demand(offset >= 131072 and offset % self.BLOCK == 0 and 0 < size <= 16 << 20, "place of the patches")
        demand(offset + size <= self.file_bytes, "the patches are outside the file")
        area = self.data[offset:offset + size]
        demand(crc32c(area) == crc, "checksum of the patches")
        at = 0
        for _ in range(count):
            demand(at + 16 <= size, "a patch outside the patches")
            section_id, length, section_offset = struct.unpack_from("<IIQ", area, at)
            demand(section_id in self.sections and at + 16 + length <= size, "a patch of section %d" % section_id)
            self.sections[section_id].add_patch(section_offset, area[at + 16:at + 16 + length])
            at += 16 + length
        demand(at == size, "something after the patches")
        return [(offset, -(-size // self.BLOCK) * self.BLOCK)]

    def check_section(self, section, next_checksum):
        demand(section.kind in (1, 2), "kind")
        demand(0 < section.chunk_bytes <= 16 << 20 and section.chunk_bytes % self.BLOCK == 0, "chunk")
        demand(0 < section.stride <= 1 << 24 and section.published_bytes() <= self.file_bytes, "rows")
        demand(section.checksum_first == next_checksum, "checksums of section %d" % section.id)
        for file_offset, size in section.extents:
            demand(file_offset % self.BLOCK == 0 and size % self.BLOCK == 0 and size > 0, "an extent is not in blocks")
            demand(self.BLOCK <= file_offset and file_offset + size <= self.file_bytes, "an extent outside the file")
        unit = self.BLOCK if section.kind == 1 else section.chunk_bytes
        demand(sum(size for _, size in section.extents) >= -(-section.published_bytes() // unit) * unit, "room for rows")
        if section.kind == 1:
            demand(section.chunk_bytes == self.BLOCK, "chunk of an append-only section")
        else:
            power = section.stride & -section.stride
            demand(section.stride % 64 == 0, "stride of a mutable section")
            demand(section.chunk_bytes == section.stride // power * max(power, self.BLOCK), "chunk of a mutable section")

    def read_index_record(self):
        (version, self.dim, self.metric, self.element, self.M, self.M0, self.ef_construction, self.ef_search,
         self.level_max, self.flags, self.level_scale, self.seed, self.slot_count, self.upper_row_count,
         self.bucket_count, self.overflow_count) = struct.unpack_from("<10Id5Q", self.client, 0)
        self.level_counts = struct.unpack_from("<17Q", self.client, 88)
        self.level_first = struct.unpack_from("<17I", self.client, 224)
        self.code_bits, self.lane_bits = struct.unpack_from("<HH", self.client, 292)
        demand(self.code_bits in (0, 4, 8) and self.lane_bits in (0, 1, 2), "bits of codes and lanes")
        self.dead_count, self.lsn, self.key_next = struct.unpack_from("<3Q", self.client, 296)
        (self.copy_count,) = struct.unpack_from("<Q", self.client, 384)
        demand(max(self.dead_count, self.copy_count) <= self.slot_count, "counts of deleted nodes and copies")
        demand(self.lsn <= 1 << 62, "number of the last operation")
        demand(version == 2, "index record")
        demand(self.metric in METRICS and ELEMENTS.get(self.element) in METRICS[self.metric][1], "metric and element")
        demand(1 <= self.dim <= 65535 and 2 <= self.M <= 256 and self.M <= self.M0 <= 512, "parameters")
        demand(1 <= self.ef_construction <= 65535 and 1 <= self.ef_search <= 1000000, "parameters")
        demand(self.level_max <= 16 and 0.1 <= self.level_scale <= 2, "parameters")
        demand(sum(self.level_counts) == self.slot_count, "level counts")
        demand(sum(level * count for level, count in enumerate(self.level_counts)) == self.upper_row_count, "upper rows")
        demand(self.bucket_count >= 8, "buckets")
        for count, first in zip(self.level_counts, self.level_first):
            demand(first == NONE or (count > 0 and first < self.slot_count), "first of a level")
        demand(self.slot_count == 0 or min(self.level_first) != NONE, "no node to begin at")
        self.space = Space(METRICS[self.metric][0], ELEMENTS[self.element], self.dim)
        custom_name = self.client[320:384]
        if self.space.metric == "custom":
            demand(custom_name[0] != 0 and not any(custom_name[custom_name.index(0):]), "name of the custom metric")
        else:
            demand(not any(custom_name), "reserved bytes are zero in this version")
        self.check_sections(self.space.stride)

    LADDERS = ((1, (1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024)),
               (10, (10, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048)),
               (100, (100, 112, 128, 160, 192, 256, 320, 400, 512, 768, 1024, 1536, 2048, 4096)))

    def read_recall_record(self):
        """The recall record: {"queries", "given", "count", "changes", "points": [(k, ef, recall)]}, or None."""
        record = self.client[392:508]
        crc, version, queries, live, lsn, changes, flags = struct.unpack_from("<IHHQQIH", record, 0)
        if version != 1 or crc != crc32c(record[4:]) or queries == 0 or live == 0 or lsn > 1 << 62:
            return None
        points = []
        for row, (k, ladder) in enumerate(self.LADDERS):
            shares = struct.unpack_from("<14H", record, 32 + 28 * row)
            measured = shares.index(0xFFFF) if 0xFFFF in shares else len(shares)
            if measured == 0 or any(share != 0xFFFF for share in shares[measured:]) or max(shares[:measured]) > 50000:
                return None
            points += [(k, ef, share / 50000) for ef, share in zip(ladder, shares[:measured])]
        return {"queries": queries, "given": flags & 1 == 1, "count": live,
                "changes": changes + max(0, self.lsn - lsn), "points": points}

    def check_sections(self, vector_stride):
        """The sections against the page's table, from which their numbers follow."""
        names = {
            "metric": self.metric, "element": self.element, "M": self.M, "M0": self.M0, "slot_count": self.slot_count,
            "upper_row_count": self.upper_row_count, "key_bucket_count": self.bucket_count,
            "key_overflow_count": self.overflow_count, "code_bits": self.code_bits,
            "lane_bits": self.lane_bits
        }
        known = set()
        for name, (id_, kind, required, codec, stride, rows) in SECTIONS.by_name.items():
            known.add(id_)
            section = self.sections.get(id_)
            if section is None:
                demand(not required, "section %s is missing" % name)
                continue
            expected = [kind, SECTIONS.value(codec, names), SECTIONS.value(stride, names), SECTIONS.value(rows, names)]
            if name == "vectors":
                expected[2] = vector_stride
            if name == "fused":
                expected[2] = section.stride  # the page leaves it to the library
            if name == "codes":
                expected[2] = stride_of(self.code_places()[1] + 24)
            found = [section.kind, section.codec, section.stride, section.row_count]
            if not required:
                demand(found[3] <= expected[3], "rows of %s" % name)
                found[3] = expected[3]
            demand(found == expected and section.version == 1 and section.flags & 1 == required, "section %s" % name)
        for section in self.sections.values():
            demand(section.id in known or section.flags & 1 == 0, "section %d is unknown and required" % section.id)

    def section(self, name):
        return self.sections[SECTIONS.id(name)]

    def damaged_chunks(self):
        """(section, chunk) of every wrong checksum; also the number of chunks."""
        wrong = []
        count = 0
        for section in self.sections.values():
            for i in range(section.chunk_count()):
                begin = i * section.chunk_bytes
                chunk = section.read(begin, min(section.chunk_bytes, section.published_bytes() - begin))
                count += 1
                if crc32c(chunk) != self.checksums[section.checksum_first + i]:
                    wrong.append((section.id, i))
        return wrong, count

    def vector(self, slot):
        """The bytes of its components."""
        return self.space.components(self.section("vectors").row(slot))

    def key(self, slot):
        return struct.unpack("<Q", self.section("keys").row(slot))[0]

    def node(self, slot):
        record = struct.unpack("<Q", self.section("nodes").row(slot))[0]
        return record & 0xFFFFFFFF, record >> 32 & 0xFF, record >> 40

    def neighbours(self, slot, level):
        if level == 0:
            section, row, places = self.section("lists0"), slot, self.M0
        else:
            section, row, places = self.section("lists_upper"), self.node(slot)[0] + level - 1, self.M
        words = struct.unpack("<%dI" % (section.stride // 4), section.row(row))
        count = words.index(NONE) if NONE in words else len(words)
        demand(count <= places and all(word == NONE for word in words[count:]), "padding of a list")
        return list(words[:count])

    def tie(self, slot):
        """(anchor, head, next copy): slots, or None."""
        tied_to, next_copy = struct.unpack_from("<II", self.section("ties").row(slot // 8), 8 * (slot % 8))
        is_copy, other, next_copy = tied_to & COPY, (tied_to & ~COPY) - 1, next_copy - 1
        demand(0 <= other < self.slot_count, "slot %d is tied to %d" % (slot, other))
        demand(next_copy < self.slot_count, "slot %d is the next copy" % next_copy)
        return None if is_copy else other, other if is_copy else None, None if next_copy < 0 else next_copy

    def group(self, head):
        """A node in the graph and its copies."""
        slots = [head]
        next_copy = self.tie(head)[2]
        while next_copy is not None:
            demand(len(slots) <= self.copy_count, "more copies than there are")
            slots.append(next_copy)
            next_copy = self.tie(next_copy)[2]
        return slots

    def code_places(self):
        """(bytes of the digits, where the constants begin)."""
        digits_bytes = self.dim if self.code_bits == 8 else (self.dim + 1) // 2
        return digits_bytes, -(-digits_bytes // 8) * 8

    def digits(self, code):
        """The digits of a code, in the order of components."""
        if self.code_bits == 8:
            return list(code[:self.dim])
        digits = []
        for first in range(0, self.dim, 128):
            count = min(128, self.dim - first)
            half = -(-count // 2)
            block = code[first // 2:first // 2 + half]
            digits += [byte & 15 for byte in block] + [byte >> 4 for byte in block][:count - half]
        return digits

    def check_codes(self):
        """Whether codes stand for their vectors. Returns how many there are."""
        section = self.sections.get(SECTIONS.id("codes"))
        count = 0 if section is None else section.row_count
        digits_bytes, constants_at = self.code_places()
        centre = 1 << (self.code_bits - 1) if count else 0
        for slot in range(count):
            code = section.row(slot)
            origin, step, total, squares = struct.unpack_from("<ddii", code, constants_at)
            digits = [digit - centre for digit in self.digits(code)]
            demand(not any(code[digits_bytes:constants_at]) and not any(code[constants_at + 24:]), "padding of a code")
            demand(total == sum(digits) and squares == sum(digit * digit for digit in digits), "sums of a code")
            decoded = numpy.array([origin + step * digit for digit in digits])
            vector = self.space.numbers(self.vector(slot)).astype(float)
            if self.space.metric == "cosine" and vector.any():
                vector *= (decoded @ decoded) / (decoded @ vector)  # of the length that makes them nearest
            demand(abs(decoded - vector).max() <= 0.6 * step + 1e-6 * abs(vector).max(), "the code of slot %d" % slot)
        return count

    def check_changed(self):
        """Whether lists that are not marked as changed have only neighbours of which their fused rows have lanes, as far
        as that can be seen without the layout of rows: as slots somewhere in them. Returns the slots that are marked,
        of those that have rows."""
        section, rows = (self.sections.get(SECTIONS.id(name)) for name in ("changed", "fused"))
        if section is None or rows is None:
            return None
        words = struct.unpack("<%dQ" % (8 * section.row_count), section.read(0, section.published_bytes()))
        marked = [slot for slot in range(512 * section.row_count) if words[slot // 64] >> slot % 64 & 1]
        demand(not marked or marked[-1] < self.slot_count, "a mark after the last slot")
        for slot in range(min(rows.row_count, 512 * section.row_count)):
            row = rows.row(slot)
            named = set(struct.unpack("<%dI" % (len(row) // 4), row))
            demand(slot in marked or named.issuperset(self.neighbours(slot, 0)), "slot %d is not marked" % slot)
        return [slot for slot in marked if slot < rows.row_count]

    def check_ties(self):
        """Everything that the page says of ties, lists and entry points. Returns the slots of copies."""
        ties = [self.tie(slot) for slot in range(self.slot_count)]
        demand(not any(self.section("ties").read(8 * self.slot_count, -8 * self.slot_count % 64)), "ties after the last")
        copies = {slot for slot, (_, head, _) in enumerate(ties) if head is not None}
        demand(len(copies) <= self.copy_count, "copy_count")
        grouped = []
        for slot, (anchor, head, _) in enumerate(ties):
            level = self.node(slot)[1]
            lists = [self.neighbours(slot, at) for at in range(level + 1)]
            if head is not None:
                demand(head not in copies, "the head of %d is a copy" % slot)
                rows = [self.section("vectors").row(s) for s in (slot, head)]
                demand(self.space.are_equal(*rows), "%d is no copy of %d" % (slot, head))
                demand(not any(lists), "%d is a copy and has neighbours" % slot)
                continue
            self.check_lists(slot, lists, copies)
            grouped += self.group(slot)[1:]
            demand(all(ties[copy][1] == slot for copy in self.group(slot)[1:]), "copies of another head")
            demand(anchor == slot or (anchor in lists[0] and slot in self.neighbours(anchor, 0)),
                   "%d is not linked to its anchor" % slot)
        demand(sorted(grouped) == sorted(copies), "copies that no chain has, or two")
        self.check_tree(ties, copies)
        return copies

    def check_lists(self, slot, lists, copies):
        for level, slots in enumerate(lists):
            demand(len(set(slots)) == len(slots) and slot not in slots, "list of %d" % slot)
            for neighbour in slots:
                demand(neighbour < self.slot_count and neighbour not in copies, "neighbour %d" % neighbour)
                demand(self.node(neighbour)[1] >= level, "neighbour %d on level %d" % (neighbour, level))

    def check_tree(self, ties, copies):
        rooted = {slot for slot, (anchor, _, _) in enumerate(ties) if anchor == slot}
        demand(len(rooted) == (1 if self.slot_count else 0), "%d roots" % len(rooted))
        for slot in range(self.slot_count):
            path = []
            while slot not in rooted and slot not in copies:
                demand(len(path) < self.slot_count, "anchors in a circle")
                path.append(slot)
                slot = ties[slot][0]
            demand(not path or slot not in copies, "a copy is an anchor")
            rooted.update(path)
        for level in range(17):
            first = min((slot for slot in rooted if self.node(slot)[1] == level), default=NONE)
            demand(self.level_first[level] == first, "first of level %d" % level)

    def is_dead(self, slot):
        words = struct.unpack("<8Q", self.section("tombstones").row(slot // 512))
        return words[slot % 512 // 64] >> slot % 64 & 1 == 1

    def find(self, key):
        salt = mix64(self.seed ^ 0x6B6579735F74626C)
        hash_ = mix64(key ^ salt)
        power = 1 << self.bucket_count.bit_length() - 1
        bucket = hash_ % (2 * power)
        if bucket >= self.bucket_count:
            bucket = hash_ % power
        row = self.section("key_buckets").row(bucket)
        for _ in range(self.overflow_count + 1):
            next_, count = struct.unpack_from("<II", row, 0)
            demand(count <= 48, "a bucket of %d" % count)
            for place in range(count):
                if row[8 + place] != hash_ >> 56:
                    continue
                (slot,) = struct.unpack_from("<I", row, 56 + 4 * place)
                demand(slot < self.slot_count, "slot %d" % slot)
                if self.key(slot) == key:
                    return slot
            if next_ == 0:
                return None
            row = self.section("key_overflow").row(next_ - 1)
        raise Refused("a chain in a circle")

    def entry_point(self):
        levels = [level for level, first in enumerate(self.level_first) if first != NONE]
        return (None, 0) if not levels else (self.level_first[levels[-1]], levels[-1])

    def level_of(self, slot):
        random = mix64(self.seed ^ mix64(slot))
        uniform = ((random >> 11) + 1) / (1 << 53)
        return min(self.level_max, int(-math.log(uniform) * self.level_scale / math.log(self.M)))

    def distances(self, query):
        """From a query's components to every slot, and how far they may be off."""
        return self.space.distances(query, [self.vector(slot) for slot in range(self.slot_count)])

    def live_slots(self):
        return [slot for slot in range(self.slot_count) if not self.is_dead(slot)]

    def search(self, measure, ef):
        """HNSW paper, algorithm 5, in its plainest form: (distance, key), nearest first. `measure` is of a slot."""
        slot, top = self.entry_point()
        if slot is None:
            return []
        nearest = (measure(slot), slot)
        for level in range(top, 0, -1):
            while True:
                best = min([(measure(s), s) for s in self.neighbours(nearest[1], level)] + [nearest])
                if best == nearest:
                    break
                nearest = best
        pool, expanded, seen = [nearest], set(), {nearest[1]}
        while True:
            candidates = [c for c in pool if c[1] not in expanded]
            if not candidates:
                found = [(d, s) for d, head in pool for s in self.group(head)]
                return [(d, self.key(s)) for d, s in found if not self.is_dead(s)]
            slot = candidates[0][1]
            expanded.add(slot)
            for neighbour in self.neighbours(slot, 0):
                if neighbour not in seen:
                    seen.add(neighbour)
                    pool.append((measure(neighbour), neighbour))
            pool = sorted(pool)[:ef]


class Log:
    """The valid operations after the newest version of an index."""

    RECORDS = 98304
    HEADER = 40
    INSERT, UPSERT, DELETE, BEGIN, COMMIT = range(1, 6)
    LSN_MAX = 1 << 62

    def __init__(self, path, index):
        self.index = index
        self.records = []  # (offset, lsn, type, batch, payload) of the valid ones
        self.exists = os.path.exists(path)
        demand(self.exists or index.log_expected == 0, "the log is missing")
        if self.exists:
            with open(path, "rb") as file:
                self.data = file.read()
            self.read_header()
            demand(self.uuid == index.uuid, "another index's log")
            demand(index.history in (self.history, self.previous_history), "another history")
            demand(self.first_lsn <= index.lsn + 1, "operations are missing")
            self.read_records()
            self.look_for_damage()
            last = self.first_lsn + len(self.records) - 1
            demand(self.history == index.history or last <= self.history_lsn, "another history")
            demand(index.log_expected == 0 or last >= index.log_lsn, "an older log")

    def header_copies(self, slot):
        """Both copies: (whether it is valid, whether it has the magic, version, generation, bytes)."""
        for copy in range(2):
            begin = slot * 4096 + copy * 81920
            block = self.data[begin:begin + 4096].ljust(4096, b"\0")
            has_magic = block[:8] == b"\x89rhlog\r\n"
            version, crc, generation = struct.unpack_from("<IIQ", block, 8)
            is_valid = has_magic and crc == crc32c(block[:12] + bytes(4) + block[16:])
            yield is_valid, has_magic, version, generation, block

    def read_header(self):
        copies = [list(self.header_copies(slot)) for slot in range(2)]
        valid = [max(((generation, slot, block) for is_valid, _, _, generation, block in copies[slot] if is_valid),
                     default=None, key=lambda found: found[0]) for slot in range(2)]
        newest = max((found for found in valid if found is not None), default=None, key=lambda found: found[0])
        if newest is None:
            demand(not any(has_magic and version > 2 for _, has_magic, version, _, _ in copies[0] + copies[1]),
                   "a newer log")
        demand(newest is not None, "a log without headers")
        self.generation, slot, block = newest
        demand(struct.unpack_from("<I", block, 8) == (2,), "a newer log")
        demand(len(self.data) >= self.RECORDS, "a log that has been cut short")
        demand(self.generation <= self.LSN_MAX and self.generation % 2 == slot, "generation of the log's header")
        was_older = [True for _, has_magic, _, generation, _ in copies[1 - slot]
                     if has_magic and generation + 1 == self.generation]
        demand(valid[1 - slot] is not None or len(was_older) > 0, "a newer header may be lost")
        self.uuid = block[24:40].hex()
        self.salt, self.first_offset, self.first_lsn, self.first_previous_crc = struct.unpack_from("<QQQI", block, 40)
        self.history, self.previous_history, self.history_lsn = struct.unpack_from("<QQQ", block, 72)
        demand(self.first_offset >= self.RECORDS and self.first_offset % 8 == 0, "where the log begins")
        demand(1 <= self.first_lsn <= self.LSN_MAX, "where the log begins")
        demand(not any(block[68:72]) and not any(block[96:]), "reserved bytes are zero in this version")
        self.seed = (self.salt ^ self.salt >> 32) & 0xFFFFFFFF

    def record(self, offset):
        """The fields of a record whose crc is right, and its end; or None."""
        if offset + self.HEADER > len(self.data):
            return None
        fields = struct.unpack_from("<IIIIQQQ", self.data, offset)
        end = offset + self.HEADER + -(-fields[2] // 8) * 8
        if fields[2] > 524288 or end > len(self.data):
            return None
        return (fields, end) if crc32c(self.data[offset + 4:end], self.seed) == fields[0] else None

    def read_records(self):
        self.end = self.first_offset
        lsn, previous = self.first_lsn, self.first_previous_crc
        while True:
            found = self.record(self.end)
            if found is None or found[0][1] != previous or found[0][4] != lsn:
                return
            (previous, _, payload_bytes, type_, _, _, batch), end = found
            demand(self.INSERT <= type_ <= self.COMMIT, "a newer kind of record")
            begin = self.end + self.HEADER
            self.records.append((self.end, lsn, type_, batch, self.data[begin:begin + payload_bytes]))
            self.end = end
            lsn += 1

    def look_for_damage(self):
        awaited = max(self.first_lsn + len(self.records), self.index.lsn + 1)
        for offset in range(self.end, len(self.data) - self.HEADER + 1, 8):
            lsn, synced_lsn = struct.unpack_from("<QQ", self.data, offset + 16)
            if awaited < lsn < awaited + (1 << 32) and awaited <= synced_lsn < lsn:
                demand(self.record(offset) is None, "record %d was synced and is damaged" % awaited)

    def operations(self):
        """The type, payload and number of what counts; of early deletes, too, if the version divides a batch."""
        checkpoint = self.index.lsn
        commits = [(b, lsn) for _, lsn, type_, b, _ in self.records if type_ == self.COMMIT]
        committed = set(b for b, lsn in commits if lsn > checkpoint)
        committed_early = set(b for b, lsn in commits if lsn <= checkpoint) - committed | {0}
        divided = any(batch <= checkpoint for batch in committed)
        for _, lsn, type_, batch, payload in self.records:
            early_delete = divided and type_ == self.DELETE and batch in committed_early
            late = batch in committed or batch == 0 and lsn > checkpoint
            if type_ <= self.DELETE and (late or early_delete):
                yield type_, payload, lsn

    def state(self):
        """Vectors by key, after all valid operations."""
        index = self.index
        state = {index.key(slot): index.vector(slot) for slot in index.live_slots()}
        in_version = set(state)
        for type_, payload, lsn in self.operations():
            (key,) = struct.unpack_from("<Q", payload)
            early = lsn <= index.lsn
            if type_ == self.DELETE:
                demand(len(payload) == 8, "a delete has a key and nothing else")
                if not (early and key in in_version):
                    state.pop(key, None)
            else:
                demand(len(payload) == 8 + index.space.vector_bytes, "length of a vector")
                if not (early and key in state):
                    state[key] = index.space.components(payload[8:])
        return state
