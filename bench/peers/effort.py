#!/usr/bin/env python3
"""How hard data sets are for a graph: the distances that a search measures at a recall, whatever the machine.

    DIR/environment/bin/python bench/peers/effort.py DATA.hdf5...

FAISS's HNSW (M 16, ef_construction 200) counts them. Next to them stand properties that explain them: the intrinsic
dimension around the queries (the estimate of Levina and Bickel from the 100 nearest; median, and the middle four fifths
of the queries), and the contrast, how many times farther than the tenth nearest a random row is in the median.
"""

import argparse
import os
import sys

import faiss
import numpy as np

import curve
import machine
import table
from dataset import Dataset

M, EF_CONSTRUCTION, K = 16, 200, 10
RANDOM_ROWS = 1000


def radii_of(dataset, distances):
    """Distances of the truth as euclidean ones, of rows of length 1 under angular."""
    return distances if dataset.distance == "euclidean" else np.sqrt(2 * np.maximum(distances, 0))


def intrinsic_dimensions(radii):
    """An estimate per query. A neighbour at distance 0 says nothing and is left out."""
    with np.errstate(divide="ignore"):
        logarithms = np.log(radii[:, :-1] / np.maximum(radii[:, -1:], 1e-30))
    return -1.0 / np.ma.masked_invalid(logarithms).mean(axis=1).filled(-1.0)


def distance_counts(rows, queries, dataset, ef_max):
    """The points of the curve; their qps is queries per distance, so that curve.py can read them."""
    index = faiss.IndexHNSWFlat(rows.shape[1], M)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.add(rows)
    points = []
    for ef in curve.efs_for(K, ef_max):
        index.hnsw.efSearch = ef
        faiss.cvar.hnsw_stats.reset()
        ids = index.search(queries, K)[1]
        points.append(curve.Point(ef, dataset.recall(ids, K), len(queries) / faiss.cvar.hnsw_stats.ndis))
        if points[-1].recall >= max(curve.TARGETS):
            break
    return points


def row_of(path, query_count, ef_max):
    dataset = Dataset(path, query_count)
    rows, queries = dataset.prepared(dataset.rows), dataset.prepared(dataset.queries)
    radii = radii_of(dataset, dataset.distances)
    dimensions = intrinsic_dimensions(radii)
    chosen = rows[np.sort(np.random.RandomState(397).randint(len(rows), size=RANDOM_ROWS))]
    far = np.median([np.linalg.norm(chosen - query, axis=1) for query in queries[:RANDOM_ROWS]])
    points = distance_counts(rows, queries, dataset, ef_max)
    speeds = [curve.speed_at(points, target) for target in curve.TARGETS]
    counts = [f"{'' if s.kind == 'reached' else '<='}{1 / s.qps:,.0f}" if s.qps else "-" for s in speeds]
    middle = f"{np.median(dimensions):.0f} ({np.quantile(dimensions, 0.1):.0f} to {np.quantile(dimensions, 0.9):.0f})"
    name = os.path.basename(path).rsplit(".", 1)[0]
    return [name, f"{len(rows):,}", middle, f"{far / np.median(radii[:, K - 1]):.2f}"] + counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="DATA.hdf5")
    parser.add_argument("--queries", type=int, default=1000, help="default: 1000")
    parser.add_argument("--ef-max", type=int, default=2048, help="default: 2048")
    options = parser.parse_args()
    rows = [["distances at recall@10", "rows", "intrinsic dim", "contrast"] + [f"{t:g}" for t in curve.TARGETS]]
    rows += [row_of(path, options.queries, options.ef_max) for path in options.data]
    command = " ".join(["effort.py"] + [os.path.basename(path) for path in options.data])
    folder = os.path.dirname(os.path.abspath(__file__))
    print(machine.text_of(machine.record("how hard data sets are for a graph", command, folder)))
    print("\n".join(table.aligned(rows)))


if __name__ == "__main__":
    sys.exit(main())
