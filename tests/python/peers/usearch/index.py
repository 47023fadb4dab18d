"""usearch.index for the tests of USearch itself."""

from rhumb.compat.usearch import *  # noqa: F403

Clustering = None  # their annotations name it; rhumb has none
