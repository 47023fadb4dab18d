#!/bin/bash
# Runs a Python unit test with tools/ and bench/ on its path: Bazel's own py_test wants a Python toolchain, which is not
# needed here.
set -euo pipefail
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tools:bench:bench/peers exec python3 "$@"
