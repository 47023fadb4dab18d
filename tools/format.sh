#!/bin/bash
# Checks that all C and C++ files look as .clang-format says; with --fix, makes them so.
set -euo pipefail
cd "$(dirname "$0")/.."
arguments=(--dry-run -Werror)
if [ "${1:-}" = --fix ]; then arguments=(-i); fi
find api base bench bindings distances engine examples include storage tests -name '*.[ch]' -print0 -o -name '*.cc' -print0 |
    xargs -0 --no-run-if-empty clang-format --style=file "${arguments[@]}"
