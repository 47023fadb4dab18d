"""Generates vectors with the structure of embeddings, any number of any dimension, from a fixed seed.

What real embeddings have, and plain Gaussian clusters lack, decides how hard they are for a graph:

- a spectrum that decays: few directions carry most of the variance;
- clusters within clusters, whose sizes have a heavy tail: a few are huge, most are tiny;
- a low intrinsic dimension at short range: around a row, its cluster extends in some 20 to 30 directions only, unlike
  those of the next cluster;
- a common part (embeddings are not centred), and length 1.

A row is the sum of the common part, of its topic's, subtopic's and cluster's centres, of a point in its cluster's own
directions, and of a little noise in all directions; then it is scaled to length 1. The centres have the decaying
spectrum. The directions of a cluster are drawn from a dictionary that all clusters share, so that clusters overlap
where their directions do. All of it is in a random basis, so that no component is special.

README.md has the measurements by which the constants were chosen.
"""

import numpy as np

SPECTRUM_FLAT = 12  # directions before the spectrum begins to decay
SPECTRUM_DECAY = 0.6  # exponent of the standard deviations
ROWS_PER_CLUSTER = 200  # on average
SIZE_DECAY = 0.8  # exponent of the sizes of clusters by rank
INTRINSIC_DIM_MIN, INTRINSIC_DIM_MAX = 20, 30
DICTIONARY_COUNT = 1024
# Standard deviations of the parts of a row, as lengths.
COMMON, TOPIC, SUBTOPIC, CLUSTER, LOCAL, NOISE = 0.5, 0.5, 0.35, 0.3, 0.55, 0.05
LOCAL_SPREAD = 0.5  # of the logarithm of a cluster's extent
BLOCK_ROWS = 16384  # drawn at a time; another number gives other rows


class Source:
    """An endless source of rows, of which `row_count` or so will be taken: that sets the number of clusters."""

    def __init__(self, row_count, dim, seed):
        self._random = random = np.random.RandomState(seed)
        self._dim = dim
        spectrum = (1.0 + np.arange(dim) / SPECTRUM_FLAT) ** -SPECTRUM_DECAY
        spectrum /= np.sqrt((spectrum**2).sum())
        basis = np.linalg.qr(random.standard_normal((dim, dim)))[0]

        def spread(count):
            """`count` random vectors of mean length 1 that have the spectrum."""
            return (random.standard_normal((count, dim)) * spectrum @ basis).astype(np.float32)

        branches = max(2, round((row_count / ROWS_PER_CLUSTER) ** (1 / 3)))
        topics, subtopics, clusters = branches, branches**2, branches**3
        self._centres = (
            COMMON * spread(1)
            + np.repeat(TOPIC * spread(topics), clusters // topics, axis=0)
            + np.repeat(SUBTOPIC * spread(subtopics), clusters // subtopics, axis=0)
            + CLUSTER * spread(clusters)
        )
        sizes = (1.0 + random.permutation(clusters)) ** -SIZE_DECAY
        self._limits = np.cumsum(sizes / sizes.sum())
        self._dictionary = spread(DICTIONARY_COUNT)
        intrinsic = min(INTRINSIC_DIM_MAX, dim)
        self._directions = np.array([random.permutation(DICTIONARY_COUNT)[:intrinsic] for _ in range(clusters)])
        self._intrinsic_dims = random.randint(min(INTRINSIC_DIM_MIN, dim), intrinsic + 1, size=clusters)
        self._extents = LOCAL * np.exp(LOCAL_SPREAD * random.standard_normal(clusters))

    def blocks(self, count):
        """Yields the next `count` rows in blocks. Which rows they are depends on the counts of the calls alone."""
        for first in range(0, count, BLOCK_ROWS):
            yield self._rows(min(BLOCK_ROWS, count - first))

    def rows(self, count):
        """The next `count` rows as one matrix, float32."""
        return np.concatenate(list(self.blocks(count)))

    def _rows(self, count):
        random = self._random
        clusters = np.searchsorted(self._limits, random.random_sample(count)).clip(0, len(self._limits) - 1)
        places = random.standard_normal((count, self._directions.shape[1])).astype(np.float32)
        rows = random.standard_normal((count, self._dim)).astype(np.float32)
        rows *= np.float32(NOISE / np.sqrt(self._dim))
        order = np.argsort(clusters, kind="stable")
        for members in np.split(order, np.nonzero(np.diff(clusters[order]))[0] + 1):
            cluster = clusters[members[0]]
            dim = self._intrinsic_dims[cluster]
            directions = self._dictionary[self._directions[cluster, :dim]]
            extent = np.float32(self._extents[cluster] / np.sqrt(dim))
            rows[members] += self._centres[cluster] + extent * (places[members, :dim] @ directions)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows
