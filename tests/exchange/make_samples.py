#!/usr/bin/env python3
"""Makes the files of other libraries that the tests of importing read: samples/, of which each is genuine.

    python3 make_samples.py FOLDER            # numpy, hnswlib 0.8.0, faiss-cpu 1.15.1, usearch 2.26.6, annoy 1.17.3, voyager 2.2.3
    python3 make_samples.py FOLDER --chroma   # chroma-hnswlib 0.7.6, whose module has hnswlib's name: another environment

(PyPI, CPython 3.11, x86-64.) The dumps of hnsw_rs come from make_hnsw_rs.rs. For each NAME the folder gets

    NAME.bin          the library's file; of Chroma a folder; of hnsw_rs NAME.hnsw.graph and NAME.hnsw.data
    NAME.vectors      what the library says of its content: for each live vector u64 key, then its bytes
    NAME.queries      for each query its bytes, then 10 x u64: the keys that the library finds with a narrow search. Not
                      for libraries without a graph
    manifest.txt      a line for each sample: NAME format ask-metric ask-element ask-dim metric element dim source_count
                      deleted count M ef_construction ef unreachable; 0 or - where there is nothing to say. `ef` is that
                      of the queries, `unreachable` is computed here, by a walk of this program's own
"""

import os
import shutil
import struct
import sys

import numpy as np

K = 10
EF = 20
EF_CONSTRUCTION = 30
lines = []


def data(count, dim, seed):
    """Clustered vectors, which small graphs do not connect well."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((12, dim)) * 2
    return (centres[random.integers(0, 12, count)] + 0.4 * random.standard_normal((count, dim))).astype("f4")


def put(folder, name, line, vectors, queries=None):
    """vectors: (key, row of bytes); queries: (row of bytes, keys found)."""
    with open(os.path.join(folder, name + ".vectors"), "wb") as file:
        for key, row in vectors:
            file.write(struct.pack("<Q", int(key)) + row.tobytes())
    if queries is not None:
        with open(os.path.join(folder, name + ".queries"), "wb") as file:
            for row, keys in queries:
                assert len(keys) == K
                file.write(row.tobytes() + np.asarray(keys, "<u8").tobytes())
    lines.append(" ".join([name] + [str(part) for part in line]))


def hnswlib_unreachable(path):
    """Live vectors that no link leads to from the entry point, by the layout of hnswlib's files."""
    with open(path, "rb") as file:
        image = file.read()
    count, size, label, data_at = struct.unpack_from("<4Q", image, 16)
    entry, max_m = struct.unpack_from("<IQ", image, 52)
    links = [[] for _ in range(count)]
    dead = set()
    for i in range(count):
        at = 96 + i * size
        length, flag = struct.unpack_from("<HB", image, at)
        if flag & 1:
            dead.add(i)
        links[i] += struct.unpack_from("<%dI" % length, image, at + 4)
    at = 96 + count * size
    for i in range(count):
        (size_upper,) = struct.unpack_from("<I", image, at)
        at += 4
        for list_at in range(at, at + size_upper, 4 + 4 * max_m):
            (length,) = struct.unpack_from("<H", image, list_at)
            links[i] += struct.unpack_from("<%dI" % length, image, list_at + 4)
        at += size_upper
    met, queue = {entry}, [entry]
    while queue:
        for neighbour in links[queue.pop()]:
            if neighbour not in met:
                met.add(neighbour)
                queue.append(neighbour)
    return count - len(met | dead)


def faiss_unreachable(hnsw):
    """The same for FAISS, by its own accessors."""
    import faiss

    levels = faiss.vector_to_array(hnsw.levels)
    offsets = faiss.vector_to_array(hnsw.offsets)
    neighbours = faiss.vector_to_array(hnsw.neighbors)
    met, queue = {hnsw.entry_point}, [hnsw.entry_point]
    while queue:
        i = queue.pop()
        for neighbour in neighbours[offsets[i] : offsets[i + 1]]:
            if neighbour >= 0 and neighbour not in met:
                met.add(int(neighbour))
                queue.append(int(neighbour))
    return len(levels) - len(met)


def make_hnswlib(folder):
    import hnswlib

    for name, space, metric, count, m, deleted in (
        ("hnswlib_l2", "l2", "l2sq", 150, 6, (3, 77, 149)),
        ("hnswlib_cosine", "cosine", "cosine", 150, 6, ()),
        ("hnswlib_ip", "ip", "ip", 150, 6, ()),
        ("hnswlib_sparse", "l2", "l2sq", 200, 2, ()),
        ("hnswlib_one", "l2", "l2sq", 1, 4, ()),
        ("hnswlib_empty", "l2", "l2sq", 0, 4, ()),
    ):
        rows, queries = data(count, 6, 1), data(30, 6, 2)
        keys = np.arange(count) * 7 + 5
        index = hnswlib.Index(space, 6)
        index.init_index(count + 20, M=m, ef_construction=EF_CONSTRUCTION, random_seed=5)
        if count:
            index.add_items(rows, keys, num_threads=1)
        for position in deleted:
            index.mark_deleted(int(keys[position]))
        path = os.path.join(folder, name + ".bin")
        index.save_index(path)
        live = [int(key) for position, key in enumerate(keys) if position not in deleted]
        found = None
        if count > K:
            index.set_ef(EF)
            found = zip(queries, index.knn_query(queries, K, num_threads=1)[0])
        unreachable = hnswlib_unreachable(path) if count else 0
        line = ("hnswlib", metric, "-", 0, metric, "f32", 6, count, len(deleted), len(live), m, EF_CONSTRUCTION, EF, unreachable)
        vectors = index.get_items(live) if live else []
        put(folder, name, line, zip(live, np.asarray(vectors, "f4")), found)


def make_chroma(folder):
    import hnswlib

    rows, queries = data(120, 6, 3), data(30, 6, 4)
    keys = np.arange(120) + 1
    path = os.path.join(folder, "chroma_l2.bin")
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    index = hnswlib.Index("l2", 6)
    index.init_index(130, M=6, ef_construction=EF_CONSTRUCTION, random_seed=5, is_persistent_index=True, persistence_location=path)
    index.add_items(rows, keys, num_threads=1)
    index.mark_deleted(9)
    index.persist_dirty()
    index.set_ef(EF)
    live = [int(key) for key in keys if key != 9]
    found = zip(queries, index.knn_query(queries, K, num_threads=1)[0])
    line = ("chroma", "l2sq", "-", 0, "l2sq", "f32", 6, 120, 1, 119, 6, EF_CONSTRUCTION, EF, "-")
    put(folder, "chroma_l2", line, zip(live, np.asarray(index.get_items(live), "f4")), found)


def make_voyager(folder):
    from voyager import Index, Space, StorageDataType as Type

    for name, space, type_, metric, element in (
        ("voyager_l2", Space.Euclidean, Type.Float32, "l2sq", "f32"),
        ("voyager_ip", Space.InnerProduct, Type.Float32, "ip", "f32"),
        ("voyager_cosine", Space.Cosine, Type.Float32, "cosine", "f32"),
        ("voyager_i8", Space.Euclidean, Type.Float8, "l2sq", "i8"),
        ("voyager_e4m3", Space.Euclidean, Type.E4M3, "l2sq", "f16"),
    ):
        rows, queries = data(120, 6, 5), data(30, 6, 6)
        if type_ == Type.Float8:
            scale = np.abs(np.concatenate([rows, queries])).max()
            rows, queries = rows / scale, queries / scale
        index = Index(space, 6, M=6, ef_construction=EF_CONSTRUCTION, random_seed=5, storage_data_type=type_)
        keys = index.add_items(rows, list(range(100, 220)), num_threads=1)
        index.mark_deleted(107)
        index.save(os.path.join(folder, name + ".bin"))
        live = [key for key in keys if key != 107]
        vectors = index.get_vectors(live)
        convert = {"f32": lambda x: np.asarray(x, "f4"), "i8": lambda x: np.round(np.asarray(x) * 127).astype("i1"),
                   "f16": lambda x: np.asarray(x, "f2")}[element]
        found = None
        if element == "f32":
            found = zip(queries, index.query(queries, K, num_threads=1, query_ef=EF)[0])
        line = ("voyager", "-", "-", 0, metric, element, 6, 120, 1, 119, 6, EF_CONSTRUCTION, EF, "-")
        put(folder, name, line, zip(live, convert(vectors)), found)


def make_faiss(folder):
    import faiss

    faiss.omp_set_num_threads(1)
    rows, queries = data(150, 6, 7), data(30, 6, 8)
    ids = np.arange(150) * 3 + 11
    bytes_, byte_queries = [np.clip(np.round(x * 20 + 128), 0, 255).astype("f4") for x in (rows, queries)]
    sq = faiss.ScalarQuantizer
    inner = {
        "faiss_hnsw": (lambda: faiss.IndexHNSWFlat(6, 6), "l2sq", "f32", False),
        "faiss_hnsw_ip": (lambda: faiss.IndexHNSWFlat(6, 6, faiss.METRIC_INNER_PRODUCT), "ip", "f32", False),
        "faiss_hnsw_l1": (lambda: faiss.IndexHNSWFlat(6, 6, faiss.METRIC_L1), "l1", "f32", False),
        "faiss_hnsw_ids": (lambda: faiss.IndexHNSWFlat(6, 6), "l2sq", "f32", True),
        "faiss_flat": (lambda: faiss.IndexFlatL2(6), "l2sq", "f32", False),
        "faiss_flat_ip_ids": (lambda: faiss.IndexFlatIP(6), "ip", "f32", True),
        "faiss_sq8": (lambda: faiss.IndexHNSWSQ(6, sq.QT_8bit, 6), "l2sq", "f32", True),
        "faiss_sq8_uniform": (lambda: faiss.IndexHNSWSQ(6, sq.QT_8bit_uniform, 6), "l2sq", "f32", False),
        "faiss_fp16": (lambda: faiss.IndexHNSWSQ(6, sq.QT_fp16, 6), "l2sq", "f16", False),
        "faiss_bf16": (lambda: faiss.IndexHNSWSQ(6, sq.QT_bf16, 6), "l2sq", "bf16", False),
        "faiss_u8": (lambda: faiss.IndexHNSWSQ(6, sq.QT_8bit_direct, 6), "l2sq", "u8", False),
        "faiss_normalised": (None, "cosine", "f32", False),
    }
    for name, (make, metric, element, with_ids) in inner.items():
        index = make() if make else faiss.IndexHNSWFlat(6, 6, faiss.METRIC_INNER_PRODUCT)
        hnsw = getattr(index, "hnsw", None)
        if hnsw is not None:
            hnsw.efConstruction, hnsw.efSearch = EF_CONSTRUCTION, EF
        outer = faiss.IndexIDMap2(index) if with_ids else index
        if make is None:
            outer = faiss.IndexPreTransform(faiss.NormalizationTransform(6, 2.0), index)
        added, asked = (bytes_, byte_queries) if element == "u8" else (rows, queries)
        outer.train(added)
        if with_ids:
            outer.add_with_ids(added, ids)
        else:
            outer.add(added)
        faiss.write_index(outer, os.path.join(folder, name + ".bin"))
        keys = ids if with_ids else np.arange(150)
        stored = index.reconstruct_n(0, 150)
        convert = {"f32": lambda x: x, "f16": lambda x: x.astype("f2"), "u8": lambda x: x.astype("u1"),
                   "bf16": lambda x: (x.view("u4") >> 16).astype("u2")}[element]
        found = None
        if hnsw is not None and element in ("f32", "u8"):
            found = zip(convert(asked), outer.search(asked, K)[1])
        line = ("faiss", "-", "-", 0, metric, element, 6, 150, 0, 150, 6 if hnsw else 16, EF_CONSTRUCTION if hnsw else 200, EF,
                faiss_unreachable(hnsw) if hnsw else "0")
        put(folder, name, line, zip(keys, convert(stored)), found)


def make_usearch(folder):
    from usearch.index import Index

    rows, queries = data(120, 6, 9), data(30, 6, 10)
    random = np.random.default_rng(11)
    bits, bit_queries = random.integers(0, 256, (120, 6)).astype("u1"), random.integers(0, 256, (30, 6)).astype("u1")
    for name, metric, dtype, own, element in (
        ("usearch_l2", "l2sq", "f32", "l2sq", "f32"),
        ("usearch_cosine", "cos", "f32", "cosine", "f32"),
        ("usearch_ip", "ip", "f16", "ip", "f16"),
        ("usearch_bf16", "l2sq", "bf16", "l2sq", "bf16"),
        ("usearch_i8", "cos", "i8", "cosine", "i8"),
        ("usearch_f64", "l2sq", "f64", "l2sq", "f64"),
        ("usearch_b1", "hamming", "b1", "hamming", "b1"),
    ):
        dim = 48 if dtype == "b1" else 6
        index = Index(ndim=dim, metric=metric, dtype=dtype, connectivity=6, expansion_add=EF_CONSTRUCTION, expansion_search=EF)
        keys = np.arange(120, dtype="u8") * 2 + 1
        index.add(keys, bits if dtype == "b1" else rows, threads=1)
        index.remove(15)
        path = os.path.join(folder, name + ".bin")
        index.save(path)
        with open(path, "rb") as file:
            image = file.read()
        row_bytes = struct.unpack_from("<I", image, 4)[0]
        live = [int(key) for key in keys if key != 15]
        stored = [np.frombuffer(image, "u1", row_bytes, 8 + i * row_bytes) for i, key in enumerate(keys) if key != 15]
        found = None
        if dtype in ("f32", "b1"):
            asked = bit_queries if dtype == "b1" else queries
            found = zip(asked, index.search(asked, K, threads=1).keys)
        line = ("usearch", "-", "-", 0, own, element, dim, 120, 1, 119, 6, 128, EF, "-")
        put(folder, name, line, zip(live, stored), found)


def make_annoy(folder):
    from annoy import AnnoyIndex

    for name, metric, own in (
        ("annoy_angular", "angular", "cosine"),
        ("annoy_euclidean", "euclidean", "l2"),
        ("annoy_manhattan", "manhattan", "l1"),
        ("annoy_dot", "dot", "ip"),
        ("annoy_hamming", "hamming", "hamming"),
    ):
        dim = 70 if metric == "hamming" else 6
        rows = data(100, dim, 12)
        if metric == "hamming":
            rows = (rows > 0).astype("f4")
        index = AnnoyIndex(dim, metric)
        index.set_seed(5)
        live = [i for i in range(100) if i != 40]
        for i in live:
            index.add_item(i, rows[i])
        index.build(3)
        index.save(os.path.join(folder, name + ".bin"))
        stored = np.asarray([index.get_item_vector(i) for i in live], "f4")
        if metric == "hamming":
            stored = np.packbits(stored.astype("u1"), axis=1, bitorder="little")
        line = ("annoy", own, "-", dim, own, "b1" if metric == "hamming" else "f32", dim, 99, 0, 99, 16, 200, EF, "0")
        put(folder, name, line, zip(live, stored))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    if "--chroma" in sys.argv:
        make_chroma(folder)
    else:
        for make in (make_hnswlib, make_voyager, make_faiss, make_usearch, make_annoy):
            make(folder)
    manifest = os.path.join(folder, "manifest.txt")
    before = []
    if os.path.exists(manifest):
        with open(manifest, encoding="utf-8") as file:
            before = file.read().splitlines()
    made = {line.split()[0] for line in lines}
    with open(manifest, "w", encoding="utf-8") as file:
        file.write("\n".join(sorted([line for line in before if line.split()[0] not in made] + lines)) + "\n")


if __name__ == "__main__":
    main()
