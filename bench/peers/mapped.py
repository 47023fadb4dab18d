"""Libraries that search an index in a file: on the disk itself, mapped, or, for comparison, loaded into memory.

A class has `build(rows, folder)`, `open(folder, dim, thread_count)`, which returns an object with `set_effort` and
`search`, and the efforts to measure. All graphs have at most 64 neighbours a node on the lowest level (M 32).
"""

import os

import numpy as np


class DiskAnn:
    ABOUT = "degree 64, 48 bytes a vector in memory, beam 8"
    EFFORTS = [20, 40, 80, 120, 200]

    @staticmethod
    def build(rows, folder):
        import diskannpy

        diskannpy.build_disk_index(
            data=rows,
            distance_metric="l2",
            index_directory=folder,
            complexity=100,
            graph_degree=64,
            build_memory_maximum=8.0,
            num_threads=0,
            num_of_pq_chunks=48,
        )

    def __init__(self, folder, dim, thread_count):
        import diskannpy

        self._complexity = 0
        self._index = diskannpy.StaticDiskIndex(
            index_directory=folder,
            num_threads=thread_count,
            beam_width=8,
            num_nodes_to_cache=0,
            distance_metric="l2",
            vector_dtype=np.float32,
            dimensions=dim,
        )

    open = classmethod(lambda cls, *arguments: cls(*arguments))

    def set_effort(self, effort):
        self._complexity = effort

    def search(self, query, k):
        return self._index.search(query, k_neighbors=k, complexity=self._complexity).identifiers


class FaissHnsw:
    ABOUT = "HNSW32 over float32, mapped (IO_FLAG_MMAP_IFC)"
    EFFORTS = [16, 32, 64, 128, 256]

    @staticmethod
    def build(rows, folder):
        import faiss

        index = faiss.IndexHNSWFlat(rows.shape[1], 32)
        index.hnsw.efConstruction = 100
        index.add(rows)
        faiss.write_index(index, os.path.join(folder, "hnsw.faiss"))

    def __init__(self, folder, dim, thread_count):
        import faiss

        faiss.omp_set_num_threads(1)  # each query is a call of its own
        self._index = faiss.read_index(os.path.join(folder, "hnsw.faiss"), faiss.IO_FLAG_MMAP_IFC)

    open = classmethod(lambda cls, *arguments: cls(*arguments))

    def set_effort(self, effort):
        self._index.hnsw.efSearch = effort

    def search(self, query, k):
        return self._index.search(query[np.newaxis], k)[1][0]


class FaissIvf:
    ABOUT = "IVF4096 over float32, lists mapped (IO_FLAG_MMAP)"
    EFFORTS = [4, 8, 16, 32, 64, 128]

    @staticmethod
    def build(rows, folder):
        import faiss

        index = faiss.index_factory(rows.shape[1], "IVF4096,Flat")
        index.train(rows[:: max(1, len(rows) // 200_000)])
        index.add(rows)
        faiss.write_index(index, os.path.join(folder, "ivf.faiss"))

    def __init__(self, folder, dim, thread_count):
        import faiss

        faiss.omp_set_num_threads(1)
        self._index = faiss.read_index(os.path.join(folder, "ivf.faiss"), faiss.IO_FLAG_MMAP)

    open = classmethod(lambda cls, *arguments: cls(*arguments))

    def set_effort(self, effort):
        self._index.nprobe = effort

    def search(self, query, k):
        return self._index.search(query[np.newaxis], k)[1][0]


class USearch:
    ABOUT = "connectivity 32 over float32, a view of the file"
    EFFORTS = [16, 32, 64, 128, 256]

    @staticmethod
    def build(rows, folder):
        from usearch.index import Index

        index = Index(ndim=rows.shape[1], metric="l2sq", dtype="f32", connectivity=32, expansion_add=100)
        index.add(np.arange(len(rows), dtype=np.uint64), rows)
        index.save(os.path.join(folder, "index.usearch"))

    def __init__(self, folder, dim, thread_count):
        from usearch.index import Index

        self._index = Index.restore(os.path.join(folder, "index.usearch"), view=True)

    open = classmethod(lambda cls, *arguments: cls(*arguments))

    def set_effort(self, effort):
        self._index.expansion_search = effort

    def search(self, query, k):
        return self._index.search(query, k).keys


class Hnswlib:
    ABOUT = "M 32 over float32, loaded into memory"
    EFFORTS = [16, 32, 64, 128, 256]

    @staticmethod
    def build(rows, folder):
        import hnswlib

        index = hnswlib.Index(space="l2", dim=rows.shape[1])
        index.init_index(max_elements=len(rows), M=32, ef_construction=100)
        index.add_items(rows)
        index.save_index(os.path.join(folder, "index.hnswlib"))

    def __init__(self, folder, dim, thread_count):
        import hnswlib

        self._index = hnswlib.Index(space="l2", dim=dim)
        self._index.load_index(os.path.join(folder, "index.hnswlib"))
        self._index.set_num_threads(1)

    open = classmethod(lambda cls, *arguments: cls(*arguments))

    def set_effort(self, effort):
        self._index.set_ef(effort)

    def search(self, query, k):
        return self._index.knn_query(query, k=k)[0][0]


LIBRARIES = {
    "diskann": DiskAnn,
    "faiss-hnsw": FaissHnsw,
    "faiss-ivf": FaissIvf,
    "usearch": USearch,
    "hnswlib": Hnswlib,
}
