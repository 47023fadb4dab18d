#!/bin/bash
# Runs clang-tidy (see .clang-tidy) over the library and the command line tool, or over the files given. Slow, so it is
# run by hand: tools/tidy.sh [FILE...]
set -euo pipefail
cd "$(dirname "$0")/.."
files=("$@")
if [ "${#files[@]}" -eq 0 ]; then
    mapfile -t files < <(find api base distances engine storage -name '*.c' | sort)
fi
status=0
for file in "${files[@]}"; do
    flags=(-std=gnu17 -iquote . -Iinclude -DRHUMB_SYSTEM_MALLOC)
    case "$file" in
    *avx512*) flags+=(-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c) ;;
    *avx2*) flags+=(-mavx2 -mfma -mf16c) ;;
    *sse42*) flags+=(-msse4.2 -mpclmul) ;;
    esac
    clang-tidy --quiet "$file" -- "${flags[@]}" || status=1
done
exit "$status"
