"""What USearch's tests take from usearch.eval: data, and a count of distances that rhumb does not make."""

import numpy as np
from rhumb.compat.usearch import Matches as SearchStats


def random_vectors(count, ndim, dtype=None):
    """Directions of all kinds, of length 1."""
    vectors = np.random.standard_normal((count, ndim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(dtype if isinstance(dtype, type) else np.float32)


def self_recall(index, keys=None, sample=None, count=1):
    return SearchStats(keys, None)
