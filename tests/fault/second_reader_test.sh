#!/bin/bash
# Runs second_reader_test.py (the first argument) with index_dump (the second).
set -euo pipefail
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$(dirname "$1") exec python3 "$1" "$2"
