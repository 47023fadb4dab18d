#!/bin/bash
# Goal: Valgrind finds nothing in a program that uses the library: no use of uninitialised memory, also in what is written
# to files, no invalid access, and nothing that is lost. Method: install, build a program against the static library, run
# it in memcheck with both ways of input and output. Passes with a message where there is no Valgrind.
set -euo pipefail
if ! command -v valgrind >/dev/null; then
    echo "skipped: valgrind is not installed"
    exit 0
fi
prefix=$TEST_TMPDIR/prefix
tools/install.sh "$prefix" >/dev/null
private=$(sed -n 's/^Libs.private: //p' "$prefix/lib/pkgconfig/rhumb.pc")
gcc -std=c11 -O1 -I"$prefix/include" tests/install/valgrind_program.c -o "$TEST_TMPDIR/program" \
    "$prefix/lib/librhumb.a" $private
for io in plain uring; do
    mkdir "$TEST_TMPDIR/$io"
    RHUMB_IO=$io valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=9 --num-callers=20 \
        "$TEST_TMPDIR/program" "$TEST_TMPDIR/$io" >"$TEST_TMPDIR/$io.log" 2>&1 || {
        head -150 "$TEST_TMPDIR/$io.log"
        echo "FAILED: with RHUMB_IO=$io the program ended with an error, or Valgrind found something"
        exit 1
    }
done
echo "all well"
