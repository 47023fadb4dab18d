"""Element types and metrics, from section 6 of storage/FORMAT.md: part of second_reader.py."""

import re

import numpy

FLT_MAX = float(numpy.finfo(numpy.float32).max)
# Holds every integer of 64 bits and every difference of two.
WIDE = numpy.longdouble

# bf16 and b1 have no type in NumPy.
TYPES = {
    "f32": "<f4", "f64": "<f8", "f16": "<f2", "bf16": "<u2", "i8": "<i1", "u8": "<u1", "i16": "<i2", "u16": "<u2",
    "i32": "<i4", "u32": "<u4", "i64": "<i8", "u64": "<u8", "b1": "<u1"
}
FLOATS = ("f32", "f64", "f16", "bf16")


def read_tables(page):
    """The names of the element types by number, and by number the name of each metric and its element types."""
    section = page.split("\n## 6.")[1].split("\n## 7.")[0]
    tables = section.split("The element types, all little-endian:")[1].split("The metrics, of vectors")
    elements = {int(number): name for number, name in re.findall(r"\| +(\d+) \| (\w+) +\|", tables[0])}
    metrics = {}
    before = set()
    for line in re.findall(r"\n(\| +\d+ \|.*)", tables[1]):
        number, name, _, cell = [part.strip() for part in line.strip("|").split(" | ")]
        named = {element for element in elements.values() if re.search(r"\b%s\b" % element, cell)}
        if cell.startswith("the same"):
            named = before - named
        elif cell.startswith("all"):
            named = set(elements.values()) - named
        metrics[int(number)] = (name, named)
        before = named
    return elements, metrics


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        above, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            above, row[j + 1] = row[j + 1], min(above + (x != y), row[j] + 1, row[j + 1] + 1)
    return row[-1]


def quotient_logarithm(p, q):
    """p ln(p / q), 0 where p is 0."""
    used = p > 0
    return numpy.where(used, p * numpy.log(numpy.where(used, p, 1) / numpy.where(used, q, 1)), 0)


def stride_of(used):
    """The distance between rows of which so many bytes are in use."""
    return next(rounded for unit in (64, 16, 4) for rounded in [-(-used // unit) * unit]
                if unit == 4 or (rounded - used) * 8 <= used)


class Space:
    """How vectors lie in rows, and how far they are from each other."""

    def __init__(self, metric, element, dim):
        self.metric, self.element, self.dim = metric, element, dim
        self.bits = 1 if element == "b1" else 8 * numpy.dtype(TYPES[element]).itemsize
        self.component_bytes = (dim * self.bits + 7) // 8
        self.of_sequences = metric == "levenshtein"
        self.vector_bytes = self.component_bytes + 4 * self.of_sequences
        self.norm_type = "<f4" if element == "f32" else "<f8"
        self.norm_offset = self.used = self.vector_bytes
        if metric == "cosine":
            norm_bytes = numpy.dtype(self.norm_type).itemsize
            self.norm_offset = -(-self.vector_bytes // norm_bytes) * norm_bytes
            self.used = self.norm_offset + norm_bytes
        self.stride = stride_of(self.used)

    def components(self, row):
        """The bytes of a row's components; of a sequence, of those that it has."""
        if not self.of_sequences:
            return row[:self.component_bytes]
        return row[4:4 + int.from_bytes(row[:4], "little") * self.bits // 8]

    def numbers(self, components):
        values = numpy.frombuffer(components, TYPES[self.element])
        if self.of_sequences:
            return values.tolist()
        if self.element == "b1":
            values = numpy.unpackbits(values, bitorder="little")[:self.dim]
        elif self.element == "bf16":
            values = (values.astype("<u4") << 16).view("<f4")
        return values.astype(WIDE)

    def are_equal(self, row, other):
        if row[:self.used] == other[:self.used]:
            return True
        if self.metric == "custom" or self.element not in FLOATS:
            return False
        return numpy.array_equal(self.numbers(self.components(row)), self.numbers(self.components(other)))

    def distances(self, query, vectors):
        """From the components of a query to a list of others, and how far those computed in f32 may be off."""
        if self.metric == "custom":  # that of dump_vectors.h
            b = numpy.frombuffer(b"".join(vectors), "u1").reshape(len(vectors), -1)
            return (b != numpy.frombuffer(query, "u1")).sum(axis=1), numpy.zeros(len(vectors))
        a = self.numbers(query)
        if self.of_sequences:
            found = [edit_distance(a, self.numbers(vector)) for vector in vectors]
            return numpy.array(found), numpy.zeros(len(vectors))
        b = numpy.array([self.numbers(vector) for vector in vectors])
        distances, size = getattr(self, self.metric)(a, b)
        distances = numpy.clip(distances, -FLT_MAX, FLT_MAX)
        return distances, 2e-6 * numpy.minimum(size, FLT_MAX) + 2e-7 * abs(distances) + 1e-44

    # Each returns the distances, and the size of what is added up.

    def l2sq(self, a, b):
        found = ((a - b)**2).sum(axis=1)
        return found, found

    def l2(self, a, b):
        found = numpy.sqrt(((a - b)**2).sum(axis=1))
        return found, found

    def l1(self, a, b):
        found = abs(a - b).sum(axis=1)
        return found, found

    def ip(self, a, b):
        return 1 - (a * b).sum(axis=1), 1 + abs(a * b).sum(axis=1)

    def cosine(self, a, b):
        norms = numpy.sqrt((a * a).sum()) * numpy.sqrt((b * b).sum(axis=1))
        used = norms > 0
        return numpy.where(used, 1 - (a * b).sum(axis=1) / numpy.where(used, norms, 1), 1), numpy.ones(len(b))

    def hamming(self, a, b):
        return (a != b).sum(axis=1) / WIDE(self.dim), numpy.zeros(len(b))

    def jaccard(self, a, b):
        larger = numpy.maximum(a, b).sum(axis=1)
        used = larger > 0
        smaller = numpy.minimum(a, b).sum(axis=1)
        return numpy.where(used, 1 - smaller / numpy.where(used, larger, 1), 0), 0.1 * numpy.ones(len(b))

    def hellinger(self, a, b):
        found = numpy.sqrt(((numpy.sqrt(a) - numpy.sqrt(b))**2).sum(axis=1) / 2)
        return found, found

    def jeffreys(self, a, b):
        floor = WIDE("1e-30")
        found = ((a - b) * numpy.log(numpy.maximum(a, floor) / numpy.maximum(b, floor))).sum(axis=1)
        return found, found

    def jensen_shannon(self, a, b):
        m = (a + b) / 2
        halves = (quotient_logarithm(a, m) + quotient_logarithm(b, m)).sum(axis=1) / 2
        # The terms cancel: a distance of 0 may be computed as the root of what rounding leaves.
        return numpy.sqrt(numpy.maximum(halves, 0)), 0.1 * numpy.ones(len(b))
