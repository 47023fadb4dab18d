"""`import hnswlib` for the tests of hnswlib itself (bindings/python/check_peers_tests.sh)."""

from rhumb.compat.hnswlib import BFIndex, Index  # noqa: F401
