"""What examples/apt_search.py takes: embeddings, the index, searches, an update.

    pip install ./bindings/python
    python3 examples/apt_search.py update --folder DIR
    python3 bench/apt_search_times.py DIR

Searches are for summaries of packages, which are no texts that were embedded. The update is of a copy of DIR. Times are
of one process that does nothing else; the median counts.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "examples"))
import apt_search  # noqa: E402  (prepares numpy's BLAS)
import numpy as np  # noqa: E402

import rhumb  # noqa: E402

QUERY_COUNT = 300
PROCESS_COUNT = 11  # fresh processes that open the index
CHANGED_COUNT = 200  # packages that the update finds changed; as many are gone, and as many new


def milliseconds(function):
    start = time.perf_counter()
    function()
    return 1000 * (time.perf_counter() - start)


def median(times):
    return statistics.median(times)


def opening_ms(folder, vector):
    """Milliseconds from before the opening to the first answer, in processes of their own whose imports are done."""
    code = """if True:
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import apt_search, numpy
        vector = numpy.load(sys.argv[2])
        start = time.perf_counter()
        with apt_search.Catalogue(sys.argv[3], None, read_only=True) as catalogue:
            found = catalogue.nearest(vector)
            taken = time.perf_counter() - start
        assert len(found) == 10
        print(1000 * taken)
    """
    with tempfile.NamedTemporaryFile(suffix=".npy") as query:
        np.save(query, vector)
        query.flush()
        command = [sys.executable, "-c", code, os.path.join(HERE, "..", "examples"), query.name, folder]
        return [float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(PROCESS_COUNT)]


def measure_searches(folder, encoder, packages):
    queries = [package.summary for package in list(packages.values())[:: len(packages) // QUERY_COUNT]][:QUERY_COUNT]
    start = time.perf_counter()
    vectors = encoder.embed(queries)
    print(f"embedding {len(queries)} summaries: {len(queries) / (time.perf_counter() - start):,.0f} a second")
    print(f"opening to first answer, {PROCESS_COUNT} fresh processes, file in the page cache: "
          f"{median(opening_ms(folder, vectors[0])):.2f} ms")  # fmt: skip
    with apt_search.Catalogue(folder, encoder, read_only=True) as catalogue:
        for vector in vectors:
            catalogue.nearest(vector)
        times = [milliseconds(lambda vector=vector: catalogue.nearest(vector)) for vector in vectors]
        print(f"search for 10 with names, sections, summaries: p50 {median(times):.3f} ms, "
              f"p99 {statistics.quantiles(times, n=100)[98]:.3f} ms")  # fmt: skip
        index = catalogue._names.index
        times = [milliseconds(lambda vector=vector: index.search(vector, 10)) for vector in vectors]
        print(f"  of the index alone: p50 {median(times):.3f} ms")
        recall = index.search(vectors, 10).recall(index.search(vectors, 10, exact=True))
        print(f"  recall@10 {recall:.4f} at the default ef_search")
        times = [milliseconds(lambda vector=vector: catalogue.nearest(vector, section="sound")) for vector in vectors]
        print(f"search for 10 of the section sound: p50 {median(times):.3f} ms")


def measure_update(folder, encoder, packages):
    names = sorted(packages)
    gone, changed = names[::2][:CHANGED_COUNT], names[1::2][:CHANGED_COUNT]
    packages = {name: package for name, package in packages.items() if name not in set(gone)}
    for name in changed:
        old = packages[name]
        packages[name] = apt_search.Package(name, old.section, old.summary + " (changed)", [])
        packages[name + "-new"] = apt_search.Package(name + "-new", old.section, old.summary, ["New."])
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder.rstrip("/"))) as scratch:
        for name in os.listdir(folder):
            if name.startswith("packages."):
                shutil.copy(os.path.join(folder, name), scratch)
        with apt_search.Catalogue(scratch, encoder) as catalogue:
            start = time.perf_counter()
            embedded, deleted, same = catalogue.update(packages)
            print(f"update: {embedded} embedded and upserted, {deleted} deleted, {same:,} left alone: "
                  f"{time.perf_counter() - start:.1f} s")  # fmt: skip
            report = catalogue._names.index.verify()
            print(f"  verified: {report.node_count:,} nodes, {report.unreachable_count} unreachable, "
                  f"{report.checksum_error_count} wrong checksums")  # fmt: skip
            start = time.perf_counter()
            embedded, deleted, same = catalogue.update(packages)
            print(f"the same update again: {embedded} embedded, {deleted} deleted, {same:,} left alone: "
                  f"{time.perf_counter() - start:.2f} s")  # fmt: skip


def main():
    folder = sys.argv[1]
    encoder = apt_search.MiniLM(os.path.join(folder, "model"))
    packages = apt_search.packages_of_apt()
    info = rhumb.info(os.path.join(folder, "packages.rhumb"))
    others = sum(os.path.getsize(os.path.join(folder, name)) for name in ("packages.rhumb-keys", "packages.sqlite"))
    print(f"{info.count:,} packages, {info.dim} x {info.element}, {info.metric}, codes {info.codes}: index "
          f"{info.file_bytes / 1e6:.1f} MB, names and facts {others / 1e6:.1f} MB")  # fmt: skip
    measure_searches(folder, encoder, packages)
    measure_update(folder, encoder, packages)


if __name__ == "__main__":
    main()
