#!/bin/bash
# Runs a unit test of the Python package with Debian's Python, forgotten indexes and files being errors.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=bindings/python:tests/python
exec /usr/bin/python3 -X dev -W error::ResourceWarning "$1"
