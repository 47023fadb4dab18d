#!/bin/bash
# Goal: the programs of examples/ can be built as their opening comments say, from what is installed alone. Method: install
# into an empty folder, run the `cc` line of each comment there with strict warnings, and run one of the programs.
set -euo pipefail
prefix=$TEST_TMPDIR/prefix
tools/install.sh "$prefix"
cp examples/*.c "$TEST_TMPDIR"
cd "$TEST_TMPDIR"

strict="-Wall -Wextra -Wpedantic -Wconversion -Werror -I$prefix/include -L$prefix/lib"
built=0
for source in *.c; do
    line=$(sed -n "s/^ \*   cc \($source .*\)$/\1/p" "$source")
    [ -n "$line" ] || { echo "FAILED: $source does not say how to compile it"; exit 1; }
    for compiler in gcc clang; do
        command -v $compiler >/dev/null || continue
        $compiler -std=gnu11 $strict $line || { echo "FAILED: $compiler $line"; exit 1; }
    done
    built=$((built + 1))
done
[ "$built" -ge 5 ] || { echo "FAILED: $built programs"; exit 1; }
LD_LIBRARY_PATH=$prefix/lib ./create_and_search colours.rhumb
echo "all well"
