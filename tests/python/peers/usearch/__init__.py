"""`import usearch` for the tests of USearch itself (bindings/python/check_peers_tests.sh)."""
